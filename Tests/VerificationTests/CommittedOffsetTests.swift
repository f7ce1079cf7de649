import LogModel
import Testing
import Verification

/// `consumer-offsets`, `committed-offset-within-log` and `offsets-name-one-message`: histories with the right
/// judgement.
@Suite struct CommittedOffsetTests {
  /// Ten messages, the group at nine; then the log is cut at `end`, as far as it may be.
  static func cut(at end: Int, _ crash: CrashKind, damaged: Bool = false) -> Story {
    var story = Story(seed: 1, partitions: 1)
    for _ in 0..<10 { story.append(0, count: 1) }
    story.commit(0, 9)
    story.crash(crash)
    if damaged {
      story.history.damage(
        Damage(
          partition: PartitionSlot(0), kind: "bit-flip", touched: [OffsetRange(from: Offset(end), to: Offset(end + 1))],
          description: "a flip"))
    }
    story.logs[0].removeLast(10 - end)
    return story
  }

  static let never = Contract(sync: .never)
  private static let interval = Contract(sync: .interval(.seconds(1)))
  private static let truncating = Contract(sync: .always, recovery: .truncateAtCorruption)

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var contract: Contract
    var crash: CrashKind
    var end: Int
    var isDamaged = false
    /// What the engine answers for the group, and what is appended after the restart.
    var answer: Int?
    var appended = 0
    var violated: Set<CheckName> = []
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "never, lowered", contract: never, crash: .powerLoss, end: 4, answer: 4),
    Case(
      name: "never, lowered, and appended since", contract: never, crash: .powerLoss, end: 4, answer: 4, appended: 8),
    Case(
      name: "never, beyond the end", contract: never, crash: .powerLoss, end: 4, answer: 9,
      violated: [.committedOffsetWithinLog]),
    Case(
      name: "never, beyond what was appended", contract: never, crash: .powerLoss, end: 4, answer: 9, appended: 3,
      violated: [.committedOffsetWithinLog]),
    Case(
      name: "never, over what was appended", contract: never, crash: .powerLoss, end: 4, answer: 9, appended: 8,
      violated: [.committedOffsetWithinLog]),
    Case(
      name: "never, lowered too far", contract: never, crash: .powerLoss, end: 4, answer: 2,
      violated: [.consumerOffsets]),
    Case(
      name: "never, lowered too far, and appended since", contract: never, crash: .powerLoss, end: 4, answer: 3,
      appended: 8,
      violated: [.consumerOffsets]),
    Case(
      name: "never, lowered among what was appended", contract: never, crash: .powerLoss, end: 4, answer: 6,
      appended: 8,
      violated: [.consumerOffsets]),
    Case(
      name: "never, forgotten", contract: never, crash: .powerLoss, end: 4, answer: nil, violated: [.consumerOffsets]),
    Case(
      name: "interval, lowered", contract: interval, crash: .powerLoss, end: 4, answer: 4,
      violated: [.committedOffsetWithinLog]),
    Case(
      name: "interval, lowered, and appended since", contract: interval, crash: .powerLoss, end: 4, answer: 4,
      appended: 8, violated: [.committedOffsetWithinLog]),
    Case(
      name: "interval, damaged and lowered", contract: interval, crash: .powerLoss, end: 4, isDamaged: true, answer: 4),
    Case(
      name: "nothing lost, lowered", contract: never, crash: .processKill, end: 10, answer: 4,
      violated: [.consumerOffsets]),
    Case(name: "nothing lost", contract: never, crash: .processKill, end: 10, answer: 9),
    Case(name: "truncated, lowered", contract: truncating, crash: .processKill, end: 4, isDamaged: true, answer: 4),
    Case(
      name: "truncated, beyond the end", contract: truncating, crash: .processKill, end: 4, isDamaged: true, answer: 9,
      violated: [.committedOffsetWithinLog]),
    Case(
      name: "truncated, over what was appended", contract: truncating, crash: .processKill, end: 4, isDamaged: true,
      answer: 9,
      appended: 8, violated: [.committedOffsetWithinLog]),
  ]

  @Test(arguments: cases) func anOffsetLiesWithinTheLog(_ test: Case) {
    var story = Self.cut(at: test.end, test.crash, damaged: test.isDamaged)
    if test.appended > 0 {
      // A readback before, as trials have one.
      for _ in 0..<test.appended { story.append(0, count: 1) }
    }
    var answers = story.answers()
    answers.commits = [("billing", 0, test.answer.map { Offset($0) })]
    if test.isDamaged {
      answers.reported = [
        ReportedDamage(
          partition: PartitionSlot(0), offsets: OffsetRange(from: Offset(test.end), to: 10), reason: "flip",
          operationsBefore: 10)
      ]
    }
    let judgement = Oracle(test.contract).judge(story.history, answers.observed(by: story.history))
    #expect(judgement.violated == test.violated, "\(judgement.text)")
    if test.violated == [.committedOffsetWithinLog] {
      let check = judgement[.committedOffsetWithinLog]
      // Where the log ends, or where the first message stands that never reaches the group.
      let place = min(test.end + test.appended, 9) < 9 ? test.end + test.appended : test.end
      #expect(
        check?.detail.contains("billing") == true && check?.divergence?.offset == Offset(place),
        "\(String(describing: check))")
    }
  }

  @Test func aLookWithoutAGroupsOffsetIsADoubt() {
    var story = Self.cut(at: 10, .processKill)
    var answers = story.answers()
    answers.commits = []
    let judgement = Oracle(Self.never).judge(story.history, answers.observed(by: story.history))
    #expect(
      judgement[.committedOffsetWithinLog]?.verdict == .unknown && judgement[.consumerOffsets]?.verdict == .unknown)
    story.wait(.seconds(1))
  }

  // MARK: Names

  /// What was read before a power loss is gone, and its offsets are given again.
  static func given(_ contract: Contract, _ crash: CrashKind, lost: Int) -> Judgement {
    var story = Story(seed: 2, partitions: 1)
    for _ in 0..<10 { story.append(0, count: 1) }
    let first = story.readback()
    story.crash(crash)
    story.logs[0].removeLast(lost)
    for _ in 0..<lost { story.append(0, count: 1) }
    return Oracle(contract).judge(story.history, [first, story.readback()])
  }

  @Test(arguments: [Contract(sync: .never), Contract(sync: .interval(.seconds(1)))])
  func whereItMayGoItIsSaid(_ contract: Contract) throws {
    let judgement = Self.given(contract, .powerLoss, lost: 3)
    #expect(judgement.verdict == .held, "\(judgement.text)")
    let remark = try #require(judgement[.offsetsNameOneMessage]?.remark)
    #expect(remark.contains("3 offsets name other messages") && remark.contains("offset 7"), "\(remark)")
  }

  @Test(arguments: [(Contract(sync: .always), CrashKind.powerLoss), (Contract(sync: .never), .processKill)])
  func whereItMustStayItIsViolated(_ contract: Contract, _ crash: CrashKind) throws {
    let judgement = Self.given(contract, crash, lost: 3)
    #expect(judgement.violated.isSuperset(of: [.offsetsNameOneMessage, .noAcknowledgedLoss]), "\(judgement.text)")
    #expect(judgement[.offsetsNameOneMessage]?.divergence?.offset == 7)
  }

  @Test func whatStaysIsNoRemark() {
    let judgement = Self.given(Contract(sync: .always), .powerLoss, lost: 0)
    #expect(judgement.verdict == .held && judgement[.offsetsNameOneMessage]?.detail == "", "\(judgement.text)")
  }

  // MARK: Start offsets

  @Test func nobodyAsksALargeBatchMoreOftenThanThat() {
    let starts = (0..<140_000).map { Offset($0) }
    let thin = StartOffsets.thinned(starts, batchEdges: [0, 70_000])
    #expect(thin.count == 2 * StartOffsets.mostOfABatch)
    for edge in [0, 69_999, 70_000, 139_999] { #expect(thin.contains(Offset(edge)), "\(edge)") }
    #expect(zip(thin, thin.dropFirst()).allSatisfy { $0 < $1 })
    let small = (0..<1000).map { Offset($0) }
    #expect(StartOffsets.thinned(small, batchEdges: stride(from: 0, to: 1000, by: 50).map { Offset($0) }) == small)
    #expect(StartOffsets.thinned(small, batchEdges: []) == small)
    #expect(StartOffsets.thinned(small, batchEdges: [990], most: 2) == Array(small[..<990]) + [990, 999])
  }
}
