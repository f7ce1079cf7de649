import RecordLogs

/// What a receiver has: events are known by their job, with its execution, and their number, and each is taken once. It
/// is another machine than the sender's, and lives on when that one dies.
public struct ReceivedEvents: Sendable {
  /// The events of each job that arrived first, in the order of arrival.
  public private(set) var taken: [JobID: [Event]] = [:]
  private var known: [JobID: SequenceRanges] = [:]
  /// Events that came again.
  public private(set) var repeats = 0
  /// Attempts, whatever became of them.
  public internal(set) var attempts = 0
  /// Bodies that could not be read.
  public internal(set) var damaged = 0

  public init() {}

  mutating func take(_ batch: EventBatch) {
    for event in batch.events {
      if known[batch.job, default: SequenceRanges()].insert(event.sequence) {
        taken[batch.job, default: []].append(event)
      } else {
        repeats += 1
      }
    }
  }
}
