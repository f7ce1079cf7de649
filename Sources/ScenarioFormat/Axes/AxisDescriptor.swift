import LogModel

/// Everything that there is to say of one axis: what a matrix can vary.
///
/// The parser, conditions and `-k`, tokens, shrunk scenarios, reports, random trials, `docs/scenarios.md` and the JSON
/// Schema of scenarios all follow from it. `all` has every axis. A class, because every cell refers to its axes: copies
/// of the fields were most of the time that it took to list cells.
public final class AxisDescriptor: Sendable {
  /// What an axis is where no scenario says it.
  public enum Usual: Hashable, Sendable {
    /// Its value in `TrialSettings()`.
    case value
    /// Each scenario must say it.
    case required
    /// The command line decides.
    case commandLine
  }

  /// Where reports and timelines name an axis that the matrix does not vary.
  public enum Mention: Hashable, Sendable {
    case always
    /// Where it is not as usual.
    case ifUnusual
    /// The same, in the head of a timeline only.
    case inTimeline
    case never
  }

  /// Where an axis may stand beside the matrix, with one value.
  enum Place: Hashable, Sendable {
    case workload
    /// Under the key `crash`, by this name.
    case crash(String)
  }

  /// What a value needs of the storage. Cells on another one are left out.
  public enum StorageNeed: Hashable, Sendable {
    case files, memory
  }

  /// By the names of scenarios and reports.
  public let name: String
  public let form: AxisForm
  /// One sentence or two in Markdown, for `docs/scenarios.md`.
  public let meaning: String
  public let usual: Usual
  public let mention: Mention
  /// Whether an exploration of crash states depends on it; the others are ignored there, and named.
  public let isExplored: Bool
  /// Whether what is drawn for a trial depends on it too, where it is not as usual.
  public let isSeeded: Bool
  /// Nil where the token says it in another way.
  public let token: AxisToken?

  let place: Place?
  let parser: @Sendable (String, Vocabulary) throws(ScenarioProblem) -> AxisValue
  let getter: @Sendable (TrialSettings) -> AxisValue
  let setter: @Sendable (AxisValue, inout TrialSettings) -> Void
  let contradiction: @Sendable (TrialSettings) -> String?
  let storageNeed: @Sendable (TrialSettings) -> StorageNeed?
  let reducer: @Sendable (TrialSettings) -> [TrialSettings]
  let drawer: (@Sendable (inout SeededGenerator, inout TrialSettings) -> Void)?

  /// - Parameters:
  ///   - path: where trials and cells hold its value.
  ///   - tokenForm: its field of a token where that says more than its value.
  ///   - mention: where reports name it.
  ///   - smaller: values to try in its place when a trial is shrunk, the smallest first.
  ///   - drawn: values of which random trials draw one, in one trial of eight.
  ///   - storageNeed: which storage a trial with these settings needs because of it.
  ///   - contradiction: what is expected in place of its value; nil where that goes with all other settings.
  init<Value: Hashable & Sendable>(
    _ name: String, _ path: any WritableKeyPath<TrialSettings, Value> & Sendable, _ notation: AxisNotation<Value>,
    token: AxisToken.Key?, tokenForm: AxisToken.Form? = nil, usual: Usual = .value, place: Place? = nil,
    mention: Mention = .ifUnusual, isExplored: Bool = false, isSeeded: Bool = false,
    smaller: @escaping @Sendable (Value) -> [Value] = { _ in [] }, drawn: [Value] = [],
    storageNeed: @escaping @Sendable (TrialSettings) -> StorageNeed? = { _ in nil }, meaning: String,
    contradiction: @escaping @Sendable (TrialSettings) -> String? = { _ in nil }
  ) {
    (self.name, self.meaning, self.usual, self.place) = (name, meaning, usual, place)
    (self.mention, self.isExplored, self.isSeeded, form) = (mention, isExplored, isSeeded, notation.form)
    (self.storageNeed, self.contradiction) = (storageNeed, contradiction)
    parser = { (text, vocabulary) throws(ScenarioProblem) in
      notation.render(try notation.parse(text, name, vocabulary))
    }
    getter = { notation.render($0[keyPath: path]) }
    setter = { value, settings in
      guard let value = notation.restore(value) else { preconditionFailure("\(name) cannot be \(value)") }
      settings[keyPath: path] = value
    }
    self.token = token.map { key in AxisToken(key, tokenForm ?? .value(path, notation, key)) }
    reducer = { settings in
      smaller(settings[keyPath: path]).map { value in
        var other = settings
        other[keyPath: path] = value
        return other
      }
    }
    if drawn.isEmpty {
      drawer = nil
    } else {
      drawer = { random, settings in
        guard random.chance(1, in: 8) else { return }
        settings[keyPath: path] = drawn[Int.random(in: drawn.indices, using: &random)]
      }
    }
  }
}

extension AxisDescriptor: Hashable {
  public static func == (a: AxisDescriptor, b: AxisDescriptor) -> Bool { a === b || a.name == b.name }

  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension AxisDescriptor {
  /// The axis of that name; nil where there is none.
  public static func named(_ name: String) -> AxisDescriptor? { byName[name] }

  static let names = all.map(\.name)
  private static let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }

  /// Reads one value as it stands in a scenario, in `-k` or after an option of the command line.
  public func parse(_ text: String, vocabulary: Vocabulary) throws(ScenarioProblem) -> AxisValue {
    try parser(text, vocabulary)
  }

  public func value(in settings: TrialSettings) -> AxisValue { getter(settings) }

  /// - Parameter value: what `parse` has made for this axis.
  public func set(_ value: AxisValue, in settings: inout TrialSettings) { setter(value, &settings) }

  /// Its value where nobody says another.
  public var usualValue: AxisValue { getter(TrialSettings()) }

  /// Its row in `docs/scenarios.md`: name, values, default, meaning.
  public var documentation: [String] {
    let usual: String =
      switch self.usual {
      case .value: "`\(usualValue)`"
      case .required: "required"
      case .commandLine: "`--storage`"
      }
    return ["`\(name)`", form.text, usual, meaning]
  }

  public func isUsual(in settings: TrialSettings) -> Bool { getter(settings) == usualValue }

  /// The settings with a smaller value, the smallest first.
  public func smaller(_ settings: TrialSettings) -> [TrialSettings] { reducer(settings) }

  /// Draws a value of a stream of its own, for random trials; most often it leaves the settings as they are.
  public func draw(seed: UInt64, in settings: inout TrialSettings) {
    guard let drawer else { return }
    var random = SeededGenerator(seed: seed, stream: "axis \(name)")
    drawer(&random, &settings)
  }
}

/// The axes of scenarios, by another name for those who hold them in tables.
public typealias Axis = AxisDescriptor

/// A value on an axis, in the one notation that reports, tokens and `-k` share: sizes are bytes.
public enum AxisValue: Hashable, Sendable, CustomStringConvertible {
  case integer(Int)
  case text(String)

  public var description: String {
    switch self {
    case .integer(let n): String(n)
    case .text(let s): s
    }
  }
}

/// One axis of one cell.
public struct AxisSetting: Hashable, Sendable, CustomStringConvertible {
  public var axis: AxisDescriptor
  public var value: AxisValue

  public init(_ axis: AxisDescriptor, _ value: AxisValue) {
    self.axis = axis
    self.value = value
  }

  /// `messages=100`
  public var description: String { "\(axis.name)=\(value)" }
}
