import LogModel
import Storage

// What happens beside a commit: rotation before it, the high watermark after it, the sync of what it wrote.

/// Awaited before a log goes over to its next segment for the sake of a commit.
public protocol RotationGuarding: Sendable {
  /// - Parameter appends: that wait for the commit; at least 1.
  func begin(appends: Int) async
}

/// Whoever waits for the commit waits for the rotation, and the rotation for nobody: it is the commit loop's own.
public struct RotateAtOnce: RotationGuarding {
  public init() {}
  public func begin(appends: Int) async {}
}

/// Decides what consumers may see once a commit has been acknowledged.
public protocol WatermarkAdvancing: Sendable {
  /// - Parameters:
  ///   - end: the offset after the commit's last message.
  ///   - wasRetried: its write was interrupted, or short, and had to be carried on.
  func highWatermark(of source: TopicPartition, after end: Offset, wasRetried: Bool) -> Offset
  /// Whether consumers may see a commit that is still being written.
  var showsWhatIsInFlight: Bool { get }
}

extension WatermarkAdvancing {
  public var showsWhatIsInFlight: Bool { false }
}

/// Commits end one after the other, in the order of their offsets.
public struct AdvanceWithEachCommit: WatermarkAdvancing {
  public init() {}
  public func highWatermark(of source: TopicPartition, after end: Offset, wasRetried: Bool) -> Offset { end }
}

/// Decides when a sync under `interval` is due.
public protocol SyncTiming: Sendable {
  /// - Parameters:
  ///   - deadline: for what was acknowledged first and has not been synced.
  ///   - lastCommit: when a commit was acknowledged last.
  func isDue(_ deadline: Instant, lastCommit: Instant, now: Instant) -> Bool
}

/// The clock decides, whether or not anybody appends.
public struct SyncOnTime: SyncTiming {
  public init() {}
  public func isDue(_ deadline: Instant, lastCommit: Instant, now: Instant) -> Bool { now >= deadline }
}

/// Decides what closing does for what has been acknowledged and not been synced, under `interval`.
public protocol LogClosing: Sendable {
  /// Whether it is synced before the files are released.
  var syncsTail: Bool { get }
  /// - Parameter failure: the first sync that failed in the log's life; nil where none did.
  /// - Returns: what whoever closes the log is told; nil for success.
  func answer(to failure: StorageError?) -> StorageError?
}

/// Nobody is left to sync it later, and nobody else can tell that a sync has failed.
public struct SyncAndTell: LogClosing {
  public init() {}
  public var syncsTail: Bool { true }
  public func answer(to failure: StorageError?) -> StorageError? { failure }
}
