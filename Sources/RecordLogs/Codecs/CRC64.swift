import CZlib

/// CRC-64/NVME: polynomial AD93D23594C93659, reflected, begun from ones and inverted at the end; the check value, of
/// "123456789", is AE8B14860A799888 (NVM Express NVM Command Set Specification 1.0, section 5.2.1.3.4, and the RevEng
/// catalogue of CRC algorithms).
public enum CRC64 {
  private static let reflectedPolynomial: UInt64 = 0x9A6C_9329_AC4B_C9B5

  /// Eight tables of 256, for eight bytes a step ("slicing by 8": Kounavis and Berry, 2008). Never freed, never changed
  /// once made.
  private nonisolated(unsafe) static let tables: UnsafePointer<UInt64> = {
    let tables = UnsafeMutablePointer<UInt64>.allocate(capacity: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt64(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ reflectedPolynomial : crc >> 1 }
      tables[byte] = crc
    }
    for table in 1..<8 {
      for byte in 0..<256 {
        let before = tables[(table - 1) * 256 + byte]
        tables[table * 256 + byte] = before >> 8 ^ tables[Int(before & 0xFF)]
      }
    }
    return UnsafePointer(tables)
  }()

  /// x^191, x^127, x^575 and x^511, as `tl_crc64_fold` wants them; nil where the processor cannot fold.
  private nonisolated(unsafe) static let folding: UnsafePointer<UInt64>? = {
    guard tl_crc64_can_fold() != 0 else { return nil }
    let constants = UnsafeMutablePointer<UInt64>.allocate(capacity: 4)
    for (place, exponent) in [191, 127, 575, 511].enumerated() {
      var power: UInt64 = 1 << 63
      for _ in 0..<exponent { power = power & 1 == 1 ? power >> 1 ^ reflectedPolynomial : power >> 1 }
      constants[place] = power
    }
    return UnsafePointer(constants)
  }()

  /// The checksum of all of `bytes`, behind bytes whose checksum is `before`; of no bytes it is 0.
  public static func checksum(_ bytes: UnsafeRawBufferPointer, after before: UInt64 = 0) -> UInt64 {
    guard let base = bytes.baseAddress else { return before }
    var crc = ~before
    var at = 0
    if bytes.count >= 32, let folding {
      at = bytes.count & ~15
      var folded: (UInt64, UInt64) = (0, 0)
      tl_crc64_fold(base, at, crc, folding, &folded)
      crc = step(step(0, folded.0), folded.1)
    }
    while at + 8 <= bytes.count {
      crc = step(crc, base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at += 8
    }
    while at < bytes.count {
      crc = crc >> 8 ^ tables[Int((crc ^ UInt64(bytes[at])) & 0xFF)]
      at += 1
    }
    return ~crc
  }

  /// The state behind eight more bytes.
  @inline(__always)
  private static func step(_ crc: UInt64, _ word: UInt64) -> UInt64 {
    let tables = tables
    let bits = crc ^ UInt64(littleEndian: word)
    let low = tables[7 * 256 + Int(bits & 0xFF)] ^ tables[6 * 256 + Int(bits >> 8 & 0xFF)]
    let next = tables[5 * 256 + Int(bits >> 16 & 0xFF)] ^ tables[4 * 256 + Int(bits >> 24 & 0xFF)]
    let third = tables[3 * 256 + Int(bits >> 32 & 0xFF)] ^ tables[2 * 256 + Int(bits >> 40 & 0xFF)]
    let high = tables[256 + Int(bits >> 48 & 0xFF)] ^ tables[Int(bits >> 56)]
    return low ^ next ^ third ^ high
  }
}
