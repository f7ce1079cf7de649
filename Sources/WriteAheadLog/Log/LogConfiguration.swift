import LogModel

/// How one partition's log is kept. Byte counts are in bytes.
public struct LogConfiguration: Hashable, Sendable {
  public var syncPolicy: SyncPolicy
  public var recoveryPolicy: RecoveryPolicy
  /// A segment is closed before the commit that would take it past this size; at least 16 KiB, at most 4 GiB.
  public var segmentBytes: Int64
  /// A segment in which something stands is closed at this age too, before the next commit; nil for never.
  public var segmentAge: Duration?
  /// The most bytes of batches that one commit carries; a batch is limited to it less one block.
  public var commitBytes: Int
  /// How long a commit waits for more batches after its first; zero for not at all. It goes earlier, a millisecond
  /// later at the most, when it is half full. Larger commits need fewer flushes, and every message waits for it
  /// (PostgreSQL calls it `commit_delay`).
  public var commitWindow: Duration
  /// The newest batches are kept in memory for consumers at the tail, up to both limits.
  public var recentBatches: Int
  public var recentBytes: Int
  /// Under `always` a segment is zero-filled ahead of the commits, which saves a metadata write on each: by this
  /// many bytes at first, doubling up to `largestPreallocation`. 0: never.
  public var firstPreallocation: Int64
  public var largestPreallocation: Int64
  /// Random bits that make the salts of this log's segments differ from any other log's.
  public var saltSeed: UInt64

  public init(
    syncPolicy: SyncPolicy = .always, recoveryPolicy: RecoveryPolicy = .skipCorrupted,
    segmentBytes: Int64 = 64 << 20, commitBytes: Int = 256 << 10, recentBatches: Int = 100,
    recentBytes: Int = 2 << 20, firstPreallocation: Int64 = 256 << 10, largestPreallocation: Int64 = 8 << 20,
    saltSeed: UInt64 = 0, segmentAge: Duration? = nil, commitWindow: Duration = .zero
  ) {
    precondition((8 << 10)...(LogConfiguration.largestCommit) ~= commitBytes, "a commit has 8 KiB to 16 MiB")
    precondition((16 << 10)...(4 << 30) ~= segmentBytes, "a segment has 16 KiB to 4 GiB")
    self.syncPolicy = syncPolicy
    self.recoveryPolicy = recoveryPolicy
    self.segmentBytes = segmentBytes
    self.commitBytes = commitBytes
    self.recentBatches = recentBatches
    self.recentBytes = recentBytes
    self.firstPreallocation = firstPreallocation
    self.largestPreallocation = largestPreallocation
    self.saltSeed = saltSeed
    self.segmentAge = segmentAge
    self.commitWindow = commitWindow
  }

  /// No batch of any log is larger: what a length field may claim before it is believed.
  public static let largestCommit = 16 << 20

  /// The largest batch, in bytes with its header.
  public var largestBatch: Int { commitBytes - 4096 }
}
