/// When the crash comes.
public enum CrashMoment: Hashable, Sendable, Codable, CustomStringConvertible {
  /// When everything has been answered and read back.
  case end
  /// As soon as this share of the messages was acknowledged; from 1 to 99.
  case percent(Int)
  /// As soon as this many messages were acknowledged.
  case messages(Int)
  /// In the middle of something that the engine does.
  case step(CrashStep)

  /// `end`, `50%`, `37`, `rotate`, `close(3)`, `close+5ms`
  public init?(_ text: String) {
    if text == "end" {
      self = .end
    } else if text.hasSuffix("%"), let n = Int(text.dropLast()), (1...99).contains(n) {
      self = .percent(n)
    } else if let n = Int(text), n >= 0 {
      self = .messages(n)
    } else if let step = CrashStep(text) {
      self = .step(step)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .end: "end"
    case .percent(let n): "\(n)%"
    case .messages(let n): String(n)
    case .step(let step): step.description
    }
  }

  /// How many acknowledged messages of `total` it waits for.
  public func messages(of total: Int) -> Int {
    switch self {
    case .end, .step: total
    case .percent(let n): total * n / 100
    case .messages(let n): min(n, total)
    }
  }

  /// Nil for moments that are counted in messages.
  public var step: CrashStep? { if case .step(let step) = self { step } else { nil } }
}
