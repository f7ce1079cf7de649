import CZlib
import LogModel
import Testing

@testable import ObjectStore

@Suite struct SegmentObjectTests {
  static let source = TopicPartition("orders", 3)

  static func object(_ size: Int, base: Int = 5, end: Int = 9, epoch: UInt64 = 7) -> SegmentObject {
    var random = SeededGenerator(seed: UInt64(size))
    let batches = (0..<size).map {
      $0 % 3 == 0 ? UInt8.random(in: 0...255, using: &random) : UInt8(truncatingIfNeeded: $0 / 64)
    }
    return SegmentObject(
      name: ObjectName(source, base: Offset(base), end: Offset(end), epoch: Epoch(epoch)), partitionCount: 12,
      batchCount: 2,
      batches: batches)
  }

  @Test(arguments: [0, 1, 100, 5000, 1 << 20])
  func whatWasEncodedIsDecoded(_ size: Int) throws {
    let object = Self.object(size)
    let bytes = object.encoded()
    #expect(try SegmentObject(bytes, expecting: object.name) == object)
    #expect(bytes == object.encoded())
  }

  @Test func itIsCompressedInZlibsFormat() throws {
    let object = Self.object(100_000)
    let bytes = object.encoded()
    #expect(bytes.count < 90_000)
    let start = SegmentObject.headSize + "orders".utf8.count
    var out = [UInt8](repeating: 0, count: object.batches.count)
    let isWhole = bytes.withUnsafeBytes {
      tl_zlib_decompress_reference($0.baseAddress! + start, $0.count - start, &out, out.count)
    }
    #expect(isWhole == 1 && out == object.batches)
  }

  /// No flipped bit, no cut and no addition passes.
  @Test func anyDamageIsFound() throws {
    let object = Self.object(700)
    let bytes = object.encoded()
    func isRefused(_ bytes: [UInt8]) -> Bool {
      do throws(ObjectStoreError) {
        _ = try SegmentObject(bytes, expecting: object.name)
        return false
      } catch {
        if case .damaged = error { return true }
        return false
      }
    }
    for index in bytes.indices {
      for bit in 0..<8 {
        var flipped = bytes
        flipped[index] ^= 1 << bit
        #expect(isRefused(flipped), "byte \(index) bit \(bit)")
      }
    }
    for count in 0..<bytes.count { #expect(isRefused(Array(bytes[..<count])), "cut at \(count)") }
    #expect(isRefused(bytes + [0]))
    #expect(isRefused(bytes + bytes))
  }

  /// An object under another's name is not taken for it.
  @Test func theNameMustBeThatOfTheHead() throws {
    let bytes = Self.object(100).encoded()
    for other in [Self.object(100, base: 4), Self.object(100, end: 10), Self.object(100, epoch: 8)] {
      #expect(throws: ObjectStoreError.self) { try SegmentObject(bytes, expecting: other.name) }
    }
  }

  @Test func namesAreReadAsTheyAreWritten() {
    let name = ObjectName(Self.source, base: 0, end: .largest, epoch: .largest)
    #expect(ObjectName(fileName: name.fileName, of: Self.source) == name)
    let plain = ObjectName(Self.source, base: 12, end: 13, epoch: Epoch(4))
    #expect(plain.path == "orders/3/00000000000000000012-00000000000000000013-0000000004.tlo")
    #expect(ObjectName(fileName: plain.fileName, of: Self.source) == plain)
    for text in [
      "", "manifest", plain.fileName + ".1.partial", "12-13-4.tlo",
      "00000000000000000013-00000000000000000013-0000000004.tlo",
      "-0000000000000000001-00000000000000000013-0000000004.tlo",
    ] { #expect(ObjectName(fileName: text, of: Self.source) == nil, "\(text)") }
  }
}
