import Metrics
import Testing
import Verification

@testable import Reporting

@Suite struct OpenMetricsRecorderTests {
  @Test func aRunInFigures() throws {
    let sink = TextSink()
    try run(
      OpenMetricsRecorder(sink),
      [trial(), trial(messages: 10), lostAll(messages: 7, defect: "C2", expectation: .held)], planned: 4)
    let lines = Set(sink.text.split(separator: "\n").map(String.init))
    #expect(sink.pieces.count == 1 && sink.text.hasSuffix("# EOF\n"))
    for line in [
      "tornlog_trials_planned 4.0", "tornlog_trials_total{verdict=\"held\"} 2",
      "tornlog_trials_total{verdict=\"violated\"} 1",
      "tornlog_trials_total{verdict=\"unknown\"} 0", "tornlog_trials_unexpected_total 1",
      "tornlog_messages_total{outcome=\"acknowledged\"} 117", "tornlog_messages_total{outcome=\"lost\"} 7",
      "tornlog_messages_total{outcome=\"phantom\"} 0", "tornlog_faults_fired_total{kind=\"process-kill\"} 3",
      "tornlog_checks_violated_total{check=\"high-watermark\"} 1", "tornlog_trial_duration_seconds_count 3",
      "tornlog_recovery_duration_seconds_bucket{le=\"0.01\"} 3",
      "tornlog_recovery_duration_seconds_bucket{le=\"0.001\"} 0",
    ] {
      #expect(lines.contains(line), "\(line) is not in\n\(sink.text)")
    }
  }

  /// While a run lasts, its registry has what has ended so far.
  @Test func theRegistryIsUpToDate() throws {
    let registry = MetricRegistry()
    let recorder = OpenMetricsRecorder(nil, registry: registry)
    #expect(OpenMetricsText.render(registry.snapshot).contains("tornlog_trials_total{verdict=\"held\"} 0\n"))
    try recorder.record(.trialFinished(index: 0, trial()))
    #expect(OpenMetricsText.render(registry.snapshot).contains("tornlog_trials_total{verdict=\"held\"} 1\n"))
  }
}
