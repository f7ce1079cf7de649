import LogModel
import Testing

@testable import Verification

/// What checks say is what they found: the bound that was broken, and no loss where nothing acknowledged is missing.
@Suite struct MessageTests {
  /// What a text says that its own numbers deny.
  static func contradictions(in text: String, lost: Int) -> [String] {
    var found: [String] = []
    func require(_ pattern: Regex<(Substring, Substring, Substring)>, _ holds: (Int, Int) -> Bool) {
      for match in text.matches(of: pattern) {
        guard let first = Int(match.1), let second = Int(match.2) else { continue }
        if !holds(first, second) { found.append("\(match.0)") }
      }
    }
    require(#/at least (\d+)\b[^;]*?found (\d+)/#, >)
    require(#/at most (?:the )?(\d+)\b[^;]*?found (\d+)/#, <)
    require(#/must equal[^;]*? (\d+), found (\d+)/#, !=)
    require(#/must be (\d+), found (\d+)/#, !=)
    require(#/must stand at offset (\d+), found at (\d+)/#, !=)
    require(#/must stand at offset (\d+) or later, found it acknowledged at (\d+)/#, >)
    require(#/a fetch at (\d+) must begin there, found offset (\d+)/#, !=)
    require(#/fell from (\d+) to (\d+)/#, >)
    require(#/found (\d+) before and (\d+) now/#, >)
    require(#/offset (\d+) must be served, found a gap up to offset (\d+)/#, <)
    require(#/event (-?\d+) arrived behind event (-?\d+)/#, !=)
    require(#/the (\d+) messages sent as one batch must be there together, found (\d+)/#, >)
    if text.contains(#/\blost\b/#), lost == 0 { found.append("lost") }
    for word in ["vacuous", "nobody", "at the most", "all to", "  ", "-1"] where text.contains(word) {
      found.append(word)
    }
    if text.count > 260 { found.append("\(text.count) characters") }
    return found
  }

  // MARK: Each text

  /// Every kind of finding has a number here: one that is added has no place in `texts` yet, and `everyKindIsRead`
  /// fails.
  private static func number(_ finding: CheckFinding) -> Int {
    switch finding {
    case .watermarkBelowPromise: 0
    case .watermarkBesideConsumption: 1
    case .watermarkBesideLogEnd: 2
    case .logEndBesideMessages: 3
    case .watermarkFellInReadback: 4
    case .watermarkFell: 5
    case .watermarkFellBelowPromise: 6
    case .fetchBegan: 7
    case .fetchWasEmpty: 8
    case .stuck: 12
    case .fetchFailed: 13
    case .servedTooMany: 14
    case .corrupt: 15
    case .failedIsThere: 16
    case .goneIsBack: 17
    case .neverSent: 18
    case .duplicate: 19
    case .moved: 20
    case .replaced: 21
    case .reordered: 22
    case .gap: 23
    case .missing: 24
    case .batchIsSplit: 25
    case .missingBeforeWindow: 26
    case .lossIsNoSuffix: 27
    case .lostMoreThanExplained: 28
    case .lostLessThanDestroyed: 29
    case .appendsRefused: 30
    case .appendTooLow: 31
    case .appendMissing: 32
    case .unreported: 33
    case .nothingReported: 34
    case .noReportOwed: 35
    case .untouchedReported: 36
    case .reportOfNothing: 37
    case .notRegistered: 38
    case .refusedWithoutFault: 39
    case .registeredThoughRefused: 40
    case .registeredByNobody: 41
    case .committedOffset: 42
    case .readbackUnfinished: 43
    case .watermarksUnknown: 44
    case .missingThoughClosed: 45
    case .reportedElsewhere: 11
    case .reader: 9
    case .readback, .beside: 10
    }
  }

  private static let orders = TopicPartition("orders", 0)

  static let texts: [(CheckFinding, String)] = [
    (
      .watermarkBelowPromise(found: 0, protected: 34),
      "the high watermark must be at least 34, where the protected messages end, found 0"
    ),
    (
      .watermarkBesideConsumption(found: 5, low: 34, high: 40),
      "the high watermark must be at least 34, where consumption ends, found 5"
    ),
    (
      .watermarkBesideConsumption(found: 341, low: 34, high: 34),
      "the high watermark must be at most 34, where consumption ends, found 341"
    ),
    (.watermarkBesideLogEnd(found: 3, logEnd: 4), "the high watermark must equal the log end offset 4, found 3"),
    (
      .logEndBesideMessages(found: 34, low: 0, high: 0, protected: 34),
      "the log end offset must be at most 0, where consumption ends, found 34"
    ),
    (
      .logEndBesideMessages(found: 20, low: 0, high: 0, protected: 34),
      "the log end offset must be at least 34, where the protected messages end, found 20"
    ),
    (
      .logEndBesideMessages(found: 20, low: 30, high: 30, protected: 10),
      "the log end offset must be at least 30, where consumption ends, found 20"
    ),
    (.watermarkFellInReadback(from: 9, to: 8), "the high watermark fell from 9 to 8 during one readback"),
    (.watermarkFell(from: 9, to: 8), "the high watermark must not fall, found 9 before and 8 now"),
    (
      .watermarkFellBelowPromise(was: 34, restart: 0, protected: 34, found: 0),
      "the high watermark was 34 before any crash; it must be at least 34 now, where the protected messages end, found "
        + "0"
    ),
    (
      .watermarkFellBelowPromise(was: 40, restart: 1, protected: 34, found: 2),
      "the high watermark was 40 after restart 1; it must be at least 34 now, where the protected messages end, found 2"
    ),
    (.fetchBegan(asked: 3, at: 5), "a fetch at 3 must begin there, found offset 5"),
    (.fetchWasEmpty(asked: 3), "a fetch at 3 must begin there, found an empty answer"),
    (.readback(.noStartOffset), "no start offset was asked for"),
    (
      .stuck(at: 3, watermark: 9, answers: 100),
      "consumption must reach the high watermark 9, found no progress at offset 3 in 100 answers"
    ),
    (
      .stuck(at: 3, watermark: nil, answers: 2),
      "consumption must reach the high watermark, found no progress at offset 3 in 2 answers"
    ),
    (.fetchFailed(at: 3, "EIO"), "consumption must go on at offset 3, found an error: EIO"),
    (.servedTooMany(served: 12, attempted: 10), "at most the 10 messages attempted can be served, found 12"),
    (.corrupt(offset: 3), "offset 3 is served with bytes that were never sent"),
    (.failedIsThere(offset: 3, message: 4), "offset 3 holds message 4, whose sending had failed for certain"),
    (.goneIsBack(offset: 3, message: 4, restart: 1), "offset 3 holds message 4, which was gone after restart 1"),
    (.neverSent(offset: 3, message: 4), "offset 3 holds message 4, which was never sent"),
    (.duplicate(message: 4, first: 1, again: 2), "message 4 stands at offset 1 and again at 2"),
    (.moved(message: 4, from: 1, to: 2), "message 4 must stand at offset 1, found at 2"),
    (.replaced(offset: 3, message: 4), "offset 3 was served before with another message than 4"),
    (.reordered(offset: 3, message: 4), "message 4 at offset 3 stands behind a later one of its producer"),
    (.gap(at: 0, next: 4), "offset 0 must be served, found a gap up to offset 4"),
    (
      .missing(message: 4, offset: 3, isAcknowledged: true),
      "message 4 was acknowledged at offset 3 and must be served, found nothing"
    ),
    (
      .missing(message: 4, offset: 3, isAcknowledged: false),
      "message 4 was served before at offset 3 and must be served, found nothing"
    ),
    (.batchIsSplit(messages: 5, served: 2), "the 5 messages sent as one batch must be there together, found 2"),
    (
      .missingThoughClosed(offset: 3),
      "the engine had closed without an error before the power loss, and every acknowledged message must be there, "
        + "found offset 3 "
        + "missing"
    ),
    (
      .missingBeforeWindow(offset: 3, window: .milliseconds(100)),
      "only what was acknowledged in the last 100ms before the power loss may be missing, found offset 3 missing too"
    ),
    (
      .lossIsNoSuffix(lost: 3, survivor: 9),
      "offset 3 is lost, so everything behind it must be lost too, found offset 9 served"
    ),
    (
      .lostMoreThanExplained(lost: 34, most: 0, first: 0),
      "faults and sync policy explain the loss of at most 0 acknowledged messages, found 34 lost; the first that they "
        + "do not explain "
        + "is offset 0"
    ),
    (
      .lostLessThanDestroyed(lost: 1, least: 5),
      "the faults' receipts say that at least 5 messages are gone, found 1: a receipt is wrong"
    ),
    (.appendsRefused(restart: 1, count: 4), "an append after restart 1 must be accepted, found all 4 refused"),
    (.appendsRefused(restart: 1, count: 1), "an append after restart 1 must be accepted, found it refused"),
    (
      .appendTooLow(restart: 1, found: 3, atLeast: 9),
      "an append after restart 1 must stand at offset 9 or later, found it acknowledged at 3"
    ),
    (.appendMissing(restart: 2, offset: 3), "offset 3, appended after restart 2, must be served, found nothing"),
    (
      .reader(.startMoved(from: 0, to: 3)),
      "the log start offset moved from 0 to 3 during one readback, and nothing was deleted then"
    ),
    (.reader(.startBelowZero(-2)), "a log begins at 0 or later, found it to begin at -2"),
    (.reader(.startUnexplained(bound: 0, found: 6)), "nothing was deleted, found the log to begin at 6"),
    (
      .reader(.startUnexplained(bound: 4, found: 6)),
      "a deletion ended at offset 4, and none at 6, found the log to begin at 6"
    ),
    (
      .reader(.startWentBack(was: 4, restart: 0, found: 2)),
      "the log began at 4 before any crash, found it to begin at 2"
    ),
    (
      .reader(.startWentBack(was: 4, restart: 1, found: 2)),
      "the log began at 4 after restart 1, found it to begin at 2"
    ),
    (
      .reader(.deletedBegins(deleted: 4, found: 2)),
      "everything before offset 4 was deleted, found the log to begin at 2"
    ),
    (.reader(.deletedServed(deleted: 4, offset: 2)), "everything before offset 4 was deleted, found offset 2 served"),
    (.reader(.startBeforeFirst(first: 9, found: 2)), "the log begins at 9, found its log start offset at 2"),
    (
      .reader(.givenBeforeFirst(first: 9, offset: 2)),
      "offsets before 9 belong to deleted messages, found offset 2 given again"
    ),
    (
      .reader(.wrongKey(WrongKey(offset: 3, sequence: 3, expected: nil, found: 0), of: 2)),
      "message 3 was sent with no key, found an empty key; 2 messages have wrong keys"
    ),
    (
      .reader(.committedBeyondEnd(group: "g", committed: 9, end: 4)),
      "g has committed 9, and the log ends at 4: the next 5 messages would never reach it"
    ),
    (
      .reader(.committedNotDurable(group: "g", committed: 9, end: 4)),
      "g had committed 9, and the log came back with its end at 4: what lies before a committed offset must be durable"
    ),
    (
      .reader(.committedOverLater(group: "g", committed: 9, offset: 4, message: 12)),
      "g has committed 9, and offset 4 holds message 12, which was sent after that: it never reaches the group"
    ),
    (
      .reader(.nameTaken(offset: 4, was: 4, now: 12)),
      "offset 4 held message 4 when it was read before, which must stay, found message 12 there"
    ),
    (
      .reader(.timeOutside(message: 3, from: 10, to: 20, found: 30)),
      "the batch of message 3 was appended between 10 and 20 ns, found the time 30"
    ),
    (
      .reader(.timeChanged(message: 3, was: 10, restart: 1, found: 30)),
      "the batch of message 3 had the time 10 ns after restart 1, found 30"
    ),
    (
      .reportedElsewhere(
        offset: 3, place: DamagedPlace(path: "a.log", bytes: 40..<50, offsets: [OffsetRange(from: 3, to: 4)]),
        found: "b.log, bytes 1 ..< 2"),
      "offset 3 was destroyed in bytes 40..<50 of a.log, and its report must name that place, found: b.log, bytes 1 "
        + "..< 2"
    ),
    (.unreported(offset: 3), "offset 3 was destroyed by a fault and must be reported, found no report"),
    (.nothingReported, "a fault destroyed messages, found no report of any"),
    (
      .noReportOwed(offset: 3),
      "offset 3 was destroyed by a fault and not reported; no report is owed, for nothing on the medium shows that it "
        + "had been "
        + "acknowledged"
    ),
    (.untouchedReported(offset: 3), "no fault touched offset 3, found it reported as damaged"),
    (.reportOfNothing(from: 3, to: 5), "no fault touched offsets 3 to 4, found them reported as damaged"),
    (.notRegistered(orders), "orders/0 was created and must be registered, found it missing"),
    (
      .refusedWithoutFault(orders),
      "orders/0 was asked for, no fault stood in the way, and it must be registered, found it refused"
    ),
    (.registeredThoughRefused(orders), "orders/0 was refused, found it registered"),
    (.registeredByNobody(orders), "orders/0 was never created, found it registered"),
    (.committedOffset(group: "g", allowed: [500], found: nil), "the committed offset of g must be 500, found none"),
    (
      .committedOffset(group: "g", allowed: [500, 600], found: 4),
      "the committed offset of g must be 500, or one committed after it, found 4"
    ),
    (
      .committedOffset(group: "g", allowed: [], found: 4),
      "the committed offset of g must be one that was committed, or none, found 4"
    ),
    (.readbackUnfinished, "the readback did not come to its end"),
    (.watermarksUnknown, "its watermarks were not asked for"),
  ]

  @Test func everyKindIsRead() {
    for (finding, text) in Self.texts {
      #expect(finding.description == text)
      #expect(Self.contradictions(in: text, lost: 1) == [], "\(text)")
    }
    #expect(Set(Self.texts.map { Self.number($0.0) }) == Set(0...45))
  }

  // MARK: What the oracle gives

  /// Every mutation of a sound answer, and watermarks of all sorts, under each policy: what is said contradicts
  /// nothing.
  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(100)), .never])
  func whatTheOracleSaysAgreesWithItself(sync: SyncPolicy) {
    var texts: Set<String> = []
    func take(_ judgement: Judgement) {
      for check in judgement.checks where !check.detail.isEmpty {
        #expect(
          Self.contradictions(in: check.detail, lost: judgement.counts.lost) == [],
          "\(check.name.rawValue): \(check.detail)")
        texts.insert(check.detail.replacing(#/\d+/#, with: "N"))
      }
    }
    for seed in 0..<6 as Range<UInt64> {
      for mutation in Mutation.allCases where ![.swappedUnanswered, .splitUnanswered].contains(mutation) {
        var (story, readbacks) = MutationTests.story(seed, for: mutation)
        readbacks.removeLast()
        var answers = story.answers()
        mutation.apply(to: &answers, &story)
        take(Oracle(Contract(sync: sync)).judge(story.history, readbacks + [answers.observed(by: story.history)]))
      }
      var (story, readbacks) = MutationTests.story(seed)
      readbacks.removeLast()
      var answers = story.answers()
      for p in 0..<3 {
        let count = answers.partitions[p].served.count
        func some() -> Offset { Offset(Int.random(in: 0...count + 3, using: &story.random)) }
        let served = Int.random(in: 0...count, using: &story.random)
        answers.partitions[p].served.removeLast(count - served)
        answers.partitions[p].before = Watermarks(logStartOffset: 0, highWatermark: some(), logEndOffset: some())
        answers.partitions[p].after = Watermarks(logStartOffset: 0, highWatermark: some(), logEndOffset: some())
      }
      answers.commits = answers.commits.map {
        ($0.group, $0.partition, Int.random(in: 0...1, using: &story.random) == 0 ? nil : 2)
      }
      take(Oracle(Contract(sync: sync)).judge(story.history, readbacks + [answers.observed(by: story.history)]))
    }
    #expect(texts.count > 25, "\(texts.sorted())")
  }

  /// README's own example, C2b: the log end is where it was, and nothing before it is served.
  @Test func theBoundThatWasBrokenIsNamed() throws {
    var story = Story(seed: 1, partitions: 1)
    story.append(0, count: 34)
    let before = story.readback()
    story.crash(.processKill)
    var answers = story.answers()
    let marks = Watermarks(logStartOffset: 0, highWatermark: 0, logEndOffset: 34)
    answers.partitions[0] = Answers.Partition(before: marks, after: marks, served: [], end: .reached, probes: [])
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [before, answers.observed(by: story.history)])
    #expect(
      judgement[.logEndOffset]?.detail
        == "orders/0: the log end offset must be at most 0, where consumption ends, found 34")
    #expect(
      judgement[.watermarkMonotonic]?.detail
        == "orders/0: the high watermark was 34 before any crash; it must be at least 34 now, where the protected "
        + "messages end, found 0"
    )
    #expect(judgement.counts.lost == 34 && judgement.counts.lostLater == 0)
  }

  /// What was sent after a restart is lost beside what was attempted before, not of it.
  @Test func whatIsLostLaterIsCountedApart() {
    var story = Story(seed: 1, partitions: 1)
    story.append(0, count: 100)
    var readbacks = [story.readback()]
    story.crash(.processKill)
    readbacks.append(story.readback())
    story.append(0, count: 10)
    story.crash(.processKill)
    var answers = story.answers()
    answers.partitions[0] = Answers.Partition(
      before: Watermarks(logStartOffset: 0, highWatermark: 0, logEndOffset: 0),
      after: Watermarks(logStartOffset: 0, highWatermark: 0, logEndOffset: 0), served: [], end: .reached, probes: [])
    readbacks.append(answers.observed(by: story.history))
    let counts = Oracle(Contract(sync: .always)).judge(story.history, readbacks).counts
    #expect(counts.attempted == 100 && counts.lost == 110 && counts.lostLater == 10, "\(counts)")
  }

  // MARK: What the runner gives

  @Test func whatTheRunnerSaysAgreesWithItself() throws {
    var history = History(seed: 1)
    history.create(Self.orders, at: Instant(nanoseconds: 1))
    history.opened(at: Instant(nanoseconds: 1))
    let unanswered = CheckResult.noUnjustifiedRejection(history)
    for n in 0..<3 {
      let operation = history.submit(
        PartitionSlot(0), producer: 0, firstSequence: n, count: 1, at: Instant(nanoseconds: 5))
      history.fail(operation, certainly: true, at: Instant(nanoseconds: 9))
    }
    var excused = JustifiedRejections()
    excused.note(wholeOf: 0)
    let checks = [
      unanswered, .noUnjustifiedRejection(history), .noUnjustifiedRejection(history, excused),
      .boundedMemory(used: 11, limit: 10, log: 99), .noEngineCrash(death: "signal 11"),
      .recoveryCompletes(restart: 0, refusal: "no"), .recoveryCompletes(restart: 2, refusal: "no"),
      .recoveryCompletes(restart: 1, oncePutBack: "damaged"),
    ]
    for check in checks { #expect(Self.contradictions(in: check.detail, lost: 0) == [], "\(check)") }
    #expect(
      checks[1].detail
        == "every request that is answered must be acknowledged, found 3 of 3 refused, the first in orders/0 with "
        + "message 0"
    )
    #expect(checks[2].verdict == .unknown && checks[2].detail.contains("there is nothing to judge"))
  }
}
