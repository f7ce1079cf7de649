import Glibc

/// The lock of a log's writer, as `Storage` takes it: a lock of the open file (`man 2 fcntl`, F_OFD_SETLK) on a file
/// beside the log.
public final class LogLock {
  private static let setLock: Int32 = 37  // F_OFD_SETLK
  private let descriptor: Int32

  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Takes the lock of a log, where it has a file for one. It is held as long as the object lives.
  /// - Parameter isForced: whoever holds it is passed over.
  /// - Throws: `inUse`.
  public static func take(_ log: LogFiles, isForced: Bool) throws(LogToolError) -> LogLock? {
    guard let path = log.lockPath else { return nil }
    let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    var whole = flock()
    whole.l_type = Int16(F_WRLCK)
    whole.l_whence = Int16(SEEK_SET)
    if fcntl(descriptor, setLock, &whole) == 0 { return LogLock(descriptor) }
    close(descriptor)
    if isForced { return nil }
    throw .inUse(path: log.paths.first ?? path)
  }
}
