import Foundation
import LogModel
import Testing

@testable import Verification

struct ObservationTests {
  @Test func bytesAreComparedAndKeptAsRuns() {
    var story = Story(seed: 31, partitions: 2)
    for _ in 0..<50 { story.append(0, count: 4) }
    var observer = Observer(story.history)
    let content = MessageContent(seed: 31, topic: "orders", partition: 0)
    withUnsafeTemporaryAllocation(byteCount: 100, alignment: 8) { bytes in
      for sequence in 0..<200 as Range<UInt64> {
        content.write(sequence: sequence, into: bytes)
        if sequence == 77 { bytes[60] ^= 4 }
        observer.observe(PartitionSlot(0), Offset(Int(sequence)), UnsafeRawBufferPointer(bytes))
      }
    }
    #expect(observer.observation.partitions[0].served.runs.map(\.count) == [77, 1, 122])
  }

  @Test func anAnswerBelowWhatWasAskedIsFound() {
    var story = Story(seed: 32, partitions: 1)
    for _ in 0..<10 { story.append(0, count: 2) }
    let answers = story.answers()
    var observer = Observer(story.history)
    observer.claimedBefore(PartitionSlot(0), answers.partitions[0].before!)
    observer.asked(PartitionSlot(0), 0)
    for offset in 0..<10 { observer.observe(PartitionSlot(0), Offset(offset), .intact(sequence: UInt64(offset))) }
    for _ in 0..<100_000 {
      observer.asked(PartitionSlot(0), 10)
      observer.observe(PartitionSlot(0), 0, .intact(sequence: 0))
    }
    observer.ended(PartitionSlot(0), .stuck(at: 10, emptyAnswers: 100_000))
    observer.registered(answers.registered!)
    let readback = observer.finish()
    #expect(readback.partitions[0].served.count <= 10_080)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, [readback])
    #expect(judgement.violated.isSuperset(of: [.everyStartOffset, .consumerMakesProgress, .noAcknowledgedLoss]))
    #expect(!judgement.violated.contains(.noDuplicates) && !judgement.violated.contains(.highWatermark))
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func judgedInProcessesOfTheirOwnItComesToTheSame(seed: UInt64) throws {
    let (story, readbacks) = MutationTests.story(seed)
    let oracle = Oracle(Contract(sync: .always))
    func copy<T: Codable>(_ value: T) throws -> T {
      try JSONDecoder().decode(T.self, from: JSONEncoder().encode(value))
    }
    let history = try copy(story.history)
    let copies = try readbacks.map { try copy($0) }
    #expect(copies == readbacks && history.operations == story.history.operations)
    var merged = oracle.judge(history, copies[0])
    for i in 1..<3 {
      merged = try copy(merged).merged(with: copy(oracle.judge(history, copies[i], earlier: Array(copies[..<i]))))
    }
    #expect(merged == oracle.judge(story.history, readbacks))
    let hung = merged.adding(CheckResult(.noHang, .violated, "recovery"))
    #expect(hung.verdict == .violated && hung.counts == merged.counts)
    #expect(merged.adding(.recoveryCompletes(restart: 1, refusal: "bad magic")).verdict == .violated)
    #expect(merged.adding(.noEngineCrash(death: "signal 11")).verdict == .violated)
    #expect(merged.adding(.noEngineCrash(death: nil)).verdict == .held)
  }

  @Test func aHistoryThatSendsAMessageTwiceIsNotJudged() {
    var story = Story(seed: 33, partitions: 1)
    story.append(0, count: 2)
    story.history.submit(PartitionSlot(0), firstSequence: 1, count: 1, at: story.now)
    #expect(Oracle(Contract(sync: .always)).judge(story.history, [story.readback()]).verdict == .unknown)
  }

  /// Garbage of any kind must be judged, not trap.
  @Test func anyAnswerIsJudgedWithoutATrap() {
    var random = SeededGenerator(seed: 34)
    let wild: [Int64] = [.min, .min + 1, -1, 0, 1, 5, 1 << 40, .max - 1, .max]
    for seed in 0..<300 as Range<UInt64> {
      var story = Story(seed: seed, partitions: 1)
      story.fill(0)
      story.crash(.powerLoss)
      func offset() -> Offset { Offset(wild.randomElement(using: &random)!) }
      func reading() -> MessageContent.Reading {
        if random.chance(1, in: 3) { return .corrupt }
        return .intact(sequence: random.chance(1, in: 4) ? random.next() : random.next() % 40)
      }
      func marks() -> Watermarks {
        Watermarks(logStartOffset: offset(), highWatermark: offset(), logEndOffset: offset())
      }
      let slot = PartitionSlot(0)
      let touched = [OffsetRange(from: offset(), to: offset())]
      story.history.damage(Damage(partition: slot, kind: "x", touched: touched, description: ""))
      var observer = Observer(story.history)
      observer.claimedBefore(slot, marks())
      for _ in 0..<20 {
        observer.asked(slot, offset())
        observer.observe(slot, offset(), reading())
        observer.probe(slot, start: offset(), reading: random.chance(1, in: 2) ? (offset(), reading()) : nil)
        let start = offset()
        observer.probe(slot, start: start, reading: (start, reading()))
      }
      observer.ended(slot, random.chance(1, in: 2) ? .reached : .stuck(at: offset(), emptyAnswers: 3))
      observer.claimedAfter(slot, marks())
      observer.registered([])
      observer.reported(
        ReportedDamage(partition: slot, offsets: OffsetRange(from: offset(), to: offset()), reason: ""))
      let readback = observer.finish()
      for policy in RecoveryPolicy.allCases {
        let oracle = Oracle(Contract(sync: .always, recovery: policy))
        #expect(oracle.judge(story.history, [readback, readback]).verdict == .violated)
      }
    }
  }

  @Test(arguments: 0..<50 as Range<UInt64>)
  func startOffsetsAreAllOrASampleWithEveryEdge(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let all = StartOffsets.sample(from: 5, to: 10_005, batchEdges: [], using: &random)
    #expect(all == (5..<10_005).map { Offset($0) })
    let batches = (0..<1_000).map { Offset($0 * 97) }
    let segments = (0..<50).map { Offset($0 * 1_999) }
    let sample = StartOffsets.sample(
      from: 100, to: 100_000, batchEdges: batches, segmentEdges: segments, using: &random)
    let chosen = Set(sample)
    #expect(sample.count > 7_500 && sample.first == 100 && sample.last == 99_999 && sample == chosen.sorted())
    #expect((batches + segments).allSatisfy { $0 < 100 || $0 >= 100_000 || chosen.contains($0) })
    let edges = stride(from: 0, to: 500_000, by: 25).map { Offset($0) }
    let many = StartOffsets.sample(from: 0, to: 500_000, batchEdges: edges, segmentEdges: segments, using: &random)
    #expect(Set(many).isSuperset(of: segments + edges) && many.count > edges.count + 2_000)
    #expect(StartOffsets.sample(from: 3, to: 3, batchEdges: [3], using: &random).isEmpty)
  }

  /// Prints the rates of this build; an optimized one judges tens of millions a second.
  @Test func halfAMillionMessages() {
    var story = Story(seed: 40, partitions: 3)
    for i in 0..<500_000 { story.append(i % 3, count: 1, producer: i % 7) }
    var observer = Observer(story.history)
    let clock = ContinuousClock()
    let observed = clock.measure {
      for p in 0..<3 {
        let slot = PartitionSlot(p)
        let end = Offset(story.logs[p].count)
        observer.claimedBefore(slot, Watermarks(logStartOffset: 0, highWatermark: end, logEndOffset: end))
        for offset in story.logs[p].indices {
          observer.observe(slot, Offset(offset), .intact(sequence: UInt64(offset)))
        }
        observer.ended(slot, .reached)
        for start in story.logs[p].indices {
          observer.probe(slot, start: Offset(start), reading: (Offset(start), .intact(sequence: UInt64(start))))
        }
      }
      observer.registered(story.history.creations.map(\.partition))
    }
    let readback = observer.finish()
    var judgement: Judgement?
    let judged = clock.measure { judgement = Oracle(Contract(sync: .always)).judge(story.history, [readback]) }
    #expect(judgement?.verdict == .held)
    let rate = { (d: Duration) in Int(500_000 / d.inSeconds / 1e5) }
    print("observe: \(rate(observed))e5 messages/s, judge: \(rate(judged))e5 messages/s")
  }
}
