import LogModel
import Testing
import Verification

/// What a job's log says in the end of its events, held against what the receiver has: event 3 is one that it takes
/// never.
@Suite struct SettledEventsTests {
  static let history: History = {
    var history = History(seed: 1)
    let at = Instant(nanoseconds: 1)
    let slot = history.create(TopicPartition("build", 0), at: at)
    for message in 0..<5 {
      let operation = history.submit(slot, firstSequence: message, count: 1, at: at)
      history.acknowledge(operation, baseOffset: Offset(message + 1), at: at)
    }
    history.crash(.processKill, at: at)
    return history
  }()

  static func judge(sent: [Int64], failed: [Int64], taken: [Int64], rejected: Int64? = 3, left: Int = 0) -> Judgement {
    DeliveryOracle.judge(
      history, [Delivered(slot: PartitionSlot(0), messages: taken.map { Int($0) - 1 }, numbers: taken)],
      stops: [StoppedSender(life: 2, left: left, couldSend: false)],
      settled: [SettledEvents(slot: PartitionSlot(0), sent: sent, failed: failed)], rejected: rejected)
  }

  @Test func theRejectedOneIsRecordedAndTheOthersArrive() {
    let judgement = Self.judge(sent: [1, 2, 4, 5], failed: [3], taken: [1, 2, 4, 5])
    #expect(judgement.verdict == .held && judgement[.rejectedReported]?.detail == "", "\(judgement.text)")
    // What was not recorded before a crash is sent again, and known.
    #expect(Self.judge(sent: [1], failed: [3], taken: [1, 2, 4, 5]).verdict == .held)
  }

  @Test(
    arguments: [
      ([1, 2, 3, 4, 5], [], [1, 2, 4, 5]), ([1, 2, 4, 5], [], [1, 2, 4, 5]), ([1, 2, 5], [3, 4], [1, 2, 4, 5]),
      ([1, 2, 4, 5], [3, 3, 5], [1, 2, 4, 5]),
    ] as [([Int64], [Int64], [Int64])])
  func anythingElseIsFound(sent: [Int64], failed: [Int64], taken: [Int64]) {
    #expect(Self.judge(sent: sent, failed: failed, taken: taken).violated == [.rejectedReported])
  }

  /// The good ones of a batch do not go with the bad one.
  @Test func theOthersOfABatchMustArrive() {
    #expect(Self.judge(sent: [1, 5], failed: [3], taken: [1, 5]).violated == [.noAcknowledgedLoss])
  }

  @Test func aReceiverThatTakesEverythingRejectsNothing() {
    #expect(Self.judge(sent: [1, 2, 3, 4, 5], failed: [], taken: [1, 2, 3, 4, 5], rejected: nil).verdict == .held)
    #expect(
      Self.judge(sent: [1, 2, 4, 5], failed: [3], taken: [1, 2, 3, 4, 5], rejected: nil).violated == [.rejectedReported]
    )
  }

  /// Where no sender came to its end the event may not have been sent.
  @Test func withoutAnEndThereIsNoVerdict() {
    #expect(
      Self.judge(sent: [1, 2, 4, 5], failed: [], taken: [1, 2, 4, 5], left: 1)[.rejectedReported]?.verdict == .unknown)
  }
}
