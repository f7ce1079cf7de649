import CZlib

/// The records of Streamhouse's `<topic>-<partition>.wal` (Streamhouse runbook). All integers are little-endian; a file
/// has no header.
///
/// | byte | field |
/// |---|---|
/// | 0..<4 | size: the bytes that follow this field, 20 + key + value |
/// | 4..<8 | CRC-32, as zlib's `crc32` from 0, of bytes 8..<end |
/// | 8..<16 | timestamp, milliseconds since 1970 |
/// | 16..<20 | length of the key in bytes, 0 for none |
/// | 20..<20 + key | key |
/// | ... 4 bytes | length of the value in bytes |
/// | ... | value, to the end |
///
/// Bytes are a valid record if and only if
/// 1. the size is 20 to 16 MiB - 4, and all of it is there;
/// 2. 20 + key length + value length is the size;
/// 3. the CRC is right.
///
/// The size is outside of the CRC, which is why rule 2 has to hold too: both lengths are inside. Left open by the seed,
/// and decided here: the largest size. The format knows no record without a key apart from one with an empty key.
///
/// Nothing says which offset a record has: the n-th record of the log is the n-th message, and damage counts as one.
/// The first record of the newest file has the base offset that the metadata's `segment` names: see
/// `StreamhouseFormat`.
public enum StreamhouseCodec: RecordCodec {
  public struct Record {
    /// Milliseconds since 1970.
    public var timestamp: UInt64
    public var key: UnsafeRawBufferPointer
    public var value: UnsafeRawBufferPointer

    public init(timestamp: UInt64, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
      self.timestamp = timestamp
      self.key = key
      self.value = value
    }
  }

  public static var fileHeader: [UInt8] { [] }
  public static var prefixSize: Int { 4 }
  public static var lengths: ClosedRange<Int> { 24...16 << 20 }
  public static var confirmsLength: Bool { true }

  public static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int {
    let size = Int(prefix.little(0, UInt32.self))
    guard lengths ~= size + 4 else { throw .lengthOutOfRange(size) }
    return size + 4
  }

  public static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let base = record.baseAddress else { throw .cutShort(needed: 24, available: 0) }
    let keyLength = Int(base.little(16, UInt32.self))
    guard keyLength <= record.count - 24,
      Int(base.little(20 + keyLength, UInt32.self)) == record.count - 24 - keyLength
    else { throw .fieldsDisagree }
    let (stored, computed) = (base.little(4, UInt32.self), tl_crc32(0, base + 8, record.count - 8))
    guard stored == computed else { throw .checksumMismatch(stored: UInt64(stored), computed: UInt64(computed)) }
  }

  public static func record(in bytes: UnsafeRawBufferPointer) -> Record {
    let base = bytes.baseAddress!  // a verified record has at least 24 bytes
    let keyLength = Int(base.little(16, UInt32.self))
    return Record(
      timestamp: base.little(8, UInt64.self), key: bytes.part(20, keyLength),
      value: bytes.part(24 + keyLength, bytes.count - 24 - keyLength))
  }

  public static func length(of record: Record) -> Int { 24 + record.key.count + record.value.count }

  public static func write(_ record: Record, to target: UnsafeMutableRawPointer) {
    let length = length(of: record)
    target.put(UInt32(length - 4), at: 0)
    target.put(record.timestamp, at: 8)
    target.put(UInt32(record.key.count), at: 16)
    target.put(record.key, at: 20)
    target.put(UInt32(record.value.count), at: 20 + record.key.count)
    target.put(record.value, at: 24 + record.key.count)
    target.put(tl_crc32(0, target + 8, length - 8), at: 4)
  }
}
