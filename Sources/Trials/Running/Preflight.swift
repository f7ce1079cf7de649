import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage

/// Finds out before the first trial whether the machine can run them, so that nobody waits for an error that was
/// certain.
public enum Preflight {
  public struct Findings: Sendable {
    public var run: RunDescription
    public var notices: [String]
  }

  /// - Throws: `TrialError` where the directory cannot be used, io_uring is refused and was asked for, or the largest
  ///   trials do not fit.
  public static func examine(_ plan: RunPlan, seed: UInt64) throws(TrialError) -> Findings {
    let choices = Set(plan.trials.map(\.spec.storage)).sorted { $0.rawValue < $1.rawValue }
    var names: [String] = []
    var notices: [String] = []
    for choice in choices {
      if choice == .memory {
        names.append("memory")
        continue
      }
      do throws(StorageError) {
        let storage = try choice.openFiles(root: plan.directory, loop: EventLoop())
        names.append(storage.properties.name)
        notices += storage.properties.notices
      } catch {
        throw error.path == "io_uring" ? .ringRefused(error) : .directory(error)
      }
    }
    try checkRoom(plan)
    try checkLimits(plan)
    let onDisk = choices.contains { $0 != .memory }
    return Findings(
      run: RunDescription(
        seed: seed, storage: names.joined(separator: "+"),
        filesystem: onDisk ? FileSystemKind.of(plan.directory).name : "memory",
        trials: plan.trials.count, jobs: plan.jobs, cases: plan.cases), notices: notices)
  }

  /// Bytes that a trial has on disk at its largest.
  static func footprint(_ spec: TrialSpec) -> Int64 {
    let journal = Int64(Journal.rowsNeeded(spec)) * 64
    return spec.storage == .memory ? journal : journal + dataBytes(spec)
  }

  /// Bytes of the engine's own files at their largest.
  static func dataBytes(_ spec: TrialSpec) -> Int64 {
    let messages = Int64(spec.messages + spec.appendBetween * spec.partitions)
    let batches = messages / Int64(spec.batch) + Int64(spec.partitions)
    // Each segment may be zero-filled ahead, and each batch padded to a block.
    return messages * Int64(spec.messageSize + spec.keys.largest + 8) + batches * 576 + Int64(spec.partitions)
      * (1 << 20) + (2 << 20)
  }

  private static func checkRoom(_ plan: RunPlan) throws(TrialError) {
    var status = statvfs()
    guard statvfs(plan.directory, &status) == 0 else {
      throw .directory(StorageError(errno: errno, .open, plan.directory))
    }
    let free = Int64(status.f_bavail) * Int64(status.f_frsize)
    let needed = plan.trials.map { footprint($0.spec) }.sorted(by: >).prefix(max(1, plan.jobs)).reduce(0, +)
    guard free > needed else { throw .noRoom(plan.directory, needed: needed, free: free) }
  }
}
