import Exploration
import LogModel
import PartitionEngine
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import DefectMatrix
@testable import Trials

/// Consumers that read while messages are sent.
@Suite struct ReadersTests {
  private func run(_ change: (inout TrialSpec) -> Void) throws -> (judgement: Judgement, history: History) {
    var spec = spec(messages: 120, partitions: 2, crash: .processKill, storage: .memory)
    (spec.readers, spec.producers, spec.batch) = (2, 4, 2)
    change(&spec)
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    let journal = try Journal(path: scratch.folder.journal, capacity: 0)
    return (try #require(reply.judgement, "\(reply.hang ?? reply.failure ?? "")"), journal.history(of: spec))
  }

  @Test(arguments: LogSystem.allCases, [CrashKind.processKill, .powerLoss])
  func theSoundEngineIsNotAccused(system: LogSystem, crash: CrashKind) throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      for sync in ["always", "interval(2ms)", "never"] {
        let (judgement, history) = try run { spec in
          (spec.system, spec.crash, spec.seed, spec.sync) = (system, crash, seed, policy(sync))
          // Of a torn commit of these formats a later record may be whole: skipping leaves holes.
          if system != .tornlog { spec.recovery = .truncateAtCorruption }
          if seed > 1 { spec.crashAt = .percent(60) }
        }
        #expect(
          judgement.verdict == .held,
          "\(system) \(sync) seed \(seed): \(judgement.checks.filter { $0.verdict != .held })")
        #expect(judgement.looked.read > 20 && judgement.looked.readings >= 4, "\(judgement.looked)")
        #expect(Set(history.readings.map(\.incarnation)) == [0, 1])
      }
    }
  }

  /// At the tail, from the beginning again, and in between; in the middle of what is sent, and at its end.
  @Test func theyReadEverywhere() throws {
    let (_, history) = try run { _ in }
    let own = history.readings.filter { $0.incarnation == 0 && $0.partition == PartitionSlot(0) }
    #expect(Set(own.map(\.reader)) == [0, 1])
    let ends = own.map(\.highWatermark.rawValue)
    #expect(Set(ends).count > 5 && ends.max() == 60, "\(ends)")
    #expect(own.count { $0.asked == 0 } > 2 && own.contains { $0.asked.rawValue % 2 != 0 }, "\(own.map(\.asked))")
    #expect(own.contains { $0.operationsBefore < history.operations.count / 4 })
  }

  /// What was read before a crash is known after it, and a reader is the same one with the same seed.
  @Test func theSeedDecides() throws {
    let (_, one) = try run { $0.crashAt = .percent(50) }
    let (_, same) = try run { $0.crashAt = .percent(50) }
    let (_, other) = try run { ($0.crashAt, $0.seed) = (.percent(50), 7) }
    #expect(one.readings == same.readings && one.readings != other.readings && !one.readings.isEmpty)
  }

  /// More answers than a long workload has room for are not written down.
  @Test(arguments: [1, 3]) func aLongWorkloadHasRoom(readers: Int) throws {
    let (judgement, history) = try run { ($0.messages, $0.batch, $0.readers, $0.partitions) = (4000, 1, readers, 3) }
    #expect(judgement.verdict == .held, "\(judgement.checks.filter { $0.verdict != .held })")
    let last = try #require(history.readings.last { $0.incarnation == 0 })
    #expect(last.operationsBefore > 3000, "they read to the end: \(last.operationsBefore)")
  }

  /// Seen by nobody else: at rest everything is right.
  @Test(arguments: ["P42", "P43"]) func onlyAReaderBesideProducersSees(defect: String) throws {
    func verdicts(_ readers: Int) throws -> [Verdict] {
      try (1...4 as ClosedRange<UInt64>).map { seed in
        try run { spec in
          (spec.readers, spec.defect, spec.seed, spec.partitions, spec.messages) = (readers, defect, seed, 3, 900)
          (spec.batch, spec.producers, spec.crash, spec.crashAt) = (1, 12, .powerLoss, .percent(70))
        }.judgement.verdict
      }
    }
    #expect(try verdicts(0) == [.held, .held, .held, .held])
    #expect(try verdicts(6).contains(.violated))
  }

  @Test func whatContradictsReadersIsRefused() {
    var spec = spec(storage: .memory)
    spec.readers = 1
    #expect(spec.problem == nil)
    spec.writers = .secondEngine
    #expect(spec.problem?.contains("readers") == true)
    (spec.writers, spec.messageSize) = (.one, 8)
    #expect(spec.problem?.contains("readers") == true)
  }

  // MARK: Random trials

  /// Everything that a trial can have is drawn, and every trial has a token that says all of it.
  @Test func randomTrialsHaveEverything() throws {
    let source = RandomTrials(seed: 5)
    let specs = (0..<3000).map { source.trial($0).spec }
    func share(_ name: String, _ least: Int, _ has: (TrialSpec) -> Bool) {
      let count = specs.count(where: has)
      #expect(count >= least, "\(name): \(count) of 3000")
    }
    share("topics", 60) { !$0.otherTopics.isEmpty }
    share("committers", 150) { $0.committers > 1 }
    share("deletions", 100) { $0.deletion != .none }
    share("readers", 600) { $0.readers > 0 }
    share("readers and committers and deletions", 3) { $0.readers > 0 && $0.committers > 0 && $0.deletion != .none }
    share("second crash", 100) { $0.secondCrash != nil }
    share("power loss after close", 30) { $0.crash == .powerLossAfterClose || $0.secondCrash == .powerLossAfterClose }
    share("keys", 60) { $0.keys != .none }
    share("pace", 30) { $0.pace > .zero }
    share("preallocation", 60) { $0.preallocation != LoadAxes.usualPreallocation }
    share("first offset", 60) { $0.firstOffset > 0 }
    share("store", 100) { $0.checkpoint != .none }
    share("faults", 300) { !$0.faults.isEmpty }
    share("writers", 30) { $0.writers != .one }
    share("short messages", 20) { $0.messageSize < MessageContent.minimumSize }
    share("delivery", 10) { $0.delivery != nil }
    for system in LogSystem.allCases { share(system.rawValue, 30) { $0.system == system } }
    for sync in ["always", "interval(2ms)", "never"] { share(sync, 200) { $0.sync == policy(sync) } }
    for spec in specs {
      let token = Token.encode(spec)
      let again = try Token.decode(token)
      #expect(Token.encode(again) == token && spec.problem == nil, "\(token)")
    }
    #expect((0..<50).map { source.trial($0).spec } == Array(specs.prefix(50)))
  }

  @Test func randomTrialsOnFilesAreThoseThatFilesCanHave() {
    let specs = (0..<400).map { RandomTrials(seed: 6, storage: .posix).trial($0).spec }
    #expect(
      specs.count { $0.storage == .posix } > 200 && specs.allSatisfy { $0.storage == .posix || $0.storage == .memory })
    #expect(specs.allSatisfy { $0.storage == .memory || $0.writers != .holderLives })
  }
}
