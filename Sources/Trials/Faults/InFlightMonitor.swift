import Glibc
import LogModel
import ScenarioFormat
import Storage

/// Sees every operation of a life, below every fault: how many are in flight and how many have completed, and whether
/// the machine itself failed.
final class InFlightMonitor: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private let journal: Journal
  private let hasFaults: Bool
  private let partitions: Int
  private let mostBytes: Int64
  private var openFiles = 0
  private var metadata = MetadataGauge()
  /// From now on the engine learns of no end of an operation: a kill is on its way that must find some in flight.
  var holdsCompletions = false
  /// The first error that ends the run: the machine's, which no trial asks for.
  private(set) var machineFailure: StorageError?
  /// The first error by a limit of the machine that the trial cannot lay at the engine's door.
  private(set) var shortage: StorageError?

  /// Whether it has met a failure that is the machine's own.
  var isHindered: Bool { machineFailure != nil || shortage != nil }

  init(_ base: any Storage, _ journal: Journal, _ spec: TrialSpec) {
    self.journal = journal
    hasFaults = !spec.faults.isEmpty
    partitions = spec.partitions
    mostBytes = Preflight.dataBytes(spec)
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
      if let change = metadata.note(call, traced(value)) { journal.note(change) }
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
    await AsyncEvent().wait()
  }

  // MARK: Failures

  private func take(_ error: StorageError) {
    let blame = Self.blame(
      error, hasFaults: hasFaults, openFiles: openFiles, partitions: partitions, mostBytes: mostBytes)
    switch blame {
    case .machine: if machineFailure == nil { machineFailure = error }
    case .shortage: if shortage == nil { shortage = error }
    case .engine: return
    }
    if case .errno(let code) = error.code {
      journal.note(Journal.DeviceFailure(code: code, operation: error.operation, isShortage: blame == .shortage))
    }
  }

  /// Whose failure an error of the device is.
  enum Blame: Equatable {
    /// The machine's: no trial can go on, and the run ends.
    case machine
    /// A limit of the machine was reached: no verdict on this trial.
    case shortage
    /// The engine's, or one that it has to live with: the checks say what became of it.
    case engine
  }

  /// No fault layer stands below this wrapper: what comes from the base comes from the kernel. `man 3 errno`.
  /// - Parameters:
  ///   - hasFaults: whether the trial damages files at rest.
  ///   - openFiles: that the engine has open.
  ///   - mostBytes: of all files of the engine's together, at their largest.
  static func blame(
    _ error: StorageError, hasFaults: Bool, openFiles: Int, partitions: Int, mostBytes: Int64 = .max
  ) -> Blame {
    guard case .errno(let code) = error.code else { return .engine }
    switch code {
    // The disk is full, or this user may not write there: no engine can change that, and the next trial meets it too.
    case ENOSPC, EROFS, EACCES, EPERM: return .machine
    // A bad disk, unless the trial damages files: a file system with checksums of its own says EIO to a flipped bit.
    case EIO: return hasFaults ? .engine : .machine
    // The limit of this process, which the engine shares with the harness. An engine that has many times the files
    // open that its partitions need has leaked them; one that has not met a limit that is too low for the trial.
    case EMFILE: return openFiles > 64 + 8 * partitions ? .engine : .shortage
    // The largest file that this process may write. An engine that writes behind all that the trial can have written is
    // lost.
    case EFBIG: return (error.offset ?? 0) > mostBytes ? .engine : .shortage
    // Of a lock it says that somebody else has it (`man 2 fcntl`), elsewhere that the kernel has no means now.
    case EAGAIN: return error.operation == .lock ? .engine : .shortage
    // The whole system's table, the kernel's memory or the limit on locked pages, and the user's quota: others use them
    // too. ECANCELED: the kernel had no thread for what the ring was given (`man 7 io_uring`); the engine cancels
    // nothing.
    case ENFILE, ENOMEM, EDQUOT, ENOBUFS, ECANCELED: return .shortage
    default: return .engine
    }
  }
}
