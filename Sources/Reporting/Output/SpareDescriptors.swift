import Glibc
import Synchronization

/// Two descriptors that a command holds for its end: where trials have used up all others, its report must still be
/// written, and its folders removed.
public enum SpareDescriptors {
  private static let held = Mutex<[Int32]>([])

  /// What a command needs free at its start: the two, three of the event loop of libdispatch and one of its count of
  /// threads (it ends the process with SIGILL and without a word where it gets none), and two files at a time.
  private static let needed = 8

  /// Holds them.
  /// - Returns: nil, or what is wrong and what to do: there are too few descriptors for any command.
  public static func hold() -> String? {
    var opened: [Int32] = []
    while opened.count < needed {
      let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { break }
      opened.append(descriptor)
    }
    let (free, code) = (opened.count, errno)
    for descriptor in opened.dropFirst(2) { close(descriptor) }
    held.withLock { $0 += opened.prefix(2) }
    guard free < needed else { return nil }
    guard code == EMFILE || code == ENFILE else {
      return "/dev/null cannot be opened (\(String(cString: strerror(code)))); repair this machine's /dev"
    }
    return
      "this process can open \(free) more files, and needs \(needed); raise the limit with ulimit -n, or close what it "
      + "inherits"
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
