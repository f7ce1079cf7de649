import LogModel
import Storage
import Synchronization

/// Sees every operation of a life on real files: how many are in flight, and how long the slowest took. Gives each life
/// after a power loss a boot of its own, as the machine would have.
final class SeamMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop; `inFlight` may be read anywhere.

  private let journal: Journal
  private let powerLosses: Int
  private let started = Atomic<Int>(0)

  init(_ base: any Storage, _ journal: Journal, powerLosses: Int) {
    self.journal = journal
    self.powerLosses = powerLosses
    super.init(base)
  }

  var inFlight: Int { started.load(ordering: .relaxed) }

  override var properties: StorageProperties {
    var properties = base.properties
    if powerLosses > 0 {
      properties.bootID = UInt32(truncatingIfNeeded: mix64(UInt64(properties.bootID) &+ UInt64(powerLosses)))
    }
    return properties
  }

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
