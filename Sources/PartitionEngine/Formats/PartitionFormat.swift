import LogModel
import RecordLogs
import WriteAheadLog

/// How the messages of a partition stand in records of a system's format. A request is one record or several, which
/// stand together.
protocol PartitionFormat: Sendable {
  associatedtype Codec: RecordCodec

  /// Whether a record says which offsets its messages have. Where it does not, they are counted.
  static var carriesOffsets: Bool { get }
  static var carriesKeys: Bool { get }

  /// Bytes of a request.
  /// - Parameter payload: keys and values together.
  static func length(messages: Int, payload: Int, of source: TopicPartition) -> Int
  /// Lays out a request of `length(messages:payload:)` bytes. Its offsets come with `number`.
  static func write(_ request: MessageRequest, to target: UnsafeMutableRawPointer)
  /// Gives the messages of a request their offsets, from `first` on, and the records the checksums that follow.
  /// - Returns: how many messages there are.
  static func number(_ request: UnsafeMutableRawBufferPointer, from first: Offset) -> Int
  /// The messages of a record that `numbering` does not know yet.
  static func read(_ record: Codec.Record, _ numbering: inout MessageNumbering, _ found: (RecordView) -> Void)
}

/// The messages of a request, as `RecordWriter` has written them.
struct MessageRequest {
  var source: TopicPartition
  /// Milliseconds since 1970.
  var time: Int64
  var count: Int
  var records: UnsafeRawBufferPointer

  func forEach(_ body: (RecordView) -> Void) {
    var cursor = RecordCursor(records: records, first: 0, count: count)
    while let record = cursor.next() { body(record) }
  }
}

/// Which offsets the messages have that stand one behind the other in a log.
struct MessageNumbering {
  /// Of the next message.
  private(set) var next: Offset
  /// Offsets that are missing before the record that was read last; empty where none are.
  private(set) var missing: Range<Offset> = 0..<0

  init(from next: Offset) { self.next = next }

  mutating func beginRecord() { missing = next..<next }

  /// A record says that its messages have the offsets from `first` on.
  /// - Returns: how many of its `count` messages are known already: bytes that stand where they do not belong, a record
  ///   that was found inside another one. So are all of a record whose offset no log can have come to, whatever its
  ///   checksum says.
  mutating func take(_ first: Offset, count: Int) -> Int {
    guard first >= 0, first <= Offset.largest else {
      missing = next..<next
      return count
    }
    missing = first > next ? next..<first : next..<next
    let known = min(count, max(0, Int(next.rawValue - first.rawValue)))
    next = max(next, first + count)
    return known
  }

  /// What follows has the offsets from `offset` on, as somebody else knows.
  /// - Returns: the offsets that are missing before it.
  mutating func anchor(at offset: Offset) -> Range<Offset> {
    defer { next = max(next, offset) }
    return next..<max(next, offset)
  }

  /// The next message is where it belongs.
  mutating func takeNext() -> Offset {
    missing = next..<next
    defer { next = next + 1 }
    return next
  }

  /// Bytes are no record.
  /// - Returns: the offsets that are missing by that: one, as far as can be told where nothing is numbered. Nil where
  ///   the next number will say.
  mutating func passOver(isNumbered: Bool) -> Range<Offset>? {
    if isNumbered { return nil }
    defer { next = next + 1 }
    return next..<next + 1
  }
}
