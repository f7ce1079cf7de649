import LogModel
import Storage

/// One open segment file.
final class Segment: @unchecked Sendable {
  // Owned by the loop of its log.

  var header: SegmentHeader
  let path: String
  /// For reading, through the page cache; opened by the first fetch that needs it (see `PartitionLog+Readers`).
  var reader: FileID?
  /// Fetches that read from it now.
  var readers = 0
  /// It has left the log: the last fetch that reads from it closes it.
  var isRetired = false
  /// For writing; nil once nothing is written or synced here any more.
  var writer: FileID?
  /// Position after the last batch, padding left out.
  var dataEnd: Int64
  /// Where the next commit goes: `dataEnd`, or the block boundary after it.
  var writePosition: Int64
  /// Bytes before this are in the file and zero from `writePosition` on.
  var zeroedEnd: Int64
  /// The offset after the last batch.
  var nextOffset: Offset
  var index = SparseIndex()
  /// A write failed: nothing more is written here. What had been acknowledged before is synced all the same.
  var isSealed = false
  /// A sync failed: nothing more is written or synced here, since a second sync of the same pages may succeed without
  /// having written them (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
  var isPoisoned = false
  /// The log's witness knows of it.
  var isWitnessed = false
  /// When the witness may be told next, after it could not be.
  var nextWitness = Instant(nanoseconds: .min)
  /// When it was made, and when the next one took its place; nil where a writer before this one did that.
  var createdAt: Instant?
  var sealedAt: Instant?
  /// Written since the last sync was submitted; the size in bytes.
  var unsyncedBytes = 0

  var baseOffset: Offset { header.baseOffset }
  var isEmpty: Bool { nextOffset == baseOffset }

  init(header: SegmentHeader, path: String, writer: FileID?, dataEnd: Int64, nextOffset: Offset) {
    self.header = header
    self.path = path
    self.writer = writer
    self.dataEnd = dataEnd
    self.nextOffset = nextOffset
    writePosition = dataEnd
    zeroedEnd = dataEnd
  }
}

/// Batches on their way to the log together.
final class Commit: @unchecked Sendable {
  // Owned by the loop of its log.

  struct Pending {
    var start: Int
    var length: Int
    var recordCount: Int
    var time: Instant
    var header: BatchHeader?
    /// Answered with the base offset, or with `refusal`; the reason is the commit's `failure`.
    var waiter: UnsafeContinuation<Int64, Never>?
    /// Recovery has put it here: no reason to commit by itself.
    var isRequeued = false
  }

  static let refusal: Int64 = -1

  let buffer: IOBuffer
  var used = 0
  var batches: [Pending] = []
  /// Whether it has been copied to the newest batches.
  var isRecent = true
  /// Why it was not acknowledged.
  var failure: LogError?

  init(buffer: IOBuffer) {
    self.buffer = buffer
  }

  func reset() {
    used = 0
    isRecent = true
    batches.removeAll(keepingCapacity: true)
  }
}

/// Appends that wait for the next commit, as `CommitAnswering` sees them.
public struct QueuedAppends {
  let commit: Commit

  /// Messages of each append, in the order of their offsets.
  public var recordCounts: [Int] { commit.batches.map(\.recordCount) }

  /// Answers append `index` with `offset`; it stays in the queue.
  public func answer(_ index: Int, with offset: Offset) {
    commit.batches[index].waiter?.resume(returning: offset.rawValue)
    commit.batches[index].waiter = nil
  }

  /// Takes all of them out of the queue.
  public func clear() { commit.reset() }
}
