import LogModel
import Testing
import Verification

@testable import Exploration

/// What a transcript must hold for a verdict.
@Suite struct TranscriptTests {
  private static let history: History = {
    var history = History(seed: 1)
    history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 1))
    let number = history.submit(PartitionSlot(0), firstSequence: 0, count: 1, at: Instant(nanoseconds: 2))
    history.acknowledge(number, baseOffset: 0, at: Instant(nanoseconds: 3))
    history.crash(.powerLoss, at: Instant(nanoseconds: 4))
    return history
  }()

  private static func judge(_ transcript: Transcript) -> StateJudgement {
    transcript.judge(
      history, appendedSequence: 1, clock: { Instant(nanoseconds: Int64(10 * $0)) }, Contract(sync: .always))
  }

  /// A life that opens and looks at `messages`; what a probe answers, by start offset.
  private static func life(
    _ transcript: inout Transcript, _ restart: Int, messages: Int, answers: [[UInt64]]? = nil,
    reports: (inout Transcript) -> Void = { _ in }
  ) {
    transcript.opened(restart)
    transcript.registered([TopicPartition("orders", 0)])
    reports(&transcript)
    let marks = Watermarks(logStartOffset: 0, highWatermark: Offset(messages), logEndOffset: Offset(messages))
    transcript.claimed(0, marks, after: false)
    transcript.asked(0, 0)
    for n in 0..<messages { transcript.message(0, Offset(n), .intact(sequence: UInt64(n))) }
    transcript.claimed(0, marks, after: true)
    transcript.ended(0, .reached)
    for (start, answer) in (answers ?? (0..<messages).map { Array(UInt64($0)..<UInt64(messages)) }).enumerated() {
      for (n, sequence) in answer.enumerated() {
        if n == 0 {
          transcript.probed(0, Offset(start), first: Offset(start), .intact(sequence: sequence))
        } else {
          transcript.answered(0, Offset(start + n), .intact(sequence: sequence))
        }
      }
    }
    transcript.committed(0, group: 0, nil)
    transcript.looked()
  }

  @Test func twoLooksDecide() {
    var transcript = Transcript(isKept: true)
    Self.life(&transcript, 1, messages: 1)
    transcript.appended(0, .acknowledged, 1)
    Self.life(&transcript, 2, messages: 2)
    let judgement = Self.judge(transcript)
    #expect(judgement.verdict == .held, "\(String(describing: judgement.check))")
  }

  /// All of these were held.
  @Test func whereNobodyLookedThereIsNoVerdict() {
    #expect(Self.judge(Transcript(isKept: true)).verdict == .unknown)
    for isKept in [true, false] {
      var opened = Transcript(isKept: isKept)
      opened.opened(1)
      #expect(Self.judge(opened).verdict == .unknown)
    }
    var once = Transcript(isKept: true)
    Self.life(&once, 1, messages: 1)
    once.appended(0, .acknowledged, 1)
    #expect(Self.judge(once).verdict == .unknown)
    var refused = Transcript(isKept: true)
    refused.refused(1, "bad magic")
    #expect(Self.judge(refused).verdict == .violated)
  }

  /// Only the first message of an answer was looked at.
  @Test func answersAreComparedToTheirEnd() {
    var transcript = Transcript(isKept: true)
    Self.life(&transcript, 1, messages: 1)
    transcript.appended(0, .acknowledged, 1)
    Self.life(&transcript, 2, messages: 2, answers: [[0, 0], [1]])
    #expect(Self.judge(transcript).check?.name == .everyStartOffset)
  }

  /// Damage of partitions that nobody had created was dropped, of those that the workload creates later too.
  @Test(arguments: [1, 7]) func damageOfAPartitionThatNobodyHasCreatedIsFound(_ number: Int) {
    let partition = TopicPartition("orders", PartitionID(number))
    var transcript = Transcript(isKept: true)
    Self.life(&transcript, 1, messages: 1) { transcript in
      guard number < 7 else { return transcript.reportedOfNobody(partition) }
      let damage = ReportedDamage(
        partition: PartitionSlot(number), offsets: OffsetRange(from: 8, to: 9), reason: "a.log, bytes 0 ..< 8")
      transcript.reported(damage, of: partition)
    }
    transcript.appended(0, .acknowledged, 1)
    Self.life(&transcript, 2, messages: 2)
    let judgement = Self.judge(transcript)
    #expect(judgement.check?.name == .damageReported, "\(String(describing: judgement.check))")
    #expect(judgement.check?.detail.contains("\(partition)") ?? false, "\(String(describing: judgement.check))")
  }

  /// A story of several lives needs a readback after each of its two restarts.
  @Test func aStoryThatNobodyLookedAtHasNoVerdict() {
    let book = HistoryRecorder(ExplorationWorkload())
    for n in 1...3 { book.crash(.powerLoss, at: Instant(nanoseconds: Int64(n))) }
    #expect(book.judge(Contract(sync: .always)).verdict == .unknown)
  }
}
