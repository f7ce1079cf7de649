import LogModel
import Testing
import Verification

/// The oracle at the receiver: a delivery in order is accepted, and each lie or loss is found by its check, and by no
/// other.
@Suite struct DeliveryOracleTests {
  /// Two jobs, of which the first has ten messages of two producers: 8 failed for certain, and 9 was cut off by a
  /// crash.
  static let history: History = {
    var history = History(seed: 1)
    let at = Instant(nanoseconds: 1)
    let slots = (0...1).map { history.create(TopicPartition("build", PartitionID($0)), at: at) }
    for message in 0..<10 {
      let operation = history.submit(slots[0], producer: message % 2, firstSequence: message, count: 1, at: at)
      switch message {
      case 8: history.fail(operation, certainly: true, at: at)
      case 9: break
      default: history.acknowledge(operation, baseOffset: Offset(Int64(message + 1)), at: at)
      }
    }
    let other = history.submit(slots[1], firstSequence: 0, count: 1, at: at)
    history.acknowledge(other, baseOffset: 1, at: at)
    history.crash(.processKill, at: at)
    return history
  }()

  static func judge(
    _ messages: [Int], numbers: [Int64]? = nil, other: [Int] = [0], foreign: Int = 0,
    stops: [StoppedSender] = [StoppedSender(life: 2, left: 0, couldSend: true)], archived: [Int]? = nil
  ) -> Judgement {
    DeliveryOracle.judge(
      history,
      [
        Delivered(
          slot: PartitionSlot(0), messages: messages, numbers: numbers ?? messages.indices.map { Int64($0 + 1) }),
        Delivered(slot: PartitionSlot(1), messages: other, numbers: other.indices.map { Int64($0 + 1) }),
      ], foreign: foreign, stops: stops,
      archives: archived.map { [Delivered(slot: PartitionSlot(0), messages: $0, numbers: [])] } ?? [])
  }

  static func violated(_ judgement: Judgement) -> [CheckName] {
    judgement.checks.filter { $0.verdict == .violated }.map(\.name)
  }

  @Test func whatArrivesInOrderIsAccepted() {
    let judgement = Self.judge([0, 1, 2, 3, 4, 5, 6, 7])
    #expect(judgement.verdict == .held, "\(judgement.checks)")
    #expect(judgement.counts.attempted == 11 && judgement.counts.acknowledged == 9 && judgement.counts.recovered == 9)
    // Cut off by the crash, it may have arrived.
    #expect(Self.judge([0, 1, 2, 3, 4, 5, 6, 7, 9]).verdict == .held)
    // Two producers know no order between them, but the numbers that they were answered with do.
    #expect(Self.violated(Self.judge([1, 0, 2, 3, 4, 5, 7, 6, 9])) == [.offsetsStable])
  }

  @Test(arguments: [
    ([0, 1, 2, 3, 4, 5, 6], CheckName.noAcknowledgedLoss), ([0, 1, 2, 3, 4, 5, 6, 7, 7], .noDuplicates),
    ([2, 1, 0, 3, 4, 5, 6, 7], .noReordering), ([0, 1, 2, 3, 4, 5, 6, 7, 8], .noPhantoms),
    ([0, 1, 2, 3, 4, 5, 6, 7, 40], .noPhantoms), ([0, 1, 2, 3, 4, 5, 6, 7, -1], .contentIntact),
  ])
  func eachHarmIsFoundByItsCheck(_ messages: [Int], _ check: CheckName) {
    // What arrives in another order has other numbers than it was acknowledged with.
    let expected = check == .noReordering ? [check, .offsetsStable] : [check]
    #expect(Self.violated(Self.judge(messages)) == expected)
  }

  @Test func eventsBehindLaterNumbersAreOutOfOrder() {
    let numbers: [Int64] = [1, 2, 3, 4, 5, 6, 8, 7]
    #expect(Self.violated(Self.judge([0, 1, 2, 3, 4, 5, 6, 7], numbers: numbers)) == [.noReordering, .offsetsStable])
  }

  @Test func aJobThatIsMissingIsLost() {
    let judgement = Self.judge([0, 1, 2, 3, 4, 5, 6, 7], other: [])
    #expect(Self.violated(judgement) == [.noAcknowledgedLoss] && judgement.counts.lost == 1)
    #expect(judgement[.noAcknowledgedLoss]?.divergence?.partition == PartitionID(1))
  }

  @Test func jobsThatNobodyRunsArePhantoms() {
    #expect(Self.violated(Self.judge([0, 1, 2, 3, 4, 5, 6, 7], foreign: 2)) == [.noPhantoms])
  }

  @Test func anArchiveHoldsEveryEvent() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7]
    #expect(Self.judge(all, archived: all)[.archiveKept]?.verdict == .held)
    #expect(Self.judge(all)[.archiveKept] == nil)
    #expect(Self.violated(Self.judge(all, archived: [0, 1, 2, 3, 5, 6, 7])) == [.archiveKept])
    #expect(Self.violated(Self.judge(all, archived: [])) == [.archiveKept])
  }

  /// Events that are left at a stop count against the sender where it could have sent them, and leave no verdict
  /// elsewhere.
  @Test func aStopThatLeavesEvents() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7]
    #expect(
      Self.violated(Self.judge(all, stops: [StoppedSender(life: 0, left: 3, couldSend: true)])) == [.deliveredAtStop])
    #expect(Self.judge(all, stops: [StoppedSender(life: 0, left: 3, couldSend: false)]).verdict == .unknown)
    #expect(Self.judge(all, stops: []).verdict == .unknown)
  }
}
