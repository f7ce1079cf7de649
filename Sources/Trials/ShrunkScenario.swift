import Exploration
import LogModel
import Verification

/// The scenario file that `shrink` writes: one that `run` or `explore` repeats the violation from.
public struct ShrunkScenario: Sendable {
  /// The first line of each file that `shrink` writes: what has it may be written over by another `shrink`.
  public static let mark = "# Written by `tornlog shrink`."

  public var name: String
  public var text: String

  /// A crash state: judged alone for its defect, and beside it the sound engine in every state of the same workload.
  public init(_ result: CrashStateShrinker.Result, check: CheckResult) {
    let (state, workload) = (result.state, result.state.workload)
    let defect = state.defect ?? "none"
    name = Self.slug("shrunk-\(defect)-\(check.name.rawValue)")
    var lines = Self.head(name, "\(defect == "none" ? "The sound engine" : "Defect \(defect)"): \(check.name.rawValue) is violated after a power cut", result.replay.story)
    lines += [
      "seed: \(workload.seed)", "",
      "workload:", "  producers: \(workload.producers)", "  batch: \(workload.messagesPerBatch)",
      "  message-size: \(workload.messageSize)B", "",
      "matrix:", "  messages: [\(workload.messages)]", "  partitions: [\(workload.partitions)]",
      "  sync: [\(workload.syncPolicy)]", "  defect: [\(defect)\(defect == "none" ? "" : ", none")]", "",
      "exploration:", "  profiles: [\(state.profile.name)]", "  depth: \(state.depth)",
      "  segment-size: \(workload.segmentBytes)B", "  offset-commits: \(workload.commitsOffsets)",
    ]
    let mishaps = [
      workload.mishaps.shortWriteEvery > 0 ? "short-writes: \(workload.mishaps.shortWriteEvery)" : nil,
      workload.mishaps.failingSync > 0 ? "failing-sync: \(workload.mishaps.failingSync)" : nil,
    ].compactMap { $0 }
    if !mishaps.isEmpty { lines.append("  mishaps: { \(mishaps.joined(separator: ", ")) }") }
    lines += ["  state:", "    defect: \(defect)", "    event: \(state.cut.event)", "    kept: \(state.cut.kept)"]
    if let inner = state.recoveryCut { lines.append("    in-recovery: { event: \(inner.event), kept: \(inner.kept) }") }
    lines += ["    fingerprint: \(CrashStateToken.fingerprint(state.fingerprint))", ""]
    lines += Self.expectation(defect, check)
    text = lines.joined(separator: "\n") + "\n"
  }

  private static func head(_ name: String, _ title: String, _ story: [String]) -> [String] {
    [mark, "name: \(name)", "title: \(quoted(title))", "story: |"] + story.map { "  \($0)" } + [""]
  }

  private static func expectation(_ defect: String, _ check: CheckResult) -> [String] {
    defect == "none"
      ? ["expect:", "  - caught-by: \(check.name.rawValue)"] : ["must-catch:", "  \(defect): \(check.name.rawValue)"]
  }

  /// In YAML's double quotes.
  static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  static func slug(_ text: String) -> String { text.lowercased() }
}
