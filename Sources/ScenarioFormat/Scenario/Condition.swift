/// What a condition can ask of a cell: its axes, and two figures that follow from them.
enum ConditionSubject: Hashable, Sendable {
  case axis(AxisDescriptor)
  case messagesPerPartition
  case batchesPerPartition

  static let names = AxisDescriptor.names + ["messages-per-partition", "batches-per-partition"]

  init?(_ name: String) {
    switch name {
    case "messages-per-partition": self = .messagesPerPartition
    case "batches-per-partition": self = .batchesPerPartition
    default:
      guard let axis = AxisDescriptor.named(name) else { return nil }
      self = .axis(axis)
    }
  }

  var name: String {
    switch self {
    case .axis(let axis): axis.name
    case .messagesPerPartition: "messages-per-partition"
    case .batchesPerPartition: "batches-per-partition"
    }
  }

  /// Whether its values are words, which have no order.
  var isOfWords: Bool {
    if case .axis(let axis) = self { axis.form.numbers == nil } else { false }
  }

  /// Reads one value as it stands in a condition.
  func parse(_ text: String, vocabulary: Vocabulary) throws(ScenarioProblem) -> AxisValue {
    guard case .axis(let axis) = self else { return .integer(try integer(text, of: name, allowed: 0...1_000_000_000)) }
    return try axis.parse(text, vocabulary: vocabulary)
  }

  func value(in cell: Cell) -> AxisValue {
    switch self {
    case .axis(let axis): cell.value(of: axis)
    case .messagesPerPartition: .integer(cell.messagesPerPartition)
    case .batchesPerPartition: .integer(cell.batchesPerPartition)
    }
  }
}

/// `{ defect: C4, batches-per-partition: "> 100" }`: every term must hold. No term: any cell.
public struct Condition: Hashable, Sendable {
  enum Comparison: String, Hashable, Sendable, CaseIterable {
    // The longer first: they are tried in this order.
    case atMost = "<="
    case atLeast = ">="
    case differs = "!="
    case below = "<"
    case above = ">"

    func holds(_ a: AxisValue, _ b: AxisValue) -> Bool {
      guard self != .differs else { return a != b }
      guard case .integer(let a) = a, case .integer(let b) = b else { return false }
      return switch self {
      case .atMost: a <= b
      case .atLeast: a >= b
      case .below: a < b
      case .above: a > b
      case .differs: a != b
      }
    }
  }

  enum Test: Hashable, Sendable {
    case equals(AxisValue)
    case compares(Comparison, AxisValue)

    /// `100`, `> 100`, `!=none`: a value in the notation of its axis, with a comparison before it or without.
    init(_ text: String, of subject: ConditionSubject, vocabulary: Vocabulary) throws(ScenarioProblem) {
      guard let comparison = Comparison.allCases.first(where: { text.hasPrefix($0.rawValue) }) else {
        self = .equals(try subject.parse(text, vocabulary: vocabulary))
        return
      }
      let value = try subject.parse(
        String(text.dropFirst(comparison.rawValue.count).drop { $0 == " " }), vocabulary: vocabulary)
      if case .text = value, comparison != .differs {
        throw .malformed(
          text, of: subject.name, expected: "a word, a list of words, or \"!= word\": words have no order")
      }
      self = .compares(comparison, value)
    }

    func holds(_ value: AxisValue) -> Bool {
      switch self {
      case .equals(let wanted): value == wanted
      case .compares(let comparison, let bound): comparison.holds(value, bound)
      }
    }
  }

  struct Term: Hashable, Sendable {
    var subject: ConditionSubject
    /// Any of these is enough.
    var tests: [Test]
  }

  var terms: [Term]

  public func matches(_ cell: Cell) -> Bool {
    terms.allSatisfy { term in
      let value = term.subject.value(in: cell)
      return term.tests.contains { $0.holds(value) }
    }
  }
}
