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

  /// The checksum of all of `bytes`, behind bytes whose checksum is `before`; of no bytes it is 0.
  public static func checksum(_ bytes: UnsafeRawBufferPointer, after before: UInt64 = 0) -> UInt64 {
    guard let base = bytes.baseAddress else { return before }
    let tables = tables
    var crc = ~before
    var at = 0
    while at + 8 <= bytes.count {
      crc ^= base.little(at, UInt64.self)
      var next: UInt64 = 0
      for byte in 0..<8 { next ^= tables[(7 - byte) * 256 + Int(crc >> (8 * UInt64(byte)) & 0xFF)] }
      crc = next
      at += 8
    }
    while at < bytes.count {
      crc = crc >> 8 ^ tables[Int((crc ^ UInt64(bytes[at])) & 0xFF)]
      at += 1
    }
    return ~crc
  }
}
