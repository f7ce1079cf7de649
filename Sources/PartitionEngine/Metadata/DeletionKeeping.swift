import LogModel

/// Decides where a log begins that is opened again.
public protocol DeletionKeeping: Sendable {
  /// - Parameter recorded: everything before it has been deleted; nil where nothing ever was.
  /// - Returns: where the log begins at the earliest; nil for its first message.
  func logStart(_ recorded: Offset?) -> Offset?
}

/// What has been deleted is the metadata's to say: files go later, and a segment stays as long as one of its messages
/// does.
public struct DeletionsAsRecorded: DeletionKeeping {
  public init() {}
  public func logStart(_ recorded: Offset?) -> Offset? { recorded }
}
