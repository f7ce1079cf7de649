import Glibc
import LogModel
import Storage

/// Sees every operation of a life, below every fault: how many are in flight and how many have completed, what the
/// device delayed, and whether the machine itself failed.
///
/// What the device delayed is, for one write or sync, the time from its submission to its completion, less the
/// processor time that the loop's thread used meanwhile. A completion is noticed when the loop comes to it: an engine
/// that computes while its operation is in flight comes to it late, and may not earn a wider loss window by that. What
/// remains is the time in which the thread waited, for the device or for a processor that others had: neither is the
/// engine's doing. An operation that the crash finds in flight counts with the time that it has taken.
///
/// In the model, whose device takes virtual time, nothing is measured: there the contract holds to the letter.
final class SeamMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private let journal: Journal
  private let hasFaults: Bool
  private let partitions: Int
  private var waiting: [UInt64: Reading] = [:]
  private var numbers: UInt64 = 0
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

  /// Of the loop's clock and of its thread's processor time, in nanoseconds.
  private struct Reading {
    var wall: Int64
    var processor: Int64

    init(_ loop: EventLoop) {
      wall = loop.now.nanoseconds
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      processor = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    journal.startedOperation()
    let number = begin(call)
    defer {
      if let number { end(number) }
      journal.completedOperation()
    }
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

  // MARK: Delay

  private func begin(_ call: StorageCall) -> UInt64? {
    guard call.kind == .sync || call.kind == .write, !loop.isSimulated else { return nil }
    numbers += 1
    waiting[numbers] = Reading(loop)
    return numbers
  }

  private func end(_ number: UInt64) {
    if let start = waiting.removeValue(forKey: number) { note(start, Reading(loop)) }
  }

  private func note(_ start: Reading, _ now: Reading) {
    let delay = Duration.nanoseconds((now.wall - start.wall) - (now.processor - start.processor))
    if delay > journal.deviceDelay { journal.deviceDelay = delay }
  }

  /// Takes operations into account that the crash, which comes now, finds in flight. On the loop.
  func noteInFlight() {
    guard !loop.isSimulated else { return }
    let now = Reading(loop)
    for start in waiting.values { note(start, now) }
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
