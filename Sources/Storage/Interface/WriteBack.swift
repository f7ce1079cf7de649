import LogModel

/// A storage that can forget what it has not made durable, as a page cache does after a failed sync.
///
/// Linux marks the pages of a failed write-back clean: they stay readable, and no later sync writes them. Rebello et
/// al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020; `man 2 fsync` on EIO ("fsyncgate").
public protocol WriteBackLoss: Storage {
  /// What completed operations left volatile in the pages of 4096 bytes that `range` touches, and no sync in flight has
  /// captured, is not made durable by any sync, until the page is written or truncated again. A process kill keeps it.
  /// Sizes are still covered, as metadata are: after a power loss zeros may stand in the place of the bytes.
  func loseWriteBack(of file: FileID, in range: Range<Int64>) throws(StorageError)
  /// The same for the entries of a directory, until the name changes again.
  /// - Returns: paths of the entries that are lost, sorted by their bytes.
  func loseEntries(of directory: String) throws(StorageError) -> [String]
}

extension MemoryStorage: WriteBackLoss {
  public func loseWriteBack(of file: FileID, in range: Range<Int64>) throws(StorageError) {
    let i = try fileIndex(of: file, .sync)
    disk.ownedFile(i)?.abandon(range)
  }

  public func loseEntries(of directory: String) throws(StorageError) -> [String] {
    let i = try disk.directory(at: directory, .syncDirectory)
    return (disk.ownedDirectory(i)?.abandonChanges() ?? []).map { joined(directory, $0) }
  }
}

extension Storage {
  /// The outermost storage, this one or one that it is around, that can lose what was not written back.
  public var writeBackLoss: (any WriteBackLoss)? {
    var storage: any Storage = self
    while true {
      if let found = storage as? any WriteBackLoss { return found }
      guard let wrapper = storage as? StorageWrapper else { return nil }
      storage = wrapper.base
    }
  }
}
