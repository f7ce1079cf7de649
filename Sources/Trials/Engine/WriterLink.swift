import Glibc
import LogModel
import Storage

/// The way of one writer to the storage that it shares with another: it can be cut, fail in part, or end for good.
final class WriterLink: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  enum State: Hashable {
    case open
    /// Each write of a lease's term fails; all else passes.
    case failingRenewals
    /// What is under way is done, and nobody hears of it; what is asked for waits. Both until another state.
    case cut
    /// Whoever asked is dead: what has waited arrives, and nobody hears of it; nothing else is asked.
    case dead
  }

  private var state = State.open
  private let passage = AsyncEvent(isOpen: true)
  /// Operations that met it cut, or failed in it.
  private(set) var hindered = 0

  static func isFor(_ setup: WriterSetup) -> Bool {
    switch setup {
    case .renewalFailed, .networkCut, .holderKilled: true
    case .one, .secondEngine, .secondProcess, .lockRemoved, .leaseExpired, .clockSkew, .holderLives: false
    }
  }

  func hinder(_ state: State) {
    self.state = state
    if state == .cut { passage.shut() } else { passage.open() }
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if state == .dead { throw death(call) }
    if state == .failingRenewals, call.kind == .write, call.path.hasPrefix("writers/") {
      hindered += 1
      throw StorageError(errno: EIO, .write, call.path, offset: call.offset)
    }
    await pass()
    do throws(StorageError) {
      let value = try await operation()
      await pass()
      if state == .dead { throw death(call) }
      return value
    } catch {
      await pass()
      throw state == .dead ? death(call) : error
    }
  }

  override func passClose(_ call: StorageCall, _ operation: () async -> Void) async { await operation() }

  /// On the way there, and on the way back.
  private func pass() async {
    guard !passage.isOpen else { return }
    hindered += 1
    await passage.wait()
  }

  private func death(_ call: StorageCall) -> StorageError {
    StorageError(errno: EIO, call.kind, call.path, offset: call.offset)
  }
}
