import LogModel
import Testing
import Verification

/// Where a log begins, and when its batches were appended.
@Suite struct LogStartTests {
  /// Six messages of two requests, a deletion of those before `bound`, a kill.
  static func history(_ bound: Int?, _ outcome: Outcome = .acknowledged) -> History {
    var history = History(seed: 5)
    var now = Instant(nanoseconds: 1)
    let slot = history.create(TopicPartition("orders", 0), at: now)
    history.opened(at: now)
    for number in 0..<2 {
      let operation = history.submit(slot, firstSequence: number * 3, count: 3, at: now)
      now = now + .microseconds(10)
      history.acknowledge(operation, baseOffset: Offset(number * 3), at: now)
    }
    if let bound { history.answer(trim: history.trim(slot, before: Offset(bound)), outcome) }
    history.crash(.processKill, at: now)
    history.opened(at: now)
    return history
  }

  static func readback(
    _ history: History, start: Int, after: Int? = nil, end: Int = 6, below: [(Int, Int?)] = [],
    times: [(Int, Int64)] = [],
    served: [Int]? = nil
  ) -> Observation {
    var observer = Observer(history)
    let slot = PartitionSlot(0)
    func marks(_ start: Int) -> Watermarks {
      Watermarks(logStartOffset: Offset(start), highWatermark: Offset(end), logEndOffset: Offset(end))
    }
    observer.registered([TopicPartition("orders", 0)])
    observer.claimedBefore(slot, marks(start))
    for offset in served ?? Array(start..<max(start, end)) {
      observer.observe(slot, Offset(offset), .intact(sequence: UInt64(offset)))
      observer.probe(slot, start: Offset(offset), reading: (Offset(offset), .intact(sequence: UInt64(offset))))
    }
    for (offset, time) in times { observer.timed(slot, Offset(offset), Instant(nanoseconds: time)) }
    for (offset, first) in below {
      observer.probe(slot, start: Offset(offset), reading: first.map { (Offset($0), .intact(sequence: UInt64($0))) })
    }
    observer.claimedAfter(slot, marks(after ?? start))
    observer.ended(slot, .reached)
    return observer.finish()
  }

  static func judge(_ history: History, _ readbacks: Observation...) -> Judgement {
    Oracle(Contract(sync: .always)).judge(history, readbacks)
  }

  @Test(arguments: [(nil, 0), (2, 2), (3, 3), (6, 6)] as [(Int?, Int)]) func aLogBeginsWhereADeletionHasPutIt(
    bound: Int?, start: Int
  ) {
    let history = Self.history(bound)
    let judgement = Self.judge(
      history, Self.readback(history, start: start, below: start > 0 ? [(0, nil), (start - 1, nil)] : []))
    #expect(judgement.verdict == .held, "\(judgement.text)")
    #expect((judgement[.deletedStaysDeleted] != nil) == (bound != nil))
  }

  @Test(arguments: [(nil, 1), (nil, 6), (2, 3), (3, 6)] as [(Int?, Int)]) func aLogThatBeginsLaterIsFound(
    bound: Int?, start: Int
  ) {
    let history = Self.history(bound)
    #expect(Self.judge(history, Self.readback(history, start: start)).violated.contains(.logStartOffset))
  }

  @Test(arguments: [(2, 0), (3, 0), (6, 3), (6, 5)]) func whatIsDeletedStaysDeleted(bound: Int, start: Int) {
    let history = Self.history(bound)
    // Where no deletion has put it either, that is said too.
    let others: Set<CheckName> = start == 0 ? [] : [.logStartOffset]
    #expect(Self.judge(history, Self.readback(history, start: start)).violated == others.union([.deletedStaysDeleted]))
  }

  /// A fetch below the start that answers with what was deleted, and one that answers with what comes next.
  @Test func whatWasDeletedIsServedByNoFetch() {
    let history = Self.history(3)
    #expect(
      Self.judge(history, Self.readback(history, start: 3, below: [(0, 0), (2, nil)])).violated == [
        .deletedStaysDeleted
      ])
    #expect(Self.judge(history, Self.readback(history, start: 3, below: [(0, 3), (2, 3)])).verdict == .held)
  }

  /// Until it is answered a deletion may have happened or not; refused for certain it has not.
  @Test(arguments: [
    (Outcome.indeterminate, 0, true), (.indeterminate, 3, true), (.indeterminate, 2, false), (.failed, 0, true),
    (.failed, 3, false),
  ])
  func aDeletionWithoutAnAnswer(outcome: Outcome, start: Int, isFine: Bool) {
    let history = Self.history(3, outcome)
    let judgement = Self.judge(history, Self.readback(history, start: start))
    #expect(
      judgement.violated.contains(.logStartOffset) == !isFine && (judgement.verdict == .held) == isFine,
      "\(judgement.text)")
  }

  @Test func theStartNeverGoesBack() {
    let history = Self.history(3, .indeterminate)
    let judgement = Self.judge(history, Self.readback(history, start: 3), Self.readback(history, start: 0))
    #expect(judgement.violated.contains(.logStartOffset), "\(judgement.text)")
    #expect(Self.judge(history, Self.readback(history, start: 0), Self.readback(history, start: 3)).verdict == .held)
  }

  @Test func theStartDoesNotMoveWhileNothingIsDeleted() {
    let history = Self.history(3, .indeterminate)
    #expect(Self.judge(history, Self.readback(history, start: 0, after: 3)).violated == [.logStartOffset])
  }

  /// Damage at the front explains a later start, of the messages that it touched and no others.
  @Test func damageExplainsALaterStart() {
    var history = Self.history(nil)
    history.damage(
      Damage(
        partition: PartitionSlot(0), kind: "garbage", touched: [OffsetRange(from: 0, to: 3)],
        description: "the first request"))
    #expect(!Self.judge(history, Self.readback(history, start: 3)).violated.contains(.logStartOffset))
    #expect(Self.judge(history, Self.readback(history, start: 4)).violated.contains(.logStartOffset))
  }

  /// A deletion that has cut through a request excuses no more than what it deleted.
  @Test func aDeletionExcusesNothingBehindIt() {
    let history = Self.history(1, .indeterminate)
    let judgement = Self.judge(history, Self.readback(history, start: 0, end: 2, served: [0, 1]))
    #expect(
      judgement.violated.contains(.noAcknowledgedLoss) && judgement.violated.contains(.contentIntact),
      "\(judgement.text)")
  }

  // MARK: Times

  /// The first request was submitted at 1 ns and answered at 10 001.
  @Test(
    arguments: [(1, true), (500, true), (10_001, true), (0, false), (10_002, false), (-5, false)] as [(Int64, Bool)])
  func theTimeIsThatOfTheAppend(time: Int64, isFine: Bool) {
    let history = Self.history(nil)
    let judgement = Self.judge(history, Self.readback(history, start: 0, times: [(0, time), (3, 15_000)]))
    #expect(judgement.violated == (isFine ? [] : [.timesKept]), "\(judgement.text)")
  }

  @Test func theTimeIsTheSameInEachLook() {
    let history = Self.history(nil)
    let first = Self.readback(history, start: 0, times: [(0, 500), (3, 15_000)])
    #expect(
      Self.judge(history, first, Self.readback(history, start: 0, times: [(0, 500), (3, 15_000)])).verdict == .held)
    #expect(
      Self.judge(history, first, Self.readback(history, start: 0, times: [(0, 500), (3, 15_001)])).violated == [
        .timesKept
      ])
  }
}
