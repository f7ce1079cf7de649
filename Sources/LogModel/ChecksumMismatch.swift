/// Two checksums that should be one: the one that a batch or a record carries, and the one that its bytes have.
public struct ChecksumMismatch: Hashable, Sendable, Codable {
  /// Where the batch or the record begins in its file.
  public var at: Int64
  public var stored: UInt64
  public var computed: UInt64

  public init(at: Int64, stored: UInt64, computed: UInt64) {
    (self.at, self.stored, self.computed) = (at, stored, computed)
  }
}

extension ChecksumMismatch: CustomStringConvertible {
  public var description: String {
    "checksum mismatch at byte \(at): \(Self.text(stored: stored, computed: computed))"
  }

  /// Both with all their digits: 8 of a checksum of 32 bits, 16 of one of 64.
  public static func text(stored: UInt64, computed: UInt64) -> String {
    let digits = max(stored, computed) > UInt64(UInt32.max) ? 16 : 8
    func hexadecimal(_ value: UInt64) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: digits - text.count) + text
    }
    return "stored 0x\(hexadecimal(stored)), computed 0x\(hexadecimal(computed))"
  }
}
