import CZlib
import LogModel

/// The head of a segment file. All integers are little-endian; offsets, the partition and the last two fields are
/// signed.
///
/// | byte | field |
/// |---|---|
/// | 0..<8 | magic `TORNLOG1` |
/// | 8..<12 | CRC-32 of bytes 12..<512, as zlib's `crc32` from 0 |
/// | 12..<16 | version, 1 |
/// | 16..<24 | base offset: offset of the first message of the segment |
/// | 24..<32 | epoch of the writer that created it |
/// | 32..<40 | salt: seeds the checksum of every batch of this segment, see `BatchHeader` |
/// | 40..<48 | durable offset when it was created: everything before it had been synced, or its sync had failed |
/// | 48..<52 | boot of the machine, as in `BatchHeader` |
/// | 52..<56 | partition |
/// | 56..<58 | length of the topic's name in bytes, at most 249 |
/// | 58..<307 | topic, UTF-8, zero-padded |
/// | 307 | 1 if it is written under the policy `never`, which syncs nothing; 2 under `interval`, which syncs later; else 0 |
/// | 308..<316 | base offset of the segment before it, -1 where there was none |
/// | 316..<324 | n: the offsets base - n ..< base were passed over, and are nobody's |
/// | 324..<512 | zeros; the CRC covers them |
///
/// The head is written twice, at byte 0 and at byte 2048, so that one damaged sector does not cost the salt and
/// with it the segment. Bytes 512..<2048 and 2560..<4096 are zeros under no CRC. Batches begin at byte 4096.
///
/// A copy is valid if and only if magic, CRC and version are right, the topic's name has at most 249 bytes, the
/// partition is at least 0, and base offset, epoch, topic and partition are those of the file's name and folder. The
/// first valid copy counts. A segment of an older epoch whose base offset is above bytes 308..<316 of a newer one's
/// head is void: the writer of the newer one has read the log, and had fenced the older one before.
///
/// Every later version keeps bytes 0..<16 and what the CRC covers. So a copy with the right magic and CRC and another
/// version is intact: a build that does not know the version refuses the log, for it can read nothing in it.
package struct SegmentHeader: Hashable, Sendable {
  package static let magic: UInt64 = 0x31_474F_4C4E_524F_54  // "TORNLOG1"
  package static let size = 4096
  static let copySize = 512
  static let copyPositions = [0, 2048]
  static let longestTopic = 249
  static let version: UInt32 = 1

  package var baseOffset: Offset
  package var epoch: Epoch
  package var salt: UInt64
  var durableOffset: Offset
  var bootID: UInt32
  var source: TopicPartition
  var isNeverSynced: Bool
  /// What is acknowledged in it may not have been synced.
  var isSyncedLater = false
  /// Base offset of the segment that its writer had before it; -1 for none. Segments of older writers after that one
  /// were made when they had been replaced.
  var previousBase: Offset
  var passedOver: Int

  package func write(into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count >= Self.size)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    for start in Self.copyPositions {
      let base = bytes.baseAddress! + start
      base.storeBytes(of: Self.magic.littleEndian, as: UInt64.self)
      base.storeBytes(of: Self.version.littleEndian, toByteOffset: 12, as: UInt32.self)
      base.storeBytes(of: baseOffset.rawValue.littleEndian, toByteOffset: 16, as: Int64.self)
      base.storeBytes(of: epoch.rawValue.littleEndian, toByteOffset: 24, as: UInt64.self)
      base.storeBytes(of: salt.littleEndian, toByteOffset: 32, as: UInt64.self)
      base.storeBytes(of: durableOffset.rawValue.littleEndian, toByteOffset: 40, as: Int64.self)
      base.storeBytes(of: bootID.littleEndian, toByteOffset: 48, as: UInt32.self)
      base.storeBytes(of: source.partition.rawValue.littleEndian, toByteOffset: 52, as: Int32.self)
      let topic = Array(source.topic.utf8)
      precondition(topic.count <= Self.longestTopic)
      base.storeBytes(of: UInt16(topic.count).littleEndian, toByteOffset: 56, as: UInt16.self)
      topic.withUnsafeBytes { (base + 58).copyMemory(from: $0.baseAddress!, byteCount: topic.count) }
      base.storeBytes(of: previousBase.rawValue.littleEndian, toByteOffset: 308, as: Int64.self)
      base.storeBytes(of: Int64(passedOver).littleEndian, toByteOffset: 316, as: Int64.self)
      base.storeBytes(of: isNeverSynced ? 1 : isSyncedLater ? 2 : 0, toByteOffset: 307, as: UInt8.self)
      base.storeBytes(of: tl_crc32(0, base + 12, Self.copySize - 12).littleEndian, toByteOffset: 8, as: UInt32.self)
    }
  }

  /// The version of one copy, whether it is known or not; nil where the copy is not intact.
  static func version(ofCopyAt start: Int, of bytes: UnsafeRawBufferPointer) -> UInt32? {
    guard bytes.count >= start + Self.copySize else { return nil }
    let base = bytes.baseAddress! + start
    guard UInt64(littleEndian: base.loadUnaligned(as: UInt64.self)) == Self.magic,
      UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        == tl_crc32(0, base + 12, Self.copySize - 12)
    else { return nil }
    return UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
  }

  /// Reads one copy; nil where it is not valid.
  init?(copyAt start: Int, of bytes: UnsafeRawBufferPointer) {
    guard Self.version(ofCopyAt: start, of: bytes) == Self.version else { return nil }
    let base = bytes.baseAddress! + start
    baseOffset = Offset(Int64(littleEndian: base.loadUnaligned(fromByteOffset: 16, as: Int64.self)))
    epoch = Epoch(UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
    salt = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
    durableOffset = Offset(Int64(littleEndian: base.loadUnaligned(fromByteOffset: 40, as: Int64.self)))
    bootID = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 48, as: UInt32.self))
    let partition = Int32(littleEndian: base.loadUnaligned(fromByteOffset: 52, as: Int32.self))
    let length = Int(UInt16(littleEndian: base.loadUnaligned(fromByteOffset: 56, as: UInt16.self)))
    guard length <= Self.longestTopic, partition >= 0, (0...Offset.largest).contains(baseOffset),
      durableOffset <= Offset.largest,
      epoch <= Epoch.largest
    else { return nil }
    let topic = String(decoding: UnsafeRawBufferPointer(start: base + 58, count: length), as: UTF8.self)
    source = TopicPartition(topic, PartitionID(Int(partition)))
    previousBase = Offset(Int64(littleEndian: base.loadUnaligned(fromByteOffset: 308, as: Int64.self)))
    passedOver = Int(Int64(littleEndian: base.loadUnaligned(fromByteOffset: 316, as: Int64.self)))
    guard previousBase >= -1, previousBase <= Offset.largest, passedOver >= 0, passedOver <= Int(baseOffset.rawValue)
    else { return nil }
    let policy = base.load(fromByteOffset: 307, as: UInt8.self)
    (isNeverSynced, isSyncedLater) = (policy == 1, policy == 2)
  }

  package init(
    baseOffset: Offset, epoch: Epoch, salt: UInt64, durableOffset: Offset, bootID: UInt32, source: TopicPartition,
    isNeverSynced: Bool, isSyncedLater: Bool = false, previousBase: Offset, passedOver: Int = 0
  ) {
    self.baseOffset = baseOffset
    self.epoch = epoch
    self.salt = salt
    self.durableOffset = durableOffset
    self.bootID = bootID
    self.source = source
    self.isNeverSynced = isNeverSynced
    self.isSyncedLater = isSyncedLater
    self.previousBase = previousBase
    self.passedOver = passedOver
  }

  /// `00000000000000004711-0000000012.log`: base offset and epoch, padded so that names sort as they do. No two writers
  /// share an epoch, so none can create, replace or remove a file of another's.
  package static func fileName(base: Offset, epoch: Epoch) -> String {
    String(unsafeUninitializedCapacity: 20 + 1 + 20 + 4) { name in
      var end = pad(UInt64(base.rawValue), 20, name, at: 0)
      name[end] = UInt8(ascii: "-")
      end = pad(epoch.rawValue, 10, name, at: end + 1)
      for byte in ".log".utf8 {
        name[end] = byte
        end += 1
      }
      return end
    }
  }

  /// Writes the decimal digits of `value`, with zeros before them up to `width`.
  /// - Returns: where they end.
  private static func pad(_ value: UInt64, _ width: Int, _ name: UnsafeMutableBufferPointer<UInt8>, at start: Int)
    -> Int
  {
    var digits = 1
    var rest = value / 10
    while rest > 0 {
      digits += 1
      rest /= 10
    }
    let end = start + max(width, digits)
    rest = value
    for place in stride(from: end - 1, through: start, by: -1) {
      name[place] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
    return end
  }

  /// Base offset and epoch in a segment's name; nil for any other name.
  static func identity(fileName: String) -> (base: Offset, epoch: Epoch)? {
    // By bytes: a recovery asks this of every name, and strings that are split cost more than the rest of the listing.
    var fileName = fileName
    return fileName.withUTF8 { name in
      let end = name.count - 4
      guard end >= 20 + 1 + 10, name[20] == UInt8(ascii: "-"), name[end...].elementsEqual(".log".utf8),
        let base = number(name[..<20]), base <= UInt64(Offset.largest.rawValue), let epoch = number(name[21..<end]),
        epoch <= Epoch.largest.rawValue
      else { return nil }
      return (Offset(Int64(base)), Epoch(epoch))
    }
  }

  /// Nil for anything but decimal digits, and for more than 64 bits.
  private static func number(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
    var value: UInt64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }
}
