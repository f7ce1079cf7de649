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
    let defects = spec.defect != "none" && result.soundVerdict == .held ? "\(spec.defect), none" : spec.defect
    let checkpoint = spec.checkpointLines
    lines += [
      "seed: \(spec.seed)", "",
      "workload:", "  topic: \(Self.quoted(spec.topic))",
    ]
    if !spec.otherTopics.isEmpty { lines.append("  other-topics: [\(spec.otherTopics.map(Self.quoted).joined(separator: ", "))]") }
    if spec.committers > 0 { lines.append("  committers: \(spec.committers)") }
    lines += [
      "  producers: \(spec.producers)", "  batch: \(spec.batch)",
      "  message-size: \(spec.messageSize)B", "  append-between: \(spec.appendBetween)", "",
    ] + checkpoint.policy + [
      "matrix:", "  messages: [\(spec.messages)]", "  partitions: [\(spec.partitions)]", "  sync: [\(spec.sync)]",
      "  recovery: [\(spec.recovery.rawValue)]", "  crash: [\(spec.crash.rawValue)]", "  crash-at: [\(Self.text(spec.crashAt))]",
    ]
    // Without a storage of its own the command line decides.
    if spec.storage != .auto { lines.append("  storage: [\(spec.storage.rawValue)]") }
    if spec.system != .tornlog { lines.append("  system: [\(spec.system.rawValue)]") }
    lines += spec.loadLines
    lines += checkpoint.axis
    if spec.writers != .one { lines.append("  writers: [\(spec.writers.rawValue)]") }
    if spec.keys != .none { lines.append("  keys: [\(spec.keys.rawValue)]") }
    if spec.deletion != .none { lines.append("  deletion: [\(spec.deletion.rawValue)]") }
    if spec.readers > 0 { lines.append("  readers: [\(spec.readers)]") }
    if let client = spec.client { lines.append("  client: [\(client.rawValue)]") }
    lines += ["  defect: [\(defects)]", ""]
    if let delivery = spec.delivery { lines += ["delivery:"] + Self.lines(delivery) + [""] }
    if !spec.faults.isEmpty { lines += ["faults:"] + spec.faults.map(Self.text) + [""] }
    if !spec.onlyIf.isEmpty { lines += ["only-if: [\(spec.onlyIf.map(\.rawValue).joined(separator: ", "))]", ""] }
    text = (lines + Self.expectation(spec.defect, result.check)).joined(separator: "\n") + "\n"
  }

  private static func lines(_ delivery: DeliverySettings) -> [String] {
    [
      "  events-for: \(DurationText.render(delivery.eventsFor))", "  first-back-off: \(DurationText.render(delivery.firstBackOff))",
      "  longest-back-off: \(DurationText.render(delivery.longestBackOff))", "  timeout: \(DurationText.render(delivery.timeout))",
      "  stop-within: \(DurationText.render(delivery.stopWithin))", "  executions: \(delivery.isRetried ? "each-life" : "one")",
      "  archive: \(delivery.archives)",
    ]
  }

  private static func text(_ crash: CrashPoint) -> String {
    switch crash {
    case .end: "end"
    case .percent(let n): "\(n)%"
    case .messages(let n): "\(n)"
    }
  }

  private static func text(_ fault: FaultSpec) -> String {
    let parameters = fault.parameters.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
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
