import Glibc
import LogModel
import Synchronization

/// A number for the content of one sector: equal numbers, equal bytes.
package typealias SectorID = UInt32

/// Every content that a sector of the recorded disk ever had, once. States of the disk are arrays of numbers.
package final class SectorStore: @unchecked Sendable {
  // Contents are added under the lock. They never move, and nobody asks for a number before he was given it.

  package static let size = 512
  /// 512 zeros.
  static let zero: SectorID = 0
  /// A sector that gives an error to whoever reads it, until it is written again. Its bytes are nobody's: they only
  /// give it a hash of its own.
  package static let unreadable: SectorID = 1
  /// Space of a file that was never durable, or that a durable change has freed since. It reads as zeros.
  static let hole: SectorID = 2
  private static let unreadableHash: UInt64 = 0x6A09_E667_F3BC_C908
  private static let perChunk = 1024
  /// Chunks that there is room for: 64 GiB of contents.
  private static let mostChunks = 1 << 17

  private struct Known {
    var count = 0
    var byHash: [UInt64: [SectorID]] = [:]
  }

  private let chunks: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let known = Mutex(Known())

  package init() {
    chunks = .allocate(capacity: Self.mostChunks)
    chunks.initialize(repeating: nil, count: Self.mostChunks)
    withUnsafeTemporaryAllocation(byteCount: Self.size, alignment: 8) { bytes in
      let base = bytes.baseAddress!
      memset(base, 0, Self.size)
      _ = intern(base)
      known.withLock { known in
        // No content that a program writes is one of these, whatever its bytes are: `intern` never finds them.
        memset(base, 0xE1, Self.size)
        _ = append(base, Self.unreadableHash, &known)
        memset(base, 0, Self.size)
        _ = append(base, 0, &known)
      }
    }
  }

  deinit {
    for index in 0..<(known.withLock { $0.count } + Self.perChunk - 1) / Self.perChunk { free(chunks[index]) }
    chunks.deallocate()
  }

  /// The bytes of a sector; they never move.
  @inline(__always)
  func bytes(_ id: SectorID) -> UnsafeRawPointer {
    UnsafeRawPointer(chunks[Int(id) / Self.perChunk]! + Int(id) % Self.perChunk * Self.size)
  }

  /// The hash of a sector's bytes.
  @inline(__always)
  func hash(of id: SectorID) -> UInt64 {
    (chunks[Int(id) / Self.perChunk]! + Self.perChunk * Self.size).load(
      fromByteOffset: Int(id) % Self.perChunk * 8, as: UInt64.self)
  }

  /// The number of these 512 bytes.
  func intern(_ source: UnsafeRawPointer) -> SectorID {
    let hash = Self.hash(source)
    return known.withLock { known in
      for id in known.byHash[hash] ?? [] where memcmp(bytes(id), source, Self.size) == 0 { return id }
      let id = append(source, hash, &known)
      known.byHash[hash, default: []].append(id)
      return id
    }
  }

  /// A chunk is its sectors, then their hashes.
  private func append(_ source: UnsafeRawPointer, _ hash: UInt64, _ known: inout Known) -> SectorID {
    let (chunk, place) = (known.count / Self.perChunk, known.count % Self.perChunk)
    precondition(chunk < Self.mostChunks, "a recording of more than 64 GiB of different sectors")
    if place == 0 {
      chunks[chunk] = .allocate(byteCount: Self.perChunk * (Self.size + 8), alignment: 4096)
    }
    memcpy(chunks[chunk]! + place * Self.size, source, Self.size)
    (chunks[chunk]! + Self.perChunk * Self.size).storeBytes(of: hash, toByteOffset: place * 8, as: UInt64.self)
    known.count += 1
    return SectorID(known.count - 1)
  }

  /// The content of `id` with `count` bytes of `source` laid over it at `start`. A part of what cannot be read cannot
  /// be written either: it would have to be read first.
  func overlay(_ id: SectorID, _ source: UnsafeRawPointer, at start: Int, _ count: Int) -> SectorID {
    if start == 0 && count == Self.size { return intern(source) }
    if id == Self.unreadable { return id }
    return withUnsafeTemporaryAllocation(byteCount: Self.size, alignment: 8) { sector in
      memcpy(sector.baseAddress!, bytes(id), Self.size)
      memcpy(sector.baseAddress! + start, source, count)
      return intern(sector.baseAddress!)
    }
  }

  /// The content of a sector of a file once the bytes in `range` are zeros.
  /// - Parameter sector: its place in the file.
  func zeroed(_ id: SectorID, in sector: Int, from range: Range<Int>) -> SectorID {
    let bytes = sector * Self.size..<(sector + 1) * Self.size
    let inner = bytes.clamped(to: range)
    if inner.isEmpty || id == Self.unreadable || id == Self.zero || id == Self.hole { return id }
    if inner == bytes { return Self.zero }
    return withUnsafeTemporaryAllocation(byteCount: Self.size, alignment: 8) { zeros in
      memset(zeros.baseAddress!, 0, inner.count)
      return overlay(id, zeros.baseAddress!, at: inner.lowerBound - bytes.lowerBound, inner.count)
    }
  }

  /// The sectors that a range of bytes touches.
  static func sectors(of bytes: Range<Int>) -> Range<Int> {
    bytes.isEmpty ? 0..<0 : bytes.lowerBound / size..<(bytes.upperBound - 1) / size + 1
  }

  /// 64 bits of 512 bytes. Zeros hash to 0, so that a hole adds nothing.
  static func hash(_ bytes: UnsafeRawPointer) -> UInt64 {
    var (a, b): (UInt64, UInt64) = (0x9E37_79B9_7F4A_7C15, 0xD134_2543_DE82_EF95)
    var any: UInt64 = 0
    for at in stride(from: 0, to: size, by: 16) {
      let (x, y) = (
        bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self),
        bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)
      )
      any |= x | y
      a = (a ^ x) &* 0xFF51_AFD7_ED55_8CCD
      a ^= a >> 32
      b = (b ^ y) &* 0xC4CE_B9FE_1A85_EC53
      b ^= b >> 29
    }
    return any == 0 ? 0 : mix64(a ^ (b << 1 | b >> 63))
  }
}

/// Hashes of disks: sums, so that one changed sector changes one term.
package enum DiskHash {
  @inline(__always)
  static func sector(_ hash: UInt64, at index: Int) -> UInt64 {
    hash == 0 ? 0 : mix64(hash &+ UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15)
  }

  @inline(__always)
  static func file(_ path: UInt64, size: Int, sectors: UInt64) -> UInt64 {
    mix64(path ^ mix64(sectors &+ UInt64(truncatingIfNeeded: size) &* 0xA24B_AED4_963E_E407 &+ 1))
  }

  static func link(_ path: UInt64, _ target: String) -> UInt64 { mix64(path ^ mix64(stableHash(target))) }

  static func directory(_ path: UInt64) -> UInt64 { mix64(path &+ 0x5851_F42D_4C95_7F2D) }
}
