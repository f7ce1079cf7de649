import CURing
import Glibc

/// A folder that one process works in, and removes at its end. It is locked as long as that process lives: whoever
/// finds it unlocked knows that it was left behind.
public final class WorkFolder: Sendable {
  /// A file in a folder that has been left on purpose.
  public static let kept = ".kept"

  public let path: String
  private let descriptor: Int32

  /// Locks an existing folder; nil where that cannot be done: it is used all the same.
  public init?(locking path: String) {
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    self.path = path
    guard descriptor >= 0 else { return nil }
    // Somebody who looks at it holds the lock for a moment.
    for _ in 0..<100 where flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { break }
      usleep(1000)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Makes a folder below `directory` that no other process has: `tornlog-<pid>-XXXXXX`.
  /// - Throws: ENOENT, EACCES ... as `mkdtemp` has it.
  public static func make(in directory: String) throws(StorageError) -> String {
    var template = Array("\(directory)/tornlog-\(getpid())-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw StorageError(errno: errno, .makeDirectory, directory) }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Says that what is in it is there on purpose.
  public func keep() {
    let file = openat(descriptor, Self.kept, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    if file >= 0 { close(file) }
  }

  /// Whether a process holds the lock; true too where nobody can tell.
  public static func isLocked(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { return errno != ENOENT }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) != 0
  }

  /// Removes `path` and what is below it; symbolic links are removed, not followed. What cannot be removed stays,
  /// and `tornlog doctor` names it.
  public static func removeTree(_ path: String) {
    if unlink(path) == 0 || errno == ENOENT { return }
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { removeTree(path + "/" + name) }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}
