import LogModel
import Metrics

/// The metrics `wal.*` of the airunner runbook, over all jobs of a process. A dot of its names is an underscore in the
/// exposition, and a duration is in seconds there.
public final class DeliveryMetrics: Sendable {
  /// `wal.appends.total`
  public let appends: Counter
  /// `wal.append.duration`
  public let appendDuration: Histogram
  /// `wal.pending.events`: what the receiver has not acknowledged.
  public let pendingEvents: Gauge
  /// `wal.retries.total`
  public let retries: Counter
  /// `wal.failures.total`: events that the receiver has refused for good.
  public let failures: Counter
  /// `wal.archive.size.bytes`
  public let archiveBytes: Gauge

  /// Seconds. The seed's limits, 10 ms (alert) and 20 ms (red), are among them.
  public static let limits = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1]

  public init(in registry: MetricRegistry = MetricRegistry()) {
    appends = registry.counter(
      MetricFamilyName("wal_appends"), help: "Events that were appended to a job's log and acknowledged.")
    appendDuration = registry.histogram(
      MetricFamilyName("wal_append_duration_seconds", unit: "seconds"),
      help: "From the call of an append to its acknowledgement.", limits: Self.limits)
    pendingEvents = registry.gauge(
      MetricFamilyName("wal_pending_events"),
      help: "Events that the receiver has neither acknowledged nor refused for good.")
    retries = registry.counter(
      MetricFamilyName("wal_retries"), help: "Attempts to send a batch that are followed by another.")
    failures = registry.counter(
      MetricFamilyName("wal_failures"), help: "Events that the receiver has refused for good.")
    archiveBytes = registry.gauge(
      MetricFamilyName("wal_archive_size_bytes", unit: "bytes"), help: "Compressed logs of finished jobs.")
  }

  func noteAppend(_ duration: Duration) {
    appends.add()
    appendDuration.note(duration)
  }
}
