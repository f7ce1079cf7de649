import LogModel
import Storage

/// Decides when the offset that a consumer group commits may be recorded, and what becomes of it when its log is cut.
///
/// What a group has processed must never be given to other messages: the group would not get them. So an offset is
/// recorded once everything before it is on the medium (but under `never`, which promises nothing of the sort), and
/// recovery lowers what lies beyond the end of a log.
public protocol OffsetCommitting: Sendable {
  /// Whether whoever has waited for a sync in flight looks for the next one, which somebody else may have begun
  /// meanwhile.
  var waitsForEverySync: Bool { get }
  /// Whether an offset is recorded once a sync for it has ended.
  /// - Parameters:
  ///   - isSecure: nothing that lies before it can get lost with the power and leave its offsets to other messages.
  ///   - failure: why a sync of the log has failed; nil where none has.
  func mayRecord(isSecure: Bool, after failure: StorageError?) -> Bool
  /// What a committed offset is once recovery has found where the log ends.
  func offset(after committed: Offset, logEnd: Offset) -> Offset
}

/// A committed offset never stands beyond what is durable, nor beyond the end of its log.
public struct OffsetsWithinLog: OffsetCommitting {
  public init() {}
  public var waitsForEverySync: Bool { true }
  public func mayRecord(isSecure: Bool, after failure: StorageError?) -> Bool { isSecure }
  public func offset(after committed: Offset, logEnd: Offset) -> Offset { min(committed, logEnd) }
}
