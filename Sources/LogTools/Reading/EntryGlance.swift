import CZlib
import LogModel
import RecordLogs

/// Sound entries that stand behind each other, and go on where the log was: see `LogReader.skim`.
struct SoundRun {
  var entries = 0
  var messages = 0
  /// Of the first message and behind the last one; nil where no entry holds a message.
  var offsets: Range<Int64>?
}

/// What has to hold of an entry for `LogReader.skim` to take it.
struct SkimBounds {
  /// The offset that comes next; nil before the first.
  var due: Int64?
  /// The epoch of each batch.
  var epoch: UInt64
  /// No batch ends behind this offset.
  var end: Int64
}

/// An entry that is valid without doubt.
struct GlancedEntry {
  /// In bytes, everything counted.
  var length: Int
  /// Of its first message.
  var first: Int64
  var count: Int64
  /// Bytes under its checksum.
  var summed: Int
}

/// A look at one entry of one format, whose bytes are all there. It says yes or nothing: whoever gets nothing asks
/// `LogFormat.examine`, which says what is wrong. The two must agree on each entry that the glance takes;
/// `GlanceTests` and the fuzzer compare them.
protocol EntryGlance {
  static var alignment: Int64 { get }
  static var isNumbered: Bool { get }
  /// Several entries of one offset follow each other.
  static var repeatsOffsets: Bool { get }
  /// - Parameters:
  ///   - available: bytes that are present at `base`.
  ///   - position: of `base` in the file.
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry?
}

extension EntryGlance {
  static var alignment: Int64 { 1 }
  static var isNumbered: Bool { true }
  static var repeatsOffsets: Bool { false }
}

extension LogReader {
  /// Goes over sound entries that are loaded, and stops before the first thing that needs a closer look: `next` takes
  /// that. Nothing is reported twice, and nothing is passed over: what `next` would have said of each of these
  /// entries is that it is valid.
  func skim(_ bounds: SkimBounds) -> SoundRun {
    switch format {
    case is StreamhouseFormat: skim(StreamhouseGlance(), bounds)
    case is AirunnerFormat: skim(AirunnerGlance(), bounds)
    case is ChronikV1Format: skim(ChronikV1Glance(), bounds)
    case is ChronikV2Format: skim(ChronikV2Glance(), bounds)
    case is ReplayBufferFormat: skim(ReplayBufferGlance(), bounds)
    case let segment as SegmentFormat:
      if let salt = segment.salt { skim(BatchGlance(salt: salt, bounds: bounds), bounds) } else { SoundRun() }
    default: SoundRun()
    }
  }

  @inline(__always)
  private func skim<Glance: EntryGlance>(_ glance: Glance, _ bounds: SkimBounds) -> SoundRun {
    var run = SoundRun()
    let loaded = Int(min(window.loaded(from: position), window.size - position))
    guard loaded > 0, let base = window.pointer(position, Int64(loaded)) else { return run }
    var (at, end, summed) = (0, 0, 0)
    // -1: no entry has told yet.
    var due = bounds.due ?? -1
    var (least, most) = (Int64.max, Int64(-1))
    while true {
      at = Self.behindZeros(base, end, loaded, position, Glance.alignment)
      guard at < loaded, let entry = glance.glance(base + at, loaded - at, position + Int64(at)) else { break }
      let first = Glance.isNumbered ? entry.first : ordinal + Int64(run.entries)
      let next = first &+ entry.count
      if entry.count > 0, first >= 0, next > first {
        guard Glance.repeatsOffsets || first == due || due < 0 else { break }
        least = min(least, first)
        most = max(most, next)
        due = next
        run.messages += Int(entry.count)
      }
      run.entries += 1
      summed += entry.summed
      end = at + entry.length
    }
    if run.entries == 0 { return run }
    window.work += Int64(summed)
    if !Glance.isNumbered { ordinal += Int64(run.entries) }
    position += Int64(end)
    if most >= 0 { run.offsets = least..<most }
    return run
  }

  /// Where the next entry may begin: batches are padded with zeros.
  @inline(__always)
  private static func behindZeros(
    _ base: UnsafeRawPointer, _ from: Int, _ loaded: Int, _ position: Int64, _ alignment: Int64
  ) -> Int {
    if alignment == 1 { return from }
    var at = from + Int((8 - (position + Int64(from)) % 8) % 8)
    while at + 8 <= loaded, base.loadUnaligned(fromByteOffset: at, as: UInt64.self) == 0 { at += 8 }
    return at
  }
}

extension UnsafeRawPointer {
  @inline(__always)
  fileprivate func u32(_ at: Int) -> Int {
    Int(UInt32(littleEndian: loadUnaligned(fromByteOffset: at, as: UInt32.self)))
  }

  @inline(__always)
  fileprivate func i32(_ at: Int) -> Int { Int(Int32(littleEndian: loadUnaligned(fromByteOffset: at, as: Int32.self))) }

  @inline(__always)
  fileprivate func u16(_ at: Int) -> Int {
    Int(UInt16(littleEndian: loadUnaligned(fromByteOffset: at, as: UInt16.self)))
  }

  @inline(__always)
  fileprivate func i64(_ at: Int) -> Int64 { Int64(littleEndian: loadUnaligned(fromByteOffset: at, as: Int64.self)) }

  @inline(__always)
  fileprivate func crc(_ from: Int, _ end: Int, after seed: UInt32 = 0) -> UInt32 {
    tl_crc32(seed, self + from, end - from)
  }
}

struct StreamhouseGlance: EntryGlance {
  static var isNumbered: Bool { false }

  @inline(__always)
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry? {
    guard available >= 24 else { return nil }
    let length = base.u32(0) + 4
    guard length >= 24, length <= min(available, 16 << 20) else { return nil }
    let key = base.u32(16)
    guard key <= length - 24, base.u32(20 + key) == length - 24 - key, base.crc(8, length) == UInt32(base.u32(4))
    else { return nil }
    return GlancedEntry(length: length, first: 0, count: 1, summed: length - 8)
  }
}

struct AirunnerGlance: EntryGlance {
  @inline(__always)
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry? {
    guard available >= 32 else { return nil }
    let (length, status) = (base.u32(0), base.u32(12))
    guard length >= 32, length <= min(available, 10 << 20), status >= 1, status <= 3 else { return nil }
    let sum = CRC64.checksum(UnsafeRawBufferPointer(start: base + 4, count: length - 12))
    guard sum == UInt64(bitPattern: base.i64(length - 8)) else { return nil }
    return GlancedEntry(length: length, first: base.i64(4) &- 1, count: status == 1 ? 1 : 0, summed: length - 12)
  }
}

struct ChronikV1Glance: EntryGlance {
  @inline(__always)
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry? {
    guard available >= 40, base.u32(0) & 0xFF_FFFF == 0x01_CA7E else { return nil }
    let length = base.u32(4)
    guard length >= 40, length <= min(available, 16 << 20) else { return nil }
    let key = base.i32(28)
    guard key >= -1, key <= length - 40 else { return nil }
    var at = 32 + max(0, key)
    let value = base.i32(at)
    guard value >= 0, value <= length - at - 8 else { return nil }
    at += 4 + value
    let headers = base.i32(at)
    at += 4
    guard headers >= 0 else { return nil }
    for _ in 0..<headers {
      guard at + 2 <= length else { return nil }
      at += 2 + base.u16(at)
      guard at + 4 <= length else { return nil }
      at += 4 + base.u32(at)
      guard at <= length else { return nil }
    }
    guard at == length, base.crc(28, length, after: base.crc(0, 24)) == UInt32(base.u32(24)) else { return nil }
    return GlancedEntry(length: length, first: base.i64(8), count: 1, summed: length - 4)
  }
}

struct ChronikV2Glance: EntryGlance {
  @inline(__always)
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry? {
    guard available >= 42, base.u32(0) & 0xFF_FFFF == 0x02_CA7E else { return nil }
    let length = base.u32(4) + 12
    guard length >= 42, length <= min(available, 16 << 20) else { return nil }
    let topic = base.u16(12)
    guard topic <= length - 42, base.u32(18 + topic) == length - 42 - topic,
      base.crc(12, length, after: base.crc(0, 8)) == UInt32(base.u32(8))
    else { return nil }
    let (first, last, count) = (base.i64(length - 20), base.i64(length - 12), Int64(base.i32(length - 4)))
    let holdsMessages = count >= 1 && first >= 0 && first <= Offset.largest.rawValue && last == first + count - 1
    return GlancedEntry(length: length, first: first, count: holdsMessages ? count : 0, summed: length - 4)
  }
}

struct ReplayBufferGlance: EntryGlance {
  static var repeatsOffsets: Bool { true }

  @inline(__always)
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry? {
    guard available >= 39, base.u32(0) == 0x3142_5052 else { return nil }
    let length = base.u32(4)
    guard length >= 39, length <= min(available, 16 << 20), base.u32(length - 4) == length else { return nil }
    let user = base.u16(28)
    guard user <= length - 39, base.u32(31 + user) == length - 39 - user else { return nil }
    let operation = base.load(fromByteOffset: 30 + user, as: UInt8.self)
    guard operation >= 1, operation <= 6, base.crc(20, length, after: base.crc(4, 16)) == UInt32(base.u32(16)) else {
      return nil
    }
    return GlancedEntry(
      length: length, first: Int64(clamping: UInt64(bitPattern: base.i64(8))), count: operation == 2 ? 1 : 0,
      summed: length - 8)
  }
}

struct BatchGlance: EntryGlance {
  static var alignment: Int64 { 8 }
  let salt: UInt64
  let bounds: SkimBounds

  @inline(__always)
  func glance(_ base: UnsafeRawPointer, _ available: Int, _ position: Int64) -> GlancedEntry? {
    guard available >= 64, base.u32(0) == Int(SegmentFormat.magic) else { return nil }
    let (length, count, first) = (base.u32(8), base.u32(24), base.i64(16))
    guard length >= 64, length <= min(available, 16 << 20), length % 8 == 0,
      base.load(fromByteOffset: 12, as: UInt8.self) == 1, base.u32(28) * 8 == position, count >= 1,
      first >= 0, first <= Offset.largest.rawValue, base.i64(48) <= Offset.largest.rawValue,
      UInt64(bitPattern: base.i64(32)) == bounds.epoch, first + Int64(count) <= bounds.end
    else { return nil }
    let seed = UInt32(truncatingIfNeeded: mix64(salt &+ UInt64(bitPattern: position)))
    guard base.crc(8, length, after: seed) == UInt32(base.u32(4)) else { return nil }
    return GlancedEntry(length: length, first: first, count: Int64(count), summed: length - 8)
  }
}
