import LogModel

/// The byte format of one system's records: how a record is laid out, found, judged and written. A codec has no state;
/// what a log does with records is its `RecordLogPolicy`.
///
/// Nothing here allocates: a record is a view of somebody else's bytes.
public protocol RecordCodec: Sendable {
  /// The fields of one record; pointers into the bytes that it was read from, or is to be written from.
  associatedtype Record

  /// What stands once at the head of each file; empty for formats without one.
  static var fileHeader: [UInt8] { get }
  /// So many bytes from a record's first on suffice for `length(at:)`.
  static var prefixSize: Int { get }
  /// The lengths in bytes that a record of this format may have, everything counted.
  static var lengths: ClosedRange<Int> { get }

  /// Whether a wrong length is noticed before the checksum is looked at, by lengths inside the record: where only the
  /// checksum is wrong, the length may then be believed.
  static var confirmsLength: Bool { get }

  /// The length in bytes, everything counted, that `prefixSize` bytes claim for their record.
  /// - Throws: where no record begins like this. What is returned lies within `lengths`, and is no more than a claim.
  static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int
  /// Judges a record of which all `length(at:)` bytes are there, by the format's rules.
  static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault)
  /// The fields of a record that has passed `verify`.
  static func record(in bytes: UnsafeRawBufferPointer) -> Record

  /// Bytes that `write` needs.
  static func length(of record: Record) -> Int
  /// Writes `length(of:)` bytes. `record` is within the format's limits.
  static func write(_ record: Record, to target: UnsafeMutableRawPointer)
}

/// Why bytes are no record.
public enum RecordFault: Error, Hashable, Sendable {
  case wrongMagic(UInt64)
  case unknownVersion(Int)
  /// The length field is outside of what the format allows.
  case lengthOutOfRange(Int)
  /// The file ends inside the record.
  case cutShort(needed: Int, available: Int)
  /// The lengths inside the record do not add up to its own.
  case fieldsDisagree
  /// A field has a value that the format does not know: an operation, a status, bytes that should be zero.
  case unknownValue(UInt64)
  case checksumMismatch(stored: UInt64, computed: UInt64)
  /// The file's head is not the format's.
  case wrongFileHeader
  /// A file that stood between two others is gone.
  case missingFile
  /// A compressed file is cut off or damaged: nothing in it can be believed.
  case damagedCompression
}

extension RecordFault: CustomStringConvertible {
  public var description: String {
    switch self {
    case .wrongMagic(let found): "no record begins here (0x\(String(found, radix: 16)) in place of the magic)"
    case .unknownVersion(let version): "version \(version) is not known"
    case .lengthOutOfRange(let length): "a length of \(length) is outside of what the format allows"
    case .cutShort(let needed, let available): "the record ends after \(available) of \(needed) bytes"
    case .fieldsDisagree: "the lengths inside the record do not add up"
    case .unknownValue(let value): "a field has the unknown value \(value)"
    case .checksumMismatch(let stored, let computed):
      "checksum mismatch: \(ChecksumMismatch.text(stored: stored, computed: computed))"
    case .wrongFileHeader: "the head of the file is not this format's"
    case .missingFile: "the file is gone"
    case .damagedCompression: "the compressed file is damaged, and none of it can be believed"
    }
  }
}

extension RecordCodec {
  /// Calls `body` with each of the records that `bytes` have been filled with, sealed or not.
  package static func forEachRecord(
    in bytes: UnsafeMutableRawBufferPointer, _ body: (UnsafeMutableRawBufferPointer) -> Void
  ) {
    var at = 0
    while at < bytes.count, let base = bytes.baseAddress {
      let length: Int
      do throws(RecordFault) { length = try Self.length(at: base + at) } catch {
        preconditionFailure("\(error): these are no records")
      }
      body(UnsafeMutableRawBufferPointer(start: base + at, count: length))
      at += length
    }
  }
}

extension UnsafeRawPointer {
  /// A little-endian integer at `offset`, aligned or not.
  @inline(__always)
  func little<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: Value.Type) -> Value {
    Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}

extension UnsafeMutableRawPointer {
  @inline(__always)
  func put<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
  }

  @inline(__always)
  func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    if let source = bytes.baseAddress, bytes.count > 0 {
      (self + offset).copyMemory(from: source, byteCount: bytes.count)
    }
  }
}

extension UnsafeRawBufferPointer {
  @inline(__always)
  func part(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: baseAddress.map { $0 + offset }, count: count)
  }

  static var none: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
