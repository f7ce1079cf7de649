/// What is wrong with `-k`, `-t` or `--shard`, with the column (from 1) in what was typed.
public struct SelectionError: Error, Hashable, Sendable, CustomStringConvertible {
  public var source: String
  public var column: Int
  public var message: String

  public init(source: String, column: Int, message: String) {
    self.source = source
    self.column = column
    self.message = message
  }

  /// The message, what was typed, and a caret below the place.
  public var description: String {
    "column \(column): \(message)\n  \(source)\n  \(String(repeating: " ", count: column - 1))^"
  }
}

/// `-k EXPR`, matched against `ten-vs-hundred messages=100 partitions=3 ...`.
///
/// ```
/// expression = conjunction { "or" conjunction }
/// conjunction = factor { "and" factor }
/// factor = "not" factor | "(" expression ")" | term
/// term = subject "=" value            exactly this value: `messages=10` is not `messages=100`
///      | subject comparison value     `messages<=1000`, `message-size >= 1KiB`, `defect!=none`
///      | word or "text"               part of the name, letter case aside
/// comparison = "!=" | "<" | "<=" | ">" | ">="
/// ```
/// A subject is what a condition of a scenario may ask for: an axis, `messages-per-partition` or
/// `batches-per-partition`. Only
/// numbers and sizes have an order. Spaces around a comparison are optional.
///
/// A parenthesis that follows a word directly belongs to it: `sync=interval(100ms)`.
public struct SelectionExpression: Hashable, Sendable {
  indirect enum Node: Hashable, Sendable {
    case contains(String)
    case asks(Condition.Term)
    case not(Node)
    case and(Node, Node)
    case or(Node, Node)
  }

  let root: Node

  public init(_ source: String, vocabulary: Vocabulary) throws(SelectionError) {
    var parser = ExpressionParser(source: source, vocabulary: vocabulary)
    root = try parser.parse()
  }

  public func matches(_ cell: Cell) -> Bool { Self.matches(root, cell, cell.description.lowercased()) }

  private static func matches(_ node: Node, _ cell: Cell, _ name: String) -> Bool {
    switch node {
    case .contains(let text): containsText(name, text)
    case .asks(let term): Condition(terms: [term]).matches(cell)
    case .not(let a): !matches(a, cell, name)
    case .and(let a, let b): matches(a, cell, name) && matches(b, cell, name)
    case .or(let a, let b): matches(a, cell, name) || matches(b, cell, name)
    }
  }

  private static func containsText(_ name: String, _ text: String) -> Bool {
    let (name, text) = (Array(name.utf8), Array(text.utf8))
    guard text.count <= name.count else { return false }
    return (0...name.count - text.count).contains { name[$0..<$0 + text.count].elementsEqual(text) }
  }
}

private struct ExpressionParser {
  struct Token {
    enum Kind: Equatable { case open, close, and, or, not, word, quoted, end }
    var kind: Kind
    /// Of a comparison, the subject.
    var text: String
    var column: Int
    var comparison: Comparison?
  }

  struct Comparison {
    var sign: String
    var value: String
    var column: Int
  }

  /// The longer first: they are tried in this order.
  private static let signs = ["<=", ">=", "!=", "<", ">", "="]

  let source: String
  let vocabulary: Vocabulary
  private var tokens: [Token] = []
  private var position = 0
  private var depth = 0

  init(source: String, vocabulary: Vocabulary) {
    self.source = source
    self.vocabulary = vocabulary
  }

  mutating func parse() throws(SelectionError) -> SelectionExpression.Node {
    tokens = try tokenize()
    let node = try expression()
    guard next.kind == .end else {
      throw error(next, next.kind == .close ? "')' closes nothing" : "expected 'and' or 'or' before '\(next.text)'")
    }
    return node
  }

  private var next: Token { tokens[position] }

  private func error(_ token: Token, _ message: String) -> SelectionError {
    SelectionError(source: source, column: token.column, message: message)
  }

  private mutating func take(_ kind: Token.Kind) -> Bool {
    guard next.kind == kind else { return false }
    position += 1
    return true
  }

  private mutating func expression() throws(SelectionError) -> SelectionExpression.Node {
    var node = try conjunction()
    while take(.or) { node = .or(node, try conjunction()) }
    return node
  }

  private mutating func conjunction() throws(SelectionError) -> SelectionExpression.Node {
    var node = try factor()
    while take(.and) { node = .and(node, try factor()) }
    return node
  }

  private mutating func factor() throws(SelectionError) -> SelectionExpression.Node {
    let token = next
    depth += 1
    defer { depth -= 1 }
    guard depth <= 100 else { throw error(token, "nested more than 100 deep") }
    position += 1
    switch token.kind {
    case .not: return .not(try factor())
    case .open:
      let node = try expression()
      guard take(.close) else { throw error(token, "this '(' is not closed") }
      return node
    case .quoted: return .contains(token.text.lowercased())
    case .word: return try term(token)
    case .end: throw error(token, "expected a term, found the end")
    case .and, .or, .close: throw error(token, "expected a term, found '\(token.text)'")
    }
  }

  private func term(_ token: Token) throws(SelectionError) -> SelectionExpression.Node {
    guard let comparison = token.comparison else { return .contains(token.text.lowercased()) }
    if token.text.isEmpty { throw error(token, "expected an axis before '\(comparison.sign)'") }
    guard let subject = ConditionSubject(token.text) else {
      throw error(token, "\(ScenarioProblem.unknownWord(token.text, of: "axis", known: ConditionSubject.names))")
    }
    if comparison.value.isEmpty {
      throw SelectionError(
        source: source, column: comparison.column, message: "expected a value after '\(comparison.sign)'")
    }
    do {
      let sign = comparison.sign == "=" ? "" : comparison.sign
      let test = try Condition.Test(sign + comparison.value, of: subject, vocabulary: vocabulary)
      return .asks(Condition.Term(subject: subject, tests: [test]))
    } catch {
      // Words are compared with = and != alone.
      if !["=", "!="].contains(comparison.sign), subject.isOfWords {
        throw self.error(token, "\(token.text) is a word, and words have no order: compare it with = or !=")
      }
      throw SelectionError(source: source, column: comparison.column, message: "\(error)")
    }
  }

  private func tokenize() throws(SelectionError) -> [Token] {
    let scalars = Array(source.unicodeScalars)
    var tokens: [Token] = []
    var at = 0
    while at < scalars.count {
      let start = at
      switch scalars[at] {
      case " ", "\t", "\n": at += 1
      case "(", ")":
        tokens.append(Token(kind: scalars[at] == "(" ? .open : .close, text: String(scalars[at]), column: at + 1))
        at += 1
      case "\"", "'":
        guard let end = scalars[(at + 1)...].firstIndex(of: scalars[at]) else {
          throw SelectionError(source: source, column: at + 1, message: "this quote is not closed")
        }
        tokens.append(Token(kind: .quoted, text: Self.text(scalars[(start + 1)..<end]), column: start + 1))
        at = end + 1
      default:
        at = Self.endOfWord(scalars, from: at)
        let text = Self.text(scalars[start..<at])
        let keywords: [String: Token.Kind] = ["and": .and, "or": .or, "not": .not]
        if let kind = keywords[text] {
          tokens.append(Token(kind: kind, text: text, column: start + 1))
        } else {
          tokens.append(Self.word(scalars, from: start, end: &at))
        }
      }
    }
    return tokens + [Token(kind: .end, text: "", column: scalars.count + 1)]
  }

  /// A word, or a comparison, whose three parts may have spaces between them.
  /// - Parameter end: of the word; behind the comparison, where it is one.
  private static func word(_ scalars: [Unicode.Scalar], from start: Int, end: inout Int) -> Token {
    func comparisonSign(at place: Int) -> String? {
      signs.first { place < scalars.count && scalars[place...].starts(with: $0.unicodeScalars) }
    }
    func afterSpaces(_ place: Int) -> Int {
      scalars[place...].firstIndex { ![" ", "\t", "\n"].contains($0) } ?? scalars.count
    }
    let inside = (start..<end).first { comparisonSign(at: $0) != nil }
    let place = inside ?? afterSpaces(end)
    guard let sign = comparisonSign(at: place) else {
      return Token(kind: .word, text: text(scalars[start..<end]), column: start + 1)
    }
    let value = afterSpaces(place + sign.unicodeScalars.count)
    let subject = text(scalars[start..<(inside ?? end)])
    end = endOfWord(scalars, from: value)
    return Token(
      kind: .word, text: subject, column: start + 1,
      comparison: Comparison(sign: sign, value: text(scalars[value..<end]), column: value + 1))
  }

  /// A word takes parentheses that it opens itself, unless it is a keyword: `not(a)`.
  private static func endOfWord(_ scalars: [Unicode.Scalar], from start: Int) -> Int {
    var at = start
    var open = 0
    while at < scalars.count {
      switch scalars[at] {
      case " ", "\t", "\n": return at
      case "(":
        if ["and", "or", "not"].contains(text(scalars[start..<at])) { return at }
        open += 1
      case ")":
        if open == 0 { return at }
        open -= 1
      default: break
      }
      at += 1
    }
    return at
  }

  private static func text(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    String(String.UnicodeScalarView(scalars))
  }
}
