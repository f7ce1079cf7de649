/// Which one bit explains a wrong checksum. A CRC is linear: the difference of two checksums depends on the flipped bit
/// alone, and no two bits within 2^32 of each other have the same one (the polynomials of zlib and of NVMe are
/// primitive, or nearly: what is found is tried before it is believed).
enum SingleBit {
  private static let crc32: UInt64 = 0xEDB8_8320
  private static let crc64: UInt64 = 0x9A6C_9329_AC4B_C9B5

  /// - Parameters:
  ///   - syndrome: the stored checksum and the computed one, combined by exclusive or.
  ///   - work: grows by what was done.
  static func explaining(_ syndrome: UInt64, _ coverage: Coverage, work: inout Int64) -> BitFlip? {
    if syndrome == 0 { return nil }
    if syndrome.nonzeroBitCount == 1 {
      let bit = syndrome.trailingZeroBitCount
      return BitFlip(at: coverage.field + Int64(bit / 8), bit: bit % 8)
    }
    let polynomial = coverage.width == 4 ? crc32 : crc64
    let bits = Int64(coverage.first.count + coverage.second.count) * 8
    // What the last bit of all changes, then the one before it, and so on.
    var change = polynomial
    for back in 0..<bits {
      if change == syndrome {
        work += back / 4
        return flip(back, coverage)
      }
      change = change & 1 == 1 ? change >> 1 ^ polynomial : change >> 1
    }
    work += bits / 4
    return nil
  }

  /// The bit that is `back` bits before the last one. The lowest bit of a byte comes first.
  private static func flip(_ back: Int64, _ coverage: Coverage) -> BitFlip {
    let bytes = back / 8
    let (last, before) = (coverage.second, coverage.first)
    let at =
      bytes < Int64(last.count) ? last.upperBound - 1 - bytes : before.upperBound - 1 - (bytes - Int64(last.count))
    return BitFlip(at: at, bit: 7 - Int(back % 8))
  }
}
