/// A crash in the middle of a phase of the engine's work.
public struct CrashStep: Hashable, Sendable, Codable, CustomStringConvertible {
  /// What goes on. The words are those of the phases of faults; see `docs/scenarios.md`.
  public enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
    case open, create, produce, commit, rotate, flush, checkpoint, delete, verify, close, recover, append

    /// The life, from 0, that the crash ends.
    public var life: Int { self == .recover || self == .append ? 1 : 0 }
  }

  public enum Condition: Hashable, Sendable, Codable {
    /// With the nth operation at the storage interface in the phase, from 1.
    case operation(Int)
    /// So long after the phase began; positive. Only of `close`: SIGTERM, a time of grace, SIGKILL.
    case elapsed(Duration)
  }

  public var phase: Phase
  public var condition: Condition

  public static let mostOperations = 1_000_000
  public static let longestGrace = Duration.seconds(60)

  public init(_ phase: Phase, _ condition: Condition = .operation(1)) {
    (self.phase, self.condition) = (phase, condition)
  }

  /// `rotate`, `close(3)`, `close+5ms`
  public init?(_ text: String) {
    let name = text.prefix { $0.isLowercase }
    let rest = text.dropFirst(name.count)
    guard let phase = Phase(rawValue: String(name)) else { return nil }
    self.phase = phase
    if rest.isEmpty {
      condition = .operation(1)
    } else if rest.hasPrefix("("), rest.hasSuffix(")") {
      let digits = rest.dropFirst().dropLast()
      guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let n = Int(digits), (1...Self.mostOperations).contains(n)
      else { return nil }
      condition = .operation(n)
    } else if rest.hasPrefix("+"), phase == .close, let grace = DurationText.parse(String(rest.dropFirst())),
      grace > .zero, grace <= Self.longestGrace
    {
      condition = .elapsed(grace)
    } else {
      return nil
    }
  }

  /// What `init` reads, as a regular expression.
  public static let pattern =
    "(" + Phase.allCases.map(\.rawValue).joined(separator: "|") + ")(\\([1-9][0-9]*\\))?|close\\+"
    + DurationText.pattern

  public var description: String {
    switch condition {
    case .operation(1): phase.rawValue
    case .operation(let n): "\(phase.rawValue)(\(n))"
    case .elapsed(let grace): "\(phase.rawValue)+\(DurationText.render(grace))"
    }
  }
}
