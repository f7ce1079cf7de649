import LogModel
import RecordLogs

/// How the files of one system are read: where an entry may begin, what makes it valid, and what it holds.
/// `docs/formats.md` has the rules; the codecs of the engine are not asked, so that a mistake of theirs is not one of
/// the tools.
///
/// Fields are read at their places through a `ByteWindow`, whatever the entry's length claims to be.
protocol LogFormat: Sendable {
  var system: LogSystem { get }
  /// Entries begin at multiples of it.
  var alignment: Int64 { get }
  /// So many bytes from an entry's first on suffice for `mayBegin`, and hold its length.
  var prefixSize: Int64 { get }
  /// Whether lengths inside of an entry confirm its length before its checksum is looked at.
  var confirmsLength: Bool { get }
  /// Whether entries carry the offsets of their messages.
  var carriesOffsets: Bool { get }
  /// Whether an offset between two that are there has to be there.
  var offsetsAreContiguous: Bool { get }
  /// Bytes at the head of an entry in which a flipped bit changes what the checksum is computed of, or is not in it.
  var looseBytes: Range<Int64> { get }

  /// Reads what stands at the head of a file before any entry is examined.
  mutating func begin(_ window: ByteWindow) -> FileHead
  /// Whether an entry may begin with these bytes, of which there are at least `prefixSize`.
  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool
  /// Judges what stands at `position`, which lies before the end.
  func examine(_ window: ByteWindow, _ position: Int64) -> Examination
  /// The length of the entry by its own field, whatever stands around that; nil where no entry has such a length.
  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64?
  /// What the checksum of an entry of this length is computed of.
  func coverage(_ position: Int64, _ length: Int64) -> Coverage
  /// Calls `body` with each message of a valid entry, until it returns false.
  func forEachMessage(of entry: LogEntry, _ window: ByteWindow, _ body: (LogMessage) -> Bool)
}

extension LogFormat {
  var alignment: Int64 { 1 }
  var carriesOffsets: Bool { true }
  var offsetsAreContiguous: Bool { true }
  mutating func begin(_ window: ByteWindow) -> FileHead { FileHead(end: 0) }

  /// For formats of which an entry is one message.
  func forEachMessage(of entry: LogEntry, _ window: ByteWindow, _ body: (LogMessage) -> Bool) {
    guard entry.count > 0 else { return }
    _ = body(
      LogMessage(
        offset: entry.firstOffset, position: entry.position, length: entry.length, key: entry.key, value: entry.value))
  }
}

/// What an entry of a log says of itself: a record, or a batch of them. Of a damaged one the fields are claims.
public struct LogEntry: Hashable, Sendable {
  /// The byte in the file at which it begins.
  public var position: Int64
  /// In bytes, everything counted.
  public var length: Int64
  /// Of its first message. Nil where the format has none.
  public var firstOffset: Int64?
  /// Messages in it: 0 for entries that say something about others.
  public var count: Int
  /// Milliseconds since 1970.
  public var timestamp: Int64?
  /// Nanoseconds of a clock that begins with the machine's boot: our own format has no date.
  public var uptime: Int64?
  public var epoch: UInt64?
  public var stored: UInt64
  public var computed: UInt64
  /// Digits of the checksum in hexadecimal.
  public var checksumDigits = 8
  /// Where the key and the value are; of a batch, `value` is all of its messages.
  public var key: Range<Int64>?
  public var value: Range<Int64>
  public var note = Note.none

  /// What a record is about beside its key and value.
  public enum Note: Hashable, Sendable {
    case none
    /// Of an airunner event.
    case status(AirunnerCodec.Status)
    case operation(ReplayCodec.Operation)
  }

  init(_ position: Int64, _ length: Int64) {
    (self.position, self.length) = (position, length)
    (count, stored, computed, value) = (1, 0, 0, position..<position)
  }

  public var range: Range<Int64> { position..<position + length }
  public var keySize: Int64 { key.map { Int64($0.count) } ?? 0 }
  public var valueSize: Int64 { Int64(value.count) }
  /// Behind the last message; nil where the format has no offsets.
  public var nextOffset: Int64? { firstOffset.map { $0 &+ Int64(count) } }
}

/// One message, as a place in a file.
public struct LogMessage: Hashable, Sendable {
  public var offset: Int64?
  /// The byte in the file at which its record begins.
  public var position: Int64
  /// Of its record in bytes.
  public var length: Int64
  public var key: Range<Int64>?
  public var value: Range<Int64>
}

/// What stands at a position.
struct Examination {
  /// As far as the fields can be read.
  var entry: LogEntry?
  /// Nil for a valid entry.
  var fault: RecordFault?
  /// The length that is claimed, if it is one that an entry can have.
  var length: Int64?

  static func fault(_ fault: RecordFault, _ length: Int64? = nil, _ entry: LogEntry? = nil) -> Examination {
    Examination(entry: entry, fault: fault, length: length)
  }

  /// Whether the checksum decides.
  static func compared(_ entry: LogEntry) -> Examination {
    let mismatch = RecordFault.checksumMismatch(stored: entry.stored, computed: entry.computed)
    return Examination(entry: entry, fault: entry.stored == entry.computed ? nil : mismatch, length: entry.length)
  }
}

/// Bytes under a checksum, in the order in which it is computed.
struct Coverage {
  var first: Range<Int64>
  var second: Range<Int64>
  /// Where the checksum stands.
  var field: Int64
  /// Of the field in bytes, 4 or 8.
  var width: Int64 = 4
  var seed: UInt32 = 0
}

/// What stands before the first entry of a file.
struct FileHead {
  /// Where entries begin.
  var end: Int64
  /// Bytes of it that are not as they should be, with the fault and the flipped bit that explains it.
  var damage: [LogDamage] = []
  /// The head as it should be, where that is known and differs: pieces and their positions.
  var mended: [(at: Int64, bytes: [UInt8])] = []
  /// Without it no entry can be judged.
  var isUsable = true
}

/// Bytes of a file that are no entry, or a damaged one.
public struct LogDamage: Hashable, Sendable {
  public var range: Range<Int64>
  public var fault: RecordFault
  /// What the first entry in it says of itself, where that can be known.
  public var entry: LogEntry?
  /// The one bit that explains the damage: turned round, a valid entry stands there.
  public var flip: BitFlip?

  init(_ range: Range<Int64>, _ fault: RecordFault, entry: LogEntry? = nil, flip: BitFlip? = nil) {
    (self.range, self.fault, self.entry, self.flip) = (range, fault, entry, flip)
  }
}
