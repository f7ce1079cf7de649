import LogModel
import Storage

/// Why the log refused or failed.
public enum LogError: Error, Hashable, Sendable {
  /// The device failed. For an append: the batch may or may not be there after a restart.
  case storage(StorageError)
  /// A batch is larger than a commit can carry. Nothing was appended.
  case batchTooLarge(bytes: Int, limit: Int)
  /// A batch without a record has no offset. Nothing was appended.
  case emptyBatch
  /// The log's format has no place for a key. Nothing was appended.
  case keyNotRepresentable
  /// The log has been closed. Nothing was appended.
  case closed
  /// An earlier failure has poisoned the log and a new segment could not be made. Nothing was appended.
  case poisoned(by: StorageError)
  /// A newer writer has taken the log over from this one, of the epoch named. Nothing was appended.
  case fenced(Epoch)
  /// The same, found out after the batch had been written: the newer writer may have found it, or not.
  case fencedInCommit(Epoch)
  /// A fetch below the log start offset or above the log end offset.
  case offsetOutOfRange(Offset, start: Offset, end: Offset)
  /// Acknowledged data at this offset is damaged; it is reported and not served.
  case damaged(DamagedRange)

  /// Whether the append certainly left nothing behind. Otherwise its outcome is indeterminate.
  public var isCertainFailure: Bool {
    switch self {
    case .batchTooLarge, .emptyBatch, .keyNotRepresentable, .closed, .poisoned, .fenced, .offsetOutOfRange: true
    case .storage, .fencedInCommit, .damaged: false
    }
  }
}

/// Acknowledged messages that recovery found damaged or missing.
public struct DamagedRange: Hashable, Sendable, Codable {
  /// Offsets `from ..< to` are affected.
  public var from: Offset
  public var to: Offset
  /// Segment file, relative to the storage's root.
  public var path: String
  /// Byte range of the damage in it.
  public var byteFrom: Int64
  public var byteTo: Int64
  /// Of the first batch or record in it whose checksum is wrong; nil where damage left none that could be checked.
  public var mismatch: ChecksumMismatch?

  public init(from: Offset, to: Offset, path: String, byteFrom: Int64, byteTo: Int64, mismatch: ChecksumMismatch? = nil)
  {
    self.from = from
    self.to = to
    self.path = path
    self.byteFrom = byteFrom
    self.byteTo = byteTo
    self.mismatch = mismatch
  }
}

extension LogError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .storage(let error): "\(error)"
    case .batchTooLarge(let bytes, let limit):
      "a batch of \(bytes) bytes is over the limit of \(limit); send fewer or smaller messages a batch"
    case .emptyBatch: "a batch needs at least one message"
    case .keyNotRepresentable: "messages of this format have no keys; send it without, or choose another format"
    case .closed: "the log is closed"
    case .poisoned(let error): "the log takes no appends after a failure of its device: \(error)"
    case .fenced(let epoch), .fencedInCommit(let epoch):
      "another writer has taken over from epoch \(epoch); close this engine and send to the one that runs now"
    case .offsetOutOfRange(let offset, let start, let end): "offset \(offset) is outside the log, \(start) ..< \(end)"
    case .damaged(let range):
      "offsets \(range.from) ..< \(range.to) are damaged (\(range.path), bytes \(range.byteFrom) ..< \(range.byteTo))"
    }
  }
}
