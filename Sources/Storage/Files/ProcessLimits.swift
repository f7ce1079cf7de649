import Glibc

/// The limits that the kernel sets to this process and to those that it starts (`man 2 getrlimit`).
public enum ProcessLimit: String, Hashable, Sendable, CaseIterable {
  /// Descriptors of one process.
  case openFiles
  /// Bytes of one file.
  case fileSize
  /// Bytes that one process may map.
  case addressSpace
  /// Bytes of one process's own data.
  case data
  /// Processes and threads of one user.
  case processes
  /// Bytes that one process may lock in memory.
  case lockedMemory
  /// Seconds that one process may have of a processor.
  case processorTime

  private var resource: __rlimit_resource_t {
    switch self {
    case .openFiles: __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    case .fileSize: __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    case .addressSpace: __rlimit_resource_t(RLIMIT_AS.rawValue)
    case .data: __rlimit_resource_t(RLIMIT_DATA.rawValue)
    // The two that POSIX does not have: `/usr/include/bits/resource.h`.
    case .processes: __rlimit_resource_t(__RLIMIT_NPROC.rawValue)
    case .lockedMemory: __rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue)
    case .processorTime: __rlimit_resource_t(RLIMIT_CPU.rawValue)
    }
  }

  /// The name in `man 2 getrlimit`.
  public var name: String {
    switch self {
    case .openFiles: "RLIMIT_NOFILE"
    case .fileSize: "RLIMIT_FSIZE"
    case .addressSpace: "RLIMIT_AS"
    case .data: "RLIMIT_DATA"
    case .processes: "RLIMIT_NPROC"
    case .lockedMemory: "RLIMIT_MEMLOCK"
    case .processorTime: "RLIMIT_CPU"
    }
  }

  /// The command of a shell that raises it.
  public var command: String {
    switch self {
    case .openFiles: "ulimit -n"
    case .fileSize: "ulimit -f"
    case .addressSpace: "ulimit -v"
    case .data: "ulimit -d"
    case .processes: "ulimit -u"
    case .lockedMemory: "ulimit -l"
    case .processorTime: "ulimit -t"
    }
  }

  private var both: rlimit {
    var both = rlimit()
    // The one error that it knows here is EINVAL, for a limit that the kernel does not have.
    return getrlimit(resource, &both) == 0 ? both : rlimit(rlim_cur: .max, rlim_max: .max)
  }

  private static func value(_ limit: rlim_t) -> Int64? { limit > rlim_t(Int64.max) ? nil : Int64(limit) }

  /// What counts now; nil where there is no limit.
  public var soft: Int64? { Self.value(both.rlim_cur) }
  /// What the process may raise it to; nil where there is no limit.
  public var hard: Int64? { Self.value(both.rlim_max) }

  /// Those that `raiseAll` raises. A limit of processor time that is reached at once ends the process with SIGKILL and
  /// without the warning that SIGXCPU is: that one stays.
  static let raised: [ProcessLimit] = [.openFiles, .fileSize, .addressSpace, .data, .processes, .lockedMemory]

  /// Raises the soft limits of this process to its hard ones, which everybody may. What it starts later has them too.
  public static func raiseAll() {
    for limit in raised {
      var both = limit.both
      guard both.rlim_cur < both.rlim_max else { continue }
      both.rlim_cur = both.rlim_max
      // Above what the kernel permits (`fs.nr_open`) the soft limit stays where it is.
      _ = setrlimit(limit.resource, &both)
    }
  }

  /// The lower of the two limits of memory; nil where there is none.
  public static var memory: (limit: ProcessLimit, bytes: Int64)? {
    [addressSpace, data].compactMap { limit in limit.soft.map { (limit, $0) } }.min { $0.1 < $1.1 }
  }
}

/// Errors that say that a limit of the machine, of the process or of its user has been reached, and not that the disk,
/// or what was asked of it, is at fault.
public enum Shortage {
  /// `man 3 errno`. A full disk (ENOSPC) is none: every trial meets it, and no limit is to be raised.
  public static func isOne(_ code: Int32) -> Bool {
    switch code {
    // ECANCELED: the kernel had no thread for what a ring was given (`man 7 io_uring`); nobody here cancels anything.
    case EMFILE, ENFILE, EFBIG, ENOMEM, EDQUOT, EAGAIN, ENOBUFS, ECANCELED: true
    default: false
    }
  }

  /// What to do about it.
  public static func remedy(_ code: Int32) -> String? {
    switch code {
    case EMFILE: "raise the limit with ulimit -n, or lower --jobs"
    case ENFILE: "the system's table of open files is full: raise sysctl fs.file-max, or lower --jobs"
    case EFBIG: "raise the limit with ulimit -f, or choose another file system with --dir"
    case ENOMEM: "raise the limits with ulimit -v and ulimit -l, or lower --jobs"
    case EDQUOT: "this user's quota is used up: free space there, or choose another place with --dir"
    case EAGAIN: "raise the number of processes with ulimit -u, or lower --jobs"
    case ENOBUFS: "the kernel has no buffers left: lower --jobs"
    case ECANCELED:
      "the kernel had no thread for io_uring: raise the number of processes with ulimit -u, lower --jobs, or say "
        + "--storage posix"
    default: nil
    }
  }

  /// The error in words, with the remedy.
  public static func text(_ code: Int32) -> String {
    errnoText(code) + (remedy(code).map { " (\($0))" } ?? "")
  }

  /// The same of a failed operation. Some errors say by themselves what to do; of others that depends on whose they
  /// are.
  public static func text(_ error: StorageError) -> String {
    let text = "\(error)"
    guard case .errno(let code) = error.code, let remedy = remedy(code), !text.hasSuffix(")") else { return text }
    return "\(text) (\(remedy))"
  }
}
