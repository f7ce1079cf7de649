import LogModel
import PartitionEngine
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// What the model does with loads that last, closes before a power loss, sequences of crashes, and logs that begin far
/// up.
@Suite struct LastingLoadTests {
  private func trial(
    _ change: (inout TrialSpec) -> Void
  ) throws -> (spec: TrialSpec, reply: PhaseReply, journal: Journal) {
    var spec = spec(messages: 60, partitions: 2, storage: .memory)
    change(&spec)
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    return (spec, reply, try Journal(path: scratch.folder.journal, capacity: 0))
  }

  private func judgement(_ change: (inout TrialSpec) -> Void) throws -> Judgement {
    try #require(try trial(change).reply.judgement)
  }

  // MARK: Load

  @Test func producersPauseBetweenTheirRequests() throws {
    let (spec, reply, journal) = try trial { ($0.messages, $0.batch, $0.pace) = (40, 1, .milliseconds(3)) }
    #expect(reply.judgement?.verdict == .held)
    let sent = journal.history(of: spec).operations.filter { $0.incarnation == 0 }
    for producer in 0..<spec.producers {
      let own = sent.filter { $0.producer == producer }
      for (before, after) in zip(own, own.dropFirst()) {
        #expect(after.submittedAt - (try #require(before.answeredAt)) >= .milliseconds(3))
      }
      #expect(own.count == 20)
    }
  }

  /// Not only when something has just been answered.
  @Test func thePowerGoesAtAnyMomentOfAPause() throws {
    let gaps = try (0..<12).map { seed in
      let (spec, reply, journal) = try trial {
        ($0.messages, $0.batch, $0.producers, $0.pace, $0.seed) = (40, 1, 1, .milliseconds(10), UInt64(seed))
        ($0.crash, $0.crashAt, $0.sync) = (.powerLoss, .percent(50), policy("interval(20ms)"))
      }
      #expect(reply.judgement?.verdict == .held && !reply.crashMissed, "seed \(seed)")
      let history = journal.history(of: spec)
      let last = try #require(history.operations.filter { $0.incarnation == 0 }.compactMap(\.answeredAt).max())
      return (history.crashes[0].instant - last).inSeconds * 1000
    }
    #expect((gaps.min() ?? 9) < 3 && (gaps.max() ?? 0) > 6, "\(gaps)")
  }

  /// The crash that is on its way when the workload ends comes all the same.
  @Test(arguments: [99, 60]) func aCrashBehindTheLastAnswerComes(percent: Int) throws {
    let (_, reply, journal) = try trial {
      ($0.messages, $0.batch, $0.producers, $0.pace) = (4, 1, 4, .milliseconds(50))
      ($0.crash, $0.crashAt, $0.sync) = (.powerLoss, .percent(percent), policy("interval(1s)"))
    }
    #expect(!reply.crashMissed && journal.crashRows.count == 3)
  }

  // MARK: Closes

  /// What the close alone can sync is there: the harness' own commits of offsets come before it.
  @Test(arguments: [1, 2, 3] as [UInt64]) func theTailStandsUnsyncedAtTheClose(seed: UInt64) throws {
    func lost(_ defect: String, _ crash: CrashKind) throws -> Int {
      try judgement { ($0.crash, $0.sync, $0.seed, $0.defect) = (crash, policy("interval(1s)"), seed, defect) }.counts
        .lost
    }
    #expect(try lost("none", .powerLossAfterClose) == 0)
    #expect(try lost("P14", .powerLossAfterClose) > 0)
    #expect(try lost("P14", CrashKind.none) == 0, "nothing takes it")
  }

  /// The window excuses nothing behind a close that returned without an error, and everything behind one that failed.
  @Test func aFailedCloseKeepsItsWindow() throws {
    let fault = FaultSpec(
      kind: "sync-failure", parameters: ["target": "segment", "on": "sync", "phase": "close", "how": "marks-clean"])
    func run(_ defect: String) throws -> (Judgement, [String]) {
      let (spec, reply, _) = try trial {
        ($0.crash, $0.sync, $0.defect, $0.faults) = (.powerLossAfterClose, policy("interval(1s)"), defect, [fault])
      }
      #expect(spec.unfired(reply.storageFaults) == [])
      return (try #require(reply.judgement), reply.notices)
    }
    let (sound, notices) = try run("none")
    #expect(sound.verdict == .held && sound.counts.lost > 0, "\(sound)")
    #expect(notices.contains { $0.hasPrefix("close: ") }, "\(notices)")
    let (broken, silence) = try run("P15")
    #expect(broken[.noAcknowledgedLoss]?.verdict == .violated && !silence.contains { $0.hasPrefix("close: ") })
    #expect(broken[.lossWindow]?.detail.contains("had closed without an error") == true, "\(broken)")
  }

  // MARK: Sequences

  static let kinds: [CrashKind] = [.none, .processKill, .powerLoss, .powerLossAfterClose]

  @Test(arguments: kinds, kinds) func anySequenceOfEnds(first: CrashKind, second: CrashKind) throws {
    for sync in ["always", "interval(100ms)", "never"] {
      let (_, reply, journal) = try trial {
        ($0.crash, $0.secondCrash, $0.sync, $0.messages) = (first, second, policy(sync), 200)
        if first.isAbrupt { $0.crashAt = .percent(50) }
      }
      let verdict = reply.judgement?.verdict
      // Closed before its work is done it has been looked at once.
      #expect(verdict == .held, "\(first), \(second), \(sync): \(String(describing: reply.judgement))")
      let crashes = journal.history(of: spec()).crashes.map(\.kind)
      #expect(crashes == [first.recorded, second.recorded, CrashKind.none])
    }
  }

  // MARK: First offsets

  @Test(arguments: [1, 1 << 31, 1 << 32, 1 << 53, 1 << 61]) func aLogBeginsWhereItIsTold(offset: Int) throws {
    for crash in [CrashKind.processKill, .powerLoss, .powerLossAfterClose] {
      let (spec, reply, journal) = try trial { ($0.firstOffset, $0.crash) = (offset - 1, crash) }
      let judgement = try #require(reply.judgement)
      #expect(judgement.verdict == .held && judgement.counts.recovered == 60, "\(judgement)")
      #expect(judgement.partitions.allSatisfy { $0.logStartOffset == Offset(offset - 1) })
      let history = journal.history(of: spec)
      #expect(history.firstOffset == Offset(offset - 1))
      #expect(history.operations.compactMap(\.baseOffset).min() == Offset(offset - 1))
    }
  }

  @Test func offsetsOfDeletedMessagesAreNotGivenAgain() throws {
    let judgement = try judgement { ($0.firstOffset, $0.defect, $0.crash) = (1 << 32, "P21", .processKill) }
    #expect(judgement[.offsetsStable]?.verdict == .violated)
    #expect(judgement[.offsetsStable]?.detail.contains("belong to deleted messages") == true, "\(judgement)")
  }
}
