import LogModel
import RecordLogs

/// `docs/formats.md`, "chronik, version 1".
struct ChronikV1Format: LogFormat {
  private static let lengths: ClosedRange<Int64> = 40...16 << 20

  var system: LogSystem { .chronikV1 }
  var prefixSize: Int64 { 8 }
  var confirmsLength: Bool { true }
  var looseBytes: Range<Int64> { 4..<8 }

  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool {
    ChronikMagic.stands(prefix, version: 1)
      && Self.lengths ~= Int64(UInt32(littleEndian: prefix.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
  }

  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64? {
    let length = Int64(window.little(position + 4, UInt32.self))
    return Self.lengths ~= length ? length : nil
  }

  func examine(_ window: ByteWindow, _ position: Int64) -> Examination {
    let available = window.size - position
    window.want(position, 64)
    if let fault = ChronikMagic.fault(window, position, available, version: 1) { return .fault(fault) }
    guard let length = claimedLength(window, position) else {
      return .fault(.lengthOutOfRange(Int(window.little(position + 4, UInt32.self))))
    }
    window.want(position, length)
    guard available >= 32 else { return .fault(.cutShort(needed: Int(length), available: Int(available)), length) }
    var entry = LogEntry(position, length)
    entry.firstOffset = window.little(position + 8, Int64.self)
    entry.timestamp = window.little(position + 16, Int64.self)
    entry.stored = UInt64(window.little(position + 24, UInt32.self))
    guard available >= length else {
      return .fault(.cutShort(needed: Int(length), available: Int(available)), length, entry)
    }
    guard readFields(window, &entry) else { return .fault(.fieldsDisagree, length) }
    let head = window.crc32(0, position..<position + 24)
    entry.computed = UInt64(window.crc32(head, position + 28..<position + length))
    return .compared(entry)
  }

  /// - Returns: whether key, value and headers end where the record ends.
  private func readFields(_ window: ByteWindow, _ entry: inout LogEntry) -> Bool {
    let (position, end) = (entry.position, entry.position + entry.length)
    let keyField = Int64(window.little(position + 28, Int32.self))
    let keyLength = max(0, keyField)
    guard keyField >= -1, keyLength <= entry.length - 40 else { return false }
    if keyField >= 0 { entry.key = position + 32..<position + 32 + keyLength }
    let valueField = position + 32 + keyLength
    let valueLength = Int64(window.little(valueField, Int32.self))
    guard valueLength >= 0, valueLength <= end - valueField - 8 else { return false }
    entry.value = valueField + 4..<valueField + 4 + valueLength
    var at = entry.value.upperBound
    let headers = window.little(at, Int32.self)
    guard headers >= 0 else { return false }
    at += 4
    for _ in 0..<headers {
      guard at + 2 <= end else { return false }
      at += 2 + Int64(window.little(at, UInt16.self))
      guard at + 4 <= end else { return false }
      at += 4 + Int64(window.little(at, UInt32.self))
      guard at <= end else { return false }
    }
    return at == end
  }

  func coverage(_ position: Int64, _ length: Int64) -> Coverage {
    Coverage(first: position..<position + 24, second: position + 28..<position + length, field: position + 24)
  }
}

/// `docs/formats.md`, "chronik, version 2".
struct ChronikV2Format: LogFormat {
  private static let lengths: ClosedRange<Int64> = 42...16 << 20

  var system: LogSystem { .chronik }
  var prefixSize: Int64 { 8 }
  var confirmsLength: Bool { true }
  var looseBytes: Range<Int64> { 4..<8 }

  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool {
    ChronikMagic.stands(prefix, version: 2)
      && Self.lengths ~= Int64(UInt32(littleEndian: prefix.loadUnaligned(fromByteOffset: 4, as: UInt32.self))) + 12
  }

  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64? {
    let length = Int64(window.little(position + 4, UInt32.self)) + 12
    return Self.lengths ~= length ? length : nil
  }

  func examine(_ window: ByteWindow, _ position: Int64) -> Examination {
    let available = window.size - position
    window.want(position, 64)
    if let fault = ChronikMagic.fault(window, position, available, version: 2) { return .fault(fault) }
    guard let length = claimedLength(window, position) else {
      return .fault(.lengthOutOfRange(Int(window.little(position + 4, UInt32.self))))
    }
    window.want(position, length)
    guard available >= length else {
      return .fault(.cutShort(needed: Int(length), available: Int(available)), length)
    }
    let topic = Int64(window.little(position + 12, UInt16.self))
    guard topic <= length - 42, Int64(window.little(position + 18 + topic, UInt32.self)) == length - 42 - topic else {
      return .fault(.fieldsDisagree, length)
    }
    var entry = LogEntry(position, length)
    let end = position + length
    entry.value = position + 22 + topic..<end - 20
    let (base, last) = (window.little(end - 20, Int64.self), window.little(end - 12, Int64.self))
    let count = Int64(window.little(end - 4, Int32.self))
    // Such a batch is valid, and holds no message.
    let holdsMessages = count >= 1 && base >= 0 && base <= Offset.largest.rawValue && last == base + count - 1
    entry.firstOffset = base
    entry.count = holdsMessages ? Int(count) : 0
    entry.stored = UInt64(window.little(position + 8, UInt32.self))
    let head = window.crc32(0, position..<position + 8)
    entry.computed = UInt64(window.crc32(head, position + 12..<end))
    return .compared(entry)
  }

  func coverage(_ position: Int64, _ length: Int64) -> Coverage {
    Coverage(first: position..<position + 8, second: position + 12..<position + length, field: position + 8)
  }

  func forEachMessage(of entry: LogEntry, _ window: ByteWindow, _ body: (LogMessage) -> Bool) {
    BatchedMessages.forEach(in: entry.value, entry, window, body)
  }
}

enum ChronikMagic {
  private static let magic: UInt16 = 0xCA7E

  @inline(__always)
  static func stands(_ prefix: UnsafeRawPointer, version: UInt8) -> Bool {
    UInt16(littleEndian: prefix.loadUnaligned(as: UInt16.self)) == magic
      && prefix.load(fromByteOffset: 2, as: UInt8.self) == version
  }

  static func fault(_ window: ByteWindow, _ position: Int64, _ available: Int64, version: UInt8) -> RecordFault? {
    guard available >= 8 else { return .cutShort(needed: 8, available: Int(available)) }
    let found = window.little(position, UInt16.self)
    guard found == magic else { return .wrongMagic(UInt64(found)) }
    let other = window.little(position + 2, UInt8.self)
    return other == version ? nil : .unknownVersion(Int(other))
  }
}

/// Messages one behind the other: `key length i32 (-1: no key) | value length u32 | key | value`.
enum BatchedMessages {
  /// As many as the entry counts and as fit.
  static func forEach(
    in range: Range<Int64>, _ entry: LogEntry, _ window: ByteWindow, _ body: (LogMessage) -> Bool
  ) {
    var at = range.lowerBound
    for number in 0..<entry.count {
      guard at + 8 <= range.upperBound else { return }
      window.want(at, 8)
      let keyField = Int64(window.little(at, Int32.self))
      let keyLength = max(0, keyField)
      let end = at + 8 + keyLength + Int64(window.little(at + 4, UInt32.self))
      guard end <= range.upperBound else { return }
      let value = at + 8 + keyLength
      let message = LogMessage(
        offset: entry.firstOffset.map { $0 + Int64(number) }, position: at, length: end - at,
        key: keyField < 0 ? nil : at + 8..<value, value: value..<end)
      guard body(message) else { return }
      at = end
    }
  }
}
