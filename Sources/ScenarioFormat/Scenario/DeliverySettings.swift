import LogModel

/// How the events of jobs are sent, where a trial is one of the job log and its sender. A partition is a job then, and
/// a message an event; `batch` is the events that are sent at once.
public struct DeliverySettings: Hashable, Sendable, Codable {
  /// The events of the first life are appended evenly over this time; zero: as fast as they go.
  public var eventsFor = Duration.zero
  /// Of the sender; see `SenderPolicy`.
  public var firstBackOff = Duration.seconds(1)
  public var longestBackOff = Duration.seconds(60)
  public var timeout = Duration.seconds(10)
  /// What the sender has, in the last life, to send everything that is left.
  public var stopWithin = Duration.seconds(600)
  /// Each life is another execution of each job.
  public var isRetried = false
  /// In the second life everything is sent, and the logs are archived, before the crash.
  public var archives = false

  public init() {}
}
