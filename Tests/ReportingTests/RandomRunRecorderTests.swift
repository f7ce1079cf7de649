import LogModel
import Testing
import Verification

@testable import Reporting

@Suite struct RandomRunRecorderTests {
  private final class Text: ReportSink {
    var text = ""
    func write(_ piece: String) throws(ReportError) { text += piece }
    func finish() throws(ReportError) {}
  }

  private func result(_ verdict: Verdict, _ notice: String? = nil, seed: UInt64 = 1) -> TrialResult {
    TrialResult(
      scenario: "random", file: "", seed: seed, verdict: verdict, expectation: .held, axes: Axes(),
      counts: MessageCounts(), partitions: [],
      checks: verdict == .violated ? [CheckResult(.noGaps, .violated, "offset 3 must be served")] : [], faults: [],
      recovery: RecoveryFigures(), notices: notice.map { [$0] } ?? [], reproduce: "tornlog reproduce t\(seed)",
      seconds: 0)
  }

  @Test func whatIsViolatedIsShownAndWhatIsUnknownIsCountedByItsReason() throws {
    let sink = Text()
    let recorder = RandomRunRecorder(sink)
    var summary = RunSummary()
    let results = [
      result(.held), result(.unknown, "the fault no. 3 never fired", seed: 2),
      result(.unknown, "the fault no. 17 never fired", seed: 3),
      result(.unknown, "the worker was killed", seed: 4), result(.violated, seed: 5),
    ]
    for (index, one) in results.enumerated() {
      try recorder.record(.trialFinished(index: index, one))
      summary.count(one)
    }
    try recorder.record(.finished(summary))
    #expect(
      sink.text.contains("VIOLATED") && sink.text.contains("no-gaps") && sink.text.contains("tornlog reproduce t5"))
    #expect(sink.text.contains("2 trials: the fault no. 3 never fired\n      tornlog reproduce t2\n"), "\(sink.text)")
    #expect(sink.text.contains("1 trial: the worker was killed\n      tornlog reproduce t4\n"))
    #expect(sink.text.contains("5 trials: 1 held, 1 violated, 3 unknown"))
    #expect(!sink.text.contains("reproduce t1") && !sink.text.contains("reproduce t3"))
  }
}
