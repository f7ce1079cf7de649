import CrashStates
import Exploration
import LogModel
import ScenarioFormat
import Storage
import Trials
import Verification

extension ShrunkScenario {
  /// A crash state: judged alone for its defect, and beside it the sound engine in every state of the same workload.
  public init(_ result: CrashStateShrinker.Result, check: CheckResult) {
    let (state, workload) = (result.state, result.state.workload)
    let defect = state.defect ?? "none"
    let name = Self.slug("shrunk-\(defect)-\(check.name.rawValue)")
    var lines = Self.head(
      name,
      "\(defect == "none" ? "The sound engine" : "Defect \(defect)"): \(check.name.rawValue) is violated after a power "
        + "cut",
      result.replay.story)
    lines += [
      "seed: \(workload.seed)", "",
      "workload:", "  producers: \(workload.producers)", "  batch: \(workload.messagesPerBatch)",
      "  message-size: \(workload.messageSize)B", "",
      "matrix:", "  messages: [\(workload.messages)]", "  partitions: [\(workload.partitions)]",
      "  sync: [\(workload.syncPolicy)]", "  defect: [\(defect)\(defect == "none" ? "" : ", none")]",
      "  system: [\(workload.system.rawValue)]", "  recovery: [\(workload.recoveryPolicy.rawValue)]",
    ]
    if workload.checkpoints { lines.append("  checkpoint: [background]") }
    if workload.readers > 0 { lines.append("  readers: [\(workload.readers)]") }
    if workload.isTakenOver { lines.append("  writers: [\(WriterSetup.clockSkew.rawValue)]") }
    lines += [
      "", "exploration:", "  profiles: [\(state.profile.name)]", "  depth: \(state.depth)",
      "  segment-size: \(workload.segmentBytes)B", "  offset-commits: \(workload.commitsOffsets)",
    ]
    if workload.committers > 0 { lines.append("  committers: \(workload.committers)") }
    let deviceFaults = [
      workload.deviceFaults.shortWriteEvery > 0 ? "short-writes: \(workload.deviceFaults.shortWriteEvery)" : nil,
      workload.deviceFaults.failingSync > 0 ? "failing-sync: \(workload.deviceFaults.failingSync)" : nil,
      workload.deviceFaults.failingWriteEvery > 0 ? "failing-writes: \(workload.deviceFaults.failingWriteEvery)" : nil,
    ].compactMap { $0 }
    if !deviceFaults.isEmpty { lines.append("  device-faults: { \(deviceFaults.joined(separator: ", ")) }") }
    lines += ["  state:", "    defect: \(defect)", "    event: \(state.cut.event)", "    kept: \(state.cut.kept)"]
    if let inner = state.recoveryCut { lines.append("    in-recovery: { event: \(inner.event), kept: \(inner.kept) }") }
    lines += ["    fingerprint: \(CrashStateToken.fingerprint(state.fingerprint))", ""]
    lines += Self.expectation(defect, check)
    self.init(name: name, text: lines.joined(separator: "\n") + "\n")
  }
}
