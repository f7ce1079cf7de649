import Glibc

/// Takes bytes one behind the other.
public protocol ByteSink: AnyObject {
  func write(_ bytes: UnsafeRawBufferPointer) throws(LogToolError)
}

/// Bytes into memory.
public final class MemorySink: ByteSink {
  public private(set) var bytes: [UInt8] = []
  public init() {}
  public func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
}

/// A file that is there wholly or not at all: written beside its place, synced, and only then named. What stands at its
/// place is never written over.
public final class NewFile: ByteSink {
  public let path: String
  private let temporary: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isDone = false
  public private(set) var size: Int64 = 0

  /// - Throws: `exists`; `system`.
  public init(_ path: String) throws(LogToolError) {
    self.path = path
    var status = stat()
    if lstat(path, &status) == 0 { throw .exists(path: path) }
    temporary = "\(path).tornlog-\(getpid()).tmp"
    descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw .system(what: "create", path: temporary, errno: errno) }
    buffer.reserveCapacity(256 << 10)
  }

  /// Of one that was not finished nothing is left.
  deinit {
    close(descriptor)
    if !isDone { unlink(temporary) }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws(LogToolError) {
    size += Int64(bytes.count)
    if buffer.count + bytes.count > 256 << 10 { try flush() }
    if bytes.count >= 64 << 10 {
      try writeAll(bytes, to: descriptor, temporary)
    } else {
      buffer.append(contentsOf: bytes)
    }
  }

  private func flush() throws(LogToolError) {
    var failure: LogToolError?
    buffer.withUnsafeBytes { bytes in
      do throws(LogToolError) { try writeAll(bytes, to: descriptor, temporary) } catch { failure = error }
    }
    if let failure { throw failure }
    buffer.removeAll(keepingCapacity: true)
  }

  /// What has been written so far, to be read back. It is synced.
  func written() throws(LogToolError) -> FileBytes {
    try flush()
    guard fsync(descriptor) == 0 else { throw .system(what: "sync", path: temporary, errno: errno) }
    return try FileBytes(temporary)
  }

  /// Owner, mode and times of another file, as far as this process may give them.
  func takeAttributes(of status: stat) {
    _ = fchmod(descriptor, status.st_mode & 0o7777)
    _ = fchown(descriptor, status.st_uid, status.st_gid)
    var times = [status.st_atim, status.st_mtim]
    _ = futimens(descriptor, &times)
  }

  /// Syncs it and gives it its name, and syncs that.
  public func finish() throws(LogToolError) {
    try flush()
    guard fsync(descriptor) == 0 else { throw .system(what: "sync", path: temporary, errno: errno) }
    // `link` refuses where something has come to stand in the meantime; `rename` would not.
    if link(temporary, path) != 0 {
      let code = errno
      if code == EEXIST { throw .exists(path: path) }
      guard code == EPERM || code == EOPNOTSUPP || code == ENOSYS else {
        throw .system(what: "name", path: path, errno: code)
      }
      guard access(path, F_OK) != 0 else { throw .exists(path: path) }
      guard rename(temporary, path) == 0 else { throw .system(what: "name", path: path, errno: errno) }
    } else {
      unlink(temporary)
    }
    isDone = true
    try Folders.sync(of: path)
  }
}

/// What is done to folders.
public enum Folders {
  /// Syncs the folder that a path lies in: the names in it are on the medium then.
  public static func sync(of path: String) throws(LogToolError) {
    let folder = LogFolder.split(path).folder
    try sync(folder.isEmpty ? "." : folder)
  }

  public static func sync(_ folder: String) throws(LogToolError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(what: "open", path: folder, errno: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .system(what: "sync", path: folder, errno: errno) }
  }

  /// Makes a folder and those above it, where they are missing.
  public static func make(_ path: String) throws(LogToolError) {
    var at = path.startIndex
    while at < path.endIndex {
      let slash = path[path.index(after: at)...].firstIndex(of: "/") ?? path.endIndex
      let part = String(path[..<slash])
      if mkdir(part, 0o755) == 0 {
        try sync(of: part)
      } else if errno != EEXIST {
        throw .system(what: "create", path: part, errno: errno)
      }
      at = slash
    }
  }

  /// - Throws: `sameFile` where both paths name one file.
  public static func requireDifferent(_ input: String, _ output: String) throws(LogToolError) {
    var (one, other) = (stat(), stat())
    if stat(input, &one) == 0, stat(output, &other) == 0, one.st_dev == other.st_dev, one.st_ino == other.st_ino {
      throw .sameFile(path: output)
    }
  }
}
