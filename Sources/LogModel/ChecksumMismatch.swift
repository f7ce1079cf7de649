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
    "checksum mismatch at byte \(at): expected 0x\(String(stored, radix: 16)), actual 0x\(String(computed, radix: 16))"
  }
}
