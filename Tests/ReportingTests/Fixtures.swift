import LogModel
import Verification

@testable import Reporting

/// Keeps what is written.
final class TextSink: ReportSink {
  private(set) var pieces: [String] = []
  var text: String { pieces.joined() }
  func write(_ text: String) throws(ReportError) { pieces.append(text) }
}

func trial(
  scenario: String = "ten-vs-hundred", messages: Int = 100, partitions: Int = 3, defect: String = "none",
  verdict: Verdict = .held, expectation: Expectation = .held, recovered: Int? = nil, lost: Int = 0,
  checks: [CheckResult] = [CheckResult(.noAcknowledgedLoss, .held)], notices: [String] = []
) -> TrialResult {
  var counts = MessageCounts()
  counts.attempted = messages
  counts.acknowledged = messages
  counts.recovered = recovered ?? messages
  counts.lost = lost
  return TrialResult(
    scenario: scenario, file: "Scenarios/chronik/\(scenario).yaml", seed: 42, verdict: verdict,
    expectation: expectation,
    axes: Axes([
      ("messages", .integer(messages)), ("partitions", .integer(partitions)), ("sync", .text("always")),
      ("defect", .text(defect)),
    ]),
    counts: counts,
    partitions: [PartitionState(partition: 0, logStartOffset: 0, highWatermark: 34, logEndOffset: 34, gaps: [])],
    checks: checks, faults: [FaultReceipt(kind: "process-kill", fired: 1, places: ["pid 7"])],
    recovery: RecoveryFigures(seconds: 0.004, bytesScanned: 18432), notices: notices,
    reproduce: "tornlog reproduce t1\(defect)-\(messages)", seconds: 0.25)
}

/// A trial in which every message is gone.
func lostAll(
  messages: Int = 100, partitions: Int = 3, defect: String = "none", expectation: Expectation = .held
) -> TrialResult {
  let late = Divergence(partition: 1, offset: 3, restart: 2)
  let first = Divergence(partition: 0, offset: 4, segment: "orders/0/00000000000000000000.log", byte: 4096, restart: 1)
  return trial(
    messages: messages, partitions: partitions, defect: defect, verdict: .violated, expectation: expectation,
    recovered: 0, lost: messages,
    checks: [
      CheckResult(.highWatermark, .violated, "expected 34, found 0", divergence: late),
      CheckResult(.noAcknowledgedLoss, .violated, "offset 4 is returned by no fetch", divergence: first),
    ])
}

func run(_ recorder: any RunRecorder, _ results: [TrialResult], interrupted: Bool = false, planned: Int? = nil) throws {
  try recorder.record(
    .started(
      RunDescription(seed: 42, storage: "io_uring", filesystem: "ext4", trials: planned ?? results.count, jobs: 1)))
  for (index, result) in results.enumerated() {
    try recorder.record(.trialStarted(index: index, title: "\(result.scenario) \(result.axes)"))
    try recorder.record(.trialFinished(index: index, result))
  }
  var summary = RunSummary()
  for result in results { summary.count(result) }
  summary.seconds = 1.5
  summary.stoppedBy = interrupted ? .signal : nil
  try recorder.record(.finished(summary))
}
