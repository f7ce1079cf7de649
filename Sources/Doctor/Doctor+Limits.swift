import Glibc
import Storage

/// The limits that decide whether trials have a verdict. Soft limits have been raised to the hard ones by then, as they
/// are in a run.
extension Doctor {
  /// - Parameter table: /proc/self/limits (`man 5 proc_pid_limits`).
  static func limits(_ table: String) -> [Finding] {
    [fileSize(table), memory(table), processes(table), processorTime(table)]
  }

  static func fileSize(_ table: String) -> Finding {
    guard let limit = softLimit("Max file size", in: table) else {
      return Finding("file size", .ok, "unlimited, or not told")
    }
    let detail = "\(bytesText(limit)) (RLIMIT_FSIZE)"
    if limit >= 64 << 20 { return Finding("file size", .ok, detail) }
    return Finding(
      "file size", .warning, "\(detail): trials whose files grow beyond it have no verdict",
      remedy: "ulimit -f unlimited; under systemd LimitFSIZE=infinity")
  }

  static func memory(_ table: String) -> Finding {
    let limits = [("Max address space", "RLIMIT_AS", "ulimit -v"), ("Max data size", "RLIMIT_DATA", "ulimit -d")]
      .compactMap { line, name, command in softLimit(line, in: table).map { (bytes: $0, name: name, command: command) }
      }
    guard let lowest = limits.min(by: { $0.bytes < $1.bytes }) else {
      return Finding("memory limit", .ok, "unlimited, or not told")
    }
    let detail = "\(bytesText(lowest.bytes)) for a process (\(lowest.name))"
    if lowest.bytes >= 2 << 30 { return Finding("memory limit", .ok, detail) }
    return Finding(
      "memory limit", .warning, "\(detail): larger trials in memory, and explorations with many threads, run out of it",
      remedy: "\(lowest.command) unlimited, or fewer --jobs and --storage auto")
  }

  /// Root has no such limit (`man 2 getrlimit`, RLIMIT_NPROC).
  static func processes(_ table: String, isRoot: Bool = geteuid() == 0) -> Finding {
    guard !isRoot, let limit = softLimit("Max processes", in: table) else {
      return Finding("processes", .ok, "unlimited, or not told")
    }
    let detail = "\(limit) processes and threads of this user (RLIMIT_NPROC)"
    if limit >= 256 { return Finding("processes", .ok, detail) }
    return Finding(
      "processes", .warning, "\(detail): trials that cannot start a process or a thread have no verdict",
      remedy: "ulimit -u 256 or more, or --jobs 1")
  }

  static func processorTime(_ table: String) -> Finding {
    guard let limit = softLimit("Max cpu time", in: table) else {
      return Finding("processor time", .ok, "unlimited, or not told")
    }
    return Finding(
      "processor time", .warning, "\(limit) s for a process (RLIMIT_CPU): what takes longer is ended",
      remedy: "ulimit -t unlimited")
  }
}
