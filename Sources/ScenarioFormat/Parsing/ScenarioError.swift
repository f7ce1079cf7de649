import LogModel

/// A place in a scenario file; lines and columns count from 1, columns in Unicode scalars.
public struct SourcePosition: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
  public var file: String
  /// 0 where the problem is the file itself, not a place in it.
  public var line: Int
  public var column: Int

  public init(file: String, line: Int = 0, column: Int = 0) {
    self.file = file
    self.line = line
    self.column = column
  }

  public static func < (a: Self, b: Self) -> Bool { (a.file, a.line, a.column) < (b.file, b.line, b.column) }

  public var description: String { line == 0 ? file : "\(file):\(line):\(column)" }
}

/// One thing that is wrong with a scenario file, and where.
public struct ScenarioError: Error, Hashable, Sendable, CustomStringConvertible {
  public var position: SourcePosition
  public var problem: ScenarioProblem

  public init(_ position: SourcePosition, _ problem: ScenarioProblem) {
    self.position = position
    self.problem = problem
  }

  /// `file:line:column: message`
  public var description: String { "\(position): \(problem)" }
}

/// Everything that is wrong with the scenarios that were asked for, in the order of the files.
public struct InvalidScenarios: Error, Hashable, Sendable, CustomStringConvertible {
  public var errors: [ScenarioError]

  public init(_ errors: [ScenarioError]) { self.errors = errors.sorted { $0.position < $1.position } }

  /// Lines that are shown: what comes behind them says the same again, as a rule.
  public static let mostShown = 20

  public var description: String { lines.joined(separator: "\n") }

  /// The first mistakes, and how many there are beside them.
  public var lines: [String] {
    let more = errors.count - Self.mostShown
    return errors.prefix(Self.mostShown).map(\.description)
      + (more > 0 ? ["... and \(more) more \(more == 1 ? "mistake" : "mistakes")"] : [])
  }
}

/// What can be wrong with a scenario.
public enum ScenarioProblem: Error, Hashable, Sendable {
  /// The file is not YAML; the text is libYAML's.
  case syntax(String)
  case emptyDocument
  /// Aliases blow the document up beyond what a scenario can need.
  case tooManyNodes(limit: Int)
  case tooDeep(limit: Int)
  case keyIsNotText(in: String)
  case unknownKey(String, in: String, known: [String])
  case duplicateKey(String, firstLine: Int)
  case missingKey(String, in: String)
  /// A word that must be one of a list: a defect, a check, a crash kind.
  case unknownWord(String, of: String, known: [String])
  /// A word that means nothing here, for a reason.
  case impossibleWord(String, of: String, because: String)
  /// A name that the engine refuses.
  case invalidName(String, of: String, NameProblem)
  /// A value of the wrong form: `12 apples` for a number.
  case malformed(String, of: String, expected: String)
  /// Parameters of a fault that do not go together.
  case contradiction(of: String, FaultContradiction)
  case wrongShape(of: String, expected: String, found: String)
  case outOfRange(Int, of: String, allowed: ClosedRange<Int>)
  /// `batch` messages of `message-size` bytes are more than the engine takes in one request; bytes.
  case batchTooLarge(messages: Int, of: Int, bytes: Int, limit: Int)
  case emptyList(of: String)
  case repeatedValue(String, of: String)
  /// Given both under `workload` and under `matrix`, say.
  case givenTwice(String, places: String)
  /// A condition names a value that no cell has.
  /// Another command takes it.
  case otherKind(String)
  case notInMatrix(axis: String, value: String, values: [String])
  /// Every cell is excluded, or a suite chooses none.
  case selectsNothing(String)
  case tooManyCells(Int, limit: Int)
  case repeatedScenario(String, first: SourcePosition)
  case unreadable(errno: Int32, reason: String)
  case noScenarios
  case notAFile
  case fileTooLarge(bytes: Int, limit: Int)
  case notUTF8
}

extension ScenarioProblem: CustomStringConvertible {
  /// What the file says is shown on one line, cut where it is long, and with nothing in it that steers a terminal.
  public var description: String {
    switch self {
    case .syntax(let text): "not YAML: \(text)"
    case .emptyDocument: "empty: a scenario needs at least name, title and matrix"
    case .tooManyNodes(let limit): "more than \(limit) values after aliases are resolved"
    case .tooDeep(let limit): "nested more than \(limit) deep"
    case .keyIsNotText(let place): "a key of \(place.shortened()) is not plain text"
    case .unknownKey(let key, let place, let known):
      "unknown key '\(key.shortened())' in \(place)\(Self.suggestion(for: key, among: known))"
    case .duplicateKey(let key, let line): "duplicate key '\(key.shortened())': it stands in line \(line) already"
    case .missingKey(let key, let place): "\(place) has no '\(key)'"
    case .unknownWord(let word, let noun, let known):
      "unknown \(noun) '\(word.shortened())'\(Self.suggestion(for: word, among: known))"
    case .impossibleWord(let word, let noun, let reason): "\(noun) '\(word.shortened())' cannot be: \(reason)"
    case .invalidName(let name, let noun, let problem):
      "\(noun) '\(name.shortened())' is no valid name: \(problem)"
    case .malformed(let text, let noun, let expected):
      "\(noun.shortened()) is '\(text.shortened())'; expected \(expected)"
    case .contradiction(let kind, let found): "\(kind): \(found.because): \(found.remedy)"
    case .wrongShape(let noun, let expected, let found): "\(noun.shortened()) is \(found); expected \(expected)"
    case .outOfRange(let n, let noun, let allowed):
      allowed.upperBound == Int.max
        ? "\(noun) is \(n); it must be at least \(allowed.lowerBound)"
        : "\(noun) is \(n); it must be from \(allowed.lowerBound) to \(allowed.upperBound)"
    case .batchTooLarge(let messages, let size, let bytes, let limit):
      "a batch of \(messages) messages of \(size) bytes has \(bytes) bytes; the engine takes \(limit) at most: "
        + "lower batch or message-size"
    case .emptyList(let noun): "\(noun) is empty: this gives no trial"
    case .repeatedValue(let value, let noun): "\(noun) lists '\(value.shortened())' twice"
    case .givenTwice(let key, let places): "'\(key)' is given in \(places)"
    case .notInMatrix(let axis, let value, let values):
      "no cell has \(axis)=\(value.shortened()); the matrix has \(Self.list(values))"
    case .otherKind(let advice): advice
    case .selectsNothing(let noun): "\(noun): this gives no trial"
    case .tooManyCells(let n, let limit): "the matrix has \(n) cells; the limit is \(limit)"
    case .repeatedScenario(let name, let first): "scenario '\(name.shortened())' is defined in \(first) already"
    case .unreadable(_, let reason): "cannot be read: \(reason)"
    case .noScenarios: "no .yaml or .yml file in this folder"
    case .notAFile: "neither a file nor a folder"
    case .fileTooLarge(let bytes, let limit): "\(bytes) bytes; a scenario file has at most \(limit)"
    case .notUTF8: "not UTF-8"
    }
  }

  private static func suggestion(for word: String, among known: [String]) -> String {
    if let near = nearestWord(to: word, among: known) { return "; did you mean '\(near)'?" }
    return known.isEmpty ? "" : "; known: \(list(known))"
  }

  /// Words of this program are all shown, and of a matrix's values the first ones.
  private static func list(_ words: [String], limit: Int = 100) -> String {
    let more = words.count > limit ? ", ... (\(words.count) in all)" : ""
    return words.prefix(limit).map { $0.shortened() }.joined(separator: ", ") + more
  }
}
