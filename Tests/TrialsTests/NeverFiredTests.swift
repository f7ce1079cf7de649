import FaultInjection
import Foundation
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// A trial whose fault never fired says which operations passed where it was aimed, and which words would have hit
/// some.
@Suite struct NeverFiredTests {
  private func doubts(
    _ kind: String, _ parameters: [String: String], storage: StorageChoice = .memory, crash: CrashKind = .processKill,
    change: (inout TrialSpec) -> Void = { _ in }
  ) throws -> [String] {
    let scratch = try TrialScratch()
    var spec = spec(
      messages: 40, partitions: 2, crash: crash, storage: storage,
      faults: [FaultSpec(kind: kind, parameters: parameters)])
    change(&spec)
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    return spec.unfired(reply.storageFaults, reply.census)
  }

  /// Recovery of a log that is in order reads, and writes nothing.
  @Test func whatPassedInThePhaseIsNamed() throws {
    let doubts = try doubts("no-space", ["on": "write", "phase": "recover", "lasting": "sticky", "target": "batch"])
    let doubt = try #require(doubts.first)
    #expect(doubts.count == 1)
    let said =
      #/the fault no-space never fired: in phase recover on target batch there passed \d+ read, and no write; it would fire with phase: produce \(\d+ write\).*/#
    #expect(doubt.wholeMatch(of: said) != nil, "\(doubt)")
  }

  /// What is proposed does fire.
  @Test(arguments: [
    ("no-space", ["on": "write", "phase": "verify"]),
    ("io-error", ["on": "unlink", "phase": "produce", "target": "segment"]),
    ("no-space", ["on": "open", "phase": "verify"]), ("lost-write", ["phase": "verify", "target": "batch"]),
    ("permission-denied", ["on": "rename", "phase": "produce"]),
    ("io-error", ["on": "write", "target": "segment", "partition": "7"]),
    ("sync-failure", ["phase": "verify", "target": "segment"]),
    ("short-write", ["phase": "verify", "target": "segment-head"]),
    ("io-error", ["on": "read", "phase": "commit"]),
  ])
  func everySpellingThatIsProposedFires(kind: String, parameters: [String: String]) throws {
    let doubts = try doubts(kind, parameters)
    let doubt = try #require(doubts.first, "it fired")
    #expect(doubts.count == 1)
    for proposal in doubt.matches(of: #/(phase|on|target|partition): ([A-Za-z0-9-]+) \(\d/#) {
      let changed = parameters.merging([String(proposal.1): String(proposal.2)]) { $1 }
      #expect(try self.doubts(kind, changed) == [], "\(doubt): \(changed)")
    }
    let isHelpless = doubt.hasSuffix("nothing that it could hit passed in another phase either")
    #expect(isHelpless || doubt.contains("it would fire with"), "\(doubt)")
  }

  @Test func anOccurrenceBeyondAllIsToldHowManyThereWere() throws {
    let parameters = ["on": "write", "phase": "produce", "target": "batch"]
    let doubt = try #require(try doubts("io-error", parameters.merging(["occurrence": "5000"]) { $1 }).first)
    let said = try #require(
      doubt.wholeMatch(
        of:
          #/the fault io-error never fired: only (\d+) passes matched it, and its occurrence is 5000; say occurrence: (\d+) or less/#
      ), "\(doubt)")
    #expect(said.1 == said.2)
    let last = try #require(Int(said.1))
    #expect(try doubts("io-error", parameters.merging(["occurrence": "\(last)"]) { $1 }) == [])
    #expect(try doubts("io-error", parameters.merging(["occurrence": "\(last + 1)"]) { $1 }).count == 1)
  }

  @Test(arguments: [
    (["at-byte": "1GiB"], "bytes in all, and its at-byte is 1073741824"),
    (["after": "1h"], "none of them later than 1h after"),
    (["every": "7", "occurrence": "900"], "its occurrence is 900"),
  ])
  func aConditionThatIsNeverMetIsNamed(parameters: [String: String], text: String) throws {
    let doubt = try #require(
      try doubts("io-error", ["on": "write", "target": "batch"].merging(parameters) { $1 }).first)
    #expect(doubt.contains(text), "\(doubt)")
  }

  /// Files that have been archived are removed in the phase `flush`, which is a phase like any other.
  @Test func whatIsArchivedIsRemovedWhileItIsFlushed() throws {
    let flushed: (inout TrialSpec) -> Void = { spec in
      (spec.checkpoint, spec.messages, spec.messageSize, spec.batch, spec.partitions) = (.flushed, 1000, 1000, 10, 1)
      (spec.checkpointTerms.every, spec.checkpointTerms.bytes, spec.checkpointTerms.objectBytes) = (
        .milliseconds(50), 8000, 16_000
      )
    }
    let doubt = try #require(try doubts("io-error", ["on": "unlink", "phase": "create"], change: flushed).first)
    #expect(doubt.contains("it would fire with phase: flush ("), "\(doubt)")
    #expect(try doubts("io-error", ["on": "unlink", "phase": "flush"], change: flushed) == [])
  }

  @Test func aStoreThatIsNotCalledSoIsNamed() throws {
    let flushed: (inout TrialSpec) -> Void = { ($0.checkpoint, $0.messages) = (.flushed, 100) }
    let beyond = try doubts("store-refused", ["on": "put", "occurrence": "1000"], change: flushed)
    #expect(
      beyond.first?.contains("of the store matched it, and its occurrence is 1000; say occurrence: ") == true,
      "\(beyond)")
    let never = try doubts("store-refused", ["on": "delete", "partition": "9"], change: flushed)
    #expect(
      never.first?.contains("the store was called for ") == true
        && never.first?.hasSuffix("and no call matched it") == true, "\(never)")
    let without = try doubts("store-refused", ["on": "put"])
    #expect(
      without == [
        "the fault store-refused never fired: this trial has no object store; say checkpoint: background or "
          + "checkpoint: flushed"
      ])
  }

  /// The same words say what `FaultTarget.matches` says, pass by pass: one trial, each target.
  @Test(arguments: FaultTarget.allCases)
  func whatIsCountedIsWhatAFaultWouldHit(target: FaultTarget) throws {
    let scratch = try TrialScratch()
    let kinds = OperationKind.allCases.filter { $0 != .close }
    let faults = kinds.map { kind in
      FaultSpec(
        kind: "stall",
        parameters: ["on": kind.rawValue, "target": target.rawValue, "occurrence": "100000", "delay": "1ms"])
    }
    let spec = spec(messages: 2000, partitions: 2, crash: .processKill, storage: .memory, faults: faults)
    let census = try #require(try SimulatedTrial(spec, scratch.folder).run().census)
    for (number, kind) in kinds.enumerated() {
      // A batch is one where a message stands: the census counts the zeros of filled space out, and no more.
      let counted = census.passes.passes(of: target)[kind] ?? 0
      let matched = census.matched[number]?.passes ?? 0
      #expect(target == .batch ? counted >= matched : counted == matched, "\(kind)")
      if target == .any, [.open, .read, .write, .sync, .list].contains(kind) { #expect(counted > 0, "\(kind)") }
    }
  }
}

@Suite struct PhaseTableTests {
  /// What a scenario may say the page on scenarios explains.
  @Test func everyPhaseIsInTheTable() {
    let explained = Set(ManualPage("scenarios.md").names("Phases"))
    #expect(explained == Set(Incarnation.phases + FaultTrigger.derivedPhases))
  }
}

@Suite struct NeverFiredOnFilesTests {
  /// On real files the count survives the kill of its process.
  @Test func aKilledLifeHasLeftItsCount() throws {
    let scratch = try TrialScratch()
    var spec = spec(
      messages: 20, crash: .processKill,
      faults: [FaultSpec(kind: "io-error", parameters: ["on": "write", "phase": "verify"])])
    spec.storage = .posix
    let census = IncarnationCensus()
    try JSONFile.write(census, to: scratch.folder.census(0))
    #expect(try IncarnationCensus.read(scratch.folder) == census)
    let doubt = spec.unfired([], census)
    #expect(
      doubt.first?.hasPrefix("the fault io-error never fired: in phase verify nothing passed") == true, "\(doubt)")
    #expect(spec.unfired([]) == ["the fault io-error never fired"])
  }
}
