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
}
