import CURing
import Glibc
import LogModel

/// What a thread that has nothing to do waits on, and other threads end the wait with.
final class WakeupDescriptor: @unchecked Sendable {
  // `wait` belongs to one thread; `ring` is a system call that any thread may make (`man 2 eventfd`).

  private let descriptor: Int32
  /// How long a ring may go unheard where there was no descriptor left for it.
  private static let deafness = Duration.milliseconds(5)

  convenience init() { self.init(tl_eventfd()) }

  /// - Parameter descriptor: of an eventfd; below 0 where there is none.
  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func ring() {
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// Waits for a ring, one that came before included, or `timeout` (at least 0). It may return earlier.
  func wait(timeout: Duration) {
    let timeout = descriptor < 0 ? min(timeout, Self.deafness) : timeout
    guard tl_wait_readable(descriptor, timeout.nanoseconds) == 1 else { return }
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}
