import Glibc
import LogModel
import Storage
import Synchronization

/// Sees every operation of a life on real files, below every fault: how many are in flight, how long the slowest took,
/// and whether the machine itself failed.
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
      journal.progressed()
      if call.kind == .sync || call.kind == .write {
        let took = loop.now - start
        if took > journal.slowestSync { journal.slowestSync = took }
      }
    }
    do throws(StorageError) {
      return try await operation()
    } catch {
      if Self.isMachineFailure(error), machineFailure == nil { machineFailure = error }
      throw error
    }
  }

  /// The first error that no trial asks for: no fault stands below this wrapper.
  private(set) var machineFailure: StorageError?

  private static func isMachineFailure(_ error: StorageError) -> Bool {
    guard case .errno(let code) = error.code else { return false }
    return [ENOSPC, EDQUOT, EIO, EROFS, EACCES, EPERM, EMFILE, ENFILE, ENOMEM].contains(code)
  }
}
