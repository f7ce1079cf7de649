import LogModel
import Storage

/// What the recovery of one partition's log came to.
public struct RecoveryReport: Hashable, Sendable, Codable {
  public var source: TopicPartition
  public var batches = 0
  /// Damaged or missing places that were skipped or cut; torn tails are not among them.
  public var batchesSkipped = 0
  public var bytesScanned = 0
  /// Acknowledged messages that are damaged.
  public var damage: [DamagedRange] = []
  /// Bytes of unacknowledged batches that were cut from the end.
  public var tornBytes: Int64 = 0
  /// Files that were set aside with what could not be served.
  public var quarantined: [String] = []
  /// What the device could not read. Batches in it are lost for as long as it cannot, and stand in `damage` where
  /// anything testifies that they were acknowledged; nothing is cut that lies behind it.
  public var unreadable: [UnreadableBytes] = []

  /// Copies of segments' heads that were damaged. The other copy of each is sound: no message is lost by it.
  public var damagedHeads: [DamagedHead] = []

  public init(source: TopicPartition) { self.source = source }
}

/// One of the two copies of a segment's head, damaged.
public struct DamagedHead: Hashable, Sendable, Codable {
  /// Relative to the storage's root.
  public var path: String
  /// Where the copy begins in the file, and where it ends.
  public var byteFrom: Int64
  public var byteTo: Int64
  /// It was written again from the other one. False where the device would not take it: the next opening tries again.
  public var isRepaired: Bool
}

/// Bytes of a segment file that the device could not read, `from ..< to`.
public struct UnreadableBytes: Hashable, Sendable, Codable {
  /// Relative to the storage's root.
  public var path: String
  public var from: Int64
  public var to: Int64
}

/// Makes durable that everything before the offset had been acknowledged.
public typealias BeforeCut = @Sendable (_ provenEnd: Offset) async throws(StorageError) -> Void

/// A segment as somebody else remembers it. With it recovery knows of a file that is gone, or has lost its head, what
/// its head and its first batches would have said.
public struct SegmentRecord: Hashable, Sendable {
  public var baseOffset: Offset
  public var epoch: Epoch
  /// Base offset of the segment before it; -1 for none.
  public var previousBase: Offset
  /// The messages before it were durable.
  public var end: Offset

  public init(baseOffset: Offset, epoch: Epoch, previousBase: Offset, end: Offset) {
    (self.baseOffset, self.epoch, self.previousBase, self.end) = (baseOffset, epoch, previousBase, end)
  }
}

/// Makes durable, away from the log, that a segment has begun.
public typealias SegmentEvidence = @Sendable (SegmentRecord) async throws(StorageError) -> Void

struct RecoveredLog {
  var epoch: Epoch
  var summary: ScanSummary
  var durableOffset: Offset
  var damage: [DamagedRange]
  var segments: [Segment]
  /// Base offset of the last file that stays in its place although its head says nothing; nil for none. Whoever can
  /// read it one day must not take it for a replaced writer's.
  var unreadableBase: Offset?
  /// As in the report.
  var unreadable: [UnreadableBytes]
  /// The last segment had never been synced before this recovery, and is durable now.
  var hasAdoptedLast: Bool
}

/// What else is known of a log that is opened.
public struct RecoveryHints: Hashable, Sendable {
  /// The first offset that the log must still hold; nil where only the log itself knows: its first segment's.
  public var logStartOffset: Offset? = 0
  /// The log end offset that a clean shutdown has made durable.
  public var cleanEnd: Offset?
  /// The highest epoch that is known to have been given out.
  public var epoch = Epoch(0)
  /// The newest segment that a `SegmentEvidence` has been told of.
  public var newest: SegmentRecord?

  public init(
    logStartOffset: Offset? = 0, cleanEnd: Offset? = nil, epoch: Epoch = Epoch(0), newest: SegmentRecord? = nil
  ) {
    self.logStartOffset = logStartOffset
    self.cleanEnd = cleanEnd
    self.epoch = epoch
    self.newest = newest
  }

  /// Everything before it had been durable.
  package var provenEnd: Offset { max(cleanEnd ?? 0, newest?.end ?? 0) }
}
