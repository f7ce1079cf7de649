import LogModel

/// Writes the records of one batch straight into the commit buffer: no copy in between, nothing allocated.
public struct RecordWriter: ~Copyable {
  private let base: UnsafeMutableRawPointer
  private let end: Int
  /// Bytes of a record beside its key and its value.
  package static var recordHeader: Int { RecordFormat.headerSize }

  private var at = 0
  package private(set) var recordCount = 0

  package init(base: UnsafeMutableRawPointer, capacity: Int) {
    self.base = base
    end = capacity
  }

  /// Bytes written so far.
  package var byteCount: Int { at }

  /// Adds a record with `valueSize` bytes of value, which `fill` must write in full.
  /// - Parameter key: nil for a record without a key.
  @inline(__always)
  public mutating func append(
    key: UnsafeRawBufferPointer? = nil, valueSize: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void
  ) {
    let keySize = key?.count ?? 0
    precondition(
      at + RecordFormat.headerSize + keySize + valueSize <= end, "more bytes written than the append announced")
    let record = base + at
    let keyField = key == nil ? RecordFormat.noKey : Int32(keySize)
    record.storeBytes(of: keyField.littleEndian, as: Int32.self)
    record.storeBytes(of: UInt32(valueSize).littleEndian, toByteOffset: 4, as: UInt32.self)
    if let key, let source = key.baseAddress { (record + 8).copyMemory(from: source, byteCount: keySize) }
    fill(UnsafeMutableRawBufferPointer(start: record + 8 + keySize, count: valueSize))
    at += RecordFormat.headerSize + keySize + valueSize
    recordCount += 1
  }

  /// Adds a record by copying `value`.
  @inline(__always)
  public mutating func append(key: UnsafeRawBufferPointer? = nil, value: UnsafeRawBufferPointer) {
    append(key: key, valueSize: value.count) { $0.copyMemory(from: value) }
  }
}

/// One record inside fetched bytes. The pointers are valid while the bytes are.
public struct RecordView {
  public var offset: Offset
  public var key: UnsafeRawBufferPointer?
  public var value: UnsafeRawBufferPointer

  package init(offset: Offset, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer) {
    (self.offset, self.key, self.value) = (offset, key, value)
  }
}

/// Walks the records of a batch that has been validated.
public struct RecordCursor {
  private let base: UnsafeRawPointer
  private let end: Int
  private var at: Int
  private var offset: Offset
  private var left: Int

  public init(batch base: UnsafeRawPointer, header: BatchHeader) {
    self.base = base
    end = header.length
    at = BatchHeader.size
    offset = header.baseOffset
    left = header.recordCount
  }

  /// Over records that stand alone, as `RecordWriter` writes them.
  package init(records: UnsafeRawBufferPointer, first: Offset, count: Int) {
    base = records.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!  // of no bytes none is read
    end = records.count
    at = 0
    offset = first
    left = count
  }

  /// Nil after the last record, and where the lengths run out of the batch (a batch with a wrong checksum that
  /// somebody chose not to verify).
  @inline(__always)
  public mutating func next() -> RecordView? {
    guard left > 0, at + RecordFormat.headerSize <= end else { return nil }
    let keyField = Int(Int32(littleEndian: base.loadUnaligned(fromByteOffset: at, as: Int32.self)))
    let valueSize = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)))
    let keySize = max(0, keyField)
    let next = at + RecordFormat.headerSize + keySize + valueSize
    guard next <= end else { return nil }
    let data = base + at + RecordFormat.headerSize
    let record = RecordView(
      offset: offset, key: keyField < 0 ? nil : UnsafeRawBufferPointer(start: data, count: keySize),
      value: UnsafeRawBufferPointer(start: data + keySize, count: valueSize))
    at = next
    offset += 1
    left -= 1
    return record
  }
}
