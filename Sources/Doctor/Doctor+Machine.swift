import Glibc
import Storage

extension Doctor {
  static func machine() -> [Finding] {
    let status = SmallFile.read("/proc/self/status") ?? ""
    let limits = SmallFile.read("/proc/self/limits") ?? ""
    return [
      kernel(release: firstLine(of: "/proc/sys/kernel/osrelease")),
      ring(
        errno: getenv("TORNLOG_REFUSE_IO_URING") == nil ? RingProbe.errno() : nil,
        disabled: firstLine(of: "/proc/sys/kernel/io_uring_disabled"), status: status),
      seccomp(status: status),
      lockedMemory(limits: limits, status: status),
      openFiles(limits: limits),
    ] + Self.limits(limits) + volumes(status: status) + [
      user(),
      versions(),
    ]
  }

  /// 5.11 is the first on which all that the ring uses works (waiting with a time-out; registered memory that is not
  /// copied); 6.0 has IORING_SETUP_SINGLE_ISSUER. `man 2 io_uring_setup`, `man 2 io_uring_enter`.
  static func kernel(release: String?) -> Finding {
    guard let release else {
      return Finding("kernel", .warning, "/proc/sys/kernel/osrelease cannot be read", remedy: "mount /proc")
    }
    let numbers = release.split { $0 == "." || $0 == "-" }.prefix(2).compactMap { Int($0) }
    guard numbers.count == 2 else { return Finding("kernel", .warning, "\(release): not a version number") }
    let (major, minor) = (numbers[0], numbers[1])
    if (major, minor) < (5, 11) {
      return Finding(
        "kernel", .warning, "\(release) is older than 5.11: io_uring lacks what tornlog uses",
        remedy: "use a newer kernel, or --storage posix")
    }
    if major < 6 { return Finding("kernel", .ok, "\(release) (6.0 and newer have faster rings)") }
    return Finding("kernel", .ok, release)
  }

  /// - Parameter errno: nil where the environment variable plays a kernel that refuses.
  static func ring(errno: Int32?, disabled: String?, status: String) -> Finding {
    let fallback = "; --storage auto uses pwrite and fdatasync, slower"
    guard let errno else {
      return Finding(
        "io_uring", .warning, "TORNLOG_REFUSE_IO_URING is set\(fallback)", remedy: "unset TORNLOG_REFUSE_IO_URING")
    }
    if errno == 0 { return Finding("io_uring", .ok, "a ring opens, and operations pass through it") }
    let reason = String(cString: strerror(errno))
    let isFiltered = SmallFile.value(of: "Seccomp", in: status) == "2"
    let remedy: String
    if let disabled, disabled != "0" {
      remedy = "sysctl kernel.io_uring_disabled is \(disabled): as root, sysctl -w kernel.io_uring_disabled=0"
    } else if (errno == EPERM || errno == ENOSYS) && isFiltered {
      remedy =
        "a seccomp filter refuses it, as containers' default profiles do: docker run --security-opt "
        + "seccomp=unconfined, or a profile that allows io_uring_setup, io_uring_enter, io_uring_register"
    } else if errno == ENOSYS {
      remedy = "this kernel is built without io_uring (CONFIG_IO_URING)"
    } else if errno == ETIMEDOUT {
      remedy = "a ring opens, and no operation comes back: use --storage posix, and look at `dmesg`"
    } else if errno == ENOMEM {
      remedy = "raise the limit of locked memory: ulimit -l"
    } else {
      remedy = "use --storage posix"
    }
    return Finding("io_uring", .warning, "refused: \(reason)\(fallback)", remedy: remedy)
  }

  /// `man 5 proc_pid_status`: 0 none, 1 strict, 2 filter.
  static func seccomp(status: String) -> Finding {
    switch SmallFile.value(of: "Seccomp", in: status) {
    case "0": Finding("seccomp", .ok, "no filter")
    case "1", "2": Finding("seccomp", .ok, "system calls are filtered; the other checks say what that costs")
    default: Finding("seccomp", .ok, "unknown (no Seccomp line in /proc/self/status)")
    }
  }

  /// What the ring's registered buffers need; the kernel does not count it for CAP_IPC_LOCK (bit 14).
  static func lockedMemory(limits: String, status: String) -> Finding {
    let capabilities = UInt64(SmallFile.value(of: "CapEff", in: status) ?? "", radix: 16) ?? 0
    if capabilities & (1 << 14) != 0 { return Finding("locked memory", .ok, "no limit for this user (CAP_IPC_LOCK)") }
    guard let limit = softLimit("Max locked memory", in: limits) else {
      return Finding("locked memory", .ok, "unlimited, or not told")
    }
    if limit >= 8 << 20 { return Finding("locked memory", .ok, "\(bytesText(limit)) (RLIMIT_MEMLOCK)") }
    return Finding(
      "locked memory", .warning,
      "\(bytesText(limit)) (RLIMIT_MEMLOCK): buffers may not all be registered with the ring",
      remedy: "ulimit -l 8192 or more; in a container --ulimit memlock=-1")
  }

  static func openFiles(limits: String) -> Finding {
    guard let limit = softLimit("Max open files", in: limits) else {
      return Finding("open files", .ok, "unlimited, or not told")
    }
    if limit >= 1024 { return Finding("open files", .ok, "\(limit) (RLIMIT_NOFILE)") }
    return Finding(
      "open files", .warning,
      "\(limit) (RLIMIT_NOFILE): a trial with more than \(max(0, (limit - 18) / 2)) partitions may have no verdict",
      remedy: "ulimit -n 1024 or more, or --jobs 1")
  }

  static func user() -> Finding {
    if geteuid() == 0 {
      return Finding(
        "user", .ok, "root; permission checks do not bind root, so tests of folders without permission are skipped")
    }
    return Finding("user", .ok, "not root; tests that mount a small tmpfs (full disk) are skipped")
  }

  /// By pkg-config's files, which name what the headers belong to.
  static func versions() -> Finding {
    #if compiler(>=6.3)
      let swift = "Swift 6.3 or newer"
    #else
      let swift = "Swift older than 6.3"
    #endif
    let libraries = [("liburing", "liburing"), ("zlib", "zlib")].map { name, file in
      "\(name) \(packageVersion(file) ?? "(version unknown)")"
    }
    return Finding("built with", .ok, ([swift] + libraries).joined(separator: ", "))
  }

  private static func packageVersion(_ name: String) -> String? {
    for folder in [
      "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib",
    ] {
      if let text = SmallFile.read("\(folder)/pkgconfig/\(name).pc") { return SmallFile.value(of: "Version", in: text) }
    }
    return nil
  }

  /// The soft limit of a line of /proc/self/limits (`man 5 proc_pid_limits`); nil: unlimited.
  static func softLimit(_ name: String, in limits: String) -> Int? {
    for line in limits.split(separator: "\n") where line.hasPrefix(name) {
      return line.dropFirst(name.count).split(separator: " ").first.flatMap { Int($0) }
    }
    return nil
  }

  static func firstLine(of path: String) -> String? {
    SmallFile.read(path)?.split(separator: "\n").first.map(String.init)
  }

  /// `8 MiB`, `1.5 GiB`.
  static func bytesText(_ bytes: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(bytes)
    var unit = 0
    while value >= 1024 && unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    let tenths = Int((value * 10).rounded(.down))
    return (tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)") + " " + units[unit]
  }
}
