import Glibc
import LogModel

/// A number for the content of one sector: equal numbers, equal bytes.
package typealias SectorID = UInt32

/// Every content that a sector of the recorded disk ever had, once. States of the disk are arrays of numbers.
package final class SectorStore: @unchecked Sendable {
  // Filled by one thread before the workers start; only read afterwards.

  package static let size = 512
  /// 512 zeros: a hole.
  static let zero: SectorID = 0
  /// A sector that gives an error to whoever reads it, until it is written again. Its bytes are nobody's: they only
  /// give it a hash of its own.
  package static let unreadable: SectorID = 1
  private static let perChunk = 1024

  private var chunks: [UnsafeMutableRawPointer] = []
  private(set) var hashes: [UInt64] = []
  private var known: [UInt64: [SectorID]] = [:]

  package init() {
    withUnsafeTemporaryAllocation(byteCount: Self.size, alignment: 8) { bytes in
      memset(bytes.baseAddress!, 0, Self.size)
      _ = intern(bytes.baseAddress!)
      memset(bytes.baseAddress!, 0xE1, Self.size)
      _ = intern(bytes.baseAddress!)
    }
  }

  deinit { for chunk in chunks { free(chunk) } }

  var count: Int { hashes.count }

  /// The bytes of a sector; they never move.
  @inline(__always)
  func bytes(_ id: SectorID) -> UnsafeRawPointer {
    UnsafeRawPointer(chunks[Int(id) / Self.perChunk] + Int(id) % Self.perChunk * Self.size)
  }

  /// The number of these 512 bytes.
  func intern(_ source: UnsafeRawPointer) -> SectorID {
    let hash = Self.hash(source)
    for id in known[hash] ?? [] where memcmp(bytes(id), source, Self.size) == 0 { return id }
    let id = SectorID(hashes.count)
    if hashes.count % Self.perChunk == 0 {
      chunks.append(UnsafeMutableRawPointer.allocate(byteCount: Self.perChunk * Self.size, alignment: 4096))
    }
    hashes.append(hash)
    memcpy(UnsafeMutableRawPointer(mutating: bytes(id)), source, Self.size)
    known[hash, default: []].append(id)
    return id
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

  static func directory(_ path: UInt64) -> UInt64 { mix64(path &+ 0x5851_F42D_4C95_7F2D) }
}
