import LogModel
import Testing

@testable import WriteAheadLog

/// The test vectors of docs/formats.md, computed by the code.
@Suite struct BatchVectorTests {
  static let salt: UInt64 = 0xA52E_A94C_29DB_4E22

  /// 0 bytes behind the seed: what is left of a checksum is the seed itself.
  @Test(arguments: [(4096, 0xE901_2F69), (14240, 0x1393_2CCB)] as [(Int64, UInt32)])
  func theSeedOfAChecksum(_ position: Int64, _ seed: UInt32) {
    withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8) { bytes in
      #expect(
        BatchHeader.computeChecksum(at: bytes.baseAddress!, length: 8, position: position, salt: Self.salt) == seed)
    }
  }

  @Test func aWholeBatch() {
    let length = RecordFormat.batchLength(recordCount: 2, payload: 6)
    var bytes = [UInt8](repeating: 0, count: length)
    bytes.withUnsafeMutableBytes { raw in
      var writer = RecordWriter(base: raw.baseAddress! + BatchHeader.size, capacity: length - BatchHeader.size)
      Array("hello".utf8).withUnsafeBytes { writer.append(value: $0) }
      Array("k".utf8).withUnsafeBytes { writer.append(key: $0, value: UnsafeRawBufferPointer(start: nil, count: 0)) }
      BatchHeader(
        length: length, baseOffset: 7, recordCount: 2, position: 4096, epoch: Epoch(3),
        time: Instant(nanoseconds: 1000),
        durableOffset: 5, bootID: 0x9E05_774D, commitDelta: 2
      ).seal(at: raw.baseAddress!, salt: Self.salt)
    }
    let text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(
      text == "544c42313a93ead05800000001000000070000000000000002000000000200000300000000000000e803000000000000"
        + "05000000000000004d77059e02000000ffffffff0500000068656c6c6f01000000000000006b0000")
  }
}
