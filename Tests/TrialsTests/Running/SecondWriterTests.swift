import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Two writers in a trial. What two processes do to each other on real files, `Scenarios/regressions/two-writers.yaml`
/// shows.
@Suite struct SecondWriterTests {
  static let setups = WriterSetup.allCases.filter { $0 != .one && $0 != .secondProcess }

  private static func trial(
    _ writers: WriterSetup, defect: String = "none", seed: UInt64 = 42, partitions: Int = 2, messages: Int = 60,
    crash: CrashKind = .processKill
  ) -> TrialSpec {
    var spec = spec(messages: messages, partitions: partitions, crash: crash, storage: .memory, seed: seed)
    spec.writers = writers
    spec.defect = defect
    return spec
  }

  private struct Outcome {
    var judgement: Judgement
    var receipt: WriterReceipt
    var history: History
    var violated: Set<CheckName> { Set(judgement.checks.filter { $0.verdict == .violated }.map(\.name)) }
  }

  private static func run(_ spec: TrialSpec) throws -> Outcome {
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    let journal = try #require(try Journal.existing(scratch.folder.journal))
    return Outcome(
      judgement: try #require(reply.judgement, "\(reply)"), receipt: try #require(reply.writer, "\(reply)"),
      history: Judging.history(spec, journal, []))
  }

  @Test(arguments: setups, [CrashKind.processKill, .powerLoss, .none])
  func aSoundEngineLosesNothingOfEither(_ writers: WriterSetup, _ crash: CrashKind) throws {
    for seed in 0..<6 as Range<UInt64> {
      let spec = Self.trial(writers, seed: seed, crash: crash)
      let outcome = try Self.run(spec)
      #expect(outcome.judgement.verdict == .held, "\(seed): \(outcome.judgement.checks.filter { $0.verdict != .held })")
      #expect(outcome.receipt.doubts(spec, outcome.history) == [], "\(seed)")
      #expect((outcome.receipt.openedAt == nil) == !writers.getsPastExclusion)
      if writers == .secondEngine { #expect(outcome.receipt.refusal?.contains("its lock is held") == true) }
      // The one that was replaced was refused in the end, and the other never.
      let refused = outcome.history.operations.filter { $0.incarnation == 0 && $0.outcome != .acknowledged }
      #expect(refused.isEmpty == !writers.getsPastExclusion, "\(seed)")
      #expect(refused.allSatisfy { $0.producer < spec.producers }, "\(seed)")
    }
  }

  /// Few requests leave no verdict out: where the first writer has one before it waits for the second, that one is
  /// acknowledged before its link is cut.
  @Test(arguments: setups, [CrashKind.processKill, .powerLoss, .none])
  func fewRequestsAreEnough(_ writers: WriterSetup, _ crash: CrashKind) throws {
    for seed in 0..<6 as Range<UInt64> {
      for partitions in [1, 3] {
        var spec = Self.trial(writers, seed: seed, partitions: partitions, messages: 10, crash: crash)
        spec.batch = 5
        let outcome = try Self.run(spec)
        #expect(
          outcome.judgement.verdict == .held, "\(seed): \(outcome.judgement.checks.filter { $0.verdict != .held })")
        #expect(outcome.receipt.doubts(spec, outcome.history) == [], "\(seed), \(partitions)")
      }
    }
  }

  /// No interleaving passes in silence.
  @Test(arguments: setups, ["C11", "H11"])
  func anUndefendedEngineIsCaughtEachTime(_ writers: WriterSetup, _ defect: String) throws {
    // A lock that holds asks for no epoch.
    let isHarmless = defect == "H11" && !writers.getsPastExclusion
    for seed in 0..<12 as Range<UInt64> where writers != .holderKilled {
      let spec = Self.trial(writers, defect: defect, seed: seed)
      let outcome = try Self.run(spec)
      // Whoever takes no lease renews none.
      if writers == .renewalFailed, defect == "C11" {
        #expect(outcome.violated.contains(.noAcknowledgedLoss), "\(seed): \(outcome.violated)")
        continue
      }
      #expect(outcome.violated.contains(.noAcknowledgedLoss) == !isHarmless, "\(seed): \(outcome.violated)")
      #expect(outcome.receipt.doubts(spec, outcome.history) == [], "\(seed)")
    }
  }

  /// A dead holder acknowledges nothing, and its late writes fall into segments that its successor has closed: no epoch
  /// is needed for that, and without a lock it comes to no harm either. What its successor may lose is what any restart
  /// may.
  @Test(arguments: ["C11", "H11", "C2"]) func aDeadHolderHarmsNobody(_ defect: String) throws {
    for seed in 0..<12 as Range<UInt64> {
      let spec = Self.trial(.holderKilled, defect: defect, seed: seed)
      let outcome = try Self.run(spec)
      #expect(outcome.violated.contains(.noAcknowledgedLoss) == (defect == "C2"), "\(seed): \(outcome.violated)")
    }
  }

  /// C11 at its origin: neither finds a segment of the other, and both write the first one.
  @Test func twoWritersThatBeginTogetherShareTheFirstSegment() throws {
    for seed in 0..<10 as Range<UInt64> {
      let spec = Self.trial(.secondEngine, defect: "C11", seed: seed, partitions: 1, messages: 5)
      #expect(SecondWriter.hold(spec) == 0)
      let outcome = try Self.run(spec)
      #expect(outcome.violated.contains(.noAcknowledgedLoss), "\(seed): \(outcome.violated)")
    }
  }

  @Test func writersThatDidNotMeetLeaveNoVerdict() {
    let spec = Self.trial(.lockRemoved)
    func history(before: Bool, second: Bool, after: Bool) -> History {
      var history = History(seed: 1)
      let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
      for (sent, producer, at) in [(before, 0, 1), (second, spec.producers, 6), (after, 0, 7)] where sent {
        let operation = history.submit(
          slot, producer: producer, firstSequence: at, count: 1, at: Instant(nanoseconds: Int64(at)))
        history.acknowledge(operation, baseOffset: Offset(at), at: Instant(nanoseconds: Int64(at) + 1))
      }
      return history
    }
    var receipt = WriterReceipt(
      setup: .lockRemoved, triedAt: Instant(nanoseconds: 3), openedAt: Instant(nanoseconds: 5))
    #expect(receipt.doubts(spec, history(before: true, second: true, after: true)) == [])
    #expect(receipt.doubts(spec, history(before: false, second: true, after: true)).count == 1)
    #expect(receipt.doubts(spec, history(before: true, second: false, after: true)).count == 1)
    #expect(receipt.doubts(spec, history(before: true, second: true, after: false)).count == 1)
    (receipt.openedAt, receipt.refusal) = (nil, "the disk was full")
    #expect(receipt.doubts(spec, history(before: true, second: false, after: true)).count == 1)
    receipt.setup = .secondEngine
    #expect(receipt.doubts(spec, history(before: true, second: false, after: true)) == [])
  }

  @Test func theModelHasNoSecondProcess() throws {
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(Self.trial(.secondProcess), scratch.folder).run()
    #expect(reply.failure?.contains("a second process needs real files") == true && reply.writer == nil)
  }

  /// With a crash in the middle the second writer might never have come.
  @Test func twoWritersNeedTheEnd() throws {
    var spec = Self.trial(.lockRemoved)
    spec.crashAt = .percent(50)
    let scratch = try TrialScratch()
    #expect(throws: TrialError.self) { _ = try SimulatedTrial(spec, scratch.folder).run() }
  }

  @Test(arguments: WriterSetup.allCases)
  func aTokenNamesTheWriters(_ writers: WriterSetup) throws {
    var spec = Self.trial(writers, defect: "H11")
    if writers == .secondProcess { spec.storage = .posix }
    let token = Token.encode(spec)
    #expect(try Token.decode(token).writers == writers)
    #expect(token.contains(".w=") == (writers != .one))
  }

  @Test func onRealFilesTooTheReplacedWriterIsFenced() throws {
    let scratch = try TrialScratch()
    var spec = Self.trial(.lockRemoved, crash: .none)
    spec.storage = .posix
    let first = try FileTrial(spec, scratch.folder, life: 0).produce()
    #expect(first.failure == nil && first.hang == nil, "\(first)")
    for life in 1...2 { _ = try FileTrial(spec, scratch.folder, life: life).recover() }
    let judgement = try #require(try Judging.judge(spec, scratch.folder).judgement)
    #expect(judgement.verdict == .held, "\(judgement.checks.filter { $0.verdict != .held })")
    let receipt = try #require(try JSONFile.read(WriterReceipt.self, from: scratch.folder.writer))
    let journal = try #require(try Journal.existing(scratch.folder.journal))
    #expect(receipt.openedAt != nil && receipt.doubts(spec, Judging.history(spec, journal, [])) == [])
  }
}
