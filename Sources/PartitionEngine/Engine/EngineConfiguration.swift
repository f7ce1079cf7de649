import LogModel
import ObjectStore
import WriteAheadLog

/// How an engine is set up. Storage, clock (the storage's loop) and randomness (`log.saltSeed`) come from outside.
public struct EngineConfiguration: Hashable, Sendable {
  /// Whose format the logs of the partitions have. What belongs to the format of the engine's own logs alone says so:
  /// preallocation, an object store, parts to replace, a second writer's takeover.
  public var system: LogSystem
  public var log: LogConfiguration
  /// Where there is an object store; see `EngineParts`.
  public var checkpoints: CheckpointPolicy

  public init(
    system: LogSystem = .tornlog, log: LogConfiguration = LogConfiguration(),
    checkpoints: CheckpointPolicy = CheckpointPolicy()
  ) {
    self.system = system
    self.log = log
    self.checkpoints = checkpoints
  }
}

/// The parts of an engine that history got wrong, replaceable by construction. The defaults are the sound ones.
public struct EngineParts: Sendable {
  public var log: LogParts
  public var exclusion: any WriterExclusion
  /// Where the logs go, piece by piece; nil for nowhere. An engine that has had one cannot be opened without it.
  public var store: (any ObjectStore)?
  public var checkpoints: CheckpointParts
  public var metadata: any MetadataReading
  public var compaction: any MetadataCompacting
  /// Where store and lease are counted; nil for nowhere.
  public var metrics: EngineMetrics?
  public var ownership: any LogFileOwnership
  public var deletions: any DeletionKeeping

  public init(
    log: LogParts = LogParts(), exclusion: any WriterExclusion = DirectoryExclusion(), store: (any ObjectStore)? = nil,
    checkpoints: CheckpointParts = CheckpointParts(), metadata: any MetadataReading = EveryRecord(),
    metrics: EngineMetrics? = nil,
    ownership: any LogFileOwnership = FolderOfItsOwn(), deletions: any DeletionKeeping = DeletionsAsRecorded(),
    compaction: any MetadataCompacting = CompactWhenLarge()
  ) {
    self.log = log
    self.exclusion = exclusion
    self.store = store
    self.checkpoints = checkpoints
    self.metadata = metadata
    self.compaction = compaction
    self.metrics = metrics
    self.ownership = ownership
    self.deletions = deletions
  }
}

/// What opening an engine came to.
public struct EngineRecovery: Hashable, Sendable, Codable {
  public var partitions: [RecoveryReport]
  public var metadata: MetadataRecovery
  /// Nil where there is no object store.
  public var archive: ArchiveRecovery?
  /// Offsets of consumer groups that lay beyond the end of their logs, by group and partition.
  public var lowered: [LoweredOffset] = []

  public var bytesScanned: Int { all.reduce(0) { $0 + $1.bytesScanned } }

  private var all: [RecoveryReport] { metadata.copies + partitions }
}

/// Where a produce request ended up.
public struct ProduceReceipt: Hashable, Sendable {
  public var partition: PartitionID
  /// The offset of the request's first message; the others follow it.
  public var baseOffset: Offset
}

/// The offsets of one partition. All are half-open: the end offsets name the next message.
public struct Watermarks: Hashable, Sendable, Codable {
  public var logStartOffset: Offset
  /// Everything before it is acknowledged and may be consumed.
  public var highWatermark: Offset
  public var logEndOffset: Offset
}
