import Storage
import WriteAheadLog

/// Decides which files on the medium are a partition's.
public protocol LogFileOwnership: Sendable {
  /// Called once for each log, after its recovery and before anybody else appends to it: brings into it what is its own
  /// and lies elsewhere than in its folder.
  func gather(into log: PartitionLog, on storage: any Storage) async throws(StorageError)
}

/// What is in a partition's folder is the partition's, and nothing else is. The folder's path is compared part by part,
/// and the head of each segment names topic and partition once more, so that no name is the beginning of another.
public struct FolderOfItsOwn: LogFileOwnership {
  public init() {}
  public func gather(into log: PartitionLog, on storage: any Storage) async throws(StorageError) {}
}
