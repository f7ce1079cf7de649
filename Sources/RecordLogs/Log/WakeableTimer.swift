import LogModel
import Storage

/// A wait that ends at a moment, or when somebody rings, whichever comes first. One waits at a time.
final class WakeableTimer: @unchecked Sendable {
  // Owned by `loop`.

  private let loop: EventLoop
  private var waiter: UnsafeContinuation<Void, Never>?
  /// Tells a timer whose wait has been ended by a ring from that of the present wait.
  private var waits = 0

  init(_ loop: EventLoop) { self.loop = loop }

  func wait(until due: Instant) async {
    guard loop.now < due else { return }
    waits += 1
    let number = waits
    loop.spawn { [self] in
      await loop.sleep(until: due)
      if waits == number { ring() }
    }
    await withUnsafeContinuation { waiter = $0 }
  }

  /// Waits for a ring, however long that takes.
  func wait() async {
    waits += 1
    await withUnsafeContinuation { waiter = $0 }
  }

  func ring() {
    let waiting = waiter
    waiter = nil
    waiting?.resume()
  }
}
