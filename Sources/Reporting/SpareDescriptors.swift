import Glibc
import Synchronization

/// Two descriptors that a command holds for its end: where trials have used up all others, its report must still be written, and its
/// folders removed.
public enum SpareDescriptors {
  private static let held = Mutex<[Int32]>([])

  /// Holds them. Where there are none left, there is nothing to hold.
  public static func hold() {
    let opened = (0..<2).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }.filter { $0 >= 0 }
    held.withLock { $0 += opened }
  }

  /// Calls `attempt`, and once more without the spare ones where it failed for want of descriptors (EMFILE, ENFILE).
  /// - Parameter attempt: answers a descriptor, or whatever else is negative or nil on failure, and leaves `errno`.
  public static func retry<Value>(_ attempt: () -> Value, failed: (Value) -> Bool) -> Value {
    let value = attempt()
    guard failed(value), errno == EMFILE || errno == ENFILE else { return value }
    let code = errno
    let released = held.withLock { held in
      defer { held = [] }
      return held
    }
    guard !released.isEmpty else {
      errno = code
      return value
    }
    for descriptor in released { close(descriptor) }
    return attempt()
  }
}
