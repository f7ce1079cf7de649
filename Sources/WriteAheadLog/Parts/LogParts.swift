import LogModel
import Storage

/// The parts of a log that history got wrong, replaceable by construction. The defaults are the sound ones; the
/// module `Defects` brings the others.
public struct LogParts: Sendable {
  public var validator: any BatchValidating = ChecksumValidator()
  public var sealing: any BatchSealing = ChecksumSealing()
  public var stepper: any BatchStepping = LengthStepper()
  public var reading: any BatchReading = BatchesAsWritten()
  public var ordering: any SegmentOrdering = OldestFirst()
  public var watermarks: any WatermarkRestoring = ScannedWatermarks()
  public var planner: any FetchPlanning = IndexedFetchPlanner()
  public var lookup: any IndexLookup = LastEntryBefore()
  public var handover: any RecoveredTailHandling = LeaveTailInPlace()
  public var resynchronizing: any BatchResynchronizing = NextAlignedPosition()
  public var resuming: any AppendResuming = ResumeInNewSegment()
  public var rotation: any RotationGuarding = RotateAtOnce()
  public var fencing: any CommitFencing = FenceChecked()
  public var failedCommits: any FailedCommitHandling = SealAndTell()
  public var answering: any CommitAnswering = AnswerWhatWasWritten()
  public var advancing: any WatermarkAdvancing = AdvanceWithEachCommit()
  public var coverage: any SyncCoverage = CoveredAtSubmission()
  public var timing: any SyncTiming = SyncOnTime()
  public var closing: any LogClosing = SyncAndTell()
  public var offsets: any OffsetCommitting = OffsetsWithinLog()
  public var leftovers: any LeftoverHandling = OwnLeftoversReplaced()
  public var earlierPolicies: any EarlierPolicyRespecting = EarlierPoliciesRespected()

  public init() {}
}

/// Decides whether the bytes of a batch are the bytes that were written.
public protocol BatchValidating: Sendable {
  /// - Parameter base: `header.length` bytes, beginning with the header.
  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool
}

public struct ChecksumValidator: BatchValidating {
  public init() {}

  public func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    BatchHeader.computeChecksum(at: base, length: header.length, position: header.position, salt: salt)
      == header.checksum
  }
}

/// Finds the position after a batch, for the scan of recovery.
public protocol BatchStepping: Sendable {
  func position(after header: BatchHeader) -> Int64
}

public struct LengthStepper: BatchStepping {
  public init() {}
  public func position(after header: BatchHeader) -> Int64 { header.position + Int64(header.length) }
}

/// Decides what is consumable after recovery.
public protocol WatermarkRestoring: Sendable {
  /// - Returns: the high watermark to start with.
  func highWatermark(after scan: ScanSummary) -> Offset
  /// - Returns: the offset that the next batch gets.
  func logEndOffset(after scan: ScanSummary) -> Offset
}

extension WatermarkRestoring {
  public func logEndOffset(after scan: ScanSummary) -> Offset { scan.logEndOffset }
}

/// What recovery's scan of one partition found.
public struct ScanSummary: Hashable, Sendable {
  public var logStartOffset: Offset
  public var logEndOffset: Offset
  /// Valid batches, and bytes of segment files that were read.
  public var batches = 0
  public var bytes = 0

  public init(logStartOffset: Offset, logEndOffset: Offset) {
    self.logStartOffset = logStartOffset
    self.logEndOffset = logEndOffset
  }
}

public struct ScannedWatermarks: WatermarkRestoring {
  public init() {}
  public func highWatermark(after scan: ScanSummary) -> Offset { scan.logEndOffset }
}

/// Decides where a fetch is served from.
public protocol FetchPlanning: Sendable {
  func plan(_ request: FetchRequest) -> FetchPlan
}

public struct FetchRequest {
  public var offset: Offset
  public var logStartOffset: Offset
  public var highWatermark: Offset
  /// The newest batches, held in memory, oldest first.
  public var recent: RecentBatches
}

public enum FetchPlan: Hashable, Sendable {
  /// From memory, beginning with the batch of this index.
  case recent(batch: Int)
  /// From the log, at the place that the sparse index names.
  case log
  /// From the first byte of the log, at most so many batches.
  case logStart(batchLimit: Int)
}

public struct IndexedFetchPlanner: FetchPlanning {
  public init() {}

  public func plan(_ request: FetchRequest) -> FetchPlan {
    guard let first = request.recent.firstOffset, request.offset >= first,
      let batch = request.recent.indexOfBatch(containing: request.offset)
    else { return .log }
    return .recent(batch: batch)
  }
}

/// Decides what becomes of the recovered contents of the active segment.
public protocol RecoveredTailHandling: Sendable {
  /// Whether the recovered batches of the active segment go into the write buffer, to be written by the next commit.
  var requeuesRecoveredBatches: Bool { get }
}

public struct LeaveTailInPlace: RecoveredTailHandling {
  public init() {}
  public var requeuesRecoveredBatches: Bool { false }
}

/// Who may write a log: one writer at a time, each with an epoch of its own.
public protocol WriterFence: Sendable {
  /// Above the epoch of every writer before.
  var epoch: Epoch { get }
  /// Whether no newer writer has taken over.
  /// - Throws: `StorageError` where that cannot be found out; nothing may be acknowledged then.
  func isCurrent() async throws(StorageError) -> Bool
}

/// Decides whether a commit that has been written may be acknowledged.
public protocol CommitFencing: Sendable {
  func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool
}

public struct FenceChecked: CommitFencing {
  public init() {}
  public func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool {
    try await fence.isCurrent()
  }
}

/// Decides what becomes of a segment, and of the producers, when a commit has failed.
public protocol FailedCommitHandling: Sendable {
  /// Whether nothing more is written to a segment in which a write has failed: what that left there, nobody knows.
  var sealsSegment: Bool { get }
  /// What the producers of the commit are told.
  func answer(to failure: LogError) -> LogError
}

public struct SealAndTell: FailedCommitHandling {
  public init() {}
  public var sealsSegment: Bool { true }
  public func answer(to failure: LogError) -> LogError { failure }
}

/// Told when a commit has been written and its producers have been answered.
public protocol CommitAnswering: Sendable {
  /// - Parameters:
  ///   - queued: the appends that were encoded after the commit had been sealed.
  ///   - end: the offset after the commit's last message.
  func written(_ queued: QueuedAppends, end: Offset)
}

public struct AnswerWhatWasWritten: CommitAnswering {
  public init() {}
  public func written(_ queued: QueuedAppends, end: Offset) {}
}

/// Decides what a sync that has succeeded has made durable.
public protocol SyncCoverage: Sendable {
  /// - Parameters:
  ///   - submitted: the high watermark when the sync was submitted.
  ///   - completed: the high watermark when it had completed.
  func durableEnd(submitted: Offset, completed: Offset) -> Offset
}

/// `man 2 fsync` speaks of what had been written when it was called.
public struct CoveredAtSubmission: SyncCoverage {
  public init() {}
  public func durableEnd(submitted: Offset, completed: Offset) -> Offset { submitted }
}
