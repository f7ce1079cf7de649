import Glibc
import LogModel
import Storage

/// Sees every operation of a life, below every fault: how many are in flight and how many have completed, and whether the
/// machine itself failed.
final class SeamMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private let journal: Journal
  private let hasFaults: Bool
  private let partitions: Int
  private var openFiles = 0
  /// From now on the engine learns of no end of an operation: a kill is on its way that must find some in flight.
  var holdsCompletions = false
  /// The first error that ends the run: the machine's, which no trial asks for.
  private(set) var machineFailure: StorageError?
  /// The first error for want of descriptors or memory that the trial cannot lay at the engine's door.
  private(set) var shortage: StorageError?

  init(_ base: any Storage, _ journal: Journal, _ spec: TrialSpec) {
    self.journal = journal
    hasFaults = !spec.faults.isEmpty
    partitions = spec.partitions
    super.init(base)
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    journal.startedOperation()
    defer { journal.completedOperation() }
    do throws(StorageError) {
      let value = try await operation()
      if call.kind == .open { openFiles += 1 }
      if holdsCompletions { await hold() }
      return value
    } catch {
      if !loop.isSimulated { take(error) }
      if holdsCompletions { await hold() }
      throw error
    }
  }

  override func passClose(_ call: StorageCall, _ operation: () async -> Void) async {
    journal.startedOperation()
    openFiles -= 1
    await operation()
    journal.completedOperation()
  }

  private func hold() async {
    journal.heldOperation()
    await Gate().wait()
  }

  // MARK: Failures

  private func take(_ error: StorageError) {
    switch Self.blame(error, hasFaults: hasFaults, openFiles: openFiles, partitions: partitions) {
    case .machine: if machineFailure == nil { machineFailure = error }
    case .shortage: if shortage == nil { shortage = error }
    case .engine: break
    }
  }

  /// Whose failure an error of the device is.
  enum Blame: Equatable {
    /// The machine's: no trial can go on, and the run ends.
    case machine
    /// Something ran out, and who used it up is not known: no verdict on this trial.
    case shortage
    /// The engine's, or one that it has to live with: the checks say what became of it.
    case engine
  }

  /// No fault layer stands below this wrapper: what comes from the base comes from the kernel. `man 3 errno`.
  /// - Parameters:
  ///   - hasFaults: whether the trial damages files at rest.
  ///   - openFiles: that the engine has open.
  static func blame(_ error: StorageError, hasFaults: Bool, openFiles: Int, partitions: Int) -> Blame {
    guard case .errno(let code) = error.code else { return .engine }
    switch code {
    // The disk is full, or this user may not write there: no engine can change that, and the next trial meets it too.
    case ENOSPC, EDQUOT, EROFS, EACCES, EPERM: return .machine
    // A bad disk, unless the trial damages files: a file system with checksums of its own says EIO to a flipped bit.
    case EIO: return hasFaults ? .engine : .machine
    // The limit of this process, which the engine shares with the harness. An engine that has many times the files
    // open that its partitions need has leaked them; one that has not met a limit that is too low for the trial.
    case EMFILE: return openFiles > 64 + 8 * partitions ? .engine : .shortage
    // The whole system's table, and the kernel's memory or the limit on locked pages: others use them too.
    case ENFILE, ENOMEM: return .shortage
    default: return .engine
    }
  }
}
