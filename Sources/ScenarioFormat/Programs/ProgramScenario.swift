import LogModel

/// A scenario of a program under test: how it is called, what it promises in each of its configurations, and how far
/// the search goes. `docs/programs.md` has every key.
public struct ProgramScenario: Sendable, Hashable {
  /// A key of the configuration with the values that the cells have.
  public struct Dimension: Sendable, Hashable {
    public var key: String
    public var values: [String]
  }

  /// Values of keys of the configuration: a cell must have one of each.
  public struct Condition: Sendable, Hashable {
    public var terms: [String: [String]]

    func matches(_ config: [ProgramCell.Setting]) -> Bool {
      terms.allSatisfy { key, values in config.contains { $0.key == key && values.contains($0.value) } }
    }
  }

  /// What some cells promise in place of what the scenario says.
  public struct Override: Sendable, Hashable {
    public var condition: Condition
    public var promises: String?
    public var allows: [String]?
    public var source: String?
  }

  public struct Rule: Sendable, Hashable {
    public var condition: Condition
    public var expectation: ProgramCell.Expectation
  }

  public struct Suite: Sendable, Hashable {
    public var name: String
    public var conditions: [Condition]
  }

  public var name: String
  public var title: String
  public var story = ""
  public var file: String
  /// The command and its arguments.
  public var driver: [String]
  public var config: [ProgramCell.Setting] = []
  /// Nil takes what the driver's operations allow.
  public var model: String?
  public var promises = "acknowledged"
  public var allows: [String] = []
  /// Where the promise is documented.
  public var source: String?
  public var dimensions: [Dimension] = []
  public var search = ProgramSearchSettings()
  public var exclusions: [Condition] = []
  public var overrides: [Override] = []
  public var rules: [Rule] = []
  public var suites: [Suite] = []

  /// Every combination of the matrix that is not excluded; without a matrix, a single cell.
  public func cells() -> [ProgramCell] {
    var combinations: [[ProgramCell.Setting]] = [[]]
    for dimension in dimensions {
      combinations = combinations.flatMap { start in
        dimension.values.map { start + [ProgramCell.Setting(dimension.key, $0)] }
      }
    }
    return combinations.compactMap { varied in
      let keys = Set(varied.map(\.key))
      let all = config.filter { !keys.contains($0.key) } + varied
      if exclusions.contains(where: { $0.matches(all) }) { return nil }
      var cell = ProgramCell(
        scenario: name, title: title, file: file, varied: varied, config: all, promises: promises, allows: allows,
        source: source)
      for change in overrides where change.condition.matches(all) {
        if let promises = change.promises { cell.promises = promises }
        if let allows = change.allows { cell.allows = allows }
        if let source = change.source { cell.source = source }
      }
      // The last rule that matches counts.
      for rule in rules where rule.condition.matches(all) { cell.expectation = rule.expectation }
      cell.tags = ["full"]
      if suites.isEmpty { cell.tags.append("quick") }
      for suite in suites where suite.conditions.contains(where: { $0.matches(all) }) { cell.tags.append(suite.name) }
      return cell
    }
  }
}

/// How far the tests of a scenario go; nil is the command's default.
public struct ProgramSearchSettings: Sendable, Hashable {
  public var requests: Int?
  public var concurrency: Int?
  public var seed: UInt64?
  public var profiles: [String]?
  public var budget: Duration?
  public var timeLimit: Duration?
  public var kills: Int?
  public var faults: Int?
  public var damage: Int?

  public init() {}
}

/// One configuration of a program, and what it is held to.
public struct ProgramCell: Sendable, Hashable, CustomStringConvertible {
  /// A member of the configuration. A whole number, `true`, `false` and `null` are what they are in JSON; all else is
  /// a string.
  public struct Setting: Sendable, Hashable {
    public var key: String
    public var value: String

    public init(_ key: String, _ value: String) { (self.key, self.value) = (key, value) }

    var isLiteral: Bool { ["true", "false", "null"].contains(value) || Int(value).map { "\($0)" == value } ?? false }
  }

  public enum Expectation: Sendable, Hashable {
    case held
    /// A finding of this check.
    case caught(by: String)
  }

  public var scenario: String
  public var title: String
  public var file: String
  /// What sets it apart from the other cells of its scenario.
  public var varied: [Setting]
  public var config: [Setting]
  public var promises: String
  public var allows: [String]
  public var source: String?
  public var expectation = Expectation.held
  public var tags: [String] = []

  /// The scenario's name, and what is varied.
  public var description: String {
    ([scenario] + varied.map { "\($0.key)=\($0.value)" }).joined(separator: " ")
  }

  /// As the driver is given it.
  public var configText: String {
    let members = config.map { setting in
      quoted(setting.key) + ":" + (setting.isLiteral ? setting.value : quoted(setting.value))
    }
    return "{" + members.joined(separator: ",") + "}"
  }

  private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
