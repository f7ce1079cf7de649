import LogModel

/// How one partition's log is kept. Byte counts are in bytes.
public struct LogConfiguration: Hashable, Sendable {
  public var syncPolicy: SyncPolicy
  public var recoveryPolicy: RecoveryPolicy
  /// A segment is closed before the commit that would take it past this size; at least 64 KiB, at most 4 GiB.
  public var segmentBytes: Int64
  /// The most bytes of batches that one commit carries; a batch is limited to it less one block.
  public var commitBytes: Int
  /// The newest batches are kept in memory for consumers at the tail, up to both limits.
  public var recentBatches: Int
  public var recentBytes: Int

  public init(
    syncPolicy: SyncPolicy = .always, recoveryPolicy: RecoveryPolicy = .skipCorrupted,
    segmentBytes: Int64 = 64 << 20, commitBytes: Int = 256 << 10, recentBatches: Int = 100,
    recentBytes: Int = 2 << 20
  ) {
    precondition((64 << 10)...(4 << 30) ~= segmentBytes, "a segment has 64 KiB to 4 GiB")
    self.syncPolicy = syncPolicy
    self.recoveryPolicy = recoveryPolicy
    self.segmentBytes = segmentBytes
    self.commitBytes = commitBytes
    self.recentBatches = recentBatches
    self.recentBytes = recentBytes
  }

  /// The largest batch, in bytes with its header.
  public var largestBatch: Int { commitBytes - 4096 }
}
