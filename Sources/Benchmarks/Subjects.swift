import LogModel

/// One way of appending: who sends, what, and how much of it.
public struct AppendLoad: Hashable, Sendable {
  /// Producers that send at the same time, each its next batch after the last one is acknowledged.
  public var producers: Int
  /// Bytes of one message's content.
  public var recordSize: Int
  /// Messages a produce call.
  public var batch: Int
  public var policy: SyncPolicy

  public init(producers: Int, recordSize: Int, batch: Int, policy: SyncPolicy) {
    self.producers = producers
    self.recordSize = recordSize
    self.batch = batch
    self.policy = policy
  }
}

/// Something that appends and is measured. Runs are called one at a time, each starts from an empty log of its own.
public protocol AppendSubject {
  var name: String { get }
  /// Appends `count` messages in all, a multiple of `load.producers * load.batch`, in `directory`, which is empty and
  /// is removed afterwards.
  /// - Returns: nanoseconds from the first produce call to the last acknowledgement; opening, preallocating and
  ///   closing are left out, as they are for the references.
  func run(_ load: AppendLoad, count: Int, in directory: String) throws -> Int64
  /// Whether such a load says something of it.
  func takes(_ load: AppendLoad) -> Bool
  /// A run of fewer messages would measure how it starts.
  func fewest(_ load: AppendLoad) -> Int
}

extension AppendSubject {
  public func takes(_ load: AppendLoad) -> Bool { true }
  public func fewest(_ load: AppendLoad) -> Int { 0 }
}

/// Something that recovers a log and is measured.
public protocol ScanSubject {
  var name: String { get }
  /// Writes a log of about `bytes` bytes of 1 KB messages in `directory`, which is empty. Called once before the
  /// rounds.
  func prepare(bytes: Int, in directory: String) throws
  /// Recovers the log of `prepare` and leaves it as it was; called once a round, with its pages in the cache.
  func run(in directory: String) throws -> ScanOutcome
}

public struct ScanOutcome: Hashable, Sendable {
  /// Bytes that were read and checked.
  public var bytes: Int
  public var nanoseconds: Int64

  public init(bytes: Int, nanoseconds: Int64) {
    self.bytes = bytes
    self.nanoseconds = nanoseconds
  }
}
