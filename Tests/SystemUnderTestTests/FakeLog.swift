import LogModel
import SystemUnderTest
import Verification

/// A log of one partition in memory, which can be told to answer wrongly.
final class FakeLog: ReadableLog, @unchecked Sendable {
  // Used by one test.

  static let partition = TopicPartition("orders", 0)

  var partitions = [FakeLog.partition]
  var count: Int
  /// Messages of a batch: an answer has whole batches.
  var batch = 2
  var start: Offset = 0
  /// What the messages hold; without it one byte each.
  var content: MessageContent?
  /// By offset, ranges that are reported as damaged.
  var damaged: [Range<Int64>] = []
  /// Where a report says that the damage ends, in place of where it does.
  var reportedEnd: Offset?
  /// Offsets from which a fetch fails, and those from which its answer is empty.
  var failing: Set<Int64> = []
  var empty: Set<Int64> = []
  /// Told each offset that is fetched from, with the bytes that are asked for.
  var onFetch: (Offset, Int) -> Void = { _, _ in }
  private(set) var fetches: [Offset] = []
  private(set) var groupsAsked: [String] = []

  struct Problem: Error, CustomStringConvertible { var description: String { "it does not work" } }

  init(count: Int) { self.count = count }

  func newAnswer(capacity: Int) -> FakeAnswer { FakeAnswer(content) }

  func watermarks(_ partition: TopicPartition) throws(LogFailure) -> Watermarks {
    Watermarks(logStartOffset: start, highWatermark: Offset(count), logEndOffset: Offset(count))
  }

  func committedOffset(group: String, _ partition: TopicPartition) throws(LogFailure) -> Offset? {
    groupsAsked.append("\(group) of \(partition)")
    guard partitions.contains(partition) else { throw LogFailure(.other, isCertain: true, cause: Problem()) }
    return 1
  }

  func fetch(
    _ partition: TopicPartition, from offset: Offset, maxBytes: Int, into answer: FakeAnswer
  ) async throws(LogFailure) {
    fetches.append(offset)
    onFetch(offset, maxBytes)
    answer.asked = offset
    answer.offsets = []
    if let range = damaged.first(where: { $0.contains(offset.rawValue) }) {
      throw LogFailure(.damaged(before: reportedEnd ?? Offset(range.upperBound)), isCertain: false, cause: Problem())
    }
    if offset > Offset(count) || offset < start {
      throw LogFailure(.offsetOutOfRange, isCertain: true, cause: Problem())
    }
    if failing.contains(offset.rawValue) { throw LogFailure(.other, isCertain: false, cause: Problem()) }
    if empty.contains(offset.rawValue) { return }
    let end = (Int(offset.rawValue) / batch + max(1, maxBytes / 100)) * batch
    answer.offsets = (Int(offset.rawValue)..<max(Int(offset.rawValue), min(count, end))).map { Offset($0) }
    if let first = answer.offsets.first, let damage = damaged.first(where: { $0.lowerBound > first.rawValue }) {
      answer.offsets.removeAll { $0.rawValue >= damage.lowerBound }
    }
  }
}

final class FakeAnswer: FetchedMessages {
  private let content: MessageContent?
  var asked: Offset = 0
  var offsets: [Offset] = []

  init(_ content: MessageContent?) { self.content = content }

  var nextOffset: Offset { offsets.last.map { $0 + 1 } ?? asked }

  private func show(_ offset: Offset, _ body: (FetchedMessage) -> Void) {
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: offset.rawValue), count: content == nil ? 1 : 32)
    bytes.withUnsafeMutableBytes { content?.write(sequence: UInt64(offset.rawValue), into: $0) }
    bytes.withUnsafeBytes { value in
      body(FetchedMessage(offset: offset, key: offset.rawValue % 3 == 0 ? value : nil, value: value))
    }
  }

  func forEachMessage(_ body: (FetchedMessage) -> Void) { for offset in offsets { show(offset, body) } }
  func withFirstMessage(_ body: (FetchedMessage) -> Void) { if let first = offsets.first { show(first, body) } }

  func forEachBatchTime(_ body: (_ base: Offset, _ time: Instant) -> Void) {
    if let first = offsets.first { body(first, Instant(nanoseconds: first.rawValue)) }
  }
}

/// Takes down everything in words.
struct WordSink: ReadbackSink {
  var lines: [String] = []
  /// Offsets that consumption was served.
  var served: [Int64] = []
  var keys: [Int64] = []
  var times: [Int64] = []
  /// Start offsets, with the offsets of the answer.
  var probes: [(start: Int64, answer: [Int64])] = []
  var spot: Offset?

  mutating func registered(_ partitions: [TopicPartition]) { lines.append("registered \(partitions.count)") }
  mutating func reported(_ damage: ReportedDamage, of partition: TopicPartition) {
    lines.append("damage of slot \(damage.partition.index): \(damage.reason)")
  }
  mutating func reportedOfNobody(_ partition: TopicPartition) { lines.append("damage of nobody: \(partition)") }
  mutating func claimedBefore(_ slot: PartitionSlot, _ watermarks: Watermarks) {
    lines.append("before \(watermarks.highWatermark)")
  }
  mutating func asked(_ slot: PartitionSlot, _ offset: Offset) {}
  mutating func served(_ slot: PartitionSlot, _ message: FetchedMessage) {
    served.append(message.offset.rawValue)
    if message.key != nil { keys.append(message.offset.rawValue) }
  }
  mutating func timed(_ slot: PartitionSlot, _ offset: Offset, _ time: Instant) { times.append(time.nanoseconds) }
  mutating func passedOver(_ slot: PartitionSlot, _ asked: Offset, to next: Offset) {
    lines.append("passed over \(asked) ..< \(next)")
  }
  func spotCheck(_ slot: PartitionSlot) -> Offset? { spot }
  mutating func spotChecked(_ slot: PartitionSlot, _ start: Offset, found: FetchedMessage?) {
    lines.append("spot \(start): \(found.map { "\($0.offset)" } ?? "nothing")")
  }
  mutating func claimedAfter(_ slot: PartitionSlot, _ watermarks: Watermarks) {
    lines.append("after \(watermarks.highWatermark)")
  }
  mutating func ended(_ slot: PartitionSlot, _ end: ConsumptionEnd) { lines.append("\(end)") }
  mutating func probed(_ slot: PartitionSlot, from start: Offset) { probes.append((start.rawValue, [])) }
  func isFirstEnough(before end: Offset) -> Bool { false }
  mutating func answered(_ message: FetchedMessage) { probes[probes.count - 1].answer.append(message.offset.rawValue) }
  mutating func probeEnded() {}
  mutating func committed(_ slot: PartitionSlot, group: Int, _ offset: Offset?) {
    lines.append("group \(group) of slot \(slot.index): \(offset.map { "\($0)" } ?? "none")")
  }
}
