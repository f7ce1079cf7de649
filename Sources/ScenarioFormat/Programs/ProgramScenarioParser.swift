import LogModel

/// Words that a scenario of a program may use.
public struct ProgramVocabulary: Sendable {
  public var models: [String]
  public var allowances: [String]
  public var checks: [String]
  public var profiles: [String]
  public var isPromise: @Sendable (String) -> Bool

  public init(
    models: [String], allowances: [String], checks: [String], profiles: [String],
    isPromise: @escaping @Sendable (String) -> Bool
  ) {
    (self.models, self.allowances, self.checks, self.profiles) = (models, allowances, checks, profiles)
    self.isPromise = isPromise
  }
}

public enum ProgramScenarioParser {
  /// Whether a text is a scenario of a program: it has a top-level `program`.
  public static func isProgram(_ text: String) -> Bool {
    text.split(separator: "\n").contains { $0.hasPrefix("program:") }
  }

  public static func parse(
    _ text: String, file: String, _ vocabulary: ProgramVocabulary
  ) throws(InvalidScenarios) -> ProgramScenario {
    var reader = SourceReader(vocabulary: Vocabulary(checks: vocabulary.checks, defects: [], profiles: []))
    let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    let root = SourceNode.compose(text, file: file, errors: &reader.errors)
    let scenario = root.flatMap { reader.programScenario($0, file: file, vocabulary) }
    guard reader.errors.isEmpty, let scenario else { throw InvalidScenarios(reader.errors) }
    return scenario
  }
}

extension SourceReader {
  fileprivate mutating func programScenario(
    _ root: SourceNode, file: String, _ words: ProgramVocabulary
  ) -> ProgramScenario? {
    let known = [
      "name", "title", "story", "seed", "program", "matrix", "workload", "search", "exclude", "overrides", "expect",
      "suites",
    ]
    guard let keys = mapping(root, "the scenario", known: known) else { return nil }
    for key in ["name", "title", "program"] where keys[key] == nil {
      note(root.position, .missingKey(key, in: "the scenario"))
    }
    guard let name = keys["name"].flatMap({ slug($0.value, "name") }),
      let title = keys["title"].flatMap({ text($0.value, "title") }), let program = keys["program"]
    else { return nil }
    var scenario = ProgramScenario(name: name, title: title, file: file, driver: [])
    scenario.story = keys["story"].flatMap { text($0.value, "story") } ?? ""
    self.program(program.value, words, &scenario)
    scenario.dimensions = keys["matrix"].map { programDimensions($0.value) } ?? []
    scenario.search = programSearch(keys, words)
    let values = Self.values(of: scenario)
    scenario.exclusions =
      keys["exclude"].map { exclude in
        (list(exclude.value, "exclude") ?? []).compactMap { programCondition($0, "exclude", values) }
      } ?? []
    scenario.overrides = keys["overrides"].map { programOverrides($0.value, values, words) } ?? []
    scenario.rules = keys["expect"].map { programRules($0.value, values, words) } ?? []
    scenario.suites = keys["suites"].map { programSuites($0.value, values) } ?? []
    let count = scenario.dimensions.reduce(1) { $0.multipliedReportingOverflow(by: $1.values.count).partialValue }
    if let matrix = keys["matrix"], !(1...10_000).contains(count) {
      note(matrix.keyPosition, .tooManyCells(count, limit: 10_000))
    }
    if errors.isEmpty, let exclude = keys["exclude"], scenario.cells().isEmpty {
      note(exclude.keyPosition, .selectsNothing("exclude leaves no cell"))
    }
    return errors.isEmpty ? scenario : nil
  }

  private mutating func program(
    _ node: SourceNode, _ words: ProgramVocabulary, _ scenario: inout ProgramScenario
  ) {
    let known = ["driver", "config", "model", "promises", "allows", "source"]
    guard let keys = mapping(node, "program", known: known) else { return }
    if let driver = keys["driver"] {
      scenario.driver = (list(driver.value, "driver") ?? []).compactMap { text($0, "an argument of the driver") }
      if scenario.driver.isEmpty { note(driver.value.position, .emptyList(of: "driver")) }
    } else {
      note(node.position, .missingKey("driver", in: "program"))
    }
    scenario.config = keys["config"].map { settings($0.value) } ?? []
    scenario.model = keys["model"].flatMap { word($0.value, "model", words.models) }
    if let promises = keys["promises"].flatMap({ promise($0.value, words) }) { scenario.promises = promises }
    if let allows = keys["allows"] { scenario.allows = self.allows(allows.value, words) }
    scenario.source = keys["source"].flatMap { text($0.value, "source") }
  }

  private mutating func settings(_ node: SourceNode) -> [ProgramCell.Setting] {
    (entries(node, "config") ?? []).compactMap { entry in
      text(entry.value, entry.key).map { ProgramCell.Setting(entry.key, $0) }
    }
  }

  private mutating func promise(_ node: SourceNode, _ words: ProgramVocabulary) -> String? {
    guard let text = text(node, "promises") else { return nil }
    if words.isPromise(text) { return text }
    note(node.position, .malformed(text, of: "promises", expected: "acknowledged, flushed, interval(1s) or nothing"))
    return nil
  }

  private mutating func allows(_ node: SourceNode, _ words: ProgramVocabulary) -> [String] {
    (list(node, "allows") ?? []).compactMap { word($0, "allowance", words.allowances) }
  }

  private mutating func programDimensions(_ node: SourceNode) -> [ProgramScenario.Dimension] {
    (entries(node, "matrix") ?? []).compactMap { entry in
      guard let items = list(entry.value, entry.key) else { return nil }
      if items.isEmpty { note(entry.value.position, .emptyList(of: "'\(entry.key)'")) }
      var values: [String] = []
      for item in items {
        guard let value = text(item, entry.key) else { continue }
        if values.contains(value) { note(item.position, .repeatedValue(value, of: "'\(entry.key)'")) }
        values.append(value)
      }
      return ProgramScenario.Dimension(key: entry.key, values: values)
    }
  }

  private mutating func programSearch(
    _ keys: [String: SourceNode.Entry], _ words: ProgramVocabulary
  ) -> ProgramSearchSettings {
    var settings = ProgramSearchSettings()
    if let seed = keys["seed"], let text = text(seed.value, "seed") {
      settings.seed = UInt64(text)
      if settings.seed == nil {
        note(seed.value.position, .malformed(text, of: "seed", expected: "a whole number below 2^64"))
      }
    }
    if let entry = keys["workload"],
      let own = mapping(entry.value, "workload", known: ["requests", "concurrency", "time-limit"])
    {
      settings.requests = own["requests"].flatMap { number($0.value, "requests", 1...100_000) }
      settings.concurrency = own["concurrency"].flatMap { number($0.value, "concurrency", 1...1000) }
      settings.timeLimit = own["time-limit"].flatMap { duration($0.value, "time-limit") }
    }
    let known = ["profiles", "budget", "kills", "faults", "damage"]
    guard let entry = keys["search"], let own = mapping(entry.value, "search", known: known) else { return settings }
    settings.profiles = own["profiles"].map { entry in
      (list(entry.value, "profiles") ?? []).compactMap { word($0, "profile", words.profiles) }
    }
    settings.budget = own["budget"].flatMap { duration($0.value, "budget") }
    settings.kills = own["kills"].flatMap { number($0.value, "kills", 0...100_000) }
    settings.faults = own["faults"].flatMap { number($0.value, "faults", 0...100_000) }
    settings.damage = own["damage"].flatMap { number($0.value, "damage", 0...100_000) }
    return settings
  }

  // MARK: Conditions

  /// What the cells have for each key of the configuration.
  private static func values(of scenario: ProgramScenario) -> [String: [String]] {
    var values: [String: [String]] = [:]
    for setting in scenario.config { values[setting.key] = [setting.value] }
    for dimension in scenario.dimensions { values[dimension.key] = dimension.values }
    return values
  }

  private mutating func programCondition(
    _ node: SourceNode, _ noun: String, _ values: [String: [String]]
  ) -> ProgramScenario.Condition? {
    guard let entries = entries(node, noun) else { return nil }
    let before = errors.count
    var terms: [String: [String]] = [:]
    for entry in entries {
      guard let known = values[entry.key] else {
        note(entry.keyPosition, .unknownKey(entry.key, in: noun, known: values.keys.sorted()))
        continue
      }
      var nodes = [entry.value]
      if case .list(let items) = entry.value.content { nodes = items }
      if nodes.isEmpty { note(entry.value.position, .emptyList(of: "'\(entry.key)'")) }
      for node in nodes {
        guard let value = text(node, entry.key) else { continue }
        if !known.contains(value) {
          note(node.position, .notInMatrix(axis: entry.key, value: value, values: known))
        }
        terms[entry.key, default: []].append(value)
      }
    }
    return errors.count == before ? ProgramScenario.Condition(terms: terms) : nil
  }

  private mutating func when(
    _ keys: [String: SourceNode.Entry], _ values: [String: [String]]
  ) -> ProgramScenario.Condition? {
    guard let when = keys["when"] else { return ProgramScenario.Condition(terms: [:]) }
    return programCondition(when.value, "when", values)
  }

  private mutating func programOverrides(
    _ node: SourceNode, _ values: [String: [String]], _ words: ProgramVocabulary
  ) -> [ProgramScenario.Override] {
    (list(node, "overrides") ?? []).compactMap { item in
      let known = ["when", "promises", "allows", "source"]
      guard let keys = mapping(item, "an override", known: known), let condition = when(keys, values) else {
        return nil
      }
      return ProgramScenario.Override(
        condition: condition, promises: keys["promises"].flatMap { promise($0.value, words) },
        allows: keys["allows"].map { allows($0.value, words) },
        source: keys["source"].flatMap { text($0.value, "source") })
    }
  }

  private mutating func programRules(
    _ node: SourceNode, _ values: [String: [String]], _ words: ProgramVocabulary
  ) -> [ProgramScenario.Rule] {
    (list(node, "expect") ?? []).compactMap { item in
      guard let keys = mapping(item, "an expectation", known: ["when", "caught-by", "outcome"]),
        let condition = when(keys, values)
      else { return nil }
      switch (keys["caught-by"], keys["outcome"]) {
      case (let caught?, nil):
        guard let check = word(caught.value, "check", words.checks) else { return nil }
        return ProgramScenario.Rule(condition: condition, expectation: .caught(by: check))
      case (nil, let outcome?):
        guard word(outcome.value, "outcome", ["held"]) != nil else { return nil }
        return ProgramScenario.Rule(condition: condition, expectation: .held)
      case (let caught?, _?): note(caught.keyPosition, .givenTwice("outcome", places: "caught-by and outcome"))
      case (nil, nil): note(item.position, .missingKey("caught-by", in: "an expectation"))
      }
      return nil
    }
  }

  private mutating func programSuites(
    _ node: SourceNode, _ values: [String: [String]]
  ) -> [ProgramScenario.Suite] {
    (entries(node, "suites") ?? []).compactMap { entry in
      guard isSlug(entry.key) else {
        _ = malformedSlug(entry.key, "suite", entry.keyPosition)
        return nil
      }
      var nodes = [entry.value]
      if case .list(let items) = entry.value.content { nodes = items }
      if nodes.isEmpty { note(entry.value.position, .emptyList(of: "suite '\(entry.key)'")) }
      return ProgramScenario.Suite(
        name: entry.key, conditions: nodes.compactMap { programCondition($0, "suite '\(entry.key)'", values) })
    }
  }
}
