import LogModel

// `docs/scenarios.md` has every key with its values and its default; a test compares it with this parser. Axes are in
// `Axes`, faults come with the vocabulary.

/// Turns one file's text into a scenario, or into every error that it holds.
public enum ScenarioParser {
  /// More cells than this are a mistake in the matrix.
  public static let cellLimit = 100_000

  public static func parse(
    _ text: String, file: String, vocabulary: Vocabulary
  ) throws(InvalidScenarios) -> Scenario {
    var reader = SourceReader(vocabulary: vocabulary)
    // A byte order mark is no part of the text (YAML 1.2, section 5.2); some editors write one.
    let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    let root = SourceNode.compose(text, file: file, errors: &reader.errors)
    let scenario = root.flatMap { reader.scenario($0, file: file) }
    guard reader.errors.isEmpty, let scenario else { throw InvalidScenarios(reader.errors) }
    return scenario
  }
}

extension SourceReader {
  private static let keys = [
    "name", "title", "story", "remedy", "claims", "seed", "workload", "matrix", "crash", "checkpoint", "exclude",
    "faults", "fault-cases", "overrides", "expect", "must-catch", "only-if", "suites", "limits", "exploration",
    "delivery",
  ]

  fileprivate mutating func scenario(_ root: SourceNode, file: String) -> Scenario? {
    guard let keys = mapping(root, "the scenario", known: Self.keys) else { return nil }
    for key in ["name", "title", "matrix"] where keys[key] == nil {
      note(root.position, .missingKey(key, in: "the scenario"))
    }
    let name = keys["name"].flatMap { slug($0.value, "name") }
    let title = keys["title"].flatMap { text($0.value, "title") }
    let story = keys["story"].flatMap { text($0.value, "story") }
    let remedy = keys["remedy"].flatMap { text($0.value, "remedy") }
    let seed = keys["seed"].flatMap { self.seed($0.value) }
    let dimensions = keys["matrix"].map { self.dimensions($0.value) } ?? []
    var settings = TrialSettings()
    let given = self.given(keys, &settings)
    noteTwice(given, dimensions)
    let fixed = self.fixed(given, keys, dimensions, &settings)
    guard !dimensions.isEmpty else { return nil }
    let choices = Choices(fixed: fixed, dimensions: dimensions)
    noteMissingAxes(choices, keys["matrix"])

    let exclusions = keys["exclude"].map { self.conditions($0.value, "exclude", choices) } ?? []
    let faults = keys["faults"].map { self.faults($0.value) } ?? []
    let cases = keys["fault-cases"].map { self.faultCases($0.value) } ?? [:]
    noteUnknownCases(cases, dimensions)
    let overrides = keys["overrides"].map { self.overrides($0.value, choices) } ?? []
    var rules = keys["expect"].map { self.rules($0.value, choices) } ?? []
    rules += keys["must-catch"].map { mustCatch($0.value, choices) } ?? []
    let suites = keys["suites"].map { self.suites($0.value, choices) } ?? []
    let claims = keys["claims"].map { self.claims($0.value, choices) } ?? []
    settings.exploration = keys["exploration"].flatMap { self.exploration($0.value, choices) }
    settings.delivery = keys["delivery"].flatMap { self.delivery($0.value) }
    settings.onlyIf = keys["only-if"].map { conditionsOfTrials($0.value) } ?? []
    let limits = keys["limits"].flatMap { self.limits($0.value) } ?? TrialLimits(trialSeconds: 60)

    let count = dimensions.reduce(1) { $0.multipliedReportingOverflow(by: $1.values.count).partialValue }
    if let matrix = keys["matrix"], !(0...ScenarioParser.cellLimit).contains(count) {
      note(matrix.keyPosition, .tooManyCells(count, limit: ScenarioParser.cellLimit))
    }
    guard errors.isEmpty, let name, let title else { return nil }
    let scenario = Scenario(
      name: name, title: title, story: story ?? "", remedy: remedy ?? "", claims: claims, file: file, seed: seed,
      fixed: settings, dimensions: dimensions, exclusions: exclusions, faults: faults, faultCases: cases,
      overrides: overrides, rules: rules, suites: suites, limits: limits)
    let cells = scenario.cells()
    noteEmptySelections(of: scenario, cells, exclude: keys["exclude"])
    noteLargeBatches(of: scenario, cells, given.mapValues(\.position))
    noteFaultsOfDelivery(in: scenario)
    noteContradictions(of: scenario, cells, given.mapValues(\.position), keys)
    guard errors.isEmpty else { return nil }
    return scenario
  }

  /// An axis with one value, beside the matrix.
  private struct Given {
    var value: AxisValue
    var position: SourcePosition
    /// Under this key.
    var key: String
  }

  /// What `workload` and `crash` say.
  private mutating func given(
    _ keys: [String: SourceNode.Entry], _ settings: inout TrialSettings
  ) -> [AxisDescriptor: Given] {
    var given: [AxisDescriptor: Given] = [:]
    func take(_ axis: AxisDescriptor, _ entry: SourceNode.Entry?, under key: String, _ reader: inout Self) {
      guard let node = entry?.value, let value = reader.axisValue(node, axis) else { return }
      given[axis] = Given(value: value, position: node.position, key: key)
    }
    if let entry = keys["workload"] {
      let axes = AxisDescriptor.all.filter { $0.place == .workload }
      let own = workload(entry.value, axes: axes.map(\.name), &settings)
      for axis in axes { take(axis, own[axis.name], under: "workload", &self) }
    }
    if let entry = keys["crash"] {
      let places: [(axis: AxisDescriptor, key: String)] = AxisDescriptor.all.compactMap { axis in
        if case .crash(let key) = axis.place { (axis, key) } else { nil }
      }
      let own = mapping(entry.value, "crash", known: places.map(\.key)) ?? [:]
      for place in places { take(place.axis, own[place.key], under: "crash", &self) }
    }
    return given
  }

  private mutating func noteTwice(_ given: [AxisDescriptor: Given], _ dimensions: [Scenario.Dimension]) {
    for dimension in dimensions {
      guard let other = given[dimension.axis] else { continue }
      note(dimension.position, .givenTwice(dimension.axis.name, places: "matrix and \(other.key)"))
    }
  }

  /// The value of each axis that the matrix does not vary, where there is one; `settings` get them.
  private mutating func fixed(
    _ given: [AxisDescriptor: Given], _ keys: [String: SourceNode.Entry], _ dimensions: [Scenario.Dimension],
    _ settings: inout TrialSettings
  ) -> [AxisDescriptor: AxisValue] {
    // Where a scenario has one system, what its document says is the default.
    let systems = given[.system].map { [$0.value] } ?? dimensions.first { $0.axis == .system }?.values ?? []
    if systems.count == 1, let system = LogSystem(rawValue: systems[0].description) {
      (settings.sync, settings.recovery) = (system.syncPolicy, system.recoveryPolicy)
    }
    if let entry = keys["checkpoint"] {
      (settings.checkpointTerms, settings.checkpoint) = (checkpointTerms(entry.value), .background)
    }
    for (axis, given) in given { axis.set(given.value, in: &settings) }
    var fixed: [AxisDescriptor: AxisValue] = [:]
    for axis in AxisDescriptor.all where axis.usual == .value || given[axis] != nil {
      fixed[axis] = axis.value(in: settings)
    }
    return fixed
  }

  /// Axes that each scenario must say.
  private mutating func noteMissingAxes(_ choices: Choices, _ matrix: SourceNode.Entry?) {
    for axis in AxisDescriptor.all where axis.usual == .required && choices.fixed[axis] == nil {
      guard let matrix, !choices.dimensions.contains(where: { $0.axis == axis }) else { continue }
      note(matrix.keyPosition, .missingKey(axis.name, in: "matrix"))
    }
  }

  private mutating func noteUnknownCases(_ cases: [String: [PlacedFault]], _ dimensions: [Scenario.Dimension]) {
    for dimension in dimensions where dimension.axis == .fault {
      let known = ["none"] + cases.keys.sorted()
      for (value, position) in zip(dimension.values, dimension.valuePositions) where !known.contains(value.description)
      {
        note(position, .unknownWord(value.description, of: "fault case", known: known))
      }
    }
  }

  private mutating func noteEmptySelections(of scenario: Scenario, _ cells: [Cell], exclude: SourceNode.Entry?) {
    guard !cells.isEmpty else {
      if let exclude { note(exclude.keyPosition, .selectsNothing("exclude leaves no cell")) }
      return
    }
    for suite in scenario.suites {
      for selection in suite.selections where !cells.contains(where: { selection.condition.matches($0) }) {
        note(selection.position, .selectsNothing("this selection of suite '\(suite.name)' matches no cell"))
      }
    }
  }

  /// Every value of `message-size`, or of `batch` where the size is not given, that makes a batch which the engine does
  /// not take: once each, with the largest batch that a cell makes of it.
  private mutating func noteLargeBatches(
    of scenario: Scenario, _ cells: [Cell], _ given: [AxisDescriptor: SourcePosition]
  ) {
    guard let limit = vocabulary.batchLimit else { return }
    func place(_ axis: AxisDescriptor, _ value: Int) -> SourcePosition? {
      scenario.position(of: axis, .integer(value), given)
    }
    var largest: [SourcePosition: (messages: Int, size: Int)] = [:]
    for cell in cells {
      let size = cell.messageSize + cell.keys.largest
      guard !limit.allows(messages: cell.batch, of: size),
        let position = place(.messageSize, cell.messageSize) ?? place(.batch, cell.batch)
      else { continue }
      if cell.batch > largest[position]?.messages ?? 0 { largest[position] = (cell.batch, size) }
    }
    for (position, batch) in largest.sorted(by: { $0.key < $1.key }) {
      note(
        position,
        .batchTooLarge(
          messages: batch.messages, of: batch.size, bytes: limit.size(messages: batch.messages, of: batch.size),
          limit: limit.bytes))
    }
  }

  private mutating func seed(_ node: SourceNode) -> UInt64? {
    guard let text = text(node, "seed") else { return nil }
    guard let seed = UInt64(text), text.first != "+" else {
      note(node.position, .malformed(text, of: "seed", expected: "a whole number below 2^64"))
      return nil
    }
    return seed
  }

  /// What the cells cannot do together with the rest: once for each axis and each key.
  private mutating func noteContradictions(
    of scenario: Scenario, _ cells: [Cell], _ given: [AxisDescriptor: SourcePosition],
    _ keys: [String: SourceNode.Entry]
  ) {
    guard let matrix = keys["matrix"] else { return }
    var noted: Set<SettingProblem.Place> = []
    for cell in cells {
      for found in cell.settings.problems where noted.insert(found.place).inserted {
        let position: SourcePosition? =
          switch found.place {
          case .axis(let axis): scenario.position(of: axis, cell.value(of: axis), given)
          case .key(let key): keys[key]?.keyPosition
          case .topic: topicPosition(keys["workload"])
          }
        note(position ?? matrix.keyPosition, found.problem)
      }
    }
  }

  private func topicPosition(_ workload: SourceNode.Entry?) -> SourcePosition? {
    guard case .mapping(let entries)? = workload?.value.content else { return nil }
    return entries.first { $0.key == "topic" }?.value.position
  }

  /// Its axes are left to the caller.
  private mutating func workload(
    _ node: SourceNode, axes: [String], _ settings: inout TrialSettings
  ) -> [String: SourceNode.Entry] {
    let own = ["topic", "other-topics", "append-between", "committers"]
    guard let keys = mapping(node, "workload", known: own + axes) else { return [:] }
    if let topic = keys["topic"].flatMap({ topicName($0.value, "topic") }) { settings.topic = topic }
    if let entry = keys["other-topics"] { settings.otherTopics = otherTopics(entry.value, beside: settings.topic) }
    if let n = keys["append-between"].flatMap({ number($0.value, "append-between", 0...1_000_000) }) {
      settings.appendBetween = n
    }
    if let n = keys["committers"].flatMap({ number($0.value, "committers", Scenario.committers) }) {
      settings.committers = n
    }
    return keys
  }

  private mutating func dimensions(_ node: SourceNode) -> [Scenario.Dimension] {
    guard let entries = entries(node, "matrix") else { return [] }
    if entries.isEmpty { note(node.position, .emptyList(of: "matrix")) }
    return entries.compactMap { entry in
      guard let axis = AxisDescriptor.named(entry.key) else {
        note(entry.keyPosition, .unknownKey(entry.key, in: "matrix", known: AxisDescriptor.names))
        return nil
      }
      var nodes = [entry.value]
      if case .list(let items) = entry.value.content { nodes = items }
      if nodes.isEmpty { note(entry.value.position, .emptyList(of: "axis '\(axis.name)'")) }
      var values: [AxisValue] = []
      var positions: [SourcePosition] = []
      for node in nodes {
        guard let value = axisValue(node, axis) else { continue }
        if values.contains(value) { note(node.position, .repeatedValue(value.description, of: axis.name)) }
        values.append(value)
        positions.append(node.position)
      }
      return Scenario.Dimension(
        axis: axis, values: values, position: entry.keyPosition, valuePositions: positions)
    }
  }

  private mutating func limits(_ node: SourceNode) -> TrialLimits? {
    guard let keys = mapping(node, "limits", known: ["trial-seconds"]) else { return nil }
    return keys["trial-seconds"].flatMap { trialSeconds($0.value) }.map { TrialLimits(trialSeconds: $0) }
  }

  mutating func trialSeconds(_ node: SourceNode) -> Int? { number(node, "trial-seconds", 1...86_400) }
}
