/// The check sum at the end of a token, a word of fields `name=value` with full stops between them: whoever cuts the
/// word anywhere, or changes a character, has no token any more.
public struct TokenSeal: Sendable {
  /// The name of the last field.
  public let field: String

  public init(field: String) { self.field = field }

  /// Why a word is not whole.
  public enum Broken: Error, Hashable, Sendable {
    /// The end, with the check sum, is not there.
    case cutOff
    /// The check sum is not that of the rest of the word.
    case changed(found: String, expected: String)
  }

  public func sealed(_ body: String) -> String { "\(body).\(field)=\(Self.checkSum(of: body))" }

  /// The word without its check sum.
  public func body(of word: String) throws(Broken) -> String {
    guard let stop = word.lastIndex(of: ".") else { throw .cutOff }
    let last = word[word.index(after: stop)...]
    guard last.hasPrefix(field + "=") else { throw .cutOff }
    let (body, found) = (String(word[..<stop]), String(last.dropFirst(field.count + 1)))
    let expected = Self.checkSum(of: body)
    // Bytes: two texts that look alike in Unicode are not the same token.
    guard found.utf8.elementsEqual(expected.utf8) else { throw .changed(found: found, expected: expected) }
    return body
  }

  /// CRC-32 (ISO 3309), eight hexadecimal digits: no change within 32 bits in a row goes unnoticed, any other one in
  /// 2^32.
  private static func checkSum(of body: String) -> String {
    var sum: UInt32 = ~0
    for byte in body.utf8 {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0xEDB8_8320 }
    }
    let digits = String(~sum, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}

extension TokenSeal.Broken: CustomStringConvertible {
  /// What to do about a token that is not whole.
  public static let remedy = "copy the whole word after `tornlog reproduce`, or say `tornlog reproduce last`"

  public var description: String {
    switch self {
    case .cutOff: "the token is cut off: its end, with the check sum, is not there; \(Self.remedy)"
    case .changed(let found, let expected):
      "the token is not as it was printed: its check sum is `\(found.prefix(16))`, and its text gives `\(expected)`; "
        + "\(Self.remedy)"
    }
  }

  /// What the user of a token should know that was printed before there were check sums.
  public static let missing =
    "this token carries no check sum: if it was cut or changed on its way, something else runs; "
    + "compare it with the report that it is from"
}
