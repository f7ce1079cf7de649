import LogModel
import Storage
import Synchronization

/// Sees every operation of a life on real files: how many are in flight, and how long the slowest took.
final class SeamMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop; `inFlight` may be read anywhere.

  private let journal: Journal
  private let started = Atomic<Int>(0)

  init(_ base: any Storage, _ journal: Journal) {
    self.journal = journal
    super.init(base)
  }

  var inFlight: Int { started.load(ordering: .relaxed) }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    started.add(1, ordering: .relaxed)
    let start = loop.now
    defer {
      started.subtract(1, ordering: .relaxed)
      if call.kind == .sync || call.kind == .write {
        let took = loop.now - start
        if took > journal.slowestSync { journal.slowestSync = took }
      }
    }
    return try await operation()
  }
}
