import CZlib
import Testing

@testable import RecordLogs

/// The formats, byte by byte. The golden bytes were put together from the text of issue 5 with Python's `struct` and
/// `zlib.crc32`, and a bitwise CRC-64; no encoder of ours had a part in them.
@Suite struct CodecTests {
  static let time: Int64 = 1_769_857_215_123

  @Test func crc64HasThePublishedCheckValue() {
    #expect(Array("123456789".utf8).withUnsafeBytes { CRC64.checksum($0) } == 0xAE8B_1486_0A79_9888)
    #expect(Array(UInt8.min...UInt8.max).withUnsafeBytes { CRC64.checksum($0) } == 0xFF71_E212_79D9_966E)
    #expect([UInt8]().withUnsafeBytes { CRC64.checksum($0) } == 0)
  }

  /// Eight bytes a step and one bit a step are the same function, at every length and alignment.
  @Test func crc64AgreesWithItsDefinition() {
    let bytes = (0..<80).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ 11) }
    for from in 0..<8 {
      for to in from...bytes.count {
        var crc = ~UInt64(0)
        for byte in bytes[from..<to] {
          crc ^= UInt64(byte)
          for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x9A6C_9329_AC4B_C9B5 : crc >> 1 }
        }
        let fast = bytes.withUnsafeBytes { CRC64.checksum(UnsafeRawBufferPointer(rebasing: $0[from..<to])) }
        #expect(fast == ~crc, "\(from)..<\(to)")
      }
    }
  }

  // MARK: Golden bytes

  @Test func streamhouse() {
    let golden = Golden(
      """
      20 00 00 00  d8 3c 19 d2  93 ea b5 13 9c 01 00 00  07 00 00 00 6f 72 64 65 72 2d 37  05 00 00 00 68 65 6c 6c 6f
      """)
    golden.check(StreamhouseCodec.self) { record in
      #expect(record.timestamp == UInt64(Self.time) && Array(record.key) == Array("order-7".utf8))
      #expect(Array(record.value) == Array("hello".utf8))
    }
  }

  /// Streamhouse runbook, "Analyze WAL Contents": record 0 at byte 0 has a key of 12 bytes and a value of 128, and
  /// record 1 stands at 152. That leaves 12 bytes for everything else; size, CRC-32, timestamp and two lengths take 24.
  @Test func theDumpExampleDoesNotFit() {
    let (key, value) = ([UInt8](repeating: 1, count: 12), [UInt8](repeating: 2, count: 128))
    let length = key.withUnsafeBytes { key in
      value.withUnsafeBytes { StreamhouseCodec.length(of: StreamhouseCodec.Record(timestamp: 0, key: key, value: $0)) }
    }
    #expect(length == 164)
  }

  @Test func airunner() {
    let golden = Golden(
      """
      27 00 00 00  2a 00 00 00 00 00 00 00  01 00 00 00  93 ea b5 13 9c 01 00 00  7b 22 6e 22 3a 31 7d
      08 6f 45 11 36 72 cb cc
      """)
    golden.check(AirunnerCodec.self) { record in
      #expect(record.sequence == 42 && record.status == .pending && record.timestamp == Self.time)
      #expect(Array(record.payload) == Array(#"{"n":1}"#.utf8))
    }
    // Airunner runbook, "Dump header".
    #expect(AirunnerCodec.fileHeader == Golden("41 52 57 41 4c 30 30 31  01 00 00 00 00 00 00 00").bytes)
  }

  @Test func chronikV1() {
    let golden = Golden(
      """
      7e ca 01 00  36 00 00 00  cd 05 00 00 00 00 00 00  93 ea b5 13 9c 01 00 00  7f 15 f9 4b  02 00 00 00 6b 31
      03 00 00 00 61 62 63  01 00 00 00  01 00 68 02 00 00 00 01 02
      """)
    golden.check(ChronikV1Codec.self) { record in
      #expect(record.offset == 1485 && record.timestamp == Self.time && record.flags == 0)
      #expect(record.key.map(Array.init) == Array("k1".utf8) && Array(record.value) == Array("abc".utf8))
      #expect(ChronikHeader.decode(record) == [ChronikHeader(name: "h", value: [1, 2])])
      #expect(ChronikHeader.encode(ChronikHeader.decode(record)) == Array(record.headers))
    }
    let keyless = Golden(
      """
      7e ca 01 00  29 00 00 00  07 00 00 00 00 00 00 00  93 ea b5 13 9c 01 00 00  c9 8a 4f 9f  ff ff ff ff  01 00 00 00 78
      00 00 00 00
      """)
    keyless.check(ChronikV1Codec.self) { record in
      #expect(record.key == nil && record.headerCount == 0 && Array(record.value) == [0x78] && record.offset == 7)
    }
  }

  @Test func chronikV2() {
    let golden = Golden(
      """
      7e ca 02 00  28 00 00 00  1b b1 ca bb  06 00 6f 72 64 65 72 73  02 00 00 00  04 00 00 00 de ad be ef
      64 00 00 00 00 00 00 00  6e 00 00 00 00 00 00 00  0b 00 00 00
      """)
    golden.check(ChronikV2Codec.self) { record in
      #expect(Array(record.topic) == Array("orders".utf8) && record.partition == 2)
      #expect(Array(record.data) == [0xDE, 0xAD, 0xBE, 0xEF])
      #expect(record.baseOffset == 100 && record.lastOffset == 110 && record.recordCount == 11)
    }
  }

  @Test func replayBuffer() {
    let golden = Golden(
      """
      52 50 42 31  2f 00 00 00  09 00 00 00 00 00 00 00  d0 b8 8d 61  93 ea b5 13 9c 01 00 00  04 00 75 2d 31 37
      02  04 00 00 00 37 32 2e 35  2f 00 00 00
      """)
    golden.check(ReplayCodec.self) { record in
      #expect(record.transaction == 9 && record.timestamp == Self.time && record.operation == .addMeasurement)
      #expect(Array(record.user) == Array("u-17".utf8) && Array(record.payload) == Array("72.5".utf8))
    }
  }

  /// C12: a checksum over a length that is still zero is refused.
  @Test func aChecksumFromBeforeTheLengthWasSetIsRefused() {
    var bytes = Golden(
      """
      7e ca 01 00  29 00 00 00  07 00 00 00 00 00 00 00  93 ea b5 13 9c 01 00 00  c9 8a 4f 9f  ff ff ff ff  01 00 00 00 78
      00 00 00 00
      """
    ).bytes
    bytes.withUnsafeMutableBytes { raw in
      raw.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
      let crc = tl_crc32_zlib(tl_crc32_zlib(0, raw.baseAddress!, 24), raw.baseAddress! + 28, raw.count - 28)
      raw.storeBytes(of: UInt32(41).littleEndian, toByteOffset: 4, as: UInt32.self)
      raw.storeBytes(of: crc.littleEndian, toByteOffset: 24, as: UInt32.self)
    }
    #expect(!Golden.isRecord(ChronikV1Codec.self, bytes))
  }
}

/// Bytes written by hand.
struct Golden {
  var bytes: [UInt8]

  init(_ hex: String) {
    bytes = hex.split { $0 == " " || $0 == "\n" }.map { UInt8($0, radix: 16)! }
  }

  /// Reads them, writes what has been read, and turns every bit over: none of these is a record, whatever follows it.
  func check<Codec: RecordCodec>(_ codec: Codec.Type, _ readback: (Codec.Record) -> Void) {
    #expect(Self.isRecord(codec, bytes))
    bytes.withUnsafeBytes { raw in
      let record = Codec.record(in: raw)
      readback(record)
      #expect(Codec.length(of: record) == raw.count)
      var written = [UInt8](repeating: 0xAA, count: raw.count + 8)
      written.withUnsafeMutableBytes { Codec.write(record, to: $0.baseAddress!) }
      #expect(Array(written.prefix(raw.count)) == bytes && written.suffix(8).allSatisfy { $0 == 0xAA })
    }
    for bit in 0..<bytes.count * 8 {
      var flipped = bytes + [UInt8](repeating: 0, count: 1 << 16)
      flipped[bit / 8] ^= 1 << (bit % 8)
      #expect(!Self.isRecord(codec, flipped), "bit \(bit) turned over is not noticed")
    }
    for length in 0..<bytes.count { #expect(!Self.isRecord(codec, Array(bytes.prefix(length))), "cut to \(length)") }
  }

  static func isRecord<Codec: RecordCodec>(_ codec: Codec.Type, _ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { raw in
      guard raw.count >= Codec.prefixSize else { return false }
      do throws(RecordFault) {
        let length = try Codec.length(at: raw.baseAddress!)
        guard length <= raw.count else { return false }
        try Codec.verify(UnsafeRawBufferPointer(rebasing: raw[..<length]))
        return true
      } catch { return false }
    }
  }
}
