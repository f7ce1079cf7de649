import LogModel

/// Why a log refused a call, or failed in it.
public struct LogFailure: Error, Sendable, CustomStringConvertible {
  /// What a caller must tell apart.
  public enum Kind: Hashable, Sendable {
    /// The messages from the offset that was asked for up to this one are damaged. The log reports them and serves
    /// none.
    case damaged(before: Offset)
    /// A fetch from where no message can be.
    case offsetOutOfRange
    /// There is a topic of this name, with so many partitions.
    case topicExists(partitions: Int)
    /// Another one has the log open for writing.
    case inUse
    case other
  }

  public var kind: Kind
  /// The call certainly did nothing. Otherwise its outcome is indeterminate.
  public var isCertain: Bool
  /// The log's own error, which says what to do next.
  public var cause: any Error
  /// The files that the error is about, relative to the storage's root; none where it names none.
  public var files: [String]

  public init(_ kind: Kind, isCertain: Bool, cause: any Error, files: [String] = []) {
    (self.kind, self.isCertain, self.cause, self.files) = (kind, isCertain, cause, files)
  }

  public var description: String { "\(cause)" }
}
