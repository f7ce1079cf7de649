import CZlib

/// The batches of chronik's log, version 2 (chronik investigation). All integers are little-endian; a file has no
/// header.
///
/// | byte | field |
/// |---|---|
/// | 0..<2 | magic 0xCA7E |
/// | 2 | version, 2 |
/// | 3 | flags, 0 |
/// | 4..<8 | length of the *body* in bytes: what follows the 12 bytes of head, 30 + topic + data |
/// | 8..<12 | CRC-32, as zlib's `crc32` from 0, of bytes 0..<8 and 12..<end, one behind the other |
/// | 12..<14 | length of the topic's name |
/// | ... | topic, UTF-8 |
/// | ... 4 bytes | partition, i32 |
/// | ... 4 bytes | length of the data, u32 |
/// | ... | data: messages as in `BatchHeader`, each `key length i32 (-1: no key), value length u32, key, value` |
/// | ... 8 bytes | base offset, i64 |
/// | ... 8 bytes | last offset, i64 |
/// | ... 4 bytes | number of records, i32 |
///
/// Bytes are a valid batch if and only if
/// 1. the magic and version 2 stand at their head;
/// 2. the length is 30 to 16 MiB - 12, and all of it is there;
/// 3. 30 + topic + data is the length;
/// 4. the CRC is right.
///
/// A batch whose last offset is not its base offset + number of records - 1, or whose number of records is below 1, is
/// valid and holds no message of the engine's.
///
/// Left open by the seed, and decided after the public source (lspecian/chronik-stream,
/// crates/chronik-wal/src/record.rs): the order of bytes and what the CRC covers. chronik stores it and never looks at
/// it (C12b); it is looked at here. It covers the length as it stands in the file, see `ChronikV1Codec`. Decided here:
/// the largest length.
public enum ChronikV2Codec: RecordCodec {
  public struct Record {
    public var flags: UInt8
    /// UTF-8.
    public var topic: UnsafeRawBufferPointer
    public var partition: Int32
    public var data: UnsafeRawBufferPointer
    public var baseOffset: Int64
    /// Of the last record, not of the next one.
    public var lastOffset: Int64
    public var recordCount: Int32

    public init(
      flags: UInt8 = 0, topic: UnsafeRawBufferPointer, partition: Int32, data: UnsafeRawBufferPointer,
      baseOffset: Int64,
      lastOffset: Int64, recordCount: Int32
    ) {
      self.flags = flags
      self.topic = topic
      self.partition = partition
      self.data = data
      self.baseOffset = baseOffset
      self.lastOffset = lastOffset
      self.recordCount = recordCount
    }
  }

  public static var fileHeader: [UInt8] { [] }
  public static var prefixSize: Int { 8 }
  public static var lengths: ClosedRange<Int> { 42...16 << 20 }
  public static var confirmsLength: Bool { true }

  public static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int {
    try ChronikV1Codec.checkMagic(prefix, version: 2)
    let body = Int(prefix.little(4, UInt32.self))
    guard lengths ~= body + 12 else { throw .lengthOutOfRange(body) }
    return body + 12
  }

  public static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let base = record.baseAddress, record.count >= 42 else {
      throw .cutShort(needed: 42, available: record.count)
    }
    let topicLength = Int(base.little(12, UInt16.self))
    guard topicLength <= record.count - 42,
      Int(base.little(18 + topicLength, UInt32.self)) == record.count - 42 - topicLength
    else { throw .fieldsDisagree }
    let (stored, computed) = (base.little(8, UInt32.self), checksum(base, record.count))
    guard stored == computed else { throw .checksumMismatch(stored: UInt64(stored), computed: UInt64(computed)) }
  }

  private static func checksum(_ base: UnsafeRawPointer, _ length: Int) -> UInt32 {
    tl_crc32(tl_crc32(0, base, 8), base + 12, length - 12)
  }

  public static func record(in bytes: UnsafeRawBufferPointer) -> Record {
    let base = bytes.baseAddress!  // a verified batch has at least 42 bytes
    let topicLength = Int(base.little(12, UInt16.self))
    return Record(
      flags: bytes[3], topic: bytes.part(14, topicLength), partition: base.little(14 + topicLength, Int32.self),
      data: bytes.part(22 + topicLength, bytes.count - 42 - topicLength),
      baseOffset: base.little(bytes.count - 20, Int64.self), lastOffset: base.little(bytes.count - 12, Int64.self),
      recordCount: base.little(bytes.count - 4, Int32.self))
  }

  public static func length(of record: Record) -> Int { 42 + record.topic.count + record.data.count }

  public static func write(_ record: Record, to target: UnsafeMutableRawPointer) {
    writeUnsealed(record, to: target)
    seal(target, length(of: record))
  }

  /// All but the checksum, which comes with `seal`.
  package static func writeUnsealed(_ record: Record, to target: UnsafeMutableRawPointer) {
    let length = length(of: record)
    target.put(ChronikV1Codec.magic, at: 0)
    target.put(2 as UInt8, at: 2)
    target.put(record.flags, at: 3)
    target.put(UInt32(length - 12), at: 4)
    target.put(UInt16(record.topic.count), at: 12)
    target.put(record.topic, at: 14)
    var at = 14 + record.topic.count
    target.put(record.partition, at: at)
    target.put(UInt32(record.data.count), at: at + 4)
    target.put(record.data, at: at + 8)
    at += 8 + record.data.count
    target.put(record.baseOffset, at: at)
    target.put(record.lastOffset, at: at + 8)
    target.put(record.recordCount, at: at + 16)
  }

  private static func seal(_ target: UnsafeMutableRawPointer, _ length: Int) {
    target.put(checksum(target, length), at: 8)
  }

  /// The last offset follows from the number of records.
  /// - Returns: that number.
  package static func seal(_ batch: UnsafeMutableRawBufferPointer, baseOffset: Int64) -> Int {
    guard let base = batch.baseAddress else { return 0 }
    let count = UnsafeRawPointer(base).little(batch.count - 4, Int32.self)
    base.put(baseOffset, at: batch.count - 20)
    base.put(baseOffset + Int64(count) - 1, at: batch.count - 12)
    seal(base, batch.count)
    return Int(count)
  }
}
