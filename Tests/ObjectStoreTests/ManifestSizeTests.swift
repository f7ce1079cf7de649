import LogModel
import Testing

@testable import ObjectStore

/// A manifest is read whole and written whole with each put: it has a bound, and within that it is never taken for
/// damaged.
@Suite struct ManifestSizeTests {
  private static let source = TopicPartition("orders", 0)

  private static func name(_ n: Int, epoch: Epoch = Epoch(1)) -> ObjectName {
    ObjectName(source, base: Offset(n * 10), end: Offset(n * 10 + 10), epoch: epoch)
  }

  private static func read(_ manifest: ObjectManifest) -> ObjectManifest {
    ObjectManifest(manifest.encoded(), of: source)
  }

  /// Of more objects than it names: the first and the newest, in order.
  @Test func manyObjects() {
    var manifest = ObjectManifest(state: .absent)
    let count = ObjectManifest.mostNames + 3000
    manifest.adopt((0..<count).reversed().map { Self.name($0) })
    let found = Self.read(manifest)
    #expect(found.state == .whole && found.names.count == ObjectManifest.mostNames)
    #expect(
      found.names[0] == Self.name(0) && found.names[1] == Self.name(3001) && found.names.last == Self.name(count - 1))
    manifest.add(Self.name(count))
    #expect(manifest.names.count == ObjectManifest.mostNames && manifest.names.last == Self.name(count))
    manifest.add(Self.name(count))
    manifest.remove(Self.name(0))
    #expect(manifest.names.count == ObjectManifest.mostNames - 1 && manifest.names.first == Self.name(3002))
  }

  /// Names as long as they get, as many as there can be: it is read back whole.
  @Test func theLongestManifestIsRead() {
    let largest = Offset.largest.rawValue
    let names = (0..<ObjectManifest.mostNames).map { n in
      ObjectName(
        Self.source, base: Offset(largest - 2 - Int64(n)), end: Offset(largest - 1 - Int64(n)), epoch: Epoch.largest)
    }
    var manifest = ObjectManifest(state: .absent)
    manifest.adopt(names)
    let bytes = manifest.encoded()
    #expect(Int64(bytes.count) < ObjectManifest.largest / 4)
    #expect(ObjectManifest(bytes, of: Self.source).names.count == ObjectManifest.mostNames)
  }

  /// What no writer has put is no name, and no object.
  @Test(arguments: [
    "00000000000000000000-09223372036854775807-0000000001.tlo",
    "00000000000000000000-00000000000000000010-18446744073709551615.tlo",
    "00000000000000000010-00000000000000000010-0000000001.tlo",
    "09223372036854775806-09223372036854775807-0000000001.tlo",
  ]) func anImpossibleName(_ file: String) {
    #expect(ObjectName(fileName: file, of: Self.source) == nil)
  }

  /// Bytes of a topic that are no UTF-8 are longer once they have been repaired.
  @Test func aTopicOfNoText() throws {
    let name = ObjectName(TopicPartition(String(repeating: "t", count: 249), 0), base: 0, end: 1, epoch: Epoch(1))
    var bytes = SegmentObject(name: name, partitionCount: 1, batchCount: 0, batches: []).encoded()
    for at in 80..<80 + 249 { bytes[at] = 0xFF }
    let checksum = crc32(bytes[12...])
    withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(8..<12, with: $0) }
    #expect(throws: ObjectStoreError.self) { try SegmentObject(bytes, expecting: name) }
  }

  private func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
  }
}
