import LogModel

/// The values that the cells of a scenario have on each axis: what a condition may name.
struct Choices {
  var fixed: [AxisDescriptor: AxisValue]
  var dimensions: [Scenario.Dimension]

  /// Empty where the command line decides.
  func values(of axis: AxisDescriptor) -> [AxisValue] {
    dimensions.first { $0.axis == axis }?.values ?? fixed[axis].map { [$0] } ?? []
  }
}

// Conditions, and what scenarios hang on them.
extension SourceReader {
  mutating func condition(_ node: SourceNode, _ noun: String, _ choices: Choices) -> Condition? {
    guard let entries = entries(node, noun) else { return nil }
    let before = errors.count
    let terms = entries.compactMap { entry -> Condition.Term? in
      guard let subject = ConditionSubject(entry.key) else {
        note(entry.keyPosition, .unknownKey(entry.key, in: noun, known: ConditionSubject.names))
        return nil
      }
      var nodes = [entry.value]
      if case .list(let items) = entry.value.content { nodes = items }
      if nodes.isEmpty { note(entry.value.position, .emptyList(of: "'\(entry.key)'")) }
      return Condition.Term(subject: subject, tests: nodes.compactMap { test($0, entry.key, subject, choices) })
    }
    return errors.count == before ? Condition(terms: terms) : nil
  }

  private mutating func test(
    _ node: SourceNode, _ name: String, _ subject: ConditionSubject, _ choices: Choices
  ) -> Condition.Test? {
    guard let text = text(node, name) else { return nil }
    let vocabulary = vocabulary
    let test = value(at: node) { () throws(ScenarioProblem) in
      try Condition.Test(text, of: subject, vocabulary: vocabulary)
    }
    if case .equals(let value)? = test, case .axis(let axis) = subject {
      let values = choices.values(of: axis)
      guard values.isEmpty || values.contains(value) else {
        note(node.position, .notInMatrix(axis: name, value: value.description, values: values.map(\.description)))
        return nil
      }
    }
    return test
  }

  mutating func conditions(_ node: SourceNode, _ noun: String, _ choices: Choices) -> [Condition] {
    (list(node, noun) ?? []).compactMap { condition($0, noun, choices) }
  }

  mutating func overrides(_ node: SourceNode, _ choices: Choices) -> [Scenario.Override] {
    let known = ["when", "faults", "append-between", "crash-at", "trial-seconds"]
    return (list(node, "overrides") ?? []).compactMap { item in
      guard let keys = mapping(item, "an override", known: known) else { return nil }
      var change = Scenario.Override(condition: Condition(terms: []))
      if let when = keys["when"] {
        guard let condition = condition(when.value, "when", choices) else { return nil }
        change.condition = condition
      }
      change.faults = keys["faults"].map { faults($0.value) }
      change.appendBetween = keys["append-between"].flatMap { number($0.value, "append-between", 0...1_000_000) }
      change.trialSeconds = keys["trial-seconds"].flatMap { trialSeconds($0.value) }
      change.crashAt = keys["crash-at"].flatMap { axisValue($0.value, .crashAt) }.flatMap {
        CrashMoment($0.description)
      }
      return change
    }
  }

  mutating func rules(_ node: SourceNode, _ choices: Choices) -> [Scenario.ExpectationRule] {
    (list(node, "expect") ?? []).compactMap { item in
      guard let keys = mapping(item, "an expectation", known: ["when", "caught-by", "outcome"]) else { return nil }
      var condition = Condition(terms: [])
      if let when = keys["when"] {
        guard let read = self.condition(when.value, "when", choices) else { return nil }
        condition = read
      }
      switch (keys["caught-by"], keys["outcome"]) {
      case (let caught?, nil):
        guard let check = check(caught.value) else { return nil }
        return Scenario.ExpectationRule(condition: condition, expectation: .caught(by: check))
      case (nil, let outcome?):
        guard word(outcome.value, "outcome", ["held"]) != nil else { return nil }
        return Scenario.ExpectationRule(condition: condition, expectation: .held)
      case (let caught?, _?): note(caught.keyPosition, .givenTwice("outcome", places: "caught-by and outcome"))
      case (nil, nil): note(item.position, .missingKey("caught-by", in: "an expectation"))
      }
      return nil
    }
  }

  private mutating func check(_ node: SourceNode) -> String? {
    if case .scalar(let text) = node.content, let name = vocabulary.formerChecks[text] { return name }
    return word(node, "check", vocabulary.checks)
  }

  mutating func mustCatch(_ node: SourceNode, _ choices: Choices) -> [Scenario.ExpectationRule] {
    (entries(node, "must-catch") ?? []).compactMap { entry in
      let key = SourceNode(position: entry.keyPosition, content: .scalar(entry.key))
      let defect = test(key, "defect", .axis(.defect), choices)
      guard let check = check(entry.value), let defect else { return nil }
      let condition = Condition(terms: [Condition.Term(subject: .axis(.defect), tests: [defect])])
      return Scenario.ExpectationRule(condition: condition, expectation: .caught(by: check))
    }
  }

  mutating func suites(_ node: SourceNode, _ choices: Choices) -> [Scenario.Suite] {
    (entries(node, "suites") ?? []).compactMap { entry in
      guard isSlug(entry.key) else {
        _ = malformedSlug(entry.key, "suite", entry.keyPosition)
        return nil
      }
      var nodes = [entry.value]
      if case .list(let items) = entry.value.content { nodes = items }
      if nodes.isEmpty { note(entry.value.position, .emptyList(of: "suite '\(entry.key)'")) }
      let selections = nodes.compactMap { node in
        condition(node, "suite '\(entry.key)'", choices).map { (condition: $0, position: node.position) }
      }
      return Scenario.Suite(name: entry.key, selections: selections)
    }
  }

  /// `fault-cases: { torn: [torn-write: { target: batch }] }`: what the values of the axis `fault` stand for.
  mutating func faultCases(_ node: SourceNode) -> [String: [PlacedFault]] {
    var cases: [String: [PlacedFault]] = [:]
    for entry in entries(node, "fault-cases") ?? [] {
      guard isSlug(entry.key), entry.key != "none" else {
        _ = malformedSlug(entry.key, "fault case", entry.keyPosition)
        continue
      }
      cases[entry.key] = faults(entry.value)
    }
    return cases
  }

  mutating func faults(_ node: SourceNode) -> [PlacedFault] {
    (list(node, "faults") ?? []).compactMap { item in
      switch item.content {
      case .scalar: return fault(item, parameters: SourceNode(position: item.position, content: .mapping([])))
      case .mapping(let entries) where entries.count == 1:
        let kind = SourceNode(position: entries[0].keyPosition, content: .scalar(entries[0].key))
        return fault(kind, parameters: entries[0].value)
      default:
        note(item.position, .wrongShape(of: "a fault", expected: "one kind with its parameters", found: item.shape))
        return nil
      }
    }
  }

  private mutating func fault(_ kind: SourceNode, parameters: SourceNode) -> PlacedFault? {
    guard let text = text(kind, "fault") else { return nil }
    guard let descriptor = vocabulary.faults.first(where: { $0.isCalled(text) }) else {
      note(kind.position, .unknownWord(text, of: "fault", known: vocabulary.faults.map(\.kind)))
      return nil
    }
    let name = descriptor.kind
    guard let given = mapping(parameters, name, known: descriptor.parameters.map(\.name)) else { return nil }
    var fault = FaultSpec(kind: name, parameters: [:])
    let before = errors.count
    for parameter in descriptor.parameters {
      guard let entry = given[parameter.name] else {
        if parameter.isRequired { note(kind.position, .missingKey(parameter.name, in: name)) }
        continue
      }
      guard let written = self.text(entry.value, parameter.name) else { continue }
      let text = parameter.former[written] ?? written
      guard
        value(at: entry.value, { () throws(ScenarioProblem) in try parameter.check(text) }) != nil
      else { continue }
      fault.parameters[parameter.name] = text
    }
    guard errors.count == before else { return nil }
    for found in descriptor.contradictions(FaultWords(fault)) {
      note(given[found.parameter]?.keyPosition ?? kind.position, .contradiction(of: name, found))
    }
    return PlacedFault(fault: fault, position: kind.position)
  }

  mutating func word(_ node: SourceNode, _ noun: String, _ known: [String]) -> String? {
    guard let text = text(node, noun) else { return nil }
    guard known.contains(text) else {
      note(node.position, .unknownWord(text, of: noun, known: known))
      return nil
    }
    return text
  }
}

extension FaultParameter {
  func check(_ text: String) throws(ScenarioProblem) {
    if let reason = impossible[text] { throw .impossibleWord(text, of: name, because: reason) }
    switch form {
    case .word(let known): if !known.contains(text) { throw .unknownWord(text, of: name, known: known) }
    case .integer(let allowed): _ = try integer(text, of: name, allowed: allowed)
    case .size: if byteCount(text) == nil { throw .malformed(text, of: name, expected: "a size like 4KiB") }
    case .duration:
      if DurationText.parse(text) == nil { throw .malformed(text, of: name, expected: "a duration like 100ms") }
    case .numbers:
      let numbers = text.split(separator: ",", omittingEmptySubsequences: false)
      guard numbers.allSatisfy({ Int($0).map { (0...1_000_000).contains($0) } == true }) else {
        throw .malformed(text, of: name, expected: "numbers from 0, separated by commas, like 0,2,5")
      }
    case .anyText: break
    }
  }
}
