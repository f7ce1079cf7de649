import Foundation
import LogModel

/// The JSON Schema of scenarios (draft 2020-12), for editors: they complete keys and words, and mark mistakes.
///
/// Axes and faults follow from their descriptors. The other keys stand here; `ScenarioSchemaTests` compares each
/// mapping with the parser. The parser is stricter: it knows which values go together.
public struct ScenarioSchema {
  private typealias Node = [String: Any]

  private let vocabulary: Vocabulary
  private let programs: ProgramVocabulary
  /// Parameters that several kinds of faults have, by the names of their definitions.
  private let shared: [(name: String, parameter: FaultParameter)]

  public init(_ vocabulary: Vocabulary, _ programs: ProgramVocabulary) {
    (self.vocabulary, self.programs) = (vocabulary, programs)
    var kinds: [FaultParameter: [FaultDescriptor]] = [:]
    for fault in vocabulary.faults {
      for parameter in fault.parameters { kinds[parameter, default: []].append(fault) }
    }
    shared = kinds.filter { $0.value.count > 1 }.map { parameter, kinds in
      ("\(parameter.name)-of-\(kinds[0].kind)", parameter)
    }.sorted { $0.name < $1.name }
  }

  /// Its text, with sorted keys.
  public var text: String {
    let options: JSONSerialization.WritingOptions = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? JSONSerialization.data(withJSONObject: root, options: options) else {
      preconditionFailure("the schema is no JSON")
    }
    return String(decoding: data, as: UTF8.self)
  }

  private var root: Node {
    var root: Node = ["anyOf": [Self.reference("trials"), Self.reference("program")]]
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    root["title"] = "A scenario of Tornlog"
    var definitions: Node = [
      "trials": mapping(scenario, required: ["name", "title", "matrix"]),
      "program": mapping(program, required: ["name", "title", "program"]),
      "configuration": [
        "type": "object", "additionalProperties": anyOrList(["type": ["string", "integer", "boolean", "null"]]),
      ],
      "condition": mapping(
        Dictionary(uniqueKeysWithValues: ConditionSubject.names.map { ($0, anyOrList(test($0))) }), required: []),
      "faults": list(["anyOf": [["enum": bareFaults] as Node] + vocabulary.faults.map(fault)]),
      "checks": ["enum": vocabulary.checks],
      "duration": Self.duration,
      "size": Self.size(0...Int.max),
      "name": ["type": "string", "pattern": "^[a-z0-9-]{1,100}$"],
    ]
    for axis in AxisDescriptor.all { definitions["axis-\(axis.name)"] = described(definition(axis), axis.meaning) }
    for (name, parameter) in shared { definitions[name] = described(Self.value(parameter), parameter.meaning) }
    root["$defs"] = definitions
    return root
  }

  // MARK: Keys

  /// Of a scenario of a program.
  private var program: [String: Node] {
    let condition = Self.reference("configuration")
    let promise: [String: Node] = [
      "promises": ["type": "string", "pattern": "^(acknowledged|flushed|nothing|interval\\([0-9]+(us|ms|s)\\))$"],
      "allows": list(["enum": programs.allowances]), "source": Self.text,
    ]
    return [
      "name": Self.reference("name"), "title": Self.text, "story": Self.text,
      "seed": ["type": "integer", "minimum": 0],
      "program": mapping(
        promise.merging([
          "driver": list(["type": ["string", "integer", "boolean"]]), "config": condition,
          "model": ["enum": programs.models],
        ]) { $1 }, required: ["driver"]),
      "matrix": condition,
      "workload": mapping(
        [
          "requests": Self.number(1...100_000), "concurrency": Self.number(1...1000),
          "time-limit": Self.reference("duration"),
        ], required: []),
      "search": mapping(
        [
          "profiles": list(["enum": programs.profiles]), "budget": Self.reference("duration"),
          "kills": Self.number(0...100_000), "faults": Self.number(0...100_000), "damage": Self.number(0...100_000),
        ], required: []),
      "exclude": list(condition),
      "overrides": list(mapping(promise.merging(["when": condition]) { $1 }, required: [])),
      "expect": list(
        mapping(
          ["when": condition, "caught-by": ["enum": programs.checks], "outcome": ["const": "held"]], required: [])),
      "suites": ["type": "object", "additionalProperties": anyOrList(condition)],
    ]
  }

  private var scenario: [String: Node] {
    [
      "name": Self.reference("name"), "title": Self.text, "story": Self.text, "remedy": Self.text,
      "seed": ["type": "integer", "minimum": 0],
      "workload": mapping(workload, required: []),
      "matrix": mapping(
        Dictionary(uniqueKeysWithValues: AxisDescriptor.all.map { ($0.name, anyOrList(value($0))) }),
        required: []),
      "crash": mapping(crash, required: []), "checkpoint": mapping(checkpoint, required: []),
      "exclude": list(Self.reference("condition")), "faults": Self.reference("faults"),
      "fault-cases": ["type": "object", "additionalProperties": Self.reference("faults")],
      "overrides": list(mapping(override, required: [])),
      "expect": list(
        mapping(
          ["when": Self.reference("condition"), "caught-by": Self.reference("checks"), "outcome": ["const": "held"]],
          required: [])),
      "must-catch": ["type": "object", "additionalProperties": Self.reference("checks")],
      "only-if": list(["enum": TrialCondition.allCases.map(\.rawValue)]),
      "suites": ["type": "object", "additionalProperties": anyOrList(Self.reference("condition"))],
      "limits": mapping(["trial-seconds": Self.number(1...86_400)], required: []),
      "claims": list(mapping(claim, required: ["source", "says"])),
      "exploration": mapping(exploration, required: []), "delivery": mapping(delivery, required: []),
    ]
  }

  private var workload: [String: Node] {
    var keys: [String: Node] = [
      "topic": Self.text, "other-topics": list(Self.text), "append-between": Self.number(0...1_000_000),
      "committers": Self.number(Scenario.committers),
    ]
    for axis in AxisDescriptor.all where axis.place == .workload { keys[axis.name] = value(axis) }
    return keys
  }

  private var crash: [String: Node] {
    var keys: [String: Node] = [:]
    for axis in AxisDescriptor.all {
      if case .crash(let key) = axis.place { keys[key] = value(axis) }
    }
    return keys
  }

  private var checkpoint: [String: Node] {
    let (size, duration) = (Self.reference("size"), Self.reference("duration"))
    return [
      "every": duration, "bytes": size, "object-bytes": size, "timeout": duration, "waiting": size,
      "patience": duration,
    ]
  }

  private var override: [String: Node] {
    [
      "when": Self.reference("condition"), "faults": Self.reference("faults"),
      "append-between": Self.number(0...1_000_000), "crash-at": value(.crashAt),
      "trial-seconds": Self.number(1...86_400),
    ]
  }

  private var claim: [String: Node] {
    var keys: [String: Node] = [
      "source": Self.text, "says": Self.text, "when": Self.reference("condition"), "beyond-reach": Self.text,
      "measured-by": Self.text,
      "arithmetic": mapping(
        [
          "part": Self.number(0...1_000_000_000), "whole": Self.number(1...1_000_000_000),
          "percent": ["type": ["number", "string"]],
        ], required: ["part", "whole", "percent"]),
    ]
    for figure in ClaimFigure.allCases { keys[figure.rawValue] = ["type": ["number", "string"]] }
    return keys
  }

  private var exploration: [String: Node] {
    let count = Self.number(1...1_000_000)
    let kept: Node = ["type": "string", "pattern": "^(all|none)(_[0-9]+-[0-9]+)*$"]
    let cut: [String: Node] = ["event": Self.number(0...10_000_000), "kept": kept]
    let state = cut.merging([
      "defect": value(.defect), "in-recovery": mapping(cut, required: ["event", "kept"]),
      // YAML may read one as a number: 123e4567.
      "fingerprint": ["type": ["string", "number"]],
    ]) { $1 }
    return [
      "profiles": anyOrList(["enum": vocabulary.profiles]), "depth": Self.number(1...2), "bound": Self.number(1...8),
      "states-per-point": count, "samples": Self.number(0...1_000_000),
      "segment-size": Self.size((16 << 10)...(64 << 20)), "offset-commits": ["type": "boolean"],
      "committers": Self.number(Scenario.committers),
      "device-faults": mapping(
        ["short-writes": count, "failing-sync": count, "failing-writes": count], required: []),
      "client": ["enum": ["delivery", "transactions"]],
      "state": mapping(state, required: ["defect", "event", "kept", "fingerprint"]),
    ]
  }

  private var delivery: [String: Node] {
    let duration = Self.reference("duration")
    return [
      "events-for": duration, "first-back-off": duration, "longest-back-off": duration, "timeout": duration,
      "stop-within": duration, "executions": ["enum": ["one", "each-life"]], "archive": ["type": "boolean"],
    ]
  }

  // MARK: Axes and faults

  private func value(_ axis: AxisDescriptor) -> Node { Self.reference("axis-\(axis.name)") }

  private func definition(_ axis: AxisDescriptor) -> Node {
    var choices: [Node] = []
    var words = axis.form.words
    if axis == .defect { words += ["none"] + vocabulary.defects }
    if !words.isEmpty { choices.append(["enum": Self.distinct(words)]) }
    switch axis.form.kind {
    case .number(let range): choices.append(Self.number(range))
    case .size(let range):
      choices.append(["type": "integer", "minimum": range.lowerBound, "maximum": range.upperBound])
    case .words: break
    }
    // YAML reads a number of messages as a number.
    if axis == .crashAt { choices.append(["type": "integer", "minimum": 0]) }
    if !axis.form.pattern.isEmpty { choices.append(["type": "string", "pattern": "^(\(axis.form.pattern))$"]) }
    return Self.any(choices)
  }

  /// A value of the subject, or a comparison with one.
  private func test(_ subject: String) -> Node {
    let own = AxisDescriptor.named(subject).map(value) ?? Self.number(0...1_000_000_000)
    return ["anyOf": [own, ["type": "string", "pattern": "^(<=|>=|!=|<|>) *[^ ]"] as Node]]
  }

  /// Faults that need no parameter.
  private var bareFaults: [String] {
    vocabulary.faults.filter { !$0.parameters.contains(where: \.isRequired) }.map(\.kind)
  }

  private func fault(_ fault: FaultDescriptor) -> Node {
    let parameters = Dictionary(
      uniqueKeysWithValues: fault.parameters.map { parameter in
        let name = shared.first { $0.parameter == parameter }?.name
        return (parameter.name, name.map(Self.reference) ?? described(Self.value(parameter), parameter.meaning))
      })
    let own = mapping(parameters, required: fault.parameters.filter(\.isRequired).map(\.name))
    return mapping([fault.kind: described(own, fault.meaning)], required: [fault.kind])
  }

  private static func value(_ parameter: FaultParameter) -> Node {
    switch parameter.form {
    // YAML reads a status of an answer as a number.
    case .word(let words) where words.allSatisfy({ Int($0) != nil }):
      ["enum": words.compactMap { Int($0) } as [Any] + words]
    case .word(let words): ["enum": words]
    case .integer(let range): number(range)
    case .size: reference("size")
    case .duration: reference("duration")
    case .numbers: ["type": ["integer", "string"], "pattern": "^[0-9]+(,[0-9]+)*$", "minimum": 0]
    case .anyText: text
    }
  }

  // MARK: Parts

  private static var text: Node { ["type": "string"] }
  private static var duration: Node { ["type": "string", "pattern": "^\(DurationText.pattern)$"] }

  private static func number(_ range: ClosedRange<Int>) -> Node {
    ["type": "integer", "minimum": range.lowerBound, "maximum": range.upperBound]
  }

  private static func size(_ range: ClosedRange<Int>) -> Node {
    var bytes: Node = ["type": "integer", "minimum": range.lowerBound]
    if range.upperBound < .max { bytes["maximum"] = range.upperBound }
    return ["anyOf": [bytes, ["type": "string", "pattern": "^\(sizePattern)$"] as Node]]
  }

  private static func reference(_ name: String) -> Node { ["$ref": "#/$defs/\(name)"] }

  private static func any(_ choices: [Node]) -> Node { choices.count == 1 ? choices[0] : ["anyOf": choices] }

  private static func distinct(_ words: [String]) -> [String] {
    var seen: Set<String> = []
    return words.filter { seen.insert($0).inserted }
  }

  private func described(_ node: Node, _ meaning: String) -> Node {
    node.merging(["description": meaning.replacing("`", with: "")]) { $1 }
  }

  private func list(_ item: Node) -> Node { ["type": "array", "items": item] }

  private func anyOrList(_ item: Node) -> Node {
    ["anyOf": [item, ["type": "array", "items": item, "minItems": 1] as Node]]
  }

  /// No other keys.
  private func mapping(_ keys: [String: Node], required: [String]) -> Node {
    var node: Node = ["type": "object", "properties": keys, "additionalProperties": false]
    if !required.isEmpty { node["required"] = required }
    return node
  }
}
