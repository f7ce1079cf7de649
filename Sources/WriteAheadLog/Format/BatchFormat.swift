import CZlib
import LogModel

/// A batch: the messages of one produce request, there wholly or not at all.
///
/// All integers are little-endian, offsets, times and the base offset signed, all others unsigned. A batch begins at a
/// multiple of 8 bytes in its segment. `docs/formats.md` has all formats and the metadata on one page.
///
/// | byte | field |
/// |---|---|
/// | 0..<4 | magic `TLB1` |
/// | 4..<8 | checksum: `crc32(bytes 8..<length, seed)` as zlib computes it, see below |
/// | 8..<12 | length of the batch in bytes, header included, a multiple of 8 |
/// | 12 | format version, 1 |
/// | 13 | attributes: bit 0 is set where the writer never syncs, all others are 0 |
/// | 14..<16 | commit delta, bits 32 to 47 |
/// | 16..<24 | base offset |
/// | 24..<28 | number of records |
/// | 28..<32 | position of the batch in its segment, in units of 8 bytes |
/// | 32..<40 | epoch of the writer |
/// | 40..<48 | time of the append, nanoseconds on a clock that begins with the machine's boot: no date |
/// | 48..<56 | durable offset: everything before it was durable when the commit that carries this batch was submitted |
/// | 56..<60 | boot of the machine that wrote it, see below |
/// | 60..<64 | commit delta, bits 0 to 31: base offset minus the first offset of the commit that carries this batch |
/// | 64..<length | records, then zero bytes to a multiple of 8 |
///
/// A record is `key length i32 (-1: no key) | value length u32 | key | value`. No rule says that the records fill the
/// batch: a reader takes as many as the header counts and as fit.
///
/// The boot is the low 32 bits of FNV-1a (64 bits) over the 36 characters of /proc/sys/kernel/random/boot_id; 0 where
/// there is none.
///
/// The seed of the checksum is the low 32 bits of `mix64(salt + position)`: the finalizer of SplitMix64 (`mix64` in
/// LogModel) of the segment's salt plus the position in bytes, modulo 2^64. The checksum goes on from it as `crc32` of
/// zlib does from its second parameter. With the salt a52ea94c29db4e22 the seed is e9012f69 at position 4096 and
/// 13932ccb at 14240; `BatchVectorTests` computes these, and a whole batch.
///
/// A batch at position *p* of a segment is valid if and only if
/// 1. *p* is a multiple of 8 and the magic stands there;
/// 2. its length is a multiple of 8, at least 64, at most 16 MiB, and within the file as long as that is at the moment
///    (a segment in use is filled ahead with zeros, and cut to its data when it is closed);
/// 3. its version is 1 and its position field is *p* / 8;
/// 4. its number of records is at least 1, and its offsets and its epoch are no larger than any can be
///    (`Offset.largest`, `Epoch.largest`);
/// 5. its CRC is right. The salt and the position are in the CRC, so that bytes of another segment, of an earlier
///    life of a recycled one, or of another place in this one never validate.
///
/// Under `always` and `interval` a commit, of one batch or more, is padded with zeros to the device's block. So batches
/// follow each other within a commit only: where none stands at the end of one, the next is looked for at every
/// multiple of 8 (`SegmentScanner`). Padding, space that was filled ahead and the remains of a failed write carry
/// nothing. What stands there is no damage as long as no offset is missing, and a bit that turns over in it is reported
/// by nobody.
///
/// Which of several valid batches of one offset counts:
/// 1. Segments are taken in the order of (base, epoch). One is void if another one of a newer epoch, or the metadata's
///    record of the newest segment, names a `previous` base below its own.
/// 2. Of a segment, a batch that ends behind the base of the next segment with a valid head is a leftover.
/// 3. A batch that ends at or before the offset that is due is a leftover, and so is one that begins before it, unless
///    the log starts in the middle of that batch.
///
/// The durable offset and the commit delta are how recovery tells a torn tail from damage to what had been
/// acknowledged: a later valid batch testifies to what was durable, or written, before it (see `RecoveryDecision`).
public struct BatchHeader: Hashable, Sendable {
  public static let magic: UInt32 = 0x3142_4C54  // "TLB1"
  public static let size = 64
  public static let alignment = 8
  static let version: UInt8 = 1

  public var checksum: UInt32
  public var length: Int
  public var baseOffset: Offset
  public var recordCount: Int
  public var position: Int64
  public var epoch: Epoch
  public var time: Instant
  public var durableOffset: Offset
  public var bootID: UInt32
  public var commitDelta: Int
  /// Whoever wrote it never syncs: a power loss may keep it without the head of its segment.
  public var isNeverSynced = false

  public var nextOffset: Offset { baseOffset + recordCount }
  /// The first offset of the commit that carried this batch: everything before it had been written.
  public var commitBase: Offset { baseOffset + -commitDelta }

  /// Reads the fields of a batch whose version this build does not know; nil for all others.
  ///
  /// Every later version keeps the fields that rules 1 to 5 are about in their places.
  init?(unknownAt base: UnsafeRawPointer, position: Int64, available: Int) {
    guard available >= Self.size else { return nil }
    let version = base.load(fromByteOffset: 12, as: UInt8.self)
    if version == Self.version { return nil }
    self.init(at: base, position: position, available: available, version: version)
  }

  /// Reads the fields without judging them, except for what makes them meaningless.
  /// - Returns: nil where rules 1 to 4 fail.
  @inline(__always)
  public init?(at base: UnsafeRawPointer, position: Int64, available: Int) {
    self.init(at: base, position: position, available: available, version: Self.version)
  }

  @inline(__always)
  private init?(at base: UnsafeRawPointer, position: Int64, available: Int, version: UInt8) {
    guard available >= Self.size, base.loadUnaligned(as: UInt32.self) == Self.magic.littleEndian else { return nil }
    checksum = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    length = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
    baseOffset = Offset(Int64(littleEndian: base.loadUnaligned(fromByteOffset: 16, as: Int64.self)))
    recordCount = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 24, as: UInt32.self)))
    self.position = Int64(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 28, as: UInt32.self))) * 8
    epoch = Epoch(UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 32, as: UInt64.self)))
    time = Instant(nanoseconds: Int64(littleEndian: base.loadUnaligned(fromByteOffset: 40, as: Int64.self)))
    durableOffset = Offset(Int64(littleEndian: base.loadUnaligned(fromByteOffset: 48, as: Int64.self)))
    bootID = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 56, as: UInt32.self))
    let low = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 60, as: UInt32.self))
    let high = UInt16(littleEndian: base.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
    commitDelta = Int(high) << 32 | Int(low)
    isNeverSynced = base.load(fromByteOffset: 13, as: UInt8.self) & 1 != 0
    guard length >= Self.size, length & 7 == 0, base.load(fromByteOffset: 12, as: UInt8.self) == version,
      self.position == position, recordCount >= 1, baseOffset >= 0, baseOffset <= Offset.largest,
      durableOffset <= Offset.largest,
      epoch <= Epoch.largest
    else { return nil }
  }

  package init(
    length: Int, baseOffset: Offset, recordCount: Int, position: Int64, epoch: Epoch, time: Instant,
    durableOffset: Offset, bootID: UInt32, commitDelta: Int, isNeverSynced: Bool = false
  ) {
    checksum = 0
    self.length = length
    self.baseOffset = baseOffset
    self.recordCount = recordCount
    self.position = position
    self.epoch = epoch
    self.time = time
    self.durableOffset = durableOffset
    self.bootID = bootID
    self.commitDelta = commitDelta
    self.isNeverSynced = isNeverSynced
  }

  /// Writes the header in front of records that are already in place, and the checksum over both.
  public func seal(at base: UnsafeMutableRawPointer, salt: UInt64) {
    base.storeBytes(of: Self.magic.littleEndian, as: UInt32.self)
    base.storeBytes(of: UInt32(length).littleEndian, toByteOffset: 8, as: UInt32.self)
    base.storeBytes(of: Self.version, toByteOffset: 12, as: UInt8.self)
    base.storeBytes(of: isNeverSynced ? 1 : 0, toByteOffset: 13, as: UInt8.self)
    base.storeBytes(of: UInt16(commitDelta >> 32).littleEndian, toByteOffset: 14, as: UInt16.self)
    base.storeBytes(of: baseOffset.rawValue.littleEndian, toByteOffset: 16, as: Int64.self)
    base.storeBytes(of: UInt32(recordCount).littleEndian, toByteOffset: 24, as: UInt32.self)
    base.storeBytes(of: UInt32(position / 8).littleEndian, toByteOffset: 28, as: UInt32.self)
    base.storeBytes(of: epoch.rawValue.littleEndian, toByteOffset: 32, as: UInt64.self)
    base.storeBytes(of: time.nanoseconds.littleEndian, toByteOffset: 40, as: Int64.self)
    base.storeBytes(of: durableOffset.rawValue.littleEndian, toByteOffset: 48, as: Int64.self)
    base.storeBytes(of: bootID.littleEndian, toByteOffset: 56, as: UInt32.self)
    base.storeBytes(of: UInt32(truncatingIfNeeded: commitDelta).littleEndian, toByteOffset: 60, as: UInt32.self)
    let checksum = Self.computeChecksum(at: base, length: length, position: position, salt: salt)
    base.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
  }

  /// The CRC that a batch of `length` bytes at `position` must carry.
  @inline(__always)
  public static func computeChecksum(at base: UnsafeRawPointer, length: Int, position: Int64, salt: UInt64) -> UInt32 {
    tl_crc32(UInt32(truncatingIfNeeded: mix64(salt &+ UInt64(bitPattern: position))), base + 8, length - 8)
  }
}

/// The record layer inside a batch.
package enum RecordFormat {
  static let headerSize = 8
  static let noKey: Int32 = -1

  /// Bytes of a batch whose records have `payload` bytes of keys and values together.
  package static func batchLength(recordCount: Int, payload: Int) -> Int {
    (BatchHeader.size + recordCount * headerSize + payload + 7) & ~7
  }
}
