import LogModel
import Testing
import Verification

/// What a close owes to the power loss behind it, and where logs begin that others have begun.
struct CloseThenPowerLossTests {
  static let window = Duration.milliseconds(100)

  /// One request, acknowledged a moment before the engine is asked to close, and lost with the power.
  /// - Parameter answer: of the close; nil for none.
  static func loss(_ policy: SyncPolicy, closing answer: Outcome?) -> Judgement {
    var story = Story(seed: 5, partitions: 1)
    story.append(0, count: 3)
    story.wait(.seconds(1))
    let lost = story.append(0, count: 2)
    let live = story.readback()
    if let answer { story.history.close(answer, submittedAt: story.now, at: story.now) }
    story.crash(.powerLoss)
    ContractTests.cut(&story, 0, to: lost)
    return Oracle(Contract(sync: policy)).judge(story.history, [live, story.readback()])
  }

  @Test func theWindowIsEmptyOnceTheEngineHasClosed() {
    let held = Self.loss(.interval(Self.window), closing: nil)
    #expect(held.verdict == .held && held.counts.lost == 2, "\(held.text)")
    let closed = Self.loss(.interval(Self.window), closing: .acknowledged)
    #expect(closed[.noAcknowledgedLoss]?.verdict == .violated && closed[.lossWindow]?.verdict == .violated)
    #expect(closed[.lossWindow]?.detail.contains("had closed without an error") == true, "\(closed.text)")
  }

  @Test func aCloseThatFailedHasPromisedNothing() {
    for answer in [Outcome.indeterminate, .failed] {
      #expect(Self.loss(.interval(Self.window), closing: answer).verdict == .held)
    }
  }

  @Test func underNeverACloseMakesNothingDurable() {
    #expect(Self.loss(.never, closing: .acknowledged).verdict == .held)
    #expect(Self.loss(.always, closing: .acknowledged).verdict == .violated)
  }

  /// It promises nothing for what comes in the life after it.
  @Test func theWindowIsThereAgainInTheNextLife() {
    var story = Story(seed: 6, partitions: 1)
    story.append(0, count: 3)
    story.history.close(.acknowledged, submittedAt: story.now, at: story.now)
    story.crash(.powerLoss)
    let first = story.readback()
    let lost = story.append(0, count: 2)
    story.crash(.powerLoss)
    ContractTests.cut(&story, 0, to: lost)
    let judgement = Oracle(ContractTests.interval).judge(story.history, [first, story.readback()])
    #expect(judgement.verdict == .held && judgement.counts.lost == 2, "\(judgement.text)")
  }

  /// What was damaged in the file after an orderly close is testified for, whether or not the power went behind it.
  @Test func aCloseTestifiesForWhatIsDamagedLater() {
    for crash in [CrashKind.none, .powerLoss] {
      var story = Story(seed: 7, partitions: 1)
      story.append(0, count: 3)
      let lost = story.append(0, count: 2)
      story.history.close(.acknowledged, submittedAt: story.now, at: story.now)
      story.crash(crash)
      story.history.damage(
        Damage(
          partition: PartitionSlot(0), kind: "bit-flip", touched: [OffsetRange(from: 3, to: 5)],
          description: "one bit"))
      ContractTests.cut(&story, 0, to: lost)
      let judgement = Oracle(ContractTests.interval).judge(story.history, [story.readback()])
      #expect(judgement[.damageReported]?.verdict == .violated, "\(crash): \(judgement.text)")
    }
  }

  // MARK: First offsets

  /// Three messages from `base` on, in a log that begins at 1000.
  static func judge(base: Int, start: Int) -> Judgement {
    var history = History(seed: 9)
    history.firstOffset = 1000
    let now = Instant(nanoseconds: 1_000)
    history.create(TopicPartition("orders", 0), at: now)
    history.opened(at: now)
    let operation = history.submit(PartitionSlot(0), firstSequence: 0, count: 3, at: now)
    history.acknowledge(operation, baseOffset: Offset(base), at: now)
    var partition = Answers.Partition()
    let marks = Watermarks(
      logStartOffset: Offset(start), highWatermark: Offset(base + 3), logEndOffset: Offset(base + 3))
    (partition.before, partition.after) = (marks, marks)
    partition.served = (0..<3).map { Answers.Served(offset: base + $0, sequence: $0) }
    partition.probes = partition.served.map { ($0.offset, $0) }
    var answers = Answers()
    answers.partitions = [partition]
    answers.registered = [TopicPartition("orders", 0)]
    return Oracle(Contract(sync: .always)).judge(history, [answers.observed(by: history)])
  }

  @Test func offsetsBeforeTheBeginningAreOthers() {
    #expect(Self.judge(base: 1000, start: 1000).verdict == .held)
    #expect(Self.judge(base: 0, start: 0)[.offsetsStable]?.verdict == .violated)
    #expect(Self.judge(base: 999, start: 1000)[.offsetsStable]?.verdict == .violated)
    #expect(Self.judge(base: 1000, start: 1000 - 1)[.offsetsStable]?.detail.contains("log start offset at 999") == true)
  }
}
