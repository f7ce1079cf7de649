import LogModel
import Testing
import Verification

/// What an engine has said to be in its object store is owed, whatever becomes of the log.
struct ArchivalTests {
  private static let third = [OffsetRange(from: 7, to: 8)]

  /// Eight acknowledged requests of three; a byte of the third is damaged. The engine has said that everything before
  /// `end` is archived: before the damage, or after it.
  private static func story(archived end: Offset, first: Bool) -> Story {
    var story = Story(seed: 5, partitions: 1)
    for _ in 0..<8 { story.append(0, count: 3) }
    let damage = Damage(
      partition: PartitionSlot(0), kind: "bit-flip", touched: third, description: "byte 400 of segment 0")
    if first { story.history.archived(PartitionSlot(0), before: end) }
    story.crash(.processKill)
    story.history.damage(damage)
    if !first { story.history.archived(PartitionSlot(0), before: end) }
    return story
  }

  private static func judgeLoss(_ story: Story, _ recovery: RecoveryPolicy = .skipCorrupted) -> Judgement {
    var damaged = story
    for offset in 6..<9 { damaged.logs[0][offset] = nil }
    return DamageTests.judge(damaged, recovery, report: 6...9)
  }

  @Test func damageBehindTheArchiveIsExcused() {
    #expect(Self.judgeLoss(Self.story(archived: 6, first: true)).verdict == .held)
    // The engine did not say so in time: what it archived then was damaged already.
    #expect(Self.judgeLoss(Self.story(archived: 24, first: false)).verdict == .held)
  }

  @Test func damageToWhatIsArchivedExcusesNothing() {
    let lost = Self.judgeLoss(Self.story(archived: 9, first: true))
    #expect(lost.violated.contains(.noAcknowledgedLoss), "\(lost.text)")
    // Served whole, with nothing to report.
    let served = DamageTests.judge(Self.story(archived: 9, first: true), report: nil)
    #expect(served.verdict == .held, "\(served.text)")
    // Nor may a policy that cuts at the damage cut what stands behind it.
    let cut = Self.judgeLoss(Self.story(archived: 9, first: true), .truncateAtCorruption)
    #expect(cut.violated.contains(.noAcknowledgedLoss), "\(cut.text)")
  }

  /// Under `never` a power loss takes a suffix of the log, and nothing of the store.
  @Test(arguments: [SyncPolicy.never, .interval(.seconds(10))])
  func aPowerLossTakesNothingThatIsArchived(_ policy: SyncPolicy) {
    func judge(archived: Offset, kept: Int) -> Judgement {
      var story = Story(seed: 6, partitions: 1)
      for _ in 0..<8 { story.append(0, count: 3) }
      let live = story.readback()
      story.history.archived(PartitionSlot(0), before: archived)
      story.crash(.powerLoss)
      story.logs[0].removeLast(story.logs[0].count - kept)
      return Oracle(Contract(sync: policy)).judge(story.history, [live, story.readback()])
    }
    #expect(judge(archived: 12, kept: 12).verdict == .held)
    let short = judge(archived: 12, kept: 9)
    #expect(short.violated.contains(.noAcknowledgedLoss), "\(short.text)")
    #expect(judge(archived: 0, kept: 0).verdict == .held)
  }

  /// What a power loss has taken before the engine said anything stays taken: its offsets are given again.
  @Test func aLostMessageIsNotOwedForItsOffset() {
    var story = Story(seed: 7, partitions: 1)
    for _ in 0..<4 { story.append(0, count: 3) }
    let live = story.readback()
    story.crash(.powerLoss)
    story.logs[0].removeLast(6)
    let second = story.readback()
    story.append(0, count: 6)
    story.history.archived(PartitionSlot(0), before: 12)
    story.crash(.powerLoss)
    let judgement = Oracle(Contract(sync: .never)).judge(story.history, [live, second, story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
  }

  @Test func anEngineThatDoesNotGetThereIsFoundOut() {
    var history = Story(seed: 8).history
    #expect(CheckResult.checkpointCompletes(history) == nil)
    history.flush(.acknowledged, at: Instant(nanoseconds: 1))
    #expect(CheckResult.checkpointCompletes(history)?.verdict == .held)
    history.flush(.failed, at: Instant(nanoseconds: 2))
    #expect(CheckResult.checkpointCompletes(history)?.verdict == .violated)
  }
}
