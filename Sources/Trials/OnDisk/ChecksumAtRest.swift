import LogModel
import Verification

/// The checksums of a request, or of a record, in which bits have been flipped: read from the medium, and computed by
/// the harness, one bit at a time, by what the format's document says. The engine has no part in it.
struct ChecksumAtRest: Hashable, Codable {
  var partition: PartitionID
  /// As it stands on the medium.
  var stored: UInt64
  /// Of the bytes as they stand on the medium; nil for the engine's own format, where it begins from a salt.
  var computed: UInt64?

  init(partition: PartitionID, stored: UInt64, computed: UInt64? = nil) {
    (self.partition, self.stored, self.computed) = (partition, stored, computed)
  }

  /// Whether a report has these two numbers.
  func isNamed(by report: ReportedDamage) -> Bool {
    guard let mismatch = report.mismatch, mismatch.stored == stored, mismatch.computed != stored else { return false }
    return computed.map { $0 == mismatch.computed } ?? true
  }
}

extension ChecksumAtRest {
  /// Of the request whose first message stands at `first`, or, where each message is a record, of the one at `message`.
  /// - Returns: nil for formats of which the harness does not know the checksum.
  init?(
    _ system: LogSystem, _ layout: FileLayout, _ partition: PartitionID, first: Range<Int>, message: Range<Int>,
    in bytes: UnsafeRawBufferPointer
  ) {
    func number<Value: FixedWidthInteger & UnsignedInteger>(_ at: Int, _: Value.Type) -> UInt64? {
      guard at >= 0, at + MemoryLayout<Value>.size <= bytes.count else { return nil }
      return UInt64(Value(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Value.self)))
    }
    switch system {
    case .tornlog:
      guard let stored = number(first.lowerBound - Int(layout.requestHeader) + 4, UInt32.self) else { return nil }
      self.init(partition: partition, stored: stored)
    case .streamhouse:
      let start = message.lowerBound - Int(layout.messageHeader)
      guard let stored = number(start + 4, UInt32.self) else { return nil }
      self.init(
        partition: partition, stored: stored,
        computed: BitwiseCRC.zlib.checksum(bytes[(start + 8)..<message.upperBound]))
    case .airunner:
      let start = message.lowerBound - Int(layout.messageHeader)
      guard start >= 0, let stored = number(message.upperBound, UInt64.self) else { return nil }
      self.init(
        partition: partition, stored: stored,
        computed: BitwiseCRC.nvme.checksum(bytes[(start + 4)..<message.upperBound]))
    case .chronik, .chronikV1, .replayBuffer: return nil
    }
  }
}

/// A reflected CRC that begins from ones and is inverted at the end, a bit at a time.
struct BitwiseCRC {
  var reflectedPolynomial: UInt64
  var bits: Int

  /// CRC-32 of zlib and of IEEE 802.3.
  static let zlib = BitwiseCRC(reflectedPolynomial: 0xEDB8_8320, bits: 32)
  /// CRC-64/NVME.
  static let nvme = BitwiseCRC(reflectedPolynomial: 0x9A6C_9329_AC4B_C9B5, bits: 64)

  func checksum(_ bytes: some Sequence<UInt8>) -> UInt64 {
    let ones = bits == 64 ? UInt64.max : (1 << UInt64(bits)) - 1
    var crc = ones
    for byte in bytes {
      crc ^= UInt64(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ reflectedPolynomial : crc >> 1 }
    }
    return crc ^ ones
  }
}
