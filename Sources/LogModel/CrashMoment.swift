/// When in the workload the crash comes.
public enum CrashMoment: Hashable, Sendable, Codable, CustomStringConvertible {
  /// When everything has been answered and read back.
  case end
  /// As soon as this share of the messages was acknowledged; from 1 to 99.
  case percent(Int)
  /// As soon as this many messages were acknowledged.
  case messages(Int)

  /// `end`, `50%`, `37`
  public init?(_ text: String) {
    if text == "end" {
      self = .end
    } else if text.hasSuffix("%"), let n = Int(text.dropLast()), (1...99).contains(n) {
      self = .percent(n)
    } else if let n = Int(text), n >= 0 {
      self = .messages(n)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .end: "end"
    case .percent(let n): "\(n)%"
    case .messages(let n): String(n)
    }
  }

  /// How many acknowledged messages of `total` it waits for.
  public func messages(of total: Int) -> Int {
    switch self {
    case .end: total
    case .percent(let n): total * n / 100
    case .messages(let n): min(n, total)
    }
  }
}
