import Defects
import EventReceivers
import FaultInjection
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Messages, deletions, leases and receivers out of the ordinary, as trials.
@Suite struct OddTrialTests {
  private func judge(_ spec: TrialSpec) throws -> (judgement: Judgement, verdict: Verdict) {
    let scratch = try TrialScratch()
    let reply =
      spec.delivery == nil
      ? try SimulatedTrial(spec, scratch.folder).run() : try SimulatedDelivery(spec, scratch.folder).run()
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "").take(reply, &findings)
    if spec.delivery == nil { findings.doubts += spec.unfired(reply.storageFaults) }
    return findings.judged()
  }

  private func violations(_ judgement: Judgement) -> [String] {
    judgement.checks.filter { $0.verdict == .violated }.map { "\($0.name.rawValue): \($0.detail)" }
  }

  // MARK: Messages

  @Test(arguments: [0, 1, 7, 8, 23, 24], MessageKeys.allCases) func shortMessagesAreHeld(size: Int, keys: MessageKeys)
    throws
  {
    for (crash, at) in [(CrashKind.none, CrashMoment.end), (.processKill, .percent(50)), (.powerLoss, .percent(60))] {
      for sync in ["always", "never"] {
        var trial = spec(
          messages: 24, partitions: 2, sync: sync, crash: crash, crashAt: at, storage: .memory, seed: UInt64(size) + 1)
        (trial.messageSize, trial.keys, trial.batch, trial.producers) = (size, keys, size % 2 == 0 ? 1 : 3, 4)
        let (judgement, verdict) = try judge(trial)
        #expect(verdict == .held, "\(Token.encode(trial)): \(judgement.checks.filter { $0.verdict != .held })")
        // Under `never` a power loss may leave nothing to read a time of.
        if judgement.counts.recovered > 0 { #expect(judgement[.timesKept]?.verdict == .held) }
      }
    }
  }

  // MARK: Deletion

  @Test(arguments: [DeletionSetup.half, .all], [CheckpointSetup.none, .flushed]) func deletionsAreHeld(
    deletion: DeletionSetup, checkpoint: CheckpointSetup
  ) throws {
    for (crash, at) in [(CrashKind.none, CrashMoment.end), (.processKill, .percent(70)), (.powerLoss, .end)] {
      for sync in ["always", "interval(100ms)", "never"] {
        var trial = spec(messages: 40, partitions: 2, sync: sync, crash: crash, crashAt: at, storage: .memory)
        (trial.deletion, trial.checkpoint) = (deletion, checkpoint)
        let (judgement, verdict) = try judge(trial)
        #expect(verdict == .held, "\(Token.encode(trial)): \(judgement.checks.filter { $0.verdict != .held })")
        if at == .end { #expect(judgement[.deletedStaysDeleted]?.verdict == .held) }
      }
    }
  }

  // MARK: Leases

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func aHolderThatLivesKeepsItsLease(seed: UInt64) throws {
    var trial = spec(messages: 60, partitions: 2, crash: .processKill, storage: .memory, seed: seed)
    trial.writers = .holderLives
    let (judgement, verdict) = try judge(trial)
    #expect(
      verdict == .held && judgement[.leaseKept]?.verdict == .held, "\(judgement.checks.filter { $0.verdict != .held })")
    trial.defect = "P31"
    let (broken, found) = try judge(trial)
    #expect(found == .violated && broken[.leaseKept]?.verdict == .violated)
  }

  // MARK: Receivers

  private func rejecting(_ event: Int, batch: Int, _ crash: CrashKind, _ at: CrashMoment, seed: UInt64) -> TrialSpec {
    var trial = spec(messages: 40, partitions: 2, crash: crash, crashAt: at, storage: .memory, seed: seed)
    (trial.recovery, trial.batch) = (.truncateAtCorruption, batch)
    var delivery = DeliverySettings()
    (delivery.firstBackOff, delivery.longestBackOff, delivery.timeout) = (
      .milliseconds(50), .milliseconds(400), .milliseconds(300)
    )
    trial.delivery = delivery
    trial.faults = [FaultSpec(kind: "receiver-rejects", parameters: ["event": "\(event)"])]
    return trial
  }

  // Behind 80 % of the events, at which the power goes, none is sent.
  @Test(arguments: [1, 5, 12], [1, 7]) func oneEventIsRejectedAndAllOthersArrive(event: Int, batch: Int) throws {
    for (crash, at) in [(CrashKind.none, CrashMoment.end), (.processKill, .end), (.powerLoss, .percent(80))] {
      for seed in 1...3 as ClosedRange<UInt64> {
        var trial = rejecting(event, batch: batch, crash, at, seed: seed)
        let (judgement, verdict) = try judge(trial)
        #expect(verdict == .held, "\(Token.encode(trial)): \(judgement.checks.filter { $0.verdict != .held })")
        #expect(judgement[.rejectedReported] == CheckResult(.rejectedReported, .held))
        trial.defect = "P32"
        #expect(try judge(trial).judgement[.rejectedReported]?.verdict == .violated)
      }
    }
  }

  /// A token carries it, and a second one is none.
  @Test func aReceiverRejectsOneEvent() throws {
    var trial = rejecting(3, batch: 7, .none, .end, seed: 1)
    #expect(try Token.decode(Token.encode(trial)).faults == trial.faults)
    #expect(try ReceiverFaultGrammar.schedule(trial).behavior(at: .seconds(100)) == .rejects(3))
    #expect(try ReceiverFaultGrammar.schedule(trial).end == .zero)
    trial.faults[0].parameters["event"] = "2000000"
    #expect(throws: Token.Failure.self) { try Token.decode(Token.encode(trial)) }
  }

  // MARK: Words

  @Test func tokensCarryThem() throws {
    var trial = spec(messages: 20, storage: .memory)
    (trial.messageSize, trial.keys, trial.deletion) = (0, .mixed, .half)
    let again = try Token.decode(Token.encode(trial))
    #expect((again.messageSize, again.keys, again.deletion) == (0, .mixed, .half))
    trial.faults = [FaultSpec(kind: "bit-flip", parameters: ["target": "batch", "edge": "last", "at": "rest"])]
    #expect(throws: Token.Failure.self) { try Token.decode(Token.encode(trial)) }
    trial.messageSize = 24
    #expect(try Token.decode(Token.encode(trial)).faults == trial.faults)
    trial.storage = .ring
    (trial.faults, trial.writers) = ([], .holderLives)
    #expect(throws: Token.Failure.self) { try Token.decode(Token.encode(trial)) }
  }

  // MARK: Edges

  /// The places of each part in a batch as the engine seals it, by the format's own table.
  @Test(arguments: [24, 25], [1, 3]) func edgesAreWhereTheFormatHasThem(size: Int, count: Int) throws {
    let length = (64 + count * (8 + size) + 7) & ~7
    var bytes = [UInt8](repeating: 0, count: 4096 + 512)
    bytes.withUnsafeMutableBytes { memory in
      let base = memory.baseAddress! + 512
      for n in 0..<count {
        (base + 64 + n * (8 + size)).storeBytes(of: Int32(-1), as: Int32.self)
        (base + 68 + n * (8 + size)).storeBytes(of: UInt32(size), as: UInt32.self)
      }
      base.storeBytes(of: UInt32(0x3142_4C54), as: UInt32.self)
      base.storeBytes(of: UInt32(length), toByteOffset: 8, as: UInt32.self)
      base.storeBytes(of: UInt8(1), toByteOffset: 12, as: UInt8.self)
      base.storeBytes(of: UInt32(count), toByteOffset: 24, as: UInt32.self)
      base.storeBytes(of: UInt32(512 / 8), toByteOffset: 28, as: UInt32.self)
    }
    func place(_ part: BatchPart) -> Range<Int>? {
      bytes.withUnsafeBytes { BatchLayout.places(of: part, in: $0, at: 0).first }
    }
    let end = 512 + 64 + count * (8 + size)
    #expect(place(.batch) == 512..<512 + length)
    #expect(place(.records) == 576..<end)
    #expect(place(.alignment) == (end % 8 == 0 ? nil : end..<512 + length))
    #expect(place(.padding) == 512 + length..<1024)
    #expect(place(.records).map(PartEdge.last.of) == end - 1..<end && place(.batch).map(PartEdge.first.of) == 512..<513)
  }

  /// A flip hits the byte that it is aimed at, at rest as in flight, and the message that this byte belongs to.
  @Test(
    arguments: [
      "batch", "batch-header", "batch-checksum", "batch-length", "batch-offset", "batch-payload", "batch-records",
    ],
    [("first", "rest"), ("last", "rest"), ("first", "flight"), ("last", "flight")])
  func aFlipHitsTheEdge(target: String, place: (edge: String, at: String)) throws {
    let (edge, at) = place
    var trial = spec(messages: 12, crash: .processKill, storage: .memory)
    (trial.messageSize, trial.batch, trial.keys) = (24, 1, .nul)
    trial.faults = [FaultSpec(kind: "bit-flip", parameters: ["target": target, "edge": edge, "at": at])]
    if at == "flight" { trial.faults[0].parameters["phase"] = "produce" }
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(trial, scratch.folder).run()
    let (judgement, verdict) = try judge(trial)
    #expect(verdict == .held, "\(judgement.checks.filter { $0.verdict != .held })")
    let touched = at == "rest" ? reply.receipts.flatMap(\.touched) : reply.storageFaults.flatMap(\.touched)
    #expect(Set(touched).count == 1)
  }
}
