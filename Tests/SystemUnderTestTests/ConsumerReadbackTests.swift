import LogModel
import SystemUnderTest
import Testing
import Verification

/// What the one consumer does wherever three of them once did something else.
@Suite struct ConsumerReadbackTests {
  private static let settings = ReadbackSettings(fetchBytes: 200, maxEmptyFetches: 4, groups: ["readers"])

  private func readBack(
    _ log: FakeLog, _ partitions: [TopicPartition] = [FakeLog.partition], _ settings: ReadbackSettings = settings,
    recovery: RecoverySummary? = nil, into sink: WordSink = WordSink()
  ) async -> WordSink {
    var readback = ConsumerReadback(
      log, partitions, into: sink, settings, log.newAnswer(capacity: 0), random: SeededGenerator(seed: 1))
    await readback.run(recovery)
    return readback.sink
  }

  @Test func everythingIsReadInItsOrder() async {
    let sink = await readBack(FakeLog(count: 5))
    #expect(sink.lines == ["registered 1", "before 5", "after 5", "reached", "group 0 of slot 0: 1"])
    #expect(sink.served == [0, 1, 2, 3, 4])
    #expect(sink.probes.prefix(5).map(\.start) == [0, 1, 2, 3, 4])
    #expect(sink.probes.prefix(5).map(\.answer) == [[0, 1], [1], [2, 3], [3], [4]])
    #expect(sink.probes.dropFirst(5).map(\.start) == [5, 6], "and from where nothing is")
  }

  /// One of the three read the high watermark once, and did not see what came behind it.
  @Test func consumptionFollowsALogThatGrows() async {
    let log = FakeLog(count: 4)
    log.onFetch = { [unowned log] offset, _ in if offset == 0 { log.count = 6 } }
    let sink = await readBack(log)
    #expect(sink.served == [0, 1, 2, 3, 4, 5])
    #expect(sink.lines.contains("before 4") && sink.lines.contains("after 6"))
  }

  /// Consumption goes on behind it, and each start offset in it has an empty answer.
  @Test func whatIsDamagedIsPassedOver() async {
    let log = FakeLog(count: 8)
    log.damaged = [3..<6]
    let sink = await readBack(log)
    #expect(sink.served == [0, 1, 2, 6, 7])
    #expect(sink.lines.contains("passed over 3 ..< 6") && sink.lines.contains("reached"))
    #expect(sink.probes.filter { (3..<6).contains($0.start) }.map(\.answer) == [[], [], []])
  }

  /// A report of damage that ends before it begins must not keep a consumer at its place.
  @Test func damageWithoutAnEndIsPassedOver() async {
    let log = FakeLog(count: 4)
    (log.damaged, log.reportedEnd) = ([1..<2], 0)
    let sink = await readBack(log)
    #expect(sink.served == [0, 2, 3] && sink.lines.contains("reached"), "\(sink.lines)")
  }

  @Test(arguments: [1, 4, 16]) func consumptionIsStuckAfterSoManyEmptyAnswers(_ most: Int) async {
    let log = FakeLog(count: 4)
    log.empty = [2]
    var settings = Self.settings
    (settings.fetchBytes, settings.maxEmptyFetches, settings.probesStartOffsets) = (100, most, false)
    let sink = await readBack(log, [FakeLog.partition], settings)
    #expect(log.fetches.count == 1 + most, "\(log.fetches)")
    #expect(sink.lines.contains { $0.hasPrefix("stuck") && $0.contains("emptyAnswers: \(most)") }, "\(sink.lines)")
    #expect(!sink.lines.contains("after 4"))
  }

  /// One empty answer among others is no end.
  @Test func emptyAnswersAreCountedOneAfterTheOther() async {
    let log = FakeLog(count: 8)
    log.empty = [2, 4, 6]
    log.onFetch = { offset, _ in
      if log.fetches.suffix(3).allSatisfy({ $0 == offset }) { log.empty.remove(offset.rawValue) }
    }
    var settings = Self.settings
    settings.fetchBytes = 100
    let sink = await readBack(log, [FakeLog.partition], settings)
    #expect(sink.served == Array(0..<8))
  }

  @Test func anErrorEndsConsumption() async {
    let log = FakeLog(count: 6)
    log.failing = [4]
    let sink = await readBack(log)
    #expect(sink.served == [0, 1, 2, 3])
    #expect(sink.lines.contains { $0.hasPrefix("failed") && $0.contains("it does not work") }, "\(sink.lines)")
    #expect(!sink.lines.contains("after 6"))
  }

  // MARK: Start offsets

  /// One of the three asked for such a start offset once more, and found the same twice.
  @Test func aStartOffsetIsAskedForOnce() async {
    let log = FakeLog(count: 6)
    (log.failing, log.damaged) = ([1, 4], [2..<3])
    let sink = await readBack(log)
    #expect(sink.probes.map(\.start) == [0, 1, 2, 3, 4, 5, 6, 7], "\(sink.probes)")
    #expect(sink.probes[1].answer.isEmpty && sink.probes[4].answer.isEmpty)
  }

  /// A large log is asked for a sample, and ranges between: each message passes all the same.
  @Test func aLargeLogIsSampledAndSwept() async {
    let log = FakeLog(count: 30_000)
    log.batch = 1
    let sink = await readBack(log)
    let starts = Set(sink.probes.map(\.start))
    #expect(starts.count < 30_000 && starts.contains(0) && starts.contains(29_999))
    #expect(Set(sink.probes.flatMap(\.answer)).count == 30_000)
  }

  @Test func nobodyProbesWhoDoesNotAsk() async {
    var settings = Self.settings
    settings.probesStartOffsets = false
    let sink = await readBack(FakeLog(count: 6), [FakeLog.partition], settings)
    #expect(sink.probes.isEmpty && sink.served.count == 6)
  }

  @Test func deletedOffsetsAreAskedFor() async {
    let log = FakeLog(count: 6)
    log.start = 3
    let sink = await readBack(log)
    #expect(sink.served == [3, 4, 5])
    #expect(sink.probes.map(\.start) == [3, 4, 5, 6, 7, 2, 0])
  }

  @Test func aSpotCheckAsksFromOneOffset() async {
    var (settings, asking) = (Self.settings, WordSink())
    (settings.probesStartOffsets, asking.spot) = (false, 2)
    let log = FakeLog(count: 6)
    #expect(await readBack(log, [FakeLog.partition], settings, into: asking).lines.contains("spot 2: 2"))
    #expect(log.fetches == [0, 4, 2])
    log.empty = [2]
    #expect(await readBack(log, [FakeLog.partition], settings, into: asking).lines.contains("spot 2: nothing"))
    (log.empty, log.failing) = ([], [2])
    let sink = await readBack(log, [FakeLog.partition], settings, into: asking)
    #expect(sink.lines.contains("spot 2: nothing") && sink.lines.contains("reached"), "an error is no answer")
    #expect(!(await readBack(log, [FakeLog.partition], settings).lines.contains { $0.hasPrefix("spot") }))
  }

  // MARK: Partitions

  /// Two of the three did not consume it; of one that was there and was not created by anybody one said nothing.
  @Test func whatIsNotRegisteredIsNotConsumed() async {
    let log = FakeLog(count: 4)
    let other = TopicPartition("orders", 1)
    let sink = await readBack(log, [other, FakeLog.partition])
    #expect(
      sink.lines == [
        "registered 1", "group 0 of slot 0: none", "before 4", "after 4", "reached", "group 0 of slot 1: 1",
      ])
    #expect(log.groupsAsked == ["readers of orders/1", "readers of orders/0"])
  }

  /// One of the three dropped damage of partitions that nobody had created, and none of them said the checksums.
  @Test func allReportedDamageIsHandedOn() async {
    var recovery = RecoverySummary()
    for partition in [TopicPartition("orders", 7), FakeLog.partition] {
      recovery.damage.append(
        RecoveryDamage(
          partition, OffsetRange(from: 1, to: 2), path: "a.log", byteFrom: 8, byteTo: 16,
          mismatch: ChecksumMismatch(at: 8, stored: 1, computed: 2)))
    }
    let sink = await readBack(FakeLog(count: 4), recovery: recovery)
    #expect(sink.lines[1] == "damage of nobody: orders/7")
    #expect(sink.lines[2].hasPrefix("damage of slot 0: a.log, bytes 8 ..< 16, checksum mismatch"), "\(sink.lines[2])")
  }

  /// One of the three read keys and times; the sink decides now.
  @Test func keysAndTimesAreHandedOn() async {
    let sink = await readBack(FakeLog(count: 6))
    #expect(sink.keys == [0, 3] && sink.times == [0, 4])
  }

  // MARK: For the oracle

  private static func history(_ count: Int) -> History {
    var history = History(seed: 1)
    history.create(FakeLog.partition, .acknowledged, at: Instant(nanoseconds: 0))
    for n in 0..<count {
      let number = history.submit(PartitionSlot(0), firstSequence: n, count: 1, at: Instant(nanoseconds: 1))
      history.acknowledge(number, baseOffset: Offset(n), at: Instant(nanoseconds: 2))
    }
    return history
  }

  private static func judgement(of log: FakeLog) async -> Judgement {
    let history = history(4)
    let readback = await ConsumerReadback.observe(
      log, history, nil, settings, answerBytes: 0, random: SeededGenerator(seed: 1))
    return Oracle(Contract(sync: .always)).judge(history, [readback])
  }

  /// The oracle sees what the consumer saw: each message as it was consumed, and from its start offset.
  @Test func theOracleJudgesWhatWasReadBack() async {
    let log = FakeLog(count: 4)
    log.content = MessageContent(seed: 1, topic: "orders", partition: 0)
    let judgement = await Self.judgement(of: log)
    for check in [
      CheckName.noAcknowledgedLoss, .contentIntact, .everyStartOffset, .consumerMakesProgress, .highWatermark,
    ] {
      #expect(judgement[check]?.verdict == .held, "\(String(describing: judgement[check]))")
    }
    let looked = judgement.looked
    #expect(
      looked.readbacks == 1 && looked.startOffsets == 6 && looked.compared == 4 && looked.commits == 1, "\(looked)")
  }

  @Test func theOracleSeesOtherBytes() async {
    let judgement = await Self.judgement(of: FakeLog(count: 4))
    #expect(judgement[.contentIntact]?.verdict == .violated)
  }
}
