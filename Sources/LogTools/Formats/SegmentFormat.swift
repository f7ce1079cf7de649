import CZlib
import LogModel
import RecordLogs

/// A segment of Tornlog's own log: `docs/formats.md`, "Segments" and "Batches".
struct SegmentFormat: LogFormat {
  static let headSize: Int64 = 4096
  private static let copySize: Int64 = 512
  private static let copies: [Int64] = [0, 2048]
  static let magic: UInt32 = 0x3142_4C54
  private static let headMagic: UInt64 = 0x31_474F_4C4E_524F_54
  private static let lengths: ClosedRange<Int64> = 64...16 << 20

  /// Seeds the checksums; nil where no copy of the head is valid.
  private(set) var salt: UInt64?
  private(set) var head: Head?

  /// What a head says.
  struct Head: Hashable, Sendable {
    var base: Int64
    var epoch: UInt64
    var salt: UInt64
    var previous: Int64
    /// So many offsets before the base are nobody's.
    var passedOver: Int64
    var topic: String
    var partition: Int32
  }

  var system: LogSystem { .tornlog }
  var alignment: Int64 { 8 }
  var prefixSize: Int64 { 64 }
  var confirmsLength: Bool { false }
  var looseBytes: Range<Int64> { 0..<12 }

  // MARK: The head

  mutating func begin(_ window: ByteWindow) -> FileHead {
    var found = FileHead(end: Self.headSize)
    var valid: [Int64] = []
    var broken: [(at: Int64, flip: BitFlip?)] = []
    for at in Self.copies {
      if let head = Self.copy(window, at) {
        if head.salt != salt { self.head = self.head ?? head }
        salt = salt ?? head.salt
        valid.append(at)
      } else {
        broken.append((at, Self.flippedBit(window, at)))
      }
    }
    var good = valid.first.map { window.bytes($0..<$0 + Self.copySize) }
    if salt == nil, let (at, flip) = broken.first(where: { $0.flip != nil }), let flip {
      window.supposing(flip) {
        head = Self.copy(window, at)
        good = window.bytes(at..<at + Self.copySize)
      }
      salt = head?.salt
    }
    for (at, flip) in broken {
      let fault = Self.unknownVersion(window, at).map(RecordFault.unknownVersion) ?? .wrongFileHeader
      found.damage.append(LogDamage(at..<min(at + Self.copySize, max(at, window.size)), fault, flip: flip))
      // A copy of a later version is intact: what was written there must not be undone.
      if let good, window.size >= at + Self.copySize, Self.unknownVersion(window, at) == nil {
        found.mended.append((at, good))
      }
    }
    for gap in [Self.copySize..<2048, 2048 + Self.copySize..<Self.headSize] {
      let range = gap.clamped(to: 0..<max(0, window.size))
      let bytes = window.bytes(range)
      guard let at = bytes.firstIndex(where: { $0 != 0 }) else { continue }
      // No rule of the format is broken: these bytes are under no checksum.
      found.mended.append((range.lowerBound + Int64(at), [UInt8](repeating: 0, count: bytes.count - at)))
    }
    found.isUsable = salt != nil
    return found
  }

  /// The version of an intact copy, whether it is known or not.
  private static func version(_ window: ByteWindow, _ at: Int64) -> UInt32? {
    guard window.size >= at + copySize, window.little(at, UInt64.self) == headMagic,
      window.little(at + 8, UInt32.self) == window.crc32(0, at + 12..<at + copySize)
    else { return nil }
    return window.little(at + 12, UInt32.self)
  }

  private static func unknownVersion(_ window: ByteWindow, _ at: Int64) -> Int? {
    version(window, at).flatMap { $0 == 1 ? nil : Int($0) }
  }

  private static func copy(_ window: ByteWindow, _ at: Int64) -> Head? {
    guard version(window, at) == 1 else { return nil }
    let length = Int64(window.little(at + 56, UInt16.self))
    let head = Head(
      base: window.little(at + 16, Int64.self), epoch: window.little(at + 24, UInt64.self),
      salt: window.little(at + 32, UInt64.self), previous: window.little(at + 308, Int64.self),
      passedOver: window.little(at + 316, Int64.self),
      topic: String(decoding: window.bytes(at + 58..<at + 58 + min(length, 249)), as: UTF8.self),
      partition: window.little(at + 52, Int32.self))
    guard length <= 249, head.partition >= 0, (0...Offset.largest.rawValue) ~= head.base,
      head.epoch <= Epoch.largest.rawValue, (-1...Offset.largest.rawValue) ~= head.previous,
      (0...head.base) ~= head.passedOver
    else { return nil }
    return head
  }

  private static func flippedBit(_ window: ByteWindow, _ at: Int64) -> BitFlip? {
    guard window.size >= at + copySize else { return nil }
    let stored = window.little(at + 8, UInt32.self)
    let syndrome = UInt64(stored ^ window.crc32(0, at + 12..<at + copySize))
    let coverage = Coverage(first: at + 12..<at + copySize, second: at..<at, field: at + 8)
    var candidates = SingleBit.explaining(syndrome, coverage, work: &window.work).map { [$0] } ?? []
    // The magic is not in the checksum.
    let wrong = window.little(at, UInt64.self) ^ headMagic
    if syndrome == 0, wrong.nonzeroBitCount == 1 {
      let bit = wrong.trailingZeroBitCount
      candidates.append(BitFlip(at: at + Int64(bit / 8), bit: bit % 8))
    }
    let right = candidates.filter { flip in window.supposing(flip) { copy(window, at) } != nil }
    return right.count == 1 ? right[0] : nil
  }

  // MARK: Batches

  func mayBegin(_ prefix: UnsafeRawPointer, at position: Int64) -> Bool {
    UInt32(littleEndian: prefix.loadUnaligned(as: UInt32.self)) == Self.magic
      && Int64(UInt32(littleEndian: prefix.loadUnaligned(fromByteOffset: 28, as: UInt32.self))) * 8 == position
  }

  /// Whether a batch may begin here whose magic has one flipped bit, or none.
  func nearlyBegins(_ window: ByteWindow, _ position: Int64) -> Bool {
    (window.little(position, UInt32.self) ^ Self.magic).nonzeroBitCount <= 1
  }

  func claimedLength(_ window: ByteWindow, _ position: Int64) -> Int64? {
    let length = Int64(window.little(position + 8, UInt32.self))
    return Self.lengths ~= length && length % 8 == 0 ? length : nil
  }

  func examine(_ window: ByteWindow, _ position: Int64) -> Examination {
    let available = window.size - position
    window.want(position, 64)
    guard available >= 64 else { return .fault(.cutShort(needed: 64, available: Int(available))) }
    let magic = window.little(position, UInt32.self)
    guard magic == Self.magic else { return .fault(.wrongMagic(UInt64(magic))) }
    guard let length = claimedLength(window, position) else {
      return .fault(.lengthOutOfRange(Int(window.little(position + 8, UInt32.self))))
    }
    var entry = LogEntry(position, length)
    entry.firstOffset = window.little(position + 16, Int64.self)
    entry.count = Int(window.little(position + 24, UInt32.self))
    entry.epoch = window.little(position + 32, UInt64.self)
    entry.uptime = window.little(position + 40, Int64.self)
    entry.stored = UInt64(window.little(position + 4, UInt32.self))
    entry.value = position + 64..<position + length
    let version = window.little(position + 12, UInt8.self)
    guard version == 1 else { return .fault(.unknownVersion(Int(version)), length) }
    let durable = window.little(position + 48, Int64.self)
    guard Int64(window.little(position + 28, UInt32.self)) * 8 == position, entry.count >= 1,
      (0...Offset.largest.rawValue) ~= entry.firstOffset ?? -1, durable <= Offset.largest.rawValue,
      entry.epoch ?? 0 <= Epoch.largest.rawValue
    else { return .fault(.fieldsDisagree, length) }
    guard available >= length else {
      return .fault(.cutShort(needed: Int(length), available: Int(available)), length, entry)
    }
    guard salt != nil else { return .fault(.wrongFileHeader, length, entry) }
    window.want(position, length)
    entry.computed = UInt64(window.crc32(seed(position), position + 8..<position + length))
    return .compared(entry)
  }

  private func seed(_ position: Int64) -> UInt32 {
    UInt32(truncatingIfNeeded: mix64((salt ?? 0) &+ UInt64(bitPattern: position)))
  }

  func coverage(_ position: Int64, _ length: Int64) -> Coverage {
    Coverage(
      first: position + 8..<position + length, second: position..<position, field: position + 4, seed: seed(position))
  }

  func forEachMessage(of entry: LogEntry, _ window: ByteWindow, _ body: (LogMessage) -> Bool) {
    BatchedMessages.forEach(in: entry.value, entry, window, body)
  }
}
