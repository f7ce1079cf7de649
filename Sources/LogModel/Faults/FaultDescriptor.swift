/// Everything that there is to say of one kind of fault, as scenarios write it: `- bit-flip: { target: batch-payload
/// }`.
///
/// The parser, its validation, tokens, random trials, `docs/scenarios.md` and the JSON Schema of scenarios all follow
/// from it.
public struct FaultDescriptor: Sendable {
  /// Where faults happen. Each family has a table in `docs/scenarios.md`.
  public enum Family: String, Hashable, Sendable, CaseIterable {
    /// Between the engine and its log.
    case device = "faults of the device"
    /// Between the first crash and the recovery.
    case atRest = "damage at rest"
    /// Between the engine and its object store.
    case store = "faults of the store"
    /// What a receiver of events does.
    case receiver = "faults of a receiver"
    /// What an operator does between the first crash and the restart.
    case operation = "what an operator does"
  }

  public var kind: String
  /// Its name in the version before, which scenarios and tokens may still use; nil where that was the same.
  public var former: String?
  public var family: Family
  /// One sentence in Markdown, for `docs/scenarios.md`.
  public var meaning: String
  public var parameters: [FaultParameter]
  /// It goes with the key `delivery` only.
  public var isOfDelivery: Bool
  /// What random trials may inject: parameters of each choice.
  public var drawn: [[String: String]]
  /// What is wrong with parameters that are each in order and do not go together.
  public var contradictions: @Sendable (FaultWords) -> [FaultContradiction]

  public init(
    _ kind: String, former: String? = nil, _ family: Family, _ meaning: String, _ parameters: [FaultParameter] = [],
    isOfDelivery: Bool = false, drawn: [[String: String]] = [],
    contradictions: @escaping @Sendable (FaultWords) -> [FaultContradiction] = { _ in [] }
  ) {
    (self.kind, self.former, self.family) = (kind, former, family)
    (self.meaning, self.parameters) = (meaning, parameters)
    (self.isOfDelivery, self.drawn, self.contradictions) = (isOfDelivery, drawn, contradictions)
  }

  /// Whether it goes by that name, or did in the version before.
  public func isCalled(_ name: String) -> Bool { kind == name || former == name }
}

/// One parameter of a kind of fault.
public struct FaultParameter: Hashable, Sendable {
  public enum Form: Hashable, Sendable {
    case word([String])
    case integer(ClosedRange<Int>)
    /// `4KiB`.
    case size
    /// `100ms`.
    case duration
    /// Whole numbers from 0, separated by commas: `0,2,5`.
    case numbers
    case anyText
  }

  public var name: String
  public var form: Form
  /// What it says, in Markdown, for `docs/scenarios.md`.
  public var meaning: String
  public var isRequired: Bool
  /// Words of the version before, which scenarios and tokens may still use, with those of now.
  public var former: [String: String]
  /// Words that somebody may well expect and that mean nothing here, each with the reason: `it has none, so that ...`.
  public var impossible: [String: String]

  public init(
    _ name: String, _ form: Form, _ meaning: String, isRequired: Bool = false, former: [String: String] = [:],
    impossible: [String: String] = [:]
  ) {
    (self.name, self.form, self.meaning) = (name, form, meaning)
    (self.isRequired, self.former, self.impossible) = (isRequired, former, impossible)
  }

  /// Its values in Markdown, for `docs/scenarios.md`.
  public var values: String {
    let text =
      switch form {
      case .word(let words): words.map { "`\($0)`" }.joined(separator: ", ")
      case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
      case .size: "a size"
      case .duration: "a duration"
      case .numbers: "numbers from 0"
      case .anyText: "text"
      }
    return isRequired ? "\(text); required" : text
  }
}

/// A fault that would never fire, or of whose words some would be passed over.
public struct FaultContradiction: Hashable, Sendable {
  /// The parameter at whose place it is shown.
  public var parameter: String
  public var because: String
  /// What to do.
  public var remedy: String

  public init(_ parameter: String, because: String, remedy: String) {
    self.parameter = parameter
    self.because = because
    self.remedy = remedy
  }
}

/// The parameters of one fault, read as what they are. The parser has checked them; a token may hold anything.
public struct FaultWords: Sendable {
  private let parameters: [String: String]

  public init(_ fault: FaultSpec) { parameters = fault.parameters }
  public init(_ parameters: [String: String]) { self.parameters = parameters }

  public subscript(name: String) -> String? { parameters[name] }
  public func integer(_ name: String) -> Int? { parameters[name].flatMap { byteCount($0) ?? Int($0) } }
  public func numbers(_ name: String) -> [Int] {
    parameters[name]?.split(separator: ",").compactMap { Int($0) } ?? []
  }
  public func duration(_ name: String) -> Duration? { parameters[name].flatMap { DurationText.parse($0) } }
}
