import LogModel
import ScenarioFormat

extension Token {
  /// Why a word is no token of a trial.
  public enum Failure: Error, Hashable, Sendable {
    case notAToken(String)
    case broken(TokenSeal.Broken)
    case badField(String)
    case unknownField(String)
    case emptyField(String)
    case repeatedField(String)
    case missing(String)
    case unknownFault(String, known: [String])
    /// Of a field `f=...`: what a scenario could not hold either.
    case badFault(String, ScenarioProblem)
    /// A batch that the engine does not take; bytes.
    case batchTooLarge(bytes: Int, limit: Int)
    /// The text says what the trial's system cannot be asked for.
    case notOfSystem(String)
  }
}

extension Token.Failure: CustomStringConvertible {
  private static var remedy: String { TokenSeal.Broken.remedy }

  public var description: String {
    switch self {
    case .notAToken(let text): "`\(text.prefix(40))` is no token; \(Self.remedy)"
    case .broken(let how): "\(how)"
    case .badField(let field): "the token's field `\(field.prefix(80))` cannot be read; \(Self.remedy)"
    case .unknownField(let name):
      "the token has a field `\(name.prefix(40))`, which this build does not know; \(Self.remedy), or use the build "
        + "that printed it"
    case .emptyField(let name): "the token's field `\(name)` is empty; \(Self.remedy)"
    case .repeatedField(let name): "the token has the field `\(name)` twice; \(Self.remedy)"
    case .missing(let name): "the token has no field `\(name)`; \(Self.remedy)"
    case .unknownFault(let kind, let known):
      "the token names a fault `\(kind.prefix(40))` that there is not; there are \(known.joined(separator: ", "))"
    case .badFault(let field, let problem):
      "the token's field `\(field.prefix(80))` asks for a fault that there is not: \(problem); \(Self.remedy)"
    case .batchTooLarge(let bytes, let limit):
      "the token's batch (`b` messages of `z` bytes) has \(bytes) bytes; the engine takes \(limit) at most"
    case .notOfSystem(let text): "the token asks for what there is not: \(text)"
    }
  }
}
