import LogModel
import Storage

/// The write-ahead log of one partition: batches in segments, committed in groups, read back by offset.
///
/// Producers encode straight into the commit that is being filled; a commit loop writes one commit at a time and
/// answers its producers. While a commit is in flight, the next one fills.
public final class PartitionLog: @unchecked Sendable {
  // Owned by `storage.loop`: every call is made there. Transitions are synchronous, only completions are awaited.

  public let source: TopicPartition
  public let directory: String
  public let configuration: LogConfiguration
  let storage: any Storage
  let parts: LogParts
  let loop: EventLoop
  let recent: RecentBatches
  /// Nil where nobody else can write.
  let fence: (any WriterFence)?
  /// Told of each segment that begins; nil where nobody keeps account of them.
  let witness: SegmentEvidence?
  /// A newer writer has taken over.
  public internal(set) var isFenced = false

  public internal(set) var epoch: Epoch
  public internal(set) var logStartOffset: Offset
  /// The offset that the next batch gets. Batches below it have been written, or are being written now.
  var assignedOffset: Offset
  /// Offsets before a segment's first that were given to nobody; see `beginSegment`.
  var passedOver: Range<Offset>?
  /// What consumers may see: everything before it has been acknowledged.
  public internal(set) var highWatermark: Offset
  /// Everything before it is on the medium, but for what `atRisk` names.
  public internal(set) var durableOffset: Offset
  /// Acknowledged messages whose sync failed, by file: they can be read, and a power loss may take them. Only under
  /// `interval`, in the order of their offsets.
  public internal(set) var atRisk: [DamagedRange] = []
  /// Where messages begin whose sync has failed, and of which no head of a segment testifies yet; nil for none.
  var unattestedFrom: Offset?
  /// Acknowledged messages that recovery found damaged, in the order of their offsets.
  public internal(set) var damage: [DamagedRange]

  /// In the order of their base offsets; the last one takes the appends.
  var segments: [Segment]
  /// See `RecoveredLog.unreadableBase`.
  let unreadableBase: Offset?
  /// Files of which the device could not read some bytes, to this log's knowledge.
  var unreadablePaths: Set<String>
  /// Files that have left the log and are still to be removed, the oldest first.
  var unremoved: [String] = []
  /// Bytes of batches that this writer has acknowledged.
  public internal(set) var appendedBytes: Int64 = 0
  /// The active segment is to be closed though no commit calls for it.
  var isRotationRequested = false
  /// Files in which something damaged was met.
  var damagedPaths: Set<String> = []
  var lifecycle = Lifecycle.open
  /// Why a sync first failed; closing throws it.
  public internal(set) var syncFailure: StorageError?

  enum Lifecycle {
    case open
    /// Takes no appends; what is pending is committed.
    case closing
    case closed
  }

  // Filling and committing.
  var filling: Commit
  var spare: Commit?
  var roomWaiters: [UnsafeContinuation<Void, Never>] = []
  var committer: UnsafeContinuation<Void, Never>?
  let committerEnded = AsyncEvent()
  // Syncing, under `interval`.
  var unsyncedSince: Instant?
  /// When a commit was acknowledged last.
  var lastCommit = Instant(nanoseconds: .min)
  var syncer: UnsafeContinuation<Void, Never>?
  let syncerEnded = AsyncEvent(isOpen: true)
  /// Shut while a sync is in flight.
  let syncIdle = AsyncEvent(isOpen: true)
  /// Shut while the witness is told of a segment.
  let witnessIdle = AsyncEvent(isOpen: true)
  // Zero-filling ahead of the commits.
  var preallocation: Int64
  /// Shut while a zero-fill is in flight.
  let preallocationIdle = AsyncEvent(isOpen: true)
  let closed = AsyncEvent()
  var zeroes: IOBuffer?
  let idleReaders: IdleReaders

  /// The offset after the last message that is acknowledged or being written.
  public var logEndOffset: Offset { assignedOffset }
  /// Whether no file belongs to it: none has been written, or recovery has set all of them aside.
  public var isWithoutFiles: Bool { segments.isEmpty }

  init(
    source: TopicPartition, directory: String, configuration: LogConfiguration, storage: any Storage,
    parts: LogParts, fence: (any WriterFence)?, witness: SegmentEvidence?, idleReaders: IdleReaders,
    recovered: RecoveredLog
  ) {
    self.source = source
    self.directory = directory
    self.configuration = configuration
    self.storage = storage
    self.parts = parts
    self.fence = fence
    self.witness = witness
    self.idleReaders = idleReaders
    loop = storage.loop
    recent = RecentBatches(byteLimit: configuration.recentBytes, batchLimit: configuration.recentBatches)
    epoch = recovered.epoch
    logStartOffset = recovered.summary.logStartOffset
    assignedOffset = parts.watermarks.logEndOffset(after: recovered.summary)
    highWatermark = parts.watermarks.highWatermark(after: recovered.summary)
    durableOffset = recovered.durableOffset
    damage = recovered.damage
    segments = recovered.segments
    unreadableBase = recovered.unreadableBase
    unreadablePaths = Set(recovered.unreadable.map(\.path))
    if let last = segments.last?.header { passedOver = last.baseOffset + -last.passedOver..<last.baseOffset }
    preallocation = configuration.firstPreallocation
    filling = Commit(buffer: storage.makeBuffer(capacity: configuration.commitBytes + IOBuffer.alignment))
  }

  /// Whether commits go past the page cache and are durable when they complete.
  var isSynchronous: Bool { configuration.syncPolicy == .always }

  /// Segment that takes appends, if one can.
  var active: Segment? {
    guard let last = segments.last, last.writer != nil, !last.isSealed, !last.isPoisoned else { return nil }
    return last
  }

  /// Starts the loops of a log that has been opened.
  func start() {
    loop.spawn { await self.runCommitLoop() }
    if case .interval(let limit) = configuration.syncPolicy {
      syncerEnded.shut()
      loop.spawn { await self.runSyncLoop(limit: limit) }
    }
  }

  /// Commits what is pending, makes it as durable as the policy says, and releases the files. Appends that come later
  /// fail with `LogError.closed`.
  /// - Throws: the first sync that failed in the log's life: what `atRisk` names may not survive a power loss. The log
  ///   is closed all the same.
  public func close() async throws(StorageError) {
    if lifecycle == .open {
      lifecycle = .closing
      wakeRoomWaiters()
      wakeCommitter()
      await committerEnded.wait()
      wakeSyncer()
      await syncerEnded.wait()
      await preallocationIdle.wait()
      await witnessIdle.wait()
      for segment in segments {
        await retire(segment)
        if let writer = segment.writer { await storage.close(writer) }
        segment.writer = nil
      }
      lifecycle = .closed
      closed.open()
    } else {
      await closed.wait()
    }
    if let failure = parts.closing.answer(to: syncFailure) { throw failure }
  }
}
