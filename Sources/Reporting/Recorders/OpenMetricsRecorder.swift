import Metrics
import Verification

/// A run's figures in OpenMetrics text: written once, when the run finishes; whoever holds the registry can read them
/// while it lasts.
///
/// | metric | labels | |
/// |---|---|---|
/// | `tornlog_trials_planned` | | trials of the run |
/// | `tornlog_trials_total` | `verdict` | trials that have ended |
/// | `tornlog_trials_unexpected_total` | | of them, those that did not come out as their scenario expects |
/// | `tornlog_messages_total` | `outcome` | as in the counts of the JSON report: `attempted`, `acknowledged`, `lost` ... |
/// | `tornlog_faults_fired_total` | `kind` | |
/// | `tornlog_checks_violated_total` | `check` | |
/// | `tornlog_trial_duration_seconds` | | histogram |
/// | `tornlog_recovery_duration_seconds` | | histogram, of first restarts |
/// | `checkpoint_...`, `throttle_decisions_total`, `lease_...`, `stale_epochs_refused_total` | | as the engines of trials with an object store or a second writer count them (`PartitionEngine/Engine/EngineMetrics.swift`), all together |
public final class OpenMetricsRecorder: RunRecorder {
  private let sink: (any ReportSink)?
  private let registry: MetricRegistry
  private let planned: Gauge
  private let unexpected: Counter
  private let trialDuration: Histogram
  private let recoveryDuration: Histogram

  /// - Parameter sink: nil where the registry alone is wanted.
  public init(_ sink: (any ReportSink)?, registry: MetricRegistry = MetricRegistry()) {
    self.sink = sink
    self.registry = registry
    planned = registry.gauge(MetricFamilyName("tornlog_trials_planned"), help: "Trials of the run.")
    unexpected = registry.counter(
      MetricFamilyName("tornlog_trials_unexpected"), help: "Trials that did not come out as their scenario expects.")
    trialDuration = registry.histogram(
      MetricFamilyName("tornlog_trial_duration_seconds", unit: "seconds"), help: "Trials, from start to verdict.",
      limits: [0.01, 0.1, 0.5, 1, 5, 10, 60])
    recoveryDuration = registry.histogram(
      MetricFamilyName("tornlog_recovery_duration_seconds", unit: "seconds"),
      help: "First restarts, from opening to ready.",
      limits: [0.001, 0.01, 0.1, 0.5, 1, 5, 30])
    // An alert on an increase needs a series before its first event.
    for verdict in Verdict.allCases { _ = trials(verdict) }
    for (outcome, _) in Self.outcomes(MessageCounts()) { _ = messages(outcome) }
  }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let description): planned.set(description.trials)
    case .trialStarted, .notice, .document: break
    case .trialFinished(_, let result): take(result)
    case .finished: try sink?.write(OpenMetricsText.render(registry.snapshot))
    }
  }

  private func take(_ result: TrialResult) {
    trials(result.verdict).add()
    if !result.isExpected { unexpected.add() }
    for (outcome, count) in Self.outcomes(result.counts) { messages(outcome).add(count) }
    for fault in result.faults {
      registry.counter(
        MetricFamilyName("tornlog_faults_fired"), help: "Faults that fired.", labels: ["kind": fault.kind]
      ).add(fault.fired)
    }
    for check in result.checks where check.verdict == .violated {
      registry.counter(
        MetricFamilyName("tornlog_checks_violated"), help: "Checks that were violated, rightly or not.",
        labels: ["check": check.name.rawValue]
      ).add()
    }
    for count in result.engineCounts {
      registry.counter(
        MetricFamilyName(count.name), help: "Of the engines of all trials.",
        labels: MetricLabels(count.labels.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
      ).add(count.value)
    }
    trialDuration.note(max(0, result.seconds))
    recoveryDuration.note(max(0, result.recovery.seconds))
  }

  private func trials(_ verdict: Verdict) -> Counter {
    registry.counter(
      MetricFamilyName("tornlog_trials"), help: "Trials that have ended.", labels: ["verdict": verdict.rawValue])
  }

  private func messages(_ outcome: String) -> Counter {
    registry.counter(
      MetricFamilyName("tornlog_messages"), help: "Messages of all trials.", labels: ["outcome": outcome])
  }

  private static func outcomes(_ counts: MessageCounts) -> [(String, Int)] {
    [
      ("attempted", counts.attempted), ("acknowledged", counts.acknowledged), ("indeterminate", counts.indeterminate),
      ("recovered", counts.recovered), ("lost", counts.lost), ("duplicated", counts.duplicated),
      ("reordered", counts.reordered),
      ("phantom", counts.phantom), ("corrupt-served", counts.corruptServed),
      ("corrupt-reported", counts.corruptReported),
    ]
  }
}
