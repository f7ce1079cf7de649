import CZlib
import Glibc
import LogModel

/// A piece of a partition's log as an object: its batches one behind the other, compressed.
///
/// All integers are little-endian.
///
/// | byte | field |
/// |---|---|
/// | 0..<8 | magic `TLOBJ001` |
/// | 8..<12 | CRC-32, as zlib's `crc32` from 0, of bytes 12..<length |
/// | 12..<16 | version, 1 |
/// | 16..<24 | base offset: of the first message |
/// | 24..<32 | end offset: after the last message |
/// | 32..<40 | epoch of the writer that put it |
/// | 40..<44 | partition |
/// | 44..<48 | number of partitions of the topic |
/// | 48..<56 | bytes of the batches |
/// | 56..<64 | bytes of the batches, compressed |
/// | 64..<68 | CRC-32 of the batches |
/// | 68..<72 | number of batches |
/// | 72..<74 | length of the topic's name in bytes, at most 249 |
/// | 74..<80 | 0 |
/// | 80..<80 + n | topic, UTF-8 |
/// | then | batches, in the zlib format (RFC 1950), to the end |
///
/// An object is valid if and only if
/// 1. the magic and the version are right, and its length is that of head, topic and compressed batches;
/// 2. its CRC is right;
/// 3. the rest decompresses to exactly as many bytes as the head says, and their CRC is right.
public struct SegmentObject: Hashable, Sendable {
  static let magic: UInt64 = 0x3130_304A_424F_4C54  // "TLOBJ001"
  static let headSize = 80
  static let longestTopic = 249
  /// No object holds more bytes of batches: what a length may claim before it is believed.
  public static let largestPayload = 64 << 20
  /// No object has more bytes, head and topic included.
  static let largest = Int64(headSize + longestTopic + tl_zlib_bound(largestPayload))

  public var name: ObjectName
  /// Of the topic, for whoever has to register it anew.
  public var partitionCount: Int
  public var batchCount: Int
  /// The batches as they stood in the log, without what stood between them.
  public var batches: [UInt8]

  public init(name: ObjectName, partitionCount: Int, batchCount: Int, batches: [UInt8]) {
    precondition(batches.count <= Self.largestPayload, "an object holds at most 64 MiB")
    precondition(name.source.topic.utf8.count <= Self.longestTopic)
    self.name = name
    self.partitionCount = partitionCount
    self.batchCount = batchCount
    self.batches = batches
  }

  /// The object's bytes. The same for the same batches.
  public func encoded() -> [UInt8] {
    let topic = Array(name.source.topic.utf8)
    let start = Self.headSize + topic.count
    let capacity = start + tl_zlib_bound(batches.count)
    var bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      memset(buffer.baseAddress!, 0, start)
      let compressed = batches.withUnsafeBytes {
        tl_zlib_compress($0.baseAddress, $0.count, buffer.baseAddress! + start, capacity - start)
      }
      guard compressed > 0 else { fatalError("out of memory: a compressor for an object of \(batches.count) bytes") }
      count = start + compressed
    }
    let compressed = bytes.count - start
    bytes.withUnsafeMutableBytes { raw in
      func store<Number: FixedWidthInteger>(_ value: Number, _ at: Int) {
        raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: Number.self)
      }
      store(Self.magic, 0)
      store(Self.version, 12)
      store(name.base.rawValue, 16)
      store(name.end.rawValue, 24)
      store(name.epoch.rawValue, 32)
      store(name.source.partition.rawValue, 40)
      store(UInt32(partitionCount), 44)
      store(UInt64(batches.count), 48)
      store(UInt64(compressed), 56)
      store(batches.withUnsafeBytes { tl_crc32(0, $0.baseAddress, $0.count) }, 64)
      store(UInt32(batchCount), 68)
      store(UInt16(topic.count), 72)
      raw.baseAddress!.advanced(by: Self.headSize).copyMemory(from: topic, byteCount: topic.count)
      store(tl_crc32(0, raw.baseAddress! + 12, raw.count - 12), 8)
    }
    return bytes
  }

  /// - Parameter expected: the name under which the bytes were found.
  /// - Throws: `ObjectStoreError.damaged` where they are no valid object, or another one.
  public init(_ bytes: [UInt8], expecting expected: ObjectName) throws(ObjectStoreError) {
    guard let object = Self.decode(bytes) else {
      if let version = Self.unknownVersion(bytes) {
        throw .damaged(
          expected,
          "version \(version) of the format, and this build knows version \(Self.version); read it with the build that "
            + "wrote it")
      }
      throw .damaged(expected, "\(bytes.count) bytes that are no valid object")
    }
    guard object.name == expected else { throw .damaged(expected, "its head names \(object.name)") }
    self = object
  }

  private static let version: UInt32 = 1

  /// The version of bytes that are intact, and of one that this build does not know.
  ///
  /// Every later version keeps magic, checksum and version in their places.
  private static func unknownVersion(_ bytes: [UInt8]) -> UInt32? {
    bytes.withUnsafeBytes { raw -> UInt32? in
      guard raw.count > headSize, let base = raw.baseAddress,
        UInt64(littleEndian: raw.load(as: UInt64.self)) == magic,
        UInt32(littleEndian: raw.load(fromByteOffset: 8, as: UInt32.self)) == tl_crc32(0, base + 12, raw.count - 12)
      else { return nil }
      let found = UInt32(littleEndian: raw.load(fromByteOffset: 12, as: UInt32.self))
      return found == version ? nil : found
    }
  }

  private static func decode(_ bytes: [UInt8]) -> SegmentObject? {
    bytes.withUnsafeBytes { raw -> SegmentObject? in
      guard raw.count > headSize, let base = raw.baseAddress else { return nil }
      func load<Number: FixedWidthInteger>(_ at: Int) -> Number {
        Number(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: Number.self))
      }
      let (magic, version, topicLength): (UInt64, UInt32, UInt16) = (load(0), load(12), load(72))
      let (size, compressed): (UInt64, UInt64) = (load(48), load(56))
      let start = headSize + Int(topicLength)
      guard magic == Self.magic, version == Self.version, topicLength <= longestTopic, raw.count > start,
        compressed == UInt64(raw.count - start), size <= UInt64(largestPayload),
        load(8) == tl_crc32(0, base + 12, raw.count - 12)
      else { return nil }
      let length = Int(size)
      var isWhole = false
      let batches = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
        isWhole = tl_zlib_decompress(base + start, Int(compressed), buffer.baseAddress, length) == 1
        count = isWhole ? length : 0
      }
      guard isWhole, load(64) == batches.withUnsafeBytes({ tl_crc32(0, $0.baseAddress, $0.count) }) else { return nil }
      let (first, end): (Int64, Int64) = (load(16), load(24))
      let (partition, partitions): (Int32, UInt32) = (load(40), load(44))
      let epoch: UInt64 = load(32)
      let topic = String(decoding: raw[headSize..<start], as: UTF8.self)
      // Bytes that are no UTF-8 become more of them.
      guard first >= 0, end > first, end <= Offset.largest.rawValue, epoch <= Epoch.largest.rawValue, partition >= 0,
        topic.utf8.count == start - headSize
      else { return nil }
      let count: UInt32 = load(68)
      return SegmentObject(
        name: ObjectName(
          TopicPartition(topic, PartitionID(Int(partition))), base: Offset(first), end: Offset(end), epoch: Epoch(epoch)
        ),
        partitionCount: Int(partitions), batchCount: Int(count), batches: batches)
    }
  }
}
