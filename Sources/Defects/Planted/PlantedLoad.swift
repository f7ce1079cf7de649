import LogModel
import PartitionEngine
import Storage
import Synchronization
import WriteAheadLog

/// Bugs of a load that lasts, of a close, of what follows a recovery, and of large offsets. None of them shows in a
/// short life that ends with its first power loss. Those of zero-fills are in ZeroFillDefects.swift.
extension Defect {
  static let plantedLoad: [Defect] = [
    Defect(
      "P13", origin: "planted",
      "Each commit starts the timer of the next sync anew: under load that lasts it never fires.",
      showsWhen: "commits closer together than the timer, for longer than the window, then power loss"
    ) { $0.log.timing = TimerRestartedByCommits() },
    Defect(
      "P14", origin: "planted", "A close leaves what is not synced to a timer that it has just stopped.",
      showsWhen: "interval; a close soon after the last acknowledgement, then power loss"
    ) { $0.log.closing = TailLeftAtClose() },
    Defect(
      "P15", origin: "planted", "A close returns without an error though a sync has failed.",
      showsWhen: "interval; a failed sync, a close, then power loss"
    ) { $0.log.closing = FailureForgottenAtClose() },
    Defect(
      "P16", origin: "planted",
      "Recovery serves what a killed process has left in the page cache, and does not sync it.",
      showsWhen: "a kill in the middle of a commit, recovery, a read, then power loss",
      onlyLayer: { RecoveredSegmentsNeverSynced($0) }),
    Defect(
      "P17", origin: "planted", "Every zero-fill but a segment's first begins a block too early.",
      showsWhen: "a commit that ends where the zeros end", onlyLayer: { ZeroFillsBegunEarly($0) }),
    Defect(
      "P18", origin: "planted", "No commit waits for a zero-fill that is in flight, but for a segment's first.",
      showsWhen: "a second zero-fill of a segment, and commits that follow it closely",
      onlyLayer: { ZeroFillsNotAwaited($0) }),
    Defect(
      "P19", origin: "planted", "The sparse index keeps 32 bits of an offset.",
      showsWhen: "a segment that holds messages on both sides of offset 2^31"
    ) { $0.log.lookup = OffsetsOf32Bits() },
    Defect(
      "P20", origin: "planted", "The high watermark goes through a floating-point number.",
      showsWhen: "an odd offset above 2^53"
    ) { $0.log.advancing = WatermarkInFloatingPoint() },
    Defect(
      "P21", origin: "planted", "A log without batches begins at offset 0, whatever was deleted from it.",
      showsWhen: "an empty log whose log start offset is not 0"
    ) { $0.log.watermarks = EmptyLogsBegunAnew() },
  ]
}

/// P13. How long the timer runs is told by the first question about a deadline, which comes with the commit that has
/// set it.
final class TimerRestartedByCommits: SyncTiming {
  private let delays = Mutex<[Instant: Duration]>([:])

  func isDue(_ deadline: Instant, lastCommit: Instant, now: Instant) -> Bool {
    delays.withLock { delays in
      let delay = delays[deadline] ?? max(.zero, deadline - lastCommit)
      let isDue = now >= lastCommit + delay
      delays[deadline] = isDue ? nil : delay
      return isDue
    }
  }
}

/// P14.
struct TailLeftAtClose: LogClosing {
  var syncsTail: Bool { false }
  func answer(to failure: StorageError?) -> StorageError? { failure }
}

/// P15.
struct FailureForgottenAtClose: LogClosing {
  var syncsTail: Bool { true }
  func answer(to failure: StorageError?) -> StorageError? { nil }
}

/// P16. A segment that was found is opened, and not created: whoever syncs it then is recovery.
private final class RecoveredSegmentsNeverSynced: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private var found: Set<FileID> = []

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await super.open(path, mode)
    if !mode.contains(.create), SegmentPath(path) != nil { found.insert(file) }
    return file
  }

  override func close(_ file: FileID) async {
    found.remove(file)
    await super.close(file)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if found.contains(file) { return }
    try await super.sync(file, scope)
  }
}

/// P19. As signed numbers, which go on with the lowest behind the highest.
struct OffsetsOf32Bits: IndexLookup {
  func entry(for offset: Offset, in index: SparseIndex) -> Int? {
    let wanted = Int32(truncatingIfNeeded: offset.rawValue)
    var low = 0
    var high = index.count
    while low < high {
      let middle = (low + high) / 2
      let found = Int32(truncatingIfNeeded: index.baseOffset(of: middle).rawValue)
      if found <= wanted { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : low - 1
  }
}

/// P20. A number of JSON, say: 53 bits.
struct WatermarkInFloatingPoint: WatermarkAdvancing {
  func highWatermark(of source: TopicPartition, after end: Offset, wasRetried: Bool) -> Offset {
    Offset(Int64(Double(end.rawValue)))
  }
}

/// P21.
struct EmptyLogsBegunAnew: WatermarkRestoring {
  func highWatermark(after scan: ScanSummary) -> Offset { logEndOffset(after: scan) }
  func logEndOffset(after scan: ScanSummary) -> Offset { scan.batches == 0 ? 0 : scan.logEndOffset }
}
