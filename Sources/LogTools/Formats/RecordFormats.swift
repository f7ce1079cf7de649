import LogModel
import RecordLogs

/// `docs/formats.md`, "Streamhouse".
struct StreamhouseFormat: LogFormat {
  private static let lengths: ClosedRange<Int64> = 24...16 << 20

  var system: LogSystem { .streamhouse }
  var prefixSize: Int64 { 4 }
  var confirmsLength: Bool { true }
  var carriesOffsets: Bool { false }
  var looseBytes: Range<Int64> { 0..<4 }

  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool {
    Self.lengths ~= Int64(UInt32(littleEndian: prefix.loadUnaligned(as: UInt32.self))) + 4
  }

  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64? {
    let length = Int64(window.little(position, UInt32.self)) + 4
    return Self.lengths ~= length ? length : nil
  }

  func examine(_ window: ByteWindow, _ position: Int64) -> Examination {
    let available = window.size - position
    window.want(position, 64)
    guard available >= 4 else { return .fault(.cutShort(needed: 4, available: Int(available))) }
    guard let length = claimedLength(window, position) else {
      return .fault(.lengthOutOfRange(Int(window.little(position, UInt32.self))))
    }
    window.want(position, length)
    var entry = LogEntry(position, length)
    guard available >= 20 else { return .fault(.cutShort(needed: Int(length), available: Int(available)), length) }
    let keyLength = Int64(window.little(position + 16, UInt32.self))
    entry.timestamp = Int64(bitPattern: window.little(position + 8, UInt64.self))
    entry.stored = UInt64(window.little(position + 4, UInt32.self))
    if keyLength <= length - 24 {
      if keyLength > 0 { entry.key = position + 20..<position + 20 + keyLength }
      entry.value = position + 24 + keyLength..<position + length
    }
    guard available >= length else {
      return .fault(.cutShort(needed: Int(length), available: Int(available)), length, entry)
    }
    guard keyLength <= length - 24,
      Int64(window.little(position + 20 + keyLength, UInt32.self)) == length - 24 - keyLength
    else { return .fault(.fieldsDisagree, length) }
    entry.computed = UInt64(window.crc32(0, position + 8..<position + length))
    return .compared(entry)
  }

  func coverage(_ position: Int64, _ length: Int64) -> Coverage {
    Coverage(first: position + 8..<position + length, second: position..<position, field: position + 4)
  }
}

/// `docs/formats.md`, "airunner".
struct AirunnerFormat: LogFormat {
  private static let lengths: ClosedRange<Int64> = 32...10 << 20
  static let head = Array("ARWAL001".utf8) + [1, 0, 0, 0, 0, 0, 0, 0]

  var system: LogSystem { .airunner }
  var prefixSize: Int64 { 16 }
  var confirmsLength: Bool { false }
  /// Numbers begin anew, far above, each time the log is opened.
  var offsetsAreContiguous: Bool { false }
  var looseBytes: Range<Int64> { 0..<4 }

  func begin(_ window: ByteWindow) -> FileHead {
    let count = min(window.size, Int64(Self.head.count))
    let found = window.bytes(0..<count)
    var head = FileHead(end: count)
    if found == Self.head || count == 0 { return head }
    var wrong: [BitFlip] = []
    for (at, (byte, right)) in zip(found, Self.head).enumerated() {
      for bit in 0..<8 where (byte ^ right) >> UInt8(bit) & 1 == 1 { wrong.append(BitFlip(at: Int64(at), bit: bit)) }
    }
    let isOneBit = found.count == Self.head.count && wrong.count == 1
    head.damage = [LogDamage(0..<count, .wrongFileHeader, flip: isOneBit ? wrong[0] : nil)]
    head.mended = [(0, Self.head)]
    return head
  }

  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool {
    let status = UInt32(littleEndian: prefix.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
    return Self.lengths ~= Int64(UInt32(littleEndian: prefix.loadUnaligned(as: UInt32.self)))
      && (1...3) ~= status
  }

  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64? {
    let length = Int64(window.little(position, UInt32.self))
    return Self.lengths ~= length ? length : nil
  }

  func examine(_ window: ByteWindow, _ position: Int64) -> Examination {
    let available = window.size - position
    window.want(position, 64)
    guard available >= 4 else { return .fault(.cutShort(needed: 4, available: Int(available))) }
    guard let length = claimedLength(window, position) else {
      return .fault(.lengthOutOfRange(Int(window.little(position, UInt32.self))))
    }
    window.want(position, length)
    guard available >= 24 else { return .fault(.cutShort(needed: Int(length), available: Int(available)), length) }
    var entry = LogEntry(position, length)
    entry.checksumDigits = 16
    let status = window.little(position + 12, UInt32.self)
    let sequence = window.little(position + 4, Int64.self)
    entry.firstOffset = sequence &- 1
    entry.timestamp = window.little(position + 16, Int64.self)
    entry.value = position + 24..<max(position + 24, position + length - 8)
    let known = status >> 8 == 0 ? AirunnerCodec.Status(rawValue: UInt8(status)) : nil
    if let known { entry.note = .status(known) }
    if known != .pending { entry.count = 0 }
    guard available >= length else {
      return .fault(.cutShort(needed: Int(length), available: Int(available)), length, known == nil ? nil : entry)
    }
    guard known != nil else { return .fault(.unknownValue(UInt64(status)), length) }
    entry.stored = window.little(position + length - 8, UInt64.self)
    entry.computed = window.crc64(position + 4..<position + length - 8)
    return .compared(entry)
  }

  func coverage(_ position: Int64, _ length: Int64) -> Coverage {
    Coverage(
      first: position + 4..<position + length - 8, second: position..<position, field: position + length - 8, width: 8)
  }
}

/// `docs/formats.md`, "Replay buffer".
struct ReplayBufferFormat: LogFormat {
  private static let lengths: ClosedRange<Int64> = 39...16 << 20
  private static let magic: UInt32 = 0x3142_5052

  var system: LogSystem { .replayBuffer }
  var prefixSize: Int64 { 8 }
  var confirmsLength: Bool { true }
  /// Several entries belong to one transaction.
  var offsetsAreContiguous: Bool { false }
  var looseBytes: Range<Int64> { 0..<8 }

  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool {
    UInt32(littleEndian: prefix.loadUnaligned(as: UInt32.self)) == Self.magic
      && Self.lengths ~= Int64(UInt32(littleEndian: prefix.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
  }

  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64? {
    let length = Int64(window.little(position + 4, UInt32.self))
    return Self.lengths ~= length ? length : nil
  }

  func examine(_ window: ByteWindow, _ position: Int64) -> Examination {
    let available = window.size - position
    window.want(position, 64)
    guard available >= 8 else { return .fault(.cutShort(needed: 8, available: Int(available))) }
    let magic = window.little(position, UInt32.self)
    guard magic == Self.magic else { return .fault(.wrongMagic(UInt64(magic))) }
    guard let length = claimedLength(window, position) else {
      return .fault(.lengthOutOfRange(Int(window.little(position + 4, UInt32.self))))
    }
    window.want(position, length)
    guard available >= 30 else { return .fault(.cutShort(needed: Int(length), available: Int(available)), length) }
    var entry = LogEntry(position, length)
    let user = Int64(window.little(position + 28, UInt16.self))
    entry.firstOffset = Int64(clamping: window.little(position + 8, UInt64.self))
    entry.stored = UInt64(window.little(position + 16, UInt32.self))
    entry.timestamp = window.little(position + 20, Int64.self)
    guard available >= length else {
      return .fault(.cutShort(needed: Int(length), available: Int(available)), length, entry)
    }
    guard Int64(window.little(position + length - 4, UInt32.self)) == length, user <= length - 39,
      Int64(window.little(position + 31 + user, UInt32.self)) == length - 39 - user
    else { return .fault(.fieldsDisagree, length) }
    let number = window.little(position + 30 + user, UInt8.self)
    guard let operation = ReplayCodec.Operation(rawValue: number) else {
      return .fault(.unknownValue(UInt64(number)), length)
    }
    entry.note = .operation(operation)
    entry.count = operation == .addMeasurement ? 1 : 0
    entry.key = position + 30..<position + 30 + user
    entry.value = position + 35 + user..<position + length - 4
    let head = window.crc32(0, position + 4..<position + 16)
    entry.computed = UInt64(window.crc32(head, position + 20..<position + length))
    return .compared(entry)
  }

  func coverage(_ position: Int64, _ length: Int64) -> Coverage {
    Coverage(first: position + 4..<position + 16, second: position + 20..<position + length, field: position + 16)
  }
}
