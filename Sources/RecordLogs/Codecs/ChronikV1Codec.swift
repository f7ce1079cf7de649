import CZlib

/// The single records of chronik's log, version 1 (chronik investigation). All integers are little-endian; a file has
/// no header.
///
/// | byte | field |
/// |---|---|
/// | 0..<2 | magic 0xCA7E |
/// | 2 | version, 1 |
/// | 3 | flags, 0 |
/// | 4..<8 | length of the record in bytes, everything counted |
/// | 8..<16 | offset |
/// | 16..<24 | timestamp, milliseconds since 1970 |
/// | 24..<28 | CRC-32, as zlib's `crc32` from 0, of bytes 0..<24 and 28..<length, one behind the other |
/// | 28..<32 | length of the key as i32, -1 for no key |
/// | ... | key |
/// | ... 4 bytes | length of the value as i32 |
/// | ... | value |
/// | ... 4 bytes | number of headers as i32 |
/// | ... | headers, each: name length u16, name, value length u32, value |
///
/// Bytes are a valid record if and only if
/// 1. the magic and version 1 stand at their head;
/// 2. the length is 40 to 16 MiB, and all of it is there;
/// 3. key, value and headers have lengths of at least 0 (the key -1) and end where the record ends;
/// 4. the CRC is right.
///
/// Left open by the seed, and decided after the public source (lspecian/chronik-stream,
/// crates/chronik-wal/src/record.rs): the order of bytes, the widths of the fields, how key, value and headers are
/// delimited, and that the length counts the header too (which is what the reader of C1 overlooked). The CRC covers the
/// length *as it stands in the file*. A writer with defect C12 computes it before it sets the length: its files fail
/// rule 4 here, as they failed in chronik itself. Decided here: the largest length.
public enum ChronikV1Codec: RecordCodec {
  public struct Record {
    public var flags: UInt8
    public var offset: Int64
    public var timestamp: Int64
    /// Nil for a record without a key.
    public var key: UnsafeRawBufferPointer?
    public var value: UnsafeRawBufferPointer
    public var headerCount: Int
    /// The headers as they stand in the record; `ChronikHeader.encode` makes them.
    public var headers: UnsafeRawBufferPointer

    public init(
      flags: UInt8 = 0, offset: Int64, timestamp: Int64, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer,
      headerCount: Int = 0, headers: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
      self.flags = flags
      self.offset = offset
      self.timestamp = timestamp
      self.key = key
      self.value = value
      self.headerCount = headerCount
      self.headers = headers
    }
  }

  static let magic: UInt16 = 0xCA7E
  public static var fileHeader: [UInt8] { [] }
  public static var prefixSize: Int { 8 }
  public static var lengths: ClosedRange<Int> { 40...16 << 20 }
  public static var confirmsLength: Bool { true }

  public static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int {
    try checkMagic(prefix, version: 1)
    let length = Int(prefix.little(4, UInt32.self))
    guard lengths ~= length else { throw .lengthOutOfRange(length) }
    return length
  }

  /// Rule 1, of both versions.
  @inline(__always)
  static func checkMagic(_ prefix: UnsafeRawPointer, version: UInt8) throws(RecordFault) {
    let found = prefix.little(0, UInt16.self)
    guard found == magic else { throw .wrongMagic(UInt64(found)) }
    let other = prefix.load(fromByteOffset: 2, as: UInt8.self)
    guard other == version else { throw .unknownVersion(Int(other)) }
  }

  public static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let base = record.baseAddress, let fields = fields(of: record), fields.end == record.count else {
      throw .fieldsDisagree
    }
    let (stored, computed) = (base.little(24, UInt32.self), checksum(base, record.count))
    guard stored == computed else { throw .checksumMismatch(stored: UInt64(stored), computed: UInt64(computed)) }
  }

  private static func checksum(_ base: UnsafeRawPointer, _ length: Int) -> UInt32 {
    tl_crc32(tl_crc32(0, base, 24), base + 28, length - 28)
  }

  private struct Fields {
    var key: UnsafeRawBufferPointer?
    var value: UnsafeRawBufferPointer
    var headerCount: Int
    var headers: UnsafeRawBufferPointer
    var end: Int
  }

  /// Nil where a length runs out of the record.
  private static func fields(of record: UnsafeRawBufferPointer) -> Fields? {
    guard record.count >= 40, let base = record.baseAddress else { return nil }
    let keyField = Int(base.little(28, Int32.self))
    let keyLength = max(0, keyField)
    guard keyField >= -1, keyLength <= record.count - 40 else { return nil }
    var at = 32 + keyLength
    let valueLength = Int(base.little(at, Int32.self))
    guard valueLength >= 0, valueLength <= record.count - at - 8 else { return nil }
    at += 4
    let value = record.part(at, valueLength)
    at += valueLength
    let count = Int(base.little(at, Int32.self))
    guard count >= 0 else { return nil }
    at += 4
    let headersAt = at
    for _ in 0..<count {
      guard let end = ChronikHeader.end(of: record, at) else { return nil }
      at = end
    }
    return Fields(
      key: keyField < 0 ? nil : record.part(32, keyLength), value: value, headerCount: count,
      headers: record.part(headersAt, at - headersAt), end: at)
  }

  public static func record(in bytes: UnsafeRawBufferPointer) -> Record {
    let base = bytes.baseAddress!  // a verified record has at least 40 bytes
    let fields = fields(of: bytes)!  // and its fields fit
    return Record(
      flags: bytes[3], offset: base.little(8, Int64.self), timestamp: base.little(16, Int64.self), key: fields.key,
      value: fields.value, headerCount: fields.headerCount, headers: fields.headers)
  }

  public static func length(of record: Record) -> Int {
    40 + (record.key?.count ?? 0) + record.value.count + record.headers.count
  }

  public static func write(_ record: Record, to target: UnsafeMutableRawPointer) {
    writeUnsealed(record, to: target)
    seal(target, length(of: record))
  }

  /// All but the checksum, which comes with `seal`.
  package static func writeUnsealed(_ record: Record, to target: UnsafeMutableRawPointer) {
    let length = length(of: record)
    target.put(magic, at: 0)
    target.put(1 as UInt8, at: 2)
    target.put(record.flags, at: 3)
    target.put(UInt32(length), at: 4)
    target.put(record.offset, at: 8)
    target.put(record.timestamp, at: 16)
    target.put(record.key.map { Int32($0.count) } ?? -1, at: 28)
    var at = 32
    if let key = record.key {
      target.put(key, at: at)
      at += key.count
    }
    target.put(Int32(record.value.count), at: at)
    target.put(record.value, at: at + 4)
    at += 4 + record.value.count
    target.put(Int32(record.headerCount), at: at)
    target.put(record.headers, at: at + 4)
  }

  private static func seal(_ target: UnsafeMutableRawPointer, _ length: Int) {
    target.put(checksum(target, length), at: 24)
  }

  package static func seal(_ record: UnsafeMutableRawBufferPointer, offset: Int64) {
    guard let base = record.baseAddress else { return }
    base.put(offset, at: 8)
    seal(base, record.count)
  }
}

/// One header of a chronik record of version 1: `name length u16 | name | value length u32 | value`.
public struct ChronikHeader: Hashable, Sendable {
  public var name: String
  public var value: [UInt8]

  public init(name: String, value: [UInt8]) {
    self.name = name
    self.value = value
  }

  /// The bytes that `ChronikV1Codec.Record.headers` wants. A name has at most 65535 bytes.
  public static func encode(_ headers: [ChronikHeader]) -> [UInt8] {
    var bytes: [UInt8] = []
    for header in headers {
      withUnsafeBytes(of: UInt16(header.name.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
      bytes.append(contentsOf: header.name.utf8)
      withUnsafeBytes(of: UInt32(header.value.count).littleEndian) { bytes.append(contentsOf: $0) }
      bytes.append(contentsOf: header.value)
    }
    return bytes
  }

  /// The headers of a record that has been verified.
  public static func decode(_ record: ChronikV1Codec.Record) -> [ChronikHeader] {
    guard let base = record.headers.baseAddress else { return [] }
    var headers: [ChronikHeader] = []
    var at = 0
    for _ in 0..<record.headerCount {
      guard let end = end(of: record.headers, at) else { break }
      let nameLength = Int(base.little(at, UInt16.self))
      let name = String(decoding: record.headers.part(at + 2, nameLength), as: UTF8.self)
      headers.append(ChronikHeader(name: name, value: Array(record.headers[at + 6 + nameLength..<end])))
      at = end
    }
    return headers
  }

  /// Where the header at `at` ends; nil where it runs out of the bytes.
  fileprivate static func end(of bytes: UnsafeRawBufferPointer, _ at: Int) -> Int? {
    guard let base = bytes.baseAddress, at + 6 <= bytes.count else { return nil }
    let nameLength = Int(base.little(at, UInt16.self))
    guard at + 6 + nameLength <= bytes.count else { return nil }
    let end = at + 6 + nameLength + Int(base.little(at + 2 + nameLength, UInt32.self))
    return end <= bytes.count ? end : nil
  }
}
