/// A program that a trial runs in the place of an engine with partitions: in the model only, over hours and weeks of
/// virtual time. It takes no faults but its own, and one writer.
public enum TrialClient: String, Hashable, Sendable, CaseIterable, Codable {
  /// A replay buffer: `messages` measurements in transactions of `batch`, of which some are left at each stage; the
  /// crash, a recovery, six days, another crash, and two days later a second recovery (replay-buffer plan).
  case transactions
  /// A job log's sender, refused long enough for its back-off to end (airunner runbook).
  case backOff = "back-off"
  /// Job logs of a build's output, archived and kept for 30 days (airunner runbook).
  case archives
  /// An engine whose object store is gone from minute 5 to minute 15 (Streamhouse runbook index).
  case circuitBreaker = "circuit-breaker"
  /// Job logs that fill the disk, and are archived and removed again (seeds 000 and 004).
  case diskSpaceLow = "disk-space-low"
  /// 1500 events that the receiver refuses for minutes (airunner runbook).
  case pendingEvents = "pending-events"
  /// 700 jobs that the receiver refuses for minutes (airunner runbook).
  case retryRate = "retry-rate"
  /// One event that the receiver refuses for good (airunner runbook).
  case failedEvents = "failed-events"
  /// Archives that fill the disk, until their retention is over (airunner runbook).
  case archiveFull = "archive-full"
}
