import LogModel

/// What a reader is told beside the messages, and where a log begins, as facts; see `CheckFinding`.
enum ReaderFinding: Hashable, Sendable {
  // Where a log begins.
  case startMoved(from: Int64, to: Int64)
  case startBelowZero(Int64)
  /// `bound` is the end of the last deletion before it; 0 for none.
  case startUnexplained(bound: Int64, found: Int64)
  /// Seen in a readback after `restart`; 0 is the readback before any crash.
  case startWentBack(was: Int64, restart: Int, found: Int64)
  case deletedBegins(deleted: Int64, found: Int64)
  case deletedServed(deleted: Int64, offset: Int64)
  /// The harness had begun the log there.
  case startBeforeFirst(first: Int64, found: Int64)
  case givenBeforeFirst(first: Int64, offset: Int64)

  // Offsets of consumer groups, and offsets as names.
  case committedBeyondEnd(group: String, committed: Int64, end: Int64)
  case committedNotDurable(group: String, committed: Int64, end: Int64)
  case committedOverLater(group: String, committed: Int64, offset: Int64, message: Int)
  /// A reader was served `was` there before.
  case nameTaken(offset: Int64, was: Int, now: Int)

  // Keys and times.
  case wrongKey(WrongKey, of: Int)
  /// Nanoseconds of the history's clock.
  case timeOutside(message: Int, from: Int64, to: Int64, found: Int64)
  case timeChanged(message: Int, was: Int64, restart: Int, found: Int64)
}

extension ReaderFinding: CustomStringConvertible {
  var description: String {
    switch self {
    case .startMoved(let from, let to):
      "the log start offset moved from \(from) to \(to) during one readback, and nothing was deleted then"
    case .startBelowZero(let found): "a log begins at 0 or later, found it to begin at \(found)"
    case .startUnexplained(let bound, let found):
      bound > 0
        ? "a deletion ended at offset \(bound), and none at \(found), found the log to begin at \(found)"
        : "nothing was deleted, found the log to begin at \(found)"
    case .startWentBack(let was, let restart, let found):
      "the log began at \(was) \(restart == 0 ? "before any crash" : "after restart \(restart)"), found it to begin at "
        + "\(found)"
    case .deletedBegins(let deleted, let found):
      "everything before offset \(deleted) was deleted, found the log to begin at \(found)"
    case .deletedServed(let deleted, let offset):
      "everything before offset \(deleted) was deleted, found offset \(offset) served"
    case .startBeforeFirst(let first, let found): "the log begins at \(first), found its log start offset at \(found)"
    case .givenBeforeFirst(let first, let offset):
      "offsets before \(first) belong to deleted messages, found offset \(offset) given again"
    case .committedBeyondEnd(let group, let committed, let end):
      "\(group) has committed \(committed), and the log ends at \(end): the next \(committed - end) messages would "
        + "never reach it"
    case .committedNotDurable(let group, let committed, let end):
      "\(group) had committed \(committed), and the log came back with its end at \(end): what lies before a committed "
        + "offset must be durable"
    case .committedOverLater(let group, let committed, let offset, let message):
      "\(group) has committed \(committed), and offset \(offset) holds message \(message), which was sent after that: "
        + "it never reaches "
        + "the group"
    case .nameTaken(let offset, let was, let now):
      "offset \(offset) held message \(was) when it was read before, which must stay, found message \(now) there"
    case .wrongKey(let key, let count): key.text + (count > 1 ? "; \(count) messages have wrong keys" : "")
    case .timeOutside(let message, let from, let to, let found):
      "the batch of message \(message) was appended between \(from) and \(to) ns, found the time \(found)"
    case .timeChanged(let message, let was, let restart, let found):
      "the batch of message \(message) had the time \(was) ns after restart \(restart), found \(found)"
    }
  }
}
