import CURing
import Glibc
import LogModel

/// What a thread that has nothing to do waits on, and other threads end the wait with.
final class Doorbell: @unchecked Sendable {
  // `wait` belongs to one thread; `ring` is a system call that any thread may make (`man 2 eventfd`).

  private let descriptor = tl_eventfd()

  deinit { if descriptor >= 0 { close(descriptor) } }

  func ring() {
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// Waits for a ring, one that came before included, or `timeout` (at least 0).
  func wait(timeout: Duration) {
    guard tl_wait_readable(descriptor, timeout.nanoseconds) == 1 else { return }
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}
