/// Gives the records of a commit what only their place in the log decides. A commit before them may have failed, so no
/// earlier moment will do than the one before they are written.
package protocol CommitNumbering: AnyObject {
  /// Not nil where nothing may be written to the log any more.
  var refusal: RecordLogError? { get }
  /// Writes into the bytes of one append what it depends on. Called in the order of the log, just before they are
  /// written.
  /// - Returns: the number that whoever appends is told.
  func number(_ append: UnsafeMutableRawBufferPointer, at position: RecordPosition) -> Int64
  /// Asked when a commit is as durable as the policy says, before anybody is answered.
  /// - Throws: where it must not be acknowledged. It may be there after a restart.
  func confirm() async throws(RecordLogError)
  /// What has been numbered since the last call is acknowledged; or it was refused, and its numbers are given again.
  func ended(isAcknowledged: Bool)
}

/// What an append came to.
package struct AppendedRecord: Hashable, Sendable {
  package var position: RecordPosition
  /// See `CommitNumbering`; 0 without one.
  package var number: Int64
}
