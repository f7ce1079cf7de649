import LogModel

/// An operation that changes the disk or what is durable on it; reads are not recorded.
package enum DiskOperation: Sendable {
  case create(path: Int32, file: Int32)
  case makeDirectory(path: Int32)
  case rename(from: Int32, to: Int32)
  case unlink(path: Int32)
  case write(file: Int32, offset: Int, bytes: [UInt8], durable: Bool)
  case truncate(file: Int32, size: Int)
  case sync(file: Int32, isFull: Bool)
  case syncDirectory(path: Int32)
}

/// Something between the program and its callers: what promises follow from. Only whoever wrote it down knows its
/// meaning.
package protocol CallerFact: Sendable {
  /// What the fingerprint of a crash state takes of it: the same for the same fact, at whatever time.
  var kind: UInt64 { get }
}

/// A moment of the recorded life, in the one order of everything that happened.
package struct RecordedEvent: Sendable {
  package enum What: Sendable {
    case submitted(Int)
    /// A write in flight is of other bytes by now: whoever started it has touched its buffer before it had completed.
    case changed(Int, bytes: [UInt8])
    /// - Parameter taken: bytes of a write; 0 where it failed, or changed nothing, -1 where nobody knows how many.
    case completed(Int, succeeded: Bool, taken: Int)
    /// Between two operations: a call, or an answer to one.
    case fact(any CallerFact)
  }

  package var time: Instant
  package var what: What
}

/// A life of a program as the disk and its callers saw it: operations with their content, in the order in which they
/// were submitted and completed, with acknowledgements in the same sequence.
package struct Recording: Sendable {
  /// Operations that a recording takes. No piece of a crash point has more than four alternatives for each of them, and
  /// `Alternative` holds as many.
  package static let mostOperations = 15_000

  package var store: SectorStore
  package var table: PathTable
  /// What the disk held before.
  package var initial = DiskImage()
  package var operations: [DiskOperation] = []
  package var events: [RecordedEvent] = []
  /// The path that each file was created under.
  package var filePaths: [Int32] = []
  /// There were more operations than the recorder takes: those after them are not recorded.
  package var isCutShort = false

  package init(store: SectorStore = SectorStore(), table: PathTable = PathTable()) {
    self.store = store
    self.table = table
  }
}
