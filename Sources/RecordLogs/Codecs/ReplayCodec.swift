import CZlib

/// The entries of the replay buffer's log (replay-buffer plan): `[header | checksum | timestamp | user_id | operation |
/// payload | footer]`. All integers are little-endian; a file has no header of its own.
///
/// | byte | field |
/// |---|---|
/// | 0..<4 | header: magic `RPB1` |
/// | 4..<8 | header: length of the entry in bytes, everything counted: 39 + user + payload |
/// | 8..<16 | header: number of the transaction that the entry belongs to |
/// | 16..<20 | checksum: CRC-32, as zlib's `crc32` from 0, of bytes 4..<16 and 20..<length, one behind the other |
/// | 20..<28 | timestamp, milliseconds since 1970 |
/// | 28..<30 | length of the user's name |
/// | ... | user, UTF-8 |
/// | ... 1 byte | operation: 1 START_BUFFER, 2 ADD_MEASUREMENT, 3 END_BUFFER, 4 CHECKPOINT, 5 COMMIT, 6 ROLLBACK |
/// | ... 4 bytes | length of the payload |
/// | ... | payload; that of END_BUFFER is the number of measurements, u64 |
/// | length - 4..<length | footer: the length again |
///
/// Bytes are a valid entry if and only if
/// 1. the magic stands at their head;
/// 2. the length is 39 to 16 MiB, all of it is there, and the footer repeats it;
/// 3. the operation is 1 to 6, and 39 + user + payload is the length;
/// 4. the CRC is right. It covers the length and the number of the transaction too.
///
/// The seed names the parts and their order, and nothing else; it was never built. Decided here: all widths, the magic,
/// the footer, the numbers of the operations and the largest length. The number of the transaction is an addition: two
/// buffers of one user could not be told apart by the user's name once an entry between them is damaged.
public enum ReplayCodec: RecordCodec {
  public enum Operation: UInt8, Hashable, Sendable, CaseIterable {
    case startBuffer = 1
    case addMeasurement = 2
    case endBuffer = 3
    /// The replay of the buffer begins.
    case checkpoint = 4
    /// The buffer has been replayed.
    case commit = 5
    /// The replay has failed; the buffer is dropped. Without a user: the number is in use, and no more.
    case rollback = 6
  }

  public struct Record {
    public var transaction: UInt64
    /// Milliseconds since 1970.
    public var timestamp: Int64
    /// UTF-8.
    public var user: UnsafeRawBufferPointer
    public var operation: Operation
    public var payload: UnsafeRawBufferPointer

    public init(
      transaction: UInt64, timestamp: Int64, user: UnsafeRawBufferPointer, operation: Operation,
      payload: UnsafeRawBufferPointer
    ) {
      self.transaction = transaction
      self.timestamp = timestamp
      self.user = user
      self.operation = operation
      self.payload = payload
    }
  }

  static let magic: UInt32 = 0x3142_5052  // "RPB1"
  private static let overhead = 39
  public static var fileHeader: [UInt8] { [] }
  public static var prefixSize: Int { 8 }
  public static var lengths: ClosedRange<Int> { overhead...16 << 20 }
  public static var confirmsLength: Bool { true }

  public static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int {
    let found = prefix.little(0, UInt32.self)
    guard found == magic else { throw .wrongMagic(UInt64(found)) }
    let length = Int(prefix.little(4, UInt32.self))
    guard lengths ~= length else { throw .lengthOutOfRange(length) }
    return length
  }

  public static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let base = record.baseAddress, record.count >= overhead else {
      throw .cutShort(needed: overhead, available: record.count)
    }
    guard base.little(record.count - 4, UInt32.self) == record.count else { throw .fieldsDisagree }
    let userLength = Int(base.little(28, UInt16.self))
    guard userLength <= record.count - overhead,
      Int(base.little(31 + userLength, UInt32.self)) == record.count - overhead - userLength
    else { throw .fieldsDisagree }
    guard Operation(rawValue: record[30 + userLength]) != nil else {
      throw .unknownValue(UInt64(record[30 + userLength]))
    }
    let (stored, computed) = (base.little(16, UInt32.self), checksum(base, record.count))
    guard stored == computed else { throw .checksumMismatch(stored: UInt64(stored), computed: UInt64(computed)) }
  }

  private static func checksum(_ base: UnsafeRawPointer, _ length: Int) -> UInt32 {
    tl_crc32(tl_crc32(0, base + 4, 12), base + 20, length - 20)
  }

  public static func record(in bytes: UnsafeRawBufferPointer) -> Record {
    let base = bytes.baseAddress!  // a verified entry has at least 39 bytes
    let userLength = Int(base.little(28, UInt16.self))
    return Record(
      transaction: base.little(8, UInt64.self), timestamp: base.little(20, Int64.self),
      user: bytes.part(30, userLength),
      operation: Operation(rawValue: bytes[30 + userLength]) ?? .rollback,
      payload: bytes.part(35 + userLength, bytes.count - overhead - userLength))
  }

  public static func length(of record: Record) -> Int { overhead + record.user.count + record.payload.count }

  public static func write(_ record: Record, to target: UnsafeMutableRawPointer) {
    writeUnsealed(record, to: target)
    seal(target, length(of: record))
  }

  /// All but the checksum, which comes with `seal`.
  package static func writeUnsealed(_ record: Record, to target: UnsafeMutableRawPointer) {
    let length = length(of: record)
    target.put(magic, at: 0)
    target.put(UInt32(length), at: 4)
    target.put(record.transaction, at: 8)
    target.put(record.timestamp, at: 20)
    target.put(UInt16(record.user.count), at: 28)
    target.put(record.user, at: 30)
    let at = 30 + record.user.count
    target.put(record.operation.rawValue, at: at)
    target.put(UInt32(record.payload.count), at: at + 1)
    target.put(record.payload, at: at + 5)
    target.put(UInt32(length), at: length - 4)
  }

  private static func seal(_ target: UnsafeMutableRawPointer, _ length: Int) {
    target.put(checksum(target, length), at: 16)
  }

  package static func seal(_ entry: UnsafeMutableRawBufferPointer, transaction: UInt64) {
    guard let base = entry.baseAddress else { return }
    base.put(transaction, at: 8)
    seal(base, entry.count)
  }
}
