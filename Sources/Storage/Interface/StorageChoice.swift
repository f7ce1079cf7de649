import Glibc
import LogModel

extension StorageChoice {
  /// Opens real files below `root`. The environment variable `TORNLOG_REFUSE_IO_URING` makes the ring behave as
  /// where the kernel refuses it.
  /// - Throws: `StorageError`; with `ring`, also where io_uring is refused.
  public func openFiles(root: String, loop: EventLoop) throws(StorageError) -> FileStorage {
    switch self {
    case .posix: return try PosixStorage(root: root, loop: loop)
    case .memory: throw StorageError(errno: EINVAL, .open, root)
    case .ring: return try Self.openRing(root: root, loop: loop)
    case .auto:
      do {
        return try Self.openRing(root: root, loop: loop)
      } catch  where error.path == "io_uring" {
        let reason = "io_uring is refused (\(error)); using pwrite and fdatasync. `tornlog doctor` says why"
        return try PosixStorage(root: root, loop: loop, notices: [reason])
      }
    }
  }

  private static func openRing(root: String, loop: EventLoop) throws(StorageError) -> RingStorage {
    if getenv("TORNLOG_REFUSE_IO_URING") != nil { throw StorageError(errno: EPERM, .open, "io_uring") }
    return try RingStorage(root: root, loop: loop)
  }
}
