/// Whether the engine of a trial has an object store, and when its logs go there; by the names of scenarios.
public enum CheckpointSetup: String, Hashable, Sendable, Codable, CaseIterable {
  /// It has none.
  case none
  /// By its policy, in the background.
  case background
  /// The same, and everything on demand once the workload has been answered.
  case flushed
}

/// The policy of a trial's checkpoints. Byte counts are in bytes.
public struct CheckpointTerms: Hashable, Sendable, Codable {
  /// What is durable goes to the store at the latest this long after it was acknowledged; 1 ns to a day.
  public var every = Duration.milliseconds(20)
  /// And when so many bytes wait; at least 1.
  public var bytes = 64 << 10
  /// Bytes of batches in one object; `objectSizes`.
  public var objectBytes = 64 << 10
  /// How long the store has for one answer.
  public var timeout = Duration.seconds(2)
  /// How many bytes of a partition may wait for the store before its appends do; nil for as many as the disk holds.
  public var mostWaiting: Int?
  /// How long an append waits then before it is refused.
  public var patience = Duration.milliseconds(100)

  public static let objectSizes = 1...48 << 20

  public init() {}
}
