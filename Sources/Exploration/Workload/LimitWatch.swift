import Storage

/// Sees whether a limit of the machine has refused something to the engine on real files: what follows from that is no
/// finding.
final class LimitWatch: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, and read after it.

  /// The first such error.
  private(set) var met: StorageError?

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    do throws(StorageError) { return try await operation() } catch {
      // Of a lock EAGAIN says that somebody else has it (`man 2 fcntl`).
      if case .errno(let code) = error.code, Shortage.isOne(code), call.kind != .lock { met = met ?? error }
      throw error
    }
  }

  /// - Throws: `ExplorationError.limitMet`.
  func check() throws(ExplorationError) {
    if let met { throw .limitMet(Shortage.text(met)) }
  }
}
