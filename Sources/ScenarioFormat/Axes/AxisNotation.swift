import LogModel

/// Which values an axis takes: for the documentation, the JSON Schema and comparisons.
public struct AxisForm: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case number(ClosedRange<Int>)
    /// Bytes.
    case size(ClosedRange<Int>)
    case words
  }

  public var kind: Kind
  /// All words that it takes; of numbers none.
  public var words: [String]
  /// Of what it takes beside numbers and `words`; empty for nothing. A regular expression.
  public var pattern: String
  /// For `docs/scenarios.md`, in Markdown.
  public var text: String

  init(_ kind: Kind, words: [String] = [], pattern: String = "", text: String = "") {
    (self.kind, self.words, self.pattern) = (kind, words, pattern)
    let quoted = words.map { "`\($0)`" }.joined(separator: ", ")
    switch kind {
    case .number(let range): self.text = "\(range.lowerBound) to \(range.upperBound)" + text
    case .size, .words: self.text = quoted + text
    }
  }

  /// Nil for words, which have no order.
  public var numbers: ClosedRange<Int>? {
    switch kind {
    case .number(let range), .size(let range): range
    case .words: nil
    }
  }
}

/// How the values of an axis are written, in scenarios and in tokens.
struct AxisNotation<Value: Hashable & Sendable>: Sendable {
  var form: AxisForm
  /// Of a scenario; the second argument is the axis' name.
  var parse: @Sendable (String, String, Vocabulary) throws(ScenarioProblem) -> Value
  var render: @Sendable (Value) -> AxisValue
  /// The reverse of `render`; nil for anything else.
  var restore: @Sendable (AxisValue) -> Value?
  /// Of a token.
  var write: @Sendable (Value) -> String
  /// The reverse of `write`; nil for anything else.
  var read: @Sendable (String, Vocabulary) -> Value?
}

extension AxisNotation<Int> {
  static func number(_ range: ClosedRange<Int>) -> Self {
    integer(AxisForm(.number(range))) { (text, name) throws(ScenarioProblem) in
      try ScenarioFormat.integer(text, of: name, allowed: range)
    }
  }

  /// Bytes, as a size.
  /// - Parameter unit: a multiple of it; 1 for any.
  static func size(_ range: ClosedRange<Int>, multipleOf unit: Int = 1) -> Self {
    let bounds = "\(range.lowerBound) to \(range.upperBound) bytes"
    let text = unit == 1 ? "a size, \(bounds)" : "a size that is a multiple of \(unit), \(bounds)"
    let expected =
      unit == 1
      ? "a size like 100B, 1KB or 1KiB" : "0, or a size that is a multiple of \(unit) bytes, like 8KiB"
    return integer(AxisForm(.size(range), pattern: sizePattern, text: text)) { (text, name) throws(ScenarioProblem) in
      guard let bytes = byteCount(text), bytes % unit == 0 else {
        throw .malformed(text, of: name, expected: expected)
      }
      guard range.contains(bytes) else { throw .outOfRange(bytes, of: name, allowed: range) }
      return bytes
    }
  }

  /// A whole number that a scenario may write in other ways too.
  static func integer(
    _ form: AxisForm, _ parse: @escaping @Sendable (String, String) throws(ScenarioProblem) -> Int
  ) -> Self {
    AxisNotation(
      form: form, parse: { (text, name, _) throws(ScenarioProblem) in try parse(text, name) }, render: { .integer($0) },
      restore: { if case .integer(let n) = $0 { n } else { nil } }, write: { "\($0)" },
      read: { text, _ in
        guard TokenText.isPlainNumber(text) else { return nil }
        do throws(ScenarioProblem) { return try parse(text, "") } catch { return nil }
      })
  }
}

extension AxisNotation where Value: RawRepresentable<String> & CaseIterable {
  /// One of a list of words.
  /// - Parameter noun: what they are, for messages.
  static func word(_ noun: String) -> Self {
    AxisNotation(
      form: AxisForm(.words, words: Value.allCases.map(\.rawValue)),
      parse: { (text, _, _) throws(ScenarioProblem) in
        guard let value = Value(rawValue: text) else {
          throw .unknownWord(text, of: noun, known: Value.allCases.map(\.rawValue))
        }
        return value
      },
      render: { .text($0.rawValue) }, restore: { Value(rawValue: $0.description) },
      write: { TokenText.escape($0.rawValue) },
      read: { text, _ in TokenText.unescape(text).flatMap { Value(rawValue: $0) } })
  }
}

extension AxisNotation {
  /// What `wrapped` takes, or a word for nothing, which stands in no token.
  static func optional<Wrapped>(_ wrapped: AxisNotation<Wrapped>, none: String) -> Self where Value == Wrapped? {
    var form = wrapped.form
    form.words.insert(none, at: 0)
    form.text = "`\(none)`, \(form.text)"
    return AxisNotation(
      form: form,
      parse: { (text, name, vocabulary) throws(ScenarioProblem) in
        if text == none { return nil }
        do throws(ScenarioProblem) {
          return try wrapped.parse(text, name, vocabulary)
        } catch {
          guard case .unknownWord(let word, let noun, let known) = error else { throw error }
          throw .unknownWord(word, of: noun, known: known.contains(none) ? known : [none] + known)
        }
      },
      render: { $0.map(wrapped.render) ?? .text(none) },
      restore: { $0.description == none ? .some(nil) : wrapped.restore($0).map { .some($0) } },
      write: { $0.map(wrapped.write) ?? none },
      read: { text, vocabulary in wrapped.read(text, vocabulary).map { .some($0) } })
  }
}

/// Digits only: no sign, no underscore, no octal, no 22:30.
func integer(_ text: String, of noun: String, allowed: ClosedRange<Int>) throws(ScenarioProblem) -> Int {
  guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let n = Int(text) else {
    throw .malformed(text, of: noun, expected: "a whole number")
  }
  guard allowed.contains(n) else { throw .outOfRange(n, of: noun, allowed: allowed) }
  return n
}
