import LogModel
import Testing
import Verification

/// What each configuration allows, to the edge, and one step beyond it.
struct ContractTests {
  static let window = Duration.milliseconds(100)
  static let interval = Contract(sync: .interval(window))

  static func cut(_ story: inout Story, _ p: Int, to operation: Int) {
    let base = Int(story.history.operations[operation].baseOffset!.rawValue)
    story.logs[p].removeLast(story.logs[p].count - base)
  }

  /// Two requests, `age` old when the power fails; the second is lost.
  static func intervalLoss(age: Duration, _ policy: SyncPolicy, kind: CrashKind = .powerLoss) -> Judgement {
    var story = Story(seed: 1, partitions: 1)
    story.append(0, count: 3)
    story.wait(.seconds(1))
    let lost = story.append(0, count: 2)
    story.wait(age)
    let live = story.readback()
    story.crash(kind)
    cut(&story, 0, to: lost)
    return Oracle(Contract(sync: policy)).judge(story.history, [live, story.readback()])
  }

  @Test func theWindowHoldsToTheNanosecond() {
    let inside = Self.intervalLoss(age: .milliseconds(100) - .nanoseconds(1), .interval(Self.window))
    #expect(inside.verdict == .held && inside.counts.lost == 2, "\(inside.text)")
    for age in [Duration.milliseconds(100), .seconds(2)] {
      let outside = Self.intervalLoss(age: age, .interval(Self.window))
      #expect(outside[.lossWindow]?.verdict == .violated && outside[.noAcknowledgedLoss]?.verdict == .violated)
    }
  }

  /// Note 5: twice the excess of a slow device over d/2, in the incarnation that the crash ended, and in no other
  /// (finding 14 of the review: one slow operation widened the windows of all crashes).
  @Test func aSlowDeviceWidensTheWindowOfItsOwnCrashOnly() {
    func judge(first: Duration, second: Duration, age: Duration) -> Verdict {
      var story = Story(seed: 13, partitions: 1)
      story.append(0, count: 3)
      story.wait(.seconds(1))
      story.history.crash(.powerLoss, at: story.now, deviceDelay: first)
      story.history.opened(at: story.now)
      let before = story.readback()
      let lost = story.append(0, count: 2)
      story.wait(age)
      story.history.crash(.powerLoss, at: story.now, deviceDelay: second)
      story.history.opened(at: story.now)
      Self.cut(&story, 0, to: lost)
      return Oracle(Self.interval).judge(story.history, [before, story.readback()]).verdict
    }
    #expect(judge(first: .zero, second: .zero, age: .milliseconds(120)) == .violated)
    #expect(judge(first: .zero, second: .milliseconds(80), age: .milliseconds(120)) == .held)
    #expect(judge(first: .zero, second: .milliseconds(80), age: .milliseconds(160) - .nanoseconds(1)) == .held)
    #expect(judge(first: .zero, second: .milliseconds(80), age: .milliseconds(160)) == .violated)
    #expect(judge(first: .seconds(9), second: .zero, age: .milliseconds(120)) == .violated)
  }

  /// Only an operation that ended after the acknowledgement can have kept the engine from syncing it: one of ten
  /// seconds, a minute before, excused the loss of what was nineteen seconds old.
  @Test func anOperationThatEndedBeforeTheAcknowledgementWidensNothing() {
    func judge(endedBefore: Duration) -> Verdict {
      var story = Story(seed: 9, partitions: 1)
      story.append(0, count: 2)
      story.wait(.seconds(60))
      let lost = story.append(0, count: 2)
      let acknowledged = story.now
      story.wait(.seconds(19))
      let slow = SlowOperation(endedAt: acknowledged - endedBefore, took: .seconds(10))
      story.history.crash(.powerLoss, at: story.now, deviceDelay: .seconds(10), slowOperations: [slow])
      story.history.opened(at: story.now)
      Self.cut(&story, 0, to: lost)
      return Oracle(Self.interval).judge(story.history, [story.readback()]).verdict
    }
    #expect(judge(endedBefore: .seconds(30)) == .violated)
    #expect(judge(endedBefore: .zero) == .violated)
    #expect(judge(endedBefore: .zero - .nanoseconds(1)) == .held)
  }

  /// What the policy of one life has promised the next one keeps, whatever its own is.
  @Test func eachIncarnationHasItsOwnPolicy() {
    let interval = SyncPolicy.interval(Self.window)
    /// Two requests; a kill; a readback, or none; power loss, which takes the second one.
    func judge(_ first: SyncPolicy, _ later: SyncPolicy?, readbacks: Bool = false, isOpened: Bool = true) -> Verdict {
      var story = Story(seed: 11, partitions: 1)
      story.append(0, count: 3)
      let lost = story.append(0, count: 2)
      story.history.crash(.processKill, at: story.now)
      story.wait(.milliseconds(5))
      if isOpened { story.history.opened(at: story.now) }
      let readback = story.readback()
      story.crash(.powerLoss)
      Self.cut(&story, 0, to: lost)
      let contract = Contract(sync: first, laterSync: later)
      return Oracle(contract).judge(story.history, readbacks ? [readback, story.readback()] : [story.readback()])
        .verdict
    }
    #expect(judge(interval, nil) == .held && judge(interval, nil, readbacks: true) == .held)
    #expect(judge(interval, .always) == .violated && judge(interval, .always, readbacks: true) == .violated)
    #expect(judge(interval, .always, isOpened: false) == .held, "nobody has opened it")
    #expect(judge(interval, .never) == .held && judge(.never, nil) == .held && judge(.never, interval) == .held)
    #expect(judge(.never, .always) == .violated)
    #expect(judge(.always, .never) == .violated && judge(.always, interval) == .violated)
  }

  /// What a later life appends is owed what its own policy promises.
  @Test(arguments: [(SyncPolicy.always, SyncPolicy.never, Verdict.held), (.never, .always, .violated)])
  func aLaterLifeIsOwedWhatItsOwnPolicyPromises(_ first: SyncPolicy, _ later: SyncPolicy, _ verdict: Verdict) {
    var story = Story(seed: 12, partitions: 1)
    story.append(0, count: 3)
    story.crash(.processKill)
    let readback = story.readback()
    let lost = story.append(0, count: 2)
    story.crash(.powerLoss)
    Self.cut(&story, 0, to: lost)
    let judgement = Oracle(Contract(sync: first, laterSync: later)).judge(story.history, [readback, story.readback()])
    #expect(judgement.verdict == verdict, "\(judgement.text)")
  }

  @Test func ofTheSlowestOperationsEachTookLongerThanAllBehindIt() {
    var slow = SlowOperations()
    func note(_ end: Int64, _ took: Int64) -> Bool {
      slow.note(SlowOperation(endedAt: Instant(nanoseconds: end), took: .nanoseconds(took)))
    }
    #expect(note(10, 5) && note(20, 3) && note(30, 4) && !note(25, 2) && note(15, 4 + 1))
    #expect(
      slow.all.map(\.took) == [.nanoseconds(5), .nanoseconds(4)] && slow.all.map(\.endedAt.nanoseconds) == [15, 30])
    for n in 0..<20 as Range<Int64> { _ = note(100 + n, 100 - n) }
    #expect(
      slow.all.count == SlowOperations.most && slow.all[0].took == .nanoseconds(100)
        && slow.all[0].endedAt.nanoseconds == 112)
  }

  @Test func aKillOrACloseLosesNothingUnderAnyPolicy() {
    for policy in [SyncPolicy.always, .interval(Self.window), .never] {
      for kind in [CrashKind.processKill, .none] {
        #expect(Self.intervalLoss(age: .zero, policy, kind: kind)[.noAcknowledgedLoss]?.verdict == .violated)
      }
    }
    #expect(Self.intervalLoss(age: .zero, .always)[.noAcknowledgedLoss]?.verdict == .violated)
    #expect(Self.intervalLoss(age: .seconds(60), .never).verdict == .held)
  }

  @Test(arguments: 0..<100 as Range<UInt64>)
  func neverMayLoseAnySuffixAndReuseItsOffsets(seed: UInt64) {
    var story = Story(seed: seed)
    story.fillAll()
    var readbacks = [story.readback()]
    for restart in 1...3 {
      story.crash(.powerLoss)
      for p in 0..<3 {
        let newest = story.acknowledged(p, incarnation: restart - 1)
        if let first = newest.randomElement(using: &story.random), story.random.chance(2, in: 3) {
          story.logs[p].removeLast(story.logs[p].count - first.offsets.lowerBound)
        }
      }
      readbacks.append(story.readback())
      story.fillAll(requests: 6)
      readbacks.append(story.readback())
    }
    let judgement = Oracle(Contract(sync: .never)).judge(story.history, readbacks)
    #expect(judgement.verdict == .held, "\(judgement.text)")
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func aHoleIsNoSuffix(seed: UInt64) {
    for contract in [Contract(sync: .never), Self.interval] {
      var story = Story(seed: seed, partitions: 1)
      for _ in 0..<6 { story.append(0, count: 2) }
      let operation = story.acknowledged(0).dropLast().randomElement(using: &story.random)!
      story.crash(.powerLoss)
      for offset in operation.offsets { story.logs[0][offset] = nil }
      let judgement = Oracle(contract).judge(story.history, [story.readback()])
      #expect(judgement.violated == [.lossIsSuffix, .noGaps, .everyStartOffset], "\(judgement.text)")
    }
  }

  /// What survived one power loss is on the medium: a second one may not take it.
  @Test(arguments: [SyncPolicy.never, .interval(.milliseconds(100))])
  func whatSurvivedAPowerLossIsDurable(policy: SyncPolicy) {
    var story = Story(seed: 3, partitions: 1)
    story.append(0, count: 2)
    let second = story.append(0, count: 2, .acknowledged)
    story.crash(.powerLoss)
    let first = story.readback()
    story.crash(.powerLoss)
    Self.cut(&story, 0, to: second)
    let judgement = Oracle(Contract(sync: policy)).judge(story.history, [first, story.readback()])
    #expect(judgement[.noAcknowledgedLoss]?.verdict == .violated)
    #expect(judgement[.noAcknowledgedLoss]?.divergence?.restart == 2)
  }

  /// After a kill the pages may still be volatile: a power loss soon afterwards is another matter.
  @Test func aKillRestartsTheClockOfTheInterval() {
    func judge(_ policy: SyncPolicy, up: Duration) -> Verdict {
      var story = Story(seed: 4, partitions: 1)
      story.append(0, count: 2)
      let second = story.append(0, count: 2)
      story.crash(.processKill)
      let first = story.readback()
      story.wait(up)
      story.crash(.powerLoss)
      Self.cut(&story, 0, to: second)
      return Oracle(Contract(sync: policy)).judge(story.history, [first, story.readback()]).verdict
    }
    #expect(judge(.interval(Self.window), up: .milliseconds(99)) == .held)
    #expect(judge(.interval(Self.window), up: .milliseconds(100)) == .violated)
    #expect(judge(.never, up: .seconds(9)) == .held)
    #expect(judge(.always, up: .zero) == .violated)
  }

  @Test func anOrderlyCloseSyncsTheTail() {
    for (policy, expected) in [(SyncPolicy.interval(Self.window), Verdict.violated), (.never, .held)] {
      var story = Story(seed: 4, partitions: 1)
      story.append(0, count: 2)
      let second = story.append(0, count: 2)
      story.crash(.none)
      story.crash(.powerLoss)
      Self.cut(&story, 0, to: second)
      #expect(Oracle(Contract(sync: policy)).judge(story.history, [story.readback()]).verdict == expected)
    }
  }

  /// Under `always` what recovery has once served must not vanish, acknowledged or not, nor come back once gone.
  @Test func anUnansweredWriteIsSettledByTheFirstLook() {
    func judge(_ seenFirst: Bool, _ seenThen: Bool) -> Judgement {
      var story = Story(seed: 5, partitions: 1)
      story.append(0, count: 2)
      let sequence = story.nextSequence[0]
      story.append(0, count: 2, .indeterminate, lands: false)
      let tail = [sequence, sequence + 1]
      var readbacks: [Observation] = []
      for seen in [seenFirst, seenThen] {
        story.crash(.processKill)
        var found = story
        if seen { found.logs[0] += tail.map { $0 } }
        readbacks.append(found.readback())
      }
      return Oracle(Contract(sync: .always)).judge(story.history, readbacks)
    }
    #expect(judge(true, true).verdict == .held)
    #expect(judge(false, false).verdict == .held)
    #expect(judge(true, false)[.noAcknowledgedLoss]?.verdict == .violated)
    #expect(judge(false, true)[.noPhantoms]?.verdict == .violated)
  }

  @Test func anErrorFollowedBySuccessIsHeld() {
    var story = Story(seed: 6, partitions: 2)
    story.append(0, count: 3)
    story.append(0, count: 2, .failed)
    story.append(0, count: 4, .indeterminate, lands: false)
    story.append(0, count: 4, .indeterminate, lands: true)
    story.append(0, count: 2)
    let live = story.readback()
    story.crash(.powerLoss)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [live, story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
    #expect(judgement.counts.attempted == 15 && judgement.counts.indeterminate == 8)
    #expect(judgement.counts.acknowledged == 5 && judgement.counts.recovered == 9)
  }

  /// The defect C4 is found without a restart.
  @Test func theLiveLookOwesEverythingAcknowledged() {
    for policy in [SyncPolicy.always, .interval(Self.window), .never] {
      var story = Story(seed: 8, partitions: 1)
      for _ in 0..<10 { story.append(0, count: 2) }
      for offset in 4..<8 { story.logs[0][offset] = nil }
      let judgement = Oracle(Contract(sync: policy)).judge(story.history, [story.readback()])
      #expect(
        judgement.violated == [.noAcknowledgedLoss, .noGaps, .everyStartOffset, .lossWithinExpected],
        "\(judgement.text)")
      #expect(judgement.counts.lost == 4)
      #expect(judgement.partitions[0].gaps == [OffsetRange(from: 4, to: 8)])
    }
  }

  @Test func nothingSentIsHeldAndSaysThatItIsVacuous() {
    let story = Story(seed: 9, partitions: 2)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
    let vacuous = judgement.checks.filter { $0.detail == "the trial gave this check nothing to judge" }.map(\.name)
    #expect(Set(vacuous).isSuperset(of: [.noAcknowledgedLoss, .noGaps, .noDuplicates, .contentIntact, .highWatermark]))
    #expect(Oracle(Contract(sync: .always)).judge(story.history, []).verdict == .unknown)
  }

  @Test func anEmptyAndAnUnwrittenPartitionAreHeld() {
    var story = Story(seed: 10, partitions: 3)
    story.append(0, count: 1)
    story.append(1, count: 1, .indeterminate, lands: false)
    story.crash(.powerLoss)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [story.readback()])
    #expect(judgement.verdict == .held, "\(judgement.text)")
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func aLookThatWasCutOffIsNeverHeld(seed: UInt64) {
    var story = Story(seed: seed)
    story.fillAll()
    story.crash(.processKill)
    var answers = story.answers()
    let p = Int.random(in: 0..<3, using: &story.random)
    if seed % 2 == 0 { answers.isFinished = false }
    answers.partitions[p].end = nil
    let cut = Int.random(in: 0...answers.partitions[p].served.count, using: &story.random)
    answers.partitions[p].served.removeLast(cut)
    answers.partitions[p].probes.removeAll()
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [answers.observed(by: story.history)])
    #expect(judgement.verdict == .unknown, "\(judgement.text)")
  }

  @Test func anAppendAfterRecoveryMustBeAcceptedAndStandBehindWhatWasRecovered() throws {
    var story = Story(seed: 11, partitions: 1)
    story.append(0, count: 5)
    story.crash(.processKill)
    let recovered = story.readback()
    story.append(0, count: 1, .failed)
    let oracle = Oracle(Contract(sync: .always))
    let refused = oracle.judge(story.history, [recovered, story.readback()])
    #expect(refused.violated == [.appendAfterRecovery], "\(refused.text)")
    var refusals = JustifiedRejections()
    let answeredAt = try #require(story.history.operations.last?.answeredAt)
    refusals.note(incarnation: 1, at: answeredAt + .nanoseconds(1))
    let late = Contract(sync: .always, refusals: refusals)
    #expect(Oracle(late).judge(story.history, [recovered, story.readback()]).violated == [.appendAfterRecovery])
    refusals.note(incarnation: 1, at: answeredAt)
    let excused = Contract(sync: .always, refusals: refusals)
    #expect(Oracle(excused).judge(story.history, [recovered, story.readback()]).verdict == .held)
    story.logs[0].removeLast(2)
    story.append(0, count: 2)
    let overlapping = oracle.judge(story.history, [recovered, story.readback()])
    #expect(overlapping.violated.isSuperset(of: [.appendAfterRecovery, .noAcknowledgedLoss]))
  }

  @Test func trimmedMessagesMayBeGone() {
    var story = Story(seed: 12, partitions: 1)
    for _ in 0..<5 { story.append(0, count: 2) }
    story.history.trim(PartitionSlot(0), before: 4)
    var answers = story.answers()
    answers.partitions[0].served.removeFirst(4)
    answers.partitions[0].probes.removeFirst(4)
    answers.partitions[0].before!.logStartOffset = 4
    answers.partitions[0].after!.logStartOffset = 4
    let oracle = Oracle(Contract(sync: .always))
    #expect(oracle.judge(story.history, [answers.observed(by: story.history)]).verdict == .held)
    answers.partitions[0].served.removeFirst(1)
    answers.partitions[0].probes.removeFirst(1)
    answers.partitions[0].before!.logStartOffset = 5
    let judgement = oracle.judge(story.history, [answers.observed(by: story.history)])
    #expect(judgement.verdict == .violated && judgement.counts.lost == 1, "\(judgement.text)")
  }
}
