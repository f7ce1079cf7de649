import LogModel
import Testing
import Verification

/// Measured loss against what receipts and policy explain: more is a violation, less a receipt that is wrong.
struct LossWithinExpectedTests {
  /// Twelve messages in four requests; a fault has touched offset 4.
  private static func judge(
    removing: Range<Int>, damaged: [Int] = [4], _ sync: SyncPolicy = .always,
    _ recovery: RecoveryPolicy = .skipCorrupted,
    _ crash: CrashKind = .processKill, reported: Range<Int>? = nil
  ) -> Judgement {
    var story = TestimonyTests.story()
    story.crash(crash)
    for offset in damaged { TestimonyTests.damage(&story, offset) }
    for offset in removing { story.logs[0][offset] = nil }
    var answers = story.answers()
    if let reported {
      let range = OffsetRange(from: Offset(reported.lowerBound), to: Offset(reported.upperBound))
      answers.reported = [ReportedDamage(partition: PartitionSlot(0), offsets: range, reason: "checksum")]
    }
    return Oracle(Contract(sync: sync, recovery: recovery)).judge(story.history, [answers.observed(by: story.history)])
  }

  @Test func whatTheReceiptExplainsIsHeld() {
    let judgement = Self.judge(removing: 3..<6, reported: 3..<6)
    #expect(judgement.verdict == .held && judgement[.lossWithinExpected]?.verdict == .held, "\(judgement.text)")
    #expect(judgement[.lossWithinExpected]?.detail == "", "it had something to find")
  }

  @Test func moreThanThatIsViolatedWhereItBegins() throws {
    let check = try #require(Self.judge(removing: 3..<9, reported: 3..<9)[.lossWithinExpected])
    #expect(check.verdict == .violated && check.divergence?.offset == 6 && check.divergence?.restart == 1, "\(check)")
    #expect(check.detail.contains("explain the loss of at most 3 acknowledged messages, found 6 lost"))
  }

  @Test func withoutAReceiptNothingMayGo() {
    #expect(Self.judge(removing: 0..<3, damaged: [])[.lossWithinExpected]?.verdict == .violated)
  }

  /// What was destroyed cannot be served. An excuse that nobody needed hides the next loss: no verdict.
  @Test func lessThanThatSaysThatAReceiptIsWrong() throws {
    let judgement = Self.judge(removing: 0..<0)
    let check = try #require(judgement[.lossWithinExpected])
    #expect(judgement.verdict == .unknown && judgement.violated.isEmpty, "\(judgement.text)")
    #expect(check.detail.contains("at least 3 messages are gone, found 0: a receipt is wrong"), "\(check)")
  }

  /// Twelve messages in four requests. All before offset 6 have been deleted, then a fault touches offset `touched`: a
  /// recovery looks at nothing that was deleted, and cuts the log for none of it.
  private static func judgeDeleted(touched: Int, keeping kept: Int, reported: Range<Int>? = nil) -> Judgement {
    var story = TestimonyTests.story()
    story.history.answer(trim: story.history.trim(PartitionSlot(0), before: 6), .acknowledged)
    story.crash(.processKill)
    TestimonyTests.damage(&story, touched)
    story.logs[0].removeLast(12 - kept)
    var answers = story.answers()
    answers.partitions[0].served.removeFirst(6)
    answers.partitions[0].probes.removeFirst(6)
    answers.partitions[0].before!.logStartOffset = 6
    answers.partitions[0].after!.logStartOffset = 6
    if let reported {
      let range = OffsetRange(from: Offset(reported.lowerBound), to: Offset(reported.upperBound))
      answers.reported = [ReportedDamage(partition: PartitionSlot(0), offsets: range, reason: "checksum")]
    }
    return Oracle(Contract(sync: .always, recovery: .truncateAtCorruption)).judge(
      story.history, [answers.observed(by: story.history)])
  }

  @Test func damageToWhatWasDeletedExcusesNothing() {
    let whole = Self.judgeDeleted(touched: 4, keeping: 12)
    #expect(whole.verdict == .held, "\(whole.text)")
    let cut = Self.judgeDeleted(touched: 4, keeping: 9, reported: 9..<12)
    #expect(cut.violated.contains(.noAcknowledgedLoss), "\(cut.text)")
    let owed = Self.judgeDeleted(touched: 9, keeping: 9, reported: 9..<12)
    #expect(owed.verdict == .held, "\(owed.text)")
  }

  /// What a failed sync has left to the next power loss may have been written again: the error matrix had 94 trials
  /// without a verdict for it.
  @Test func whatIsPerhapsGoneMayBeThere() {
    for (removing, verdict) in [(0..<0, Verdict.held), (3..<6, .held), (0..<6, .violated)] {
      var story = TestimonyTests.story()
      story.crash(.processKill)
      story.history.damage(
        Damage(
          partition: PartitionSlot(0), kind: "sync-failure", touched: [OffsetRange(from: 4, to: 5)],
          description: "a sync",
          isCertain: false))
      for offset in removing { story.logs[0][offset] = nil }
      let judgement = Oracle(Contract(sync: .always)).judge(story.history, [story.readback()])
      #expect(judgement[.lossWithinExpected]?.verdict == verdict, "\(judgement.text)")
    }
  }

  @Test func aTruncationTakesExactlyWhatStandsBehind() {
    for (removing, expected) in [(3..<12, Verdict.held), (0..<12, .violated), (3..<9, .unknown)] {
      let judgement = Self.judge(removing: removing, .always, .truncateAtCorruption, reported: 3..<12)
      #expect(judgement[.lossWithinExpected]?.verdict == expected, "\(judgement.text)")
    }
  }

  @Test func whatThePolicyLetsGoIsExplained() {
    for removing in [0..<0, 0..<12, 6..<12] {
      let judgement = Self.judge(removing: removing, damaged: [], .never, .skipCorrupted, .powerLoss)
      #expect(judgement[.lossWithinExpected]?.verdict == .held, "\(judgement.text)")
    }
    #expect(
      Self.judge(removing: 6..<12, damaged: [], .never)[.lossWithinExpected]?.verdict == .violated,
      "a kill takes nothing")
  }

  /// It counts; which message it is, another check knows.
  @Test func oneLostForAnotherIsAnotherChecksBusiness() {
    let judgement = Self.judge(removing: 6..<9, reported: 6..<9)
    #expect(judgement[.lossWithinExpected]?.verdict == .held)
    #expect(judgement.violated.contains(.noAcknowledgedLoss))
  }

  /// On its way to the medium it was destroyed; the engine that sent it has it in memory still.
  @Test func aRunningEngineMayServeWhatWasDestroyedOnItsWay() {
    var story = TestimonyTests.story()
    story.history.damage(
      Damage(
        partition: PartitionSlot(0), kind: "bit-flip", touched: [OffsetRange(from: 4, to: 5)], description: "in flight",
        isInLife: true))
    #expect(Oracle(Contract(sync: .always)).judge(story.history, [story.readback()]).verdict == .held)
    story.crash(.processKill)
    #expect(Oracle(Contract(sync: .always)).judge(story.history, [story.readback()]).verdict == .unknown)
  }

  @Test func damageAtUnknownOffsetsMakesItUnknown() {
    var story = TestimonyTests.story()
    story.crash(.processKill)
    story.history.damage(Damage(partition: PartitionSlot(0), kind: "garbage", touched: nil, description: "somewhere"))
    for offset in 3..<6 { story.logs[0][offset] = nil }
    let check = Oracle(Contract(sync: .always)).judge(story.history, [story.readback()])[.lossWithinExpected]
    #expect(check?.verdict == .unknown)
  }

  @Test func anUnfinishedLookSaysNothing() {
    var story = TestimonyTests.story()
    story.crash(.processKill)
    var answers = story.answers()
    answers.partitions[0].end = nil
    answers.isFinished = false
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [answers.observed(by: story.history)])
    #expect(judgement[.lossWithinExpected]?.verdict == .unknown)
  }
}
