import Glibc
import Storage

/// Reads records from front to back, and finds the next one after damage.
///
/// After bytes that are no record it looks, in this order,
/// 1. where the length field says that the next record begins. If one stands there, and the length can be believed, the
///    damage is inside this record: its value may hold the bytes of another log, which are not to be taken for records
///    of this one;
/// 2. if one stands there, and the length cannot be believed, for the first record before that place from which records
///    follow each other up to it: a damaged length may claim records that are whole;
/// 3. if another damaged record stands there, and both lengths can be believed, where that one's length says, and so on
///    up to a record: each of them is damage of its own, so that a format without offsets counts them;
/// 4. at every byte from the next one on. What follows counts, as far behind the damage as it may be. Bytes of a log
///    inside a value can be taken for records then, for these formats have nothing that ties a record to its place.
///
/// Memory: one window of 256 KiB, which grows to twice the format's longest record and no further, whatever a damaged
/// length claims.
package struct RecordScanner<Codec: RecordCodec> {
  package enum Step {
    case record(at: Int64, length: Int)
    /// No record; one follows at the end of the range.
    case damage(Range<Int64>, RecordFault)
    /// No record from here to the end. An empty range, and no fault, where the last record ends with the source.
    case end(Range<Int64>, RecordFault?, isBlank: Bool)
  }

  private enum Finding {
    case record(Int)
    /// The fault, and the length that the record claims, if all of it is there.
    case fault(RecordFault, claimed: Int?)
    case nothing
  }

  private static var readSize: Int { 128 << 10 }

  private let storage: any Storage
  package let source: any RecordSource
  private var window: IOBuffer
  /// Byte position in the file of the window's first byte, and the bytes that are valid in it.
  private var start: Int64
  private var filled = 0
  /// Where `next` looks.
  package private(set) var position: Int64
  /// A record stands here, and the lengths of damaged ones lead to it from `position` on.
  private var believed: Int64 = 0
  /// How far behind damage its end is looked for by lengths; the window grows to it at most.
  private static var mostBelieved: Int64 { 1 << 20 }

  package init(_ storage: any Storage, _ source: any RecordSource, from position: Int64 = 0) {
    self.storage = storage
    self.source = source
    self.position = position
    start = position
    window = storage.makeBuffer(capacity: 2 * Self.readSize)
  }

  /// The next record, or what stands in its place. After `end` it may be called again: the source may have grown.
  package mutating func next() async throws(StorageError) -> Step {
    let from = position
    let fault: RecordFault
    switch try await find(at: from, keeping: from) {
    case .record(let length):
      position = from + Int64(length)
      return .record(at: from, length: length)
    case .nothing: return .end(from..<from, nil, isBlank: true)
    case .fault(let found, claimed: let length?):
      let claimed = from + Int64(length)
      if case .record = try await find(at: claimed, keeping: from) {
        let end = Self.isBelievable(found) ? claimed : chain(after: from, upTo: claimed)
        position = end
        return .damage(from..<end, found)
      }
      if Self.isBelievable(found), try await isFollowed(claimed, from) {
        position = claimed
        return .damage(from..<claimed, found)
      }
      fault = found
    case .fault(let found, claimed: nil): fault = found
    }
    return try await search(from, fault)
  }

  /// Whether the lengths of damaged records, which can be believed, lead from `position` to a record.
  private mutating func isFollowed(_ position: Int64, _ keeping: Int64) async throws(StorageError) -> Bool {
    var at = position
    while at != believed {
      guard at - keeping <= Self.mostBelieved else { return false }
      switch try await find(at: at, keeping: keeping) {
      case .record: believed = at
      case .fault(let fault, claimed: let length?) where Self.isBelievable(fault): at += Int64(length)
      case .fault, .nothing: return false
      }
    }
    return true
  }

  private static func isBelievable(_ fault: RecordFault) -> Bool {
    if case .checksumMismatch = fault { return Codec.confirmsLength }
    return false
  }

  /// The first place behind `from` from which records follow each other up to `end`; all of it is loaded. `end` itself
  /// where there is none before.
  private func chain(after from: Int64, upTo end: Int64) -> Int64 {
    var first = from + 1
    /// Where records begin from which none follow up to `end`: whoever comes there need not go on.
    var dead: Set<Int64> = []
    while first < end {
      var at = first
      var passed: [Int64] = []
      while at < end, !dead.contains(at), let length = loadedRecord(at: at, before: end) {
        passed.append(at)
        at += Int64(length)
      }
      if at == end { return first }
      dead.formUnion(passed)
      first += 1
    }
    return end
  }

  /// The length of the record at `position`, if there is one that ends at or before `end`.
  private func loadedRecord(at position: Int64, before end: Int64) -> Int? {
    guard position + Int64(Codec.prefixSize) <= end else { return nil }
    do throws(RecordFault) {
      let length = try Codec.length(at: UnsafeRawPointer(window.base) + Int(position - start))
      guard position + Int64(length) <= end else { return nil }
      try Codec.verify(bytes(at: position, length))
      return length
    } catch { return nil }
  }

  /// The bytes of a record that `next` has just returned, until it is called again.
  package func bytes(at position: Int64, _ length: Int) -> UnsafeRawBufferPointer {
    window[Int(position - start)..<Int(position - start) + length]
  }

  /// The bytes at the head of the file, as many of `count` as there are; before `next` is called.
  package mutating func head(_ count: Int) async throws(StorageError) -> [UInt8] {
    _ = try await load(0, count, keeping: 0)
    return Array(window[0..<min(count, filled)])
  }

  /// Looks at `position` from here on.
  package mutating func skip(to position: Int64) { self.position = position }

  private mutating func search(_ from: Int64, _ fault: RecordFault) async throws(StorageError) -> Step {
    var at = from
    var isBlank = true
    while true {
      if !advanceInWindow(&at, &isBlank) {
        guard try await load(at, 1, keeping: at) else { break }
        if try await load(at, Self.step, keeping: at) { continue }
        // The last bytes of the source.
        if isBlank { isBlank = window.base.load(fromByteOffset: Int(at - start), as: UInt8.self) == 0 }
        at += 1
      }
      if case .record = try await find(at: at, keeping: at) {
        position = at
        return .damage(from..<at, fault)
      }
    }
    position = at
    return .end(from..<at, fault, isBlank: isBlank)
  }

  private static var step: Int { 64 }

  /// Moves `at` on to the next byte where a record may begin, as long as `step` bytes from it on are loaded.
  /// - Returns: whether it has found one.
  private func advanceInWindow(_ at: inout Int64, _ isBlank: inout Bool) -> Bool {
    while Int(at - start) + Self.step <= filled {
      let base = UnsafeRawPointer(window.base) + Int(at - start)
      if Self.isBlank(base) {
        at += 48  // no format's prefix is longer than 16 bytes, nor is one of zeros a record's
        continue
      }
      if isBlank { isBlank = base.load(as: UInt8.self) == 0 }
      at += 1
      if Self.mayBegin(base + 1) { return true }
    }
    return false
  }

  @inline(__always)
  private static func isBlank(_ base: UnsafeRawPointer) -> Bool {
    var any: UInt64 = 0
    for at in stride(from: 0, to: 64, by: 8) { any |= base.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
    return any == 0
  }

  @inline(__always)
  private static func mayBegin(_ base: UnsafeRawPointer) -> Bool {
    do throws(RecordFault) {
      _ = try Codec.length(at: base)
      return true
    } catch { return false }
  }

  private mutating func find(at position: Int64, keeping: Int64) async throws(StorageError) -> Finding {
    if !isLoaded(position, Codec.prefixSize), try await !load(position, Codec.prefixSize, keeping: keeping) {
      let available = Int(start + Int64(filled) - position)
      return available <= 0 ? .nothing : .fault(.cutShort(needed: Codec.prefixSize, available: available), claimed: nil)
    }
    let length: Int
    do throws(RecordFault) {
      length = try Codec.length(at: UnsafeRawPointer(window.base) + Int(position - start))
    } catch { return .fault(error, claimed: nil) }
    if !isLoaded(position, length), try await !load(position, length, keeping: keeping) {
      return .fault(.cutShort(needed: length, available: Int(start + Int64(filled) - position)), claimed: nil)
    }
    do throws(RecordFault) {
      try Codec.verify(bytes(at: position, length))
    } catch { return .fault(error, claimed: length) }
    return .record(length)
  }

  @inline(__always)
  private func isLoaded(_ position: Int64, _ count: Int) -> Bool {
    position >= start && position + Int64(count) <= start + Int64(filled)
  }

  /// Makes `count` bytes from `position` present in the window, with everything from `keeping` on.
  /// - Returns: false where the source ends before.
  private mutating func load(_ position: Int64, _ count: Int, keeping: Int64) async throws(StorageError) -> Bool {
    while position + Int64(count) > start + Int64(filled) {
      let offset = Int(keeping - start)
      let needed = Int(position - keeping) + count + Self.readSize
      if needed > window.capacity || offset > 0 && filled + Self.readSize > window.capacity {
        // What is still needed moves to the front of the window, or of a larger one.
        let keep = filled - offset
        if needed > window.capacity {
          let larger = storage.makeBuffer(capacity: needed)
          memcpy(larger.base, window.base + offset, keep)
          window = larger
        } else {
          memmove(window.base, window.base + offset, keep)
        }
        start = keeping
        filled = keep
      }
      let got = try await source.read(into: window, filled..<min(filled + Self.readSize, window.capacity))
      if got == 0 { return false }
      filled += got
    }
    return true
  }
}
