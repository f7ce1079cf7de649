/// Something that tasks on one loop wait for and that happens once, or again after `shut`.
public final class AsyncEvent: @unchecked Sendable {
  // Owned by the loop of the tasks that use it.

  public private(set) var isOpen: Bool
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  public init(isOpen: Bool = false) { self.isOpen = isOpen }

  public func wait() async {
    if isOpen { return }
    await withUnsafeContinuation { waiters.append($0) }
  }

  public func open() {
    isOpen = true
    let woken = waiters
    waiters.removeAll(keepingCapacity: true)
    for waiter in woken { waiter.resume() }
  }

  public func shut() { isOpen = false }
}
