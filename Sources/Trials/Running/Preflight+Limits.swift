import Glibc
import LogModel
import ScenarioFormat
import Storage

/// What a trial needs for certain, against the limits of the process and the memory of the machine. Who needs a little
/// more than that is found out by running: the trial then has no verdict.
extension Preflight {
  /// The limits that a process of a run has.
  struct Limits {
    /// Nil where there is none.
    var openFiles = ProcessLimit.openFiles.soft
    var fileSize = ProcessLimit.fileSize.soft
    var memory = ProcessLimit.memory
    /// Bytes that the machine can give to processes; nil where nobody says.
    var available = Preflight.availableMemory
  }

  /// - Throws: `TrialError.limitTooLow`, `TrialError.noMemory`.
  static func checkLimits(_ plan: RunPlan, _ limits: Limits = Limits()) throws(TrialError) {
    let specs = plan.trials.map(\.spec)
    func check(_ limit: ProcessLimit, _ value: Int64?, _ what: String, _ needed: (TrialSpec) -> Int64)
      throws(TrialError)
    {
      guard let value, let most = specs.map({ (spec: $0, bytes: needed($0)) }).max(by: { $0.bytes < $1.bytes }) else {
        return
      }
      guard most.bytes > value else { return }
      throw .limitTooLow(limit, value: value, needed: most.bytes, by: "\(what) (\(most.spec.scenario))")
    }
    try check(.openFiles, limits.openFiles, "a trial", descriptors)
    try check(.fileSize, limits.fileSize, "a file of a trial", largestFile)
    let inMemory = specs.filter { $0.storage == .memory }.map(memory).sorted(by: >)
    guard let most = inMemory.first else { return }
    if let (limit, bytes) = limits.memory, most > bytes {
      throw .noMemory(needed: most, available: bytes, limit: limit)
    }
    let together = inMemory.prefix(max(1, plan.jobs)).reduce(0, +)
    if let available = limits.available, together > available {
      throw .noMemory(needed: together, available: available, limit: nil)
    }
  }

  /// Descriptors that a worker has open at the least: its streams, a bell, the metadata's two copies, the lock, a file
  /// of the harness's, and of each log a writer.
  static func descriptors(_ spec: TrialSpec) -> Int64 {
    spec.storage == .memory ? 8 : Int64(10 + spec.partitions)
  }

  /// Bytes of the largest file that it writes for certain: the journal, or the zeros ahead of the first commit.
  static func largestFile(_ spec: TrialSpec) -> Int64 {
    let journal = Int64(Journal.rowsNeeded(spec) * MemoryLayout<Journal.Row>.stride + MemoryLayout<Journal.Head>.stride)
    let zeros: Int64 = spec.syncPolicy == .always && spec.system == .tornlog && spec.delivery == nil ? 256 << 10 : 0
    return spec.storage == .memory || spec.client != nil ? journal : max(journal, zeros)
  }

  /// Bytes that a worker maps at the least for a trial in memory: itself, and each message once.
  static func memory(_ spec: TrialSpec) -> Int64 {
    let (bytes, overflow) = Int64(spec.messages).multipliedReportingOverflow(by: Int64(spec.messageSize))
    return overflow ? .max : (64 << 20) + bytes
  }

  /// `man 5 proc_meminfo`: what can be had without swapping, and the swap that is free.
  static var availableMemory: Int64? {
    guard let text = SmallFile.read("/proc/meminfo") else { return nil }
    func bytes(_ name: String) -> Int64? {
      SmallFile.value(of: name, in: text)?.split(separator: " ").first.flatMap { Int64($0) }.map { $0 << 10 }
    }
    return bytes("MemAvailable").map { $0 + (bytes("SwapFree") ?? 0) }
  }
}
