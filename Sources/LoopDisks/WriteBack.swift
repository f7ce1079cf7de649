import CLoopDisks
import Glibc

/// What the kernel does to dirty pages sooner or later, and now.
public enum WriteBack {
  /// Begins to write the dirty pages of a file, as the flusher threads do (`man 2 sync_file_range`: "extremely
  /// dangerous" for whoever takes it for a sync: no metadata, no flush of the disk). A file that is gone has none.
  public static func start(_ path: String) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = tl_start_writeback(file)
    close(file)
  }

  /// Commits what the file system holds in memory, as its timer does every 5 or 30 seconds (`man 2 syncfs`). Ends when
  /// everything is written; so long it is under way.
  public static func commit(_ path: String) {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return }
    _ = tl_commit(folder)
    close(folder)
  }

  /// Writes dirty pages of a part of an open file and waits for them, as memory pressure does.
  public static func write(_ file: Int32, _ range: Range<Int>) {
    _ = tl_write_back(file, range.lowerBound, range.count)
  }

  /// Commits the journal, or the transaction, as a timer does: data that nobody has written back stay where they are.
  /// - Parameters:
  ///   - path: the root of the file system, in which a file is made.
  ///   - name: of that file, which was never there.
  public static func commitMetadata(_ path: String, _ fileSystem: LoopFileSystem, name: String) {
    if fileSystem == .btrfs {
      let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard folder >= 0 else { return }
      _ = tl_btrfs_commit(folder)
      close(folder)
    } else {
      let file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      guard file >= 0 else { return }
      fsync(file)
      close(file)
    }
  }
}
