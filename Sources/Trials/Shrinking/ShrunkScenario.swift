import LogModel
import ScenarioFormat
import Storage
import Verification

/// The scenario file that `shrink` writes: one that `run` or `explore` repeats the violation from.
public struct ShrunkScenario: Sendable {
  /// The first line of each file that `shrink` writes: what has it may be written over by another `shrink`.
  public static let mark = "# Written by `tornlog shrink`."

  public var name: String
  public var text: String

  package init(name: String, text: String) {
    self.name = name
    self.text = text
  }

  /// A trial; beside it the sound engine, where that held.
  public init(_ result: TrialShrinker.Result, story: [String]) {
    let spec = result.spec
    name = Self.slug("shrunk-\(spec.defect)-\(result.check.name.rawValue)")
    let culprit = spec.defect == "none" ? "The sound engine" : "Defect \(spec.defect)"
    var lines = Self.head(name, "\(culprit): \(result.check.name.rawValue) is violated", story)
    lines += ["seed: \(spec.seed)", "", "workload:", "  topic: \(Self.quoted(spec.topic))"]
    if !spec.otherTopics.isEmpty {
      lines.append("  other-topics: [\(spec.otherTopics.map(Self.quoted).joined(separator: ", "))]")
    }
    if spec.committers > 0 { lines.append("  committers: \(spec.committers)") }
    lines += ["  append-between: \(spec.appendBetween)", ""] + Self.checkpointLines(spec)
    lines += Self.matrix(spec, isSoundBeside: result.soundVerdict == .held) + [""]
    if let delivery = spec.delivery { lines += ["delivery:"] + Self.lines(delivery) + [""] }
    if !spec.faults.isEmpty { lines += ["faults:"] + spec.faults.map(Self.text) + [""] }
    if !spec.onlyIf.isEmpty { lines += ["only-if: [\(spec.onlyIf.map(\.rawValue).joined(separator: ", "))]", ""] }
    text = (lines + Self.expectation(spec.defect, result.check)).joined(separator: "\n") + "\n"
  }

  /// Every axis that is not as usual, and those that are always said.
  /// - Parameter isSoundBeside: whether the engine without the defect is a second cell.
  static func matrix(_ spec: TrialSpec, isSoundBeside: Bool = false) -> [String] {
    let axes = AxisDescriptor.all.filter { $0.token?.isRequired == true || !$0.isUsual(in: spec.settings) }
    return ["matrix:"]
      + axes.compactMap { axis in
        // Without a storage of its own the command line decides.
        if axis == .storage, spec.storage == .auto { return nil }
        let isDefect = axis == .defect && isSoundBeside && spec.defect != "none"
        return "  \(axis.name): [\(axis.value(in: spec.settings))\(isDefect ? ", none" : "")]"
      }
  }

  private static func checkpointLines(_ spec: TrialSpec) -> [String] {
    guard spec.checkpoint != .none else { return [] }
    let terms = spec.checkpointTerms
    var words = [
      "every: \(DurationText.render(terms.every))", "bytes: \(terms.bytes)B", "object-bytes: \(terms.objectBytes)B",
      "timeout: \(DurationText.render(terms.timeout))",
    ]
    if let waiting = terms.mostWaiting {
      words += ["waiting: \(waiting)B", "patience: \(DurationText.render(terms.patience))"]
    }
    return ["checkpoint: { \(words.joined(separator: ", ")) }", ""]
  }

  private static func lines(_ delivery: DeliverySettings) -> [String] {
    [
      "  events-for: \(DurationText.render(delivery.eventsFor))",
      "  first-back-off: \(DurationText.render(delivery.firstBackOff))",
      "  longest-back-off: \(DurationText.render(delivery.longestBackOff))",
      "  timeout: \(DurationText.render(delivery.timeout))",
      "  stop-within: \(DurationText.render(delivery.stopWithin))",
      "  executions: \(delivery.isRetried ? "each-life" : "one")",
      "  archive: \(delivery.archives)",
    ]
  }

  private static func text(_ fault: FaultSpec) -> String {
    // A comma would end the value.
    let parameters = fault.parameters.sorted { $0.key < $1.key }.map { name, value in
      "\(name): " + (value.contains(",") ? "\"\(value)\"" : value)
    }
    return "  - \(fault.kind)" + (parameters.isEmpty ? "" : ": { \(parameters.joined(separator: ", ")) }")
  }

  package static func head(_ name: String, _ title: String, _ story: [String]) -> [String] {
    [mark, "name: \(name)", "title: \(quoted(title))", "story: |"] + story.map { "  \($0)" } + [""]
  }

  package static func expectation(_ defect: String, _ check: CheckResult) -> [String] {
    defect == "none"
      ? ["expect:", "  - caught-by: \(check.name.rawValue)"] : ["must-catch:", "  \(defect): \(check.name.rawValue)"]
  }

  /// In YAML's double quotes.
  static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  package static func slug(_ text: String) -> String { text.lowercased() }
}
