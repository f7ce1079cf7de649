import LogModel
import Storage

/// Decides how far the search for the next batch goes on behind bytes that are none.
public protocol BatchResynchronizing: Sendable {
  /// - Parameter header: what stands there, where it has the shape of a header; nothing vouches for it.
  /// - Returns: bytes; a positive multiple of `BatchHeader.alignment`.
  func distance(past header: BatchHeader?) -> Int
}

/// Whatever a header claims that is not intact, the next batch may stand at the next place where a batch can stand.
public struct NextAlignedPosition: BatchResynchronizing {
  public init() {}
  public func distance(past header: BatchHeader?) -> Int { BatchHeader.alignment }
}

/// Decides what becomes of a torn tail, and where the first commit after a recovery goes.
public protocol AppendResuming: Sendable {
  /// Whether what follows the last valid batch is cut from the last segment that was found.
  var cutsTail: Bool { get }
  /// - Parameters:
  ///   - path: of the last segment that was found.
  ///   - dataEnd: the position after its last valid batch.
  ///   - isSynchronous: whether it must be opened for writes past the page cache.
  /// - Returns: nil for a new segment.
  func reopen(
    _ path: String, dataEnd: Int64, isSynchronous: Bool, on storage: any Storage
  ) async throws(StorageError) -> ReopenedSegment?
}

/// A segment that was found, open for writing.
public struct ReopenedSegment: Hashable, Sendable {
  public var writer: FileID
  /// Where the next commit goes: a multiple of the block size.
  public var position: Int64
  /// Bytes before this are in the file, and zero from `position` on.
  public var zeroedEnd: Int64

  public init(writer: FileID, position: Int64, zeroedEnd: Int64) {
    (self.writer, self.position, self.zeroedEnd) = (writer, position, zeroedEnd)
  }
}

/// Nothing is appended to a segment that was found: what a dead writer has left in flight may land there yet.
public struct ResumeInNewSegment: AppendResuming {
  public init() {}
  public var cutsTail: Bool { true }

  public func reopen(
    _ path: String, dataEnd: Int64, isSynchronous: Bool, on storage: any Storage
  ) async throws(StorageError) -> ReopenedSegment? { nil }
}

/// Decides what becomes of a file of this writer's own that stands where a new segment is to be created: an attempt
/// before could not take it back.
public protocol LeftoverHandling: Sendable {
  /// Whether it is removed, and the segment created in its place.
  var replacesOwn: Bool { get }
}

/// No other writer has this one's epoch, which is a part of the name: nobody loses anything by it.
public struct OwnLeftoversReplaced: LeftoverHandling {
  public init() {}
  public var replacesOwn: Bool { true }
}

/// Decides whether recovery takes a segment for one that may hold what no sync has made durable.
public protocol EarlierPolicyRespecting: Sendable {
  /// - Parameters:
  ///   - writer: the head says that the segment's writer synced after it had acknowledged.
  ///   - reader: so does the engine that opens the log.
  func mayBeUnsynced(writer: Bool, reader: Bool) -> Bool
}

/// The policy that counts is that of whoever wrote it. Builds that did not write it into the head are taken at the
/// present one.
public struct EarlierPoliciesRespected: EarlierPolicyRespecting {
  public init() {}
  public func mayBeUnsynced(writer: Bool, reader: Bool) -> Bool { writer || reader }
}

extension PartitionLog {
  /// Puts the last segment that was found in the place that `AppendResuming` gives it.
  func resumeAppends() async throws(StorageError) {
    guard let last = segments.last, last.writer == nil,
      let reopened = try await parts.resuming.reopen(
        last.path, dataEnd: last.dataEnd, isSynchronous: isSynchronous, on: storage)
    else { return }
    (last.writer, last.writePosition, last.zeroedEnd) = (reopened.writer, reopened.position, reopened.zeroedEnd)
  }
}
