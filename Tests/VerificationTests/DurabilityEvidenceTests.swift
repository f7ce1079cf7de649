import LogModel
import Testing
import Verification

/// Damage to the last commit cannot be told from a commit that a crash tore: a report is owed only where something on
/// the medium testifies that the damaged request was acknowledged (finding 12 of the review: a bit flip in the last
/// commit after a process kill was a violation that no log could avoid).
struct TestimonyTests {
  static let slot = PartitionSlot(0)

  static func story() -> Story {
    var story = Story(seed: 31, partitions: 1)
    for _ in 0..<4 { story.append(0, count: 3) }
    return story
  }

  /// One request whose answer comes `after` later, while others may be submitted.
  static func slowRequest(_ story: inout Story, producer: Int, submittedAt: Instant, answeredAt: Instant) -> Int {
    let operation = story.history.submit(
      slot, producer: producer, firstSequence: story.nextSequence[0], count: 3, at: submittedAt)
    let base = story.logs[0].count
    story.logs[0] += (0..<3).map { story.nextSequence[0] + $0 }
    story.nextSequence[0] += 3
    story.history.acknowledge(operation, baseOffset: Offset(base), at: answeredAt)
    return base
  }

  static func damage(_ story: inout Story, _ offset: Int) {
    story.history.damage(
      Damage(
        partition: slot, kind: "bit-flip", touched: [OffsetRange(from: Offset(offset), to: Offset(offset + 1))],
        description: "a byte of offset \(offset)"))
  }

  static func judge(
    _ story: Story, _ sync: SyncPolicy = .always, _ recovery: RecoveryPolicy = .skipCorrupted
  ) -> Judgement {
    Oracle(Contract(sync: sync, recovery: recovery)).judge(story.history, [story.readback()])
  }

  @Test(arguments: [RecoveryPolicy.skipCorrupted, .truncateAtCorruption], [SyncPolicy.always, .never])
  func nothingTestifiesForTheLastRequest(recovery: RecoveryPolicy, sync: SyncPolicy) throws {
    var story = Self.story()
    story.crash(.processKill)
    Self.damage(&story, 10)
    story.logs[0].removeLast(3)
    let judgement = Self.judge(story, sync, recovery)
    #expect(judgement.verdict == .held, "\(judgement.text)")
    let check = try #require(judgement[.damageReported])
    #expect(
      try #require(check.remark).contains("offset 9 was destroyed by a fault and not reported; no report is owed"))
    #expect(judgement.counts.lost == 3)
    // It is said of the trial, whatever other readbacks add to it.
    story.append(0, count: 2)
    let again = Oracle(Contract(sync: sync, recovery: recovery)).judge(
      story.history, [story.readback(), story.readback()])
    #expect(again[.damageReported]?.remark == check.remark)
  }

  /// Where a writer has begun is recorded away from the log: the first request of each incarnation is missed.
  @Test(arguments: [RecoveryPolicy.skipCorrupted, .truncateAtCorruption], [0, 1])
  func whatAWriterBeganWithIsTestifiedFor(recovery: RecoveryPolicy, incarnation: Int) throws {
    var story = Story(seed: 31, partitions: 1)
    if incarnation > 0 {
      story.append(0, count: 3)
      story.crash(.processKill)
    }
    story.append(0, count: 3)
    story.crash(.processKill)
    Self.damage(&story, incarnation * 3)
    story.logs[0].removeLast(3)
    #expect(Self.judge(story, .always, recovery).violated == [.damageReported])
    for policy in [SyncPolicy.interval(.seconds(1)), .never] {
      #expect(Self.judge(story, policy, recovery).verdict == .held, "\(policy)")
    }
    // Unless the engine was kept from it.
    var refusals = JustifiedRejections()
    refusals.note(incarnation: incarnation, at: try #require(story.history.operations.last?.answeredAt))
    let contract = Contract(sync: .always, recovery: recovery, refusals: refusals)
    #expect(Oracle(contract).judge(story.history, [story.readback()]).verdict == .held)
  }

  /// Four requests, all durable for long when the power goes, and a flip in the third (offset 7).
  private func flippedTail(lastAfter pause: Duration, _ crash: CrashKind = .powerLoss, cut: Bool) -> Judgement {
    var story = Story(seed: 31, partitions: 1)
    for _ in 0..<3 { story.append(0, count: 3) }
    story.wait(pause)
    story.append(0, count: 3)
    story.wait(.seconds(9))
    story.crash(crash)
    Self.damage(&story, 7)
    if cut { story.logs[0].removeLast(6) } else { for offset in 6..<9 { story.logs[0][offset] = nil } }
    return Self.judge(story, .interval(.milliseconds(2)))
  }

  /// A batch says how far the log was durable when it was written: of the same interval it says nothing, and what a
  /// power loss has taken of that looks no different.
  @Test func aRequestOfTheSameIntervalDoesNotTestifyOnceThePowerHasGone() {
    #expect(flippedTail(lastAfter: .milliseconds(1), cut: true).verdict == .held)
    #expect(
      flippedTail(lastAfter: .milliseconds(3), cut: true).violated.isSuperset(of: [
        .damageReported, .noAcknowledgedLoss,
      ]))
    // In the same boot it says what had been acknowledged; and who serves it knows that something stood before it.
    #expect(flippedTail(lastAfter: .milliseconds(1), .processKill, cut: true).violated.contains(.noAcknowledgedLoss))
    #expect(flippedTail(lastAfter: .milliseconds(1), cut: false).violated == [.damageReported])
  }

  @Test func aRequestThatFollowedTheAcknowledgementTestifies() {
    var story = Self.story()
    story.crash(.processKill)
    Self.damage(&story, 7)
    for offset in 6..<9 { story.logs[0][offset] = nil }
    #expect(Self.judge(story).violated == [.damageReported])
  }

  /// Both may have been in one commit, which a crash could have torn.
  @Test func aRequestThatWasUnderWayTogetherDoesNot() {
    var story = Self.story()
    let start = story.now
    story.wait(.microseconds(10))
    let damaged = Self.slowRequest(&story, producer: 1, submittedAt: start, answeredAt: story.now)
    _ = Self.slowRequest(&story, producer: 2, submittedAt: start, answeredAt: story.now)
    story.crash(.processKill)
    Self.damage(&story, damaged)
    for offset in damaged..<(damaged + 3) { story.logs[0][offset] = nil }
    #expect(Self.judge(story).verdict == .held, "\(Self.judge(story).text)")
    // A torn commit ends where the tear begins: the other one may go with it, in this restart and the next.
    story.logs[0].removeLast(6)
    let first = story.readback()
    #expect(Self.judge(story).verdict == .held, "\(Self.judge(story).text)")
    #expect(Self.judge(story, .always, .truncateAtCorruption).verdict == .held)
    story.append(0, count: 4)
    story.crash(.processKill)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [first, story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
    // What stands before it may not.
    story.logs[0].removeFirst(1)
    #expect(Self.judge(story).verdict == .violated)
  }

  /// The one behind was sent when the damaged one had been answered: another commit, which must stay.
  @Test func whatStandsBehindATestifiedOneStays() {
    var story = Self.story()
    story.wait(.milliseconds(1))
    story.append(0, count: 3)
    story.crash(.processKill)
    Self.damage(&story, 10)
    story.logs[0].removeLast(6)
    #expect(Self.judge(story).violated.contains(.noAcknowledgedLoss))
  }

  /// In one moment of virtual time only the producer's own order tells.
  @Test func inOneMomentOnlyTheSameProducerTestifies() {
    for (producer, expected) in [(1, Verdict.violated), (2, .held)] {
      var story = Self.story()
      let start = story.now
      story.wait(.microseconds(10))
      let damaged = Self.slowRequest(&story, producer: 1, submittedAt: start, answeredAt: story.now)
      _ = Self.slowRequest(&story, producer: producer, submittedAt: story.now, answeredAt: story.now + .microseconds(5))
      story.wait(.microseconds(5))
      story.crash(.processKill)
      Self.damage(&story, damaged)
      for offset in damaged..<(damaged + 3) { story.logs[0][offset] = nil }
      #expect(Self.judge(story).verdict == expected)
    }
  }

  @Test func anOrderlyCloseTestifiesWhereItSyncs() {
    for (sync, expected) in [
      (SyncPolicy.always, Verdict.violated), (.interval(.milliseconds(100)), .violated), (.never, .held),
    ] {
      var story = Self.story()
      story.crash(.none)
      Self.damage(&story, 10)
      story.logs[0].removeLast(3)
      #expect(Self.judge(story, sync).verdict == expected)
    }
  }

  /// A close after the damage says nothing of what stood there before it.
  @Test func aCloseAfterTheDamageTestifiesNothing() {
    var story = Self.story()
    story.crash(.processKill)
    Self.damage(&story, 10)
    story.logs[0].removeLast(3)
    let first = story.readback()
    story.crash(.none)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [first, story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
  }

  @Test func aWitnessThatAPowerLossMayTakeTestifiesOnlyIfItIsThere() {
    for isThere in [false, true] {
      var story = Self.story()
      story.wait(.seconds(1))
      let witness = story.append(0, count: 3)
      story.crash(.powerLoss)
      Self.damage(&story, 10)
      for offset in 9..<12 { story.logs[0][offset] = nil }
      if !isThere { story.logs[0].removeLast(6) }
      #expect(story.history.operations[witness].baseOffset == 12)
      let judgement = Self.judge(story, .interval(.milliseconds(100)))
      #expect(judgement.verdict == (isThere ? .violated : .held), "\(judgement.text)")
    }
  }

  @Test func aDamagedWitnessDoesNotTestify() {
    var story = Self.story()
    story.crash(.processKill)
    Self.damage(&story, 7)
    Self.damage(&story, 10)
    story.logs[0].removeLast(6)
    #expect(Self.judge(story).verdict == .held, "\(Self.judge(story).text)")
  }

  /// The next append reuses the offsets of what was taken for a torn tail.
  @Test func whatIsAppendedInItsPlaceIsHeld() {
    var story = Self.story()
    story.crash(.processKill)
    Self.damage(&story, 10)
    story.logs[0].removeLast(3)
    let first = story.readback()
    story.append(0, count: 4)
    story.crash(.processKill)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [first, story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
  }

  /// Under truncation everything behind the damage goes and is reported, as far as a log can see that it was there:
  /// what is destroyed as well, and followed by nothing, shows no log how far the partition reached.
  @Test(arguments: [(9, Verdict.held), (6, .violated)])
  func aDestroyedLastRequestBehindATruncation(reportedTo: Int, expected: Verdict) {
    var story = Self.story()
    story.crash(.processKill)
    Self.damage(&story, 10)
    Self.damage(&story, 4)
    story.logs[0].removeLast(9)
    var answers = story.answers()
    answers.reported = [
      ReportedDamage(partition: Self.slot, offsets: OffsetRange(from: 3, to: Offset(reportedTo)), reason: "checksum")
    ]
    let judgement = Oracle(Contract(sync: .always, recovery: .truncateAtCorruption))
      .judge(story.history, [answers.observed(by: story.history)])
    #expect(judgement.verdict == expected, "\(judgement.text)")
    if expected == .violated { #expect(judgement.violated == [.damageReported]) }
  }
}

/// What a loss table expects follows from receipts and policies, never from what was served.
struct PartitionLossTests {
  static func loss(
    _ sync: SyncPolicy, _ recovery: RecoveryPolicy, _ crash: CrashKind, damaged: [Int], removing: Range<Int>
  ) -> PartitionLoss {
    var story = TestimonyTests.story()
    story.crash(crash)
    for offset in damaged { TestimonyTests.damage(&story, offset) }
    for offset in removing { story.logs[0][offset] = nil }
    return TestimonyTests.judge(story, sync, recovery).losses[0]
  }

  @Test func aTouchedRequestIsLostWhole() {
    let loss = Self.loss(.always, .skipCorrupted, .processKill, damaged: [4], removing: 3..<6)
    #expect(loss.acknowledged == 12 && loss.lost == 3 && loss.isTouched)
    #expect(loss.least == 3 && loss.most == 3 && loss.isAsExpected)
  }

  @Test func truncationTakesWhatStandsBehind() {
    let loss = Self.loss(.always, .truncateAtCorruption, .processKill, damaged: [4], removing: 3..<12)
    #expect(loss.least == 9 && loss.most == 9 && loss.lost == 9 && loss.isAsExpected)
  }

  /// Fewer lost than destroyed is as wrong as more: then the receipt is wrong, or what is served was never sent.
  @Test(arguments: [(3..<5, false), (3..<6, true), (3..<9, false), (0..<0, false)])
  func measuredAgainstExpected(removing: Range<Int>, isAsExpected: Bool) {
    #expect(
      Self.loss(.always, .skipCorrupted, .processKill, damaged: [4], removing: removing).isAsExpected == isAsExpected)
  }

  @Test func whatThePolicyLetsACrashTakeMayGoOrStay() {
    for removing in [0..<0, 0..<12, 6..<12] {
      let loss = Self.loss(.never, .skipCorrupted, .powerLoss, damaged: [], removing: removing)
      #expect(loss.least == 0 && loss.most == 12 && loss.lost == removing.count && loss.isAsExpected && !loss.isTouched)
    }
    #expect(!Self.loss(.always, .skipCorrupted, .powerLoss, damaged: [], removing: 6..<12).isAsExpected)
  }
}
