/// The records of airunner's `<job>.wal` (airunner runbook). All integers are little-endian.
///
/// The file begins with 16 bytes: `ARWAL001`, version u32 = 1, four zero bytes. Where they are wrong and a record
/// follows, that is damage, and the records count; where none follows, `RecordRecovery` has the table. Then records:
///
/// | byte | field |
/// |---|---|
/// | 0..<4 | length of the record in bytes, everything counted: 32 + payload |
/// | 4..<12 | sequence number of the event in its job |
/// | 12 | status: 1 pending, 2 sent, 3 failed |
/// | 13..<16 | zero |
/// | 16..<24 | timestamp, milliseconds since 1970 |
/// | 24..<length - 8 | payload |
/// | length - 8..<length | CRC-64/NVME of bytes 4..<length - 8, little-endian; see `CRC64` |
///
/// Bytes are a valid record if and only if
/// 1. the length is 32 to 10 MiB, and all of it is there;
/// 2. the status is 1, 2 or 3, and bytes 13..<16 are zero;
/// 3. the CRC is right. (The length is not in it: a wrong one moves the place where the CRC is looked for.)
///
/// Left open by the seed, and decided here: the numbers of the three statuses and the unit of the timestamp are those
/// of the public source (wolfeidau/airunner, internal/worker/wal); a record of status sent or failed carries no payload
/// and says what became of the event of its sequence number, for nothing in a log is ever overwritten.
///
/// Where the engine keeps a partition in this format, a message is a pending event without a key, and its offset is the
/// sequence number - 1 (`AirunnerFormat`).
public enum AirunnerCodec: RecordCodec {
  public enum Status: UInt8, Hashable, Sendable {
    /// An event that is to be sent.
    case pending = 1
    /// The event of this sequence number has been acknowledged by the receiver.
    case sent = 2
    /// The event of this sequence number has been refused for good.
    case failed = 3
  }

  public struct Record {
    public var sequence: Int64
    public var status: Status
    /// Milliseconds since 1970.
    public var timestamp: Int64
    public var payload: UnsafeRawBufferPointer

    public init(sequence: Int64, status: Status, timestamp: Int64, payload: UnsafeRawBufferPointer) {
      self.sequence = sequence
      self.status = status
      self.timestamp = timestamp
      self.payload = payload
    }
  }

  public static let fileHeader: [UInt8] = Array("ARWAL001".utf8) + [1, 0, 0, 0, 0, 0, 0, 0]
  public static var prefixSize: Int { 4 }
  public static var lengths: ClosedRange<Int> { 32...10 << 20 }
  public static var confirmsLength: Bool { false }

  public static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int {
    let length = Int(prefix.little(0, UInt32.self))
    guard lengths ~= length else { throw .lengthOutOfRange(length) }
    return length
  }

  public static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let base = record.baseAddress else { throw .cutShort(needed: 32, available: 0) }
    let status = base.little(12, UInt32.self)
    guard status >> 8 == 0, Status(rawValue: UInt8(truncatingIfNeeded: status)) != nil else {
      throw .unknownValue(UInt64(status))
    }
    let stored = base.little(record.count - 8, UInt64.self)
    let computed = CRC64.checksum(record.part(4, record.count - 12))
    guard stored == computed else { throw .checksumMismatch(stored: stored, computed: computed) }
  }

  public static func record(in bytes: UnsafeRawBufferPointer) -> Record {
    let base = bytes.baseAddress!  // a verified record has at least 32 bytes
    return Record(
      sequence: base.little(4, Int64.self), status: Status(rawValue: bytes[12]) ?? .pending,
      timestamp: base.little(16, Int64.self), payload: bytes.part(24, bytes.count - 32))
  }

  public static func length(of record: Record) -> Int { 32 + record.payload.count }

  public static func write(_ record: Record, to target: UnsafeMutableRawPointer) {
    writeUnsealed(record, to: target)
    seal(target, length(of: record))
  }

  /// All but the checksum, which comes with `seal`.
  package static func writeUnsealed(_ record: Record, to target: UnsafeMutableRawPointer) {
    let length = length(of: record)
    target.put(UInt32(length), at: 0)
    target.put(record.sequence, at: 4)
    target.put(UInt32(record.status.rawValue), at: 12)
    target.put(record.timestamp, at: 16)
    target.put(record.payload, at: 24)
  }

  private static func seal(_ target: UnsafeMutableRawPointer, _ length: Int) {
    target.put(CRC64.checksum(UnsafeRawBufferPointer(start: target + 4, count: length - 12)), at: length - 8)
  }

  package static func seal(_ record: UnsafeMutableRawBufferPointer, sequence: Int64) {
    guard let base = record.baseAddress else { return }
    base.put(sequence, at: 4)
    seal(base, record.count)
  }
}
