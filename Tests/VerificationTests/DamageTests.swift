import LogModel
import Testing
import Verification

/// Damage at rest may lose what it touched and no more, and only if that is reported.
struct DamageTests {
  /// Eight acknowledged requests of three; a fault touches one byte of the third.
  static func damaged(_ touched: [OffsetRange]? = [OffsetRange(from: 7, to: 8)], detectable: Bool = true) -> Story {
    var story = Story(seed: 21, partitions: 1)
    for _ in 0..<8 { story.append(0, count: 3) }
    story.crash(.processKill)
    story.history.damage(
      Damage(
        partition: PartitionSlot(0), kind: "bit-flip", touched: touched, description: "byte 400 of segment 0",
        isDetectable: detectable))
    return story
  }

  static func judge(
    _ story: Story, _ recovery: RecoveryPolicy = .skipCorrupted, report: ClosedRange<Int64>?
  ) -> Judgement {
    var answers = story.answers()
    if let report {
      answers.reported = [
        ReportedDamage(
          partition: PartitionSlot(0),
          offsets: OffsetRange(from: Offset(report.lowerBound), to: Offset(report.upperBound)), reason: "checksum")
      ]
    }
    let contract = Contract(sync: .always, recovery: recovery)
    return Oracle(contract).judge(story.history, [answers.observed(by: story.history)])
  }

  static func without(_ offsets: Range<Int>, _ story: Story) -> Story {
    var story = story
    for offset in offsets { story.logs[0][offset] = nil }
    return story
  }

  @Test func skippingTheTouchedRequestIsHeldIfReported() {
    let story = Self.without(6..<9, Self.damaged())
    let held = Self.judge(story, report: 6...9)
    #expect(held.verdict == .held, "\(held.text)")
    #expect(held.counts.lost == 3 && held.counts.corruptReported == 3)
    #expect(Self.judge(story, report: nil).violated == [.damageReported])
    let short = Self.judge(story, report: 6...8)
    #expect(short.violated == [.damageReported] && short[.damageReported]?.divergence?.offset == 8)
    let wide = Self.judge(story, report: 6...12)
    #expect(wide.violated == [.damageReported] && wide[.damageReported]?.divergence?.offset == 9)
  }

  /// A deletion may cut through a request, and a fault may touch it, while all that is left of it is served.
  @Test func whatIsLeftOfADeletedRequestIsOwed() {
    let whole = Self.judge(Self.damaged(), servedFrom: 7)
    #expect(whole.verdict == .held, "\(whole.text)")
    let lost = Self.judge(Self.damaged(), servedFrom: 8)
    #expect(lost.violated.contains(.damageReported) && lost[.damageReported]?.divergence?.offset == 7, "\(lost.text)")
    var sound = Story(seed: 21, partitions: 1)
    for _ in 0..<8 { sound.append(0, count: 3) }
    #expect(Self.judge(sound, servedFrom: 7).verdict == .held)
    let cut = Self.judge(sound, servedFrom: 8)
    #expect(cut.violated.contains(.noAcknowledgedLoss) && cut.counts.lost == 1, "\(cut.text)")
  }

  /// Everything before offset 7 has been deleted, and nothing before `offset` is served.
  private static func judge(_ story: Story, servedFrom offset: Int) -> Judgement {
    var story = story
    story.history.trim(PartitionSlot(0), before: 7)
    var answers = story.answers()
    answers.partitions[0].served.removeFirst(offset)
    answers.partitions[0].probes.removeFirst(offset)
    answers.partitions[0].before!.logStartOffset = 7
    answers.partitions[0].after!.logStartOffset = 7
    return Oracle(Contract(sync: .always)).judge(story.history, [answers.observed(by: story.history)])
  }

  @Test func aTouchedLastRequestKeepsItsOffsetsOrNot() {
    var story = Self.damaged([OffsetRange(from: 22, to: 24)])
    for offset in 21..<24 { story.logs[0][offset] = nil }
    #expect(Self.judge(story, report: 21...24).verdict == .held)
    story.logs[0].removeLast(3)
    #expect(Self.judge(story, report: 21...24).verdict == .held)
    // Nothing testifies that it was acknowledged; see TestimonyTests.
    #expect(Self.judge(story, report: nil).verdict == .held)
  }

  @Test func anUntouchedRequestMayNotGoWithIt() {
    let judgement = Self.judge(Self.without(6..<12, Self.damaged()), report: 6...12)
    #expect(judgement.violated.contains(.noAcknowledgedLoss) && judgement.violated.contains(.noGaps))
    #expect(judgement[.noAcknowledgedLoss]?.divergence?.offset == 9)
  }

  @Test func servingTheFlippedBitIsCaughtAndIsAlsoASilentLoss() {
    let story = Self.damaged()
    var answers = story.answers()
    answers.partitions[0].served[7].sequence = nil
    answers.partitions[0].probes.removeAll()
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [answers.observed(by: story.history)])
    #expect(judgement.violated == [.contentIntact, .damageReported], "\(judgement.text)")
    #expect(judgement.counts.corruptServed == 1)
  }

  @Test func servingPartOfATouchedRequestIsCaught() {
    let judgement = Self.judge(Self.without(7..<8, Self.damaged()), report: 7...8)
    #expect(judgement.violated.contains(.contentIntact), "\(judgement.text)")
  }

  @Test func truncationTakesEverythingBehindTheFirstTouched() {
    var story = Self.damaged()
    story.logs[0].removeLast(24 - 6)
    let held = Self.judge(story, .truncateAtCorruption, report: 6...(.max))
    #expect(held.verdict == .held, "\(held.text)")
    #expect(held.counts.lost == 18 && held.counts.corruptReported == 18)
    let skipping = Self.judge(story, .skipCorrupted, report: 6...(.max))
    #expect(skipping[.noAcknowledgedLoss]?.verdict == .violated)
    #expect(Self.judge(story, .truncateAtCorruption, report: 6...9).violated == [.damageReported])
    let hole = Self.judge(Self.without(6..<9, Self.damaged()), .truncateAtCorruption, report: 6...9)
    #expect(hole.violated.contains(.noGaps))
    story.logs[0].removeLast(3)
    #expect(Self.judge(story, .truncateAtCorruption, report: 3...(.max))[.noAcknowledgedLoss]?.verdict == .violated)
  }

  @Test func offsetsGivenAgainAfterTruncationAreHeldInTheNextLook() {
    var story = Self.damaged()
    story.logs[0].removeLast(24 - 6)
    var first = story.answers()
    let report = ReportedDamage(
      partition: PartitionSlot(0), offsets: OffsetRange(from: 6, to: 24), reason: "checksum")
    first.reported = [report]
    var readbacks = [first.observed(by: story.history)]
    for _ in 0..<3 { story.append(0, count: 4) }
    story.crash(.powerLoss)
    readbacks.append(story.readback())
    let contract = Contract(sync: .always, recovery: .truncateAtCorruption)
    let judgement = Oracle(contract).judge(story.history, readbacks)
    #expect(judgement.verdict == .held, "\(judgement.text)")
  }

  @Test func damageAtUnknownOffsetsMakesALossUnknown() {
    let lossless = Self.judge(Self.damaged(nil), report: nil)
    #expect(lossless.verdict == .held, "\(lossless.text)")
    let judgement = Self.judge(Self.without(6..<9, Self.damaged(nil)), report: 6...9)
    #expect(judgement.verdict == .unknown && judgement.violated.isEmpty, "\(judgement.text)")
    #expect(Self.judge(Self.without(6..<9, Self.damaged(nil)), report: nil).violated == [.damageReported])
  }

  @Test func whatNobodyCanNoticeNeedsNoReport() {
    let story = Self.without(6..<9, Self.damaged(detectable: false))
    #expect(Self.judge(story, report: nil).verdict == .held)
  }

  @Test func damageThatTouchedNothingExcusesNothing() {
    let judgement = Self.judge(Self.without(6..<9, Self.damaged([])), report: 6...9)
    #expect(judgement.violated.isSuperset(of: [.noAcknowledgedLoss, .noGaps, .damageReported]))
  }

  @Test func anAppendAfterTheDamageIsNotExcused() {
    var story = Self.damaged([OffsetRange(from: 0, to: 1_000)])
    story.append(0, count: 3)
    story.crash(.processKill)
    for offset in 24..<27 { story.logs[0][offset] = nil }
    #expect(Self.judge(story, report: 24...27).violated.contains(.noAcknowledgedLoss))
  }

  /// Three messages acknowledged, then five that a crash cut off and a fault destroyed: what the engine has found of
  /// them it may report, and reserve. It was accused of a gap, a watermark and a false report.
  private func cutOff(
    reserved: Int, reported: Range<Int64>?, _ recovery: RecoveryPolicy = .skipCorrupted, touches: Bool = true,
    also acknowledged: Int = 0
  ) -> Judgement {
    var story = Story(seed: 5, partitions: 1)
    story.append(0, count: 3)
    let lost = story.append(0, count: 5, .indeterminate, lands: false)
    if acknowledged > 0 { story.append(0, count: acknowledged) }
    story.history.damage(
      Damage(
        partition: PartitionSlot(0), kind: "lost-write", touched: [], unplaced: touches ? [lost] : [],
        description: "the head of segment 0", isDetectable: false, isInLife: true))
    story.crash(.processKill)
    story.logs[0].removeLast(acknowledged)
    story.logs[0] += [Int?](repeating: nil, count: reserved)
    // The next restart finds it as it is: what was missing once stays missing, and is reported again.
    var readbacks: [Observation] = []
    for _ in 0..<2 {
      var answers = story.answers()
      if let reported {
        answers.reported = [
          ReportedDamage(
            partition: PartitionSlot(0),
            offsets: OffsetRange(from: Offset(reported.lowerBound), to: Offset(reported.upperBound)), reason: "head")
        ]
      }
      readbacks.append(answers.observed(by: story.history))
      story.crash(.processKill)
    }
    return Oracle(Contract(sync: .always, recovery: recovery)).judge(story.history, readbacks)
  }

  @Test func whatWasCutOffAndDestroyedMayKeepOffsets() {
    for judgement in [
      cutOff(reserved: 5, reported: 3..<8), cutOff(reserved: 0, reported: nil), cutOff(reserved: 3, reported: 3..<6),
    ] {
      #expect(judgement.verdict == .held, "\(judgement.text)")
    }
  }

  @Test func butNoMoreThanItHadAndOnlyIfReported() {
    #expect(
      cutOff(reserved: 5, reported: 3..<8, touches: false).violated.isSuperset(of: [.highWatermark, .logEndOffset]))
    #expect(cutOff(reserved: 5, reported: nil).violated.contains(.highWatermark))
    #expect(cutOff(reserved: 6, reported: 3..<9).violated.contains(.highWatermark))
    #expect(cutOff(reserved: 5, reported: 3..<8, .truncateAtCorruption).violated.contains(.highWatermark))
    #expect(cutOff(reserved: 5, reported: 2..<8).violated.contains(.damageReported))
    #expect(cutOff(reserved: 5, reported: 3..<8, also: 2).violated.contains(.noAcknowledgedLoss))
  }
}
