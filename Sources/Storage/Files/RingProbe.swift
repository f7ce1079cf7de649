import CURing

/// Whether this process may use io_uring.
public enum RingProbe {
  /// Opens a ring, passes an operation through it, and closes it. 0, or the kernel's errno: ENOSYS (no io_uring, or a
  /// seccomp filter that says so), EPERM (a seccomp filter, or `kernel.io_uring_disabled`), ENOMEM (RLIMIT_MEMLOCK),
  /// ETIMEDOUT (no operation came back).
  public static func errno() -> Int32 { tl_probe_ring() }
}

/// Whether a directory's file system honours `O_DIRECT`: found out by writing, since some accept the flag in
/// `open` and refuse the write.
public enum DirectIOProbe {
  /// `unit` is the smallest write in bytes that was taken, 512 or 4096; `errno` is EINVAL where direct I/O is refused.
  public static func write(in directory: String, name: String) -> (errno: Int32, unit: Int) {
    var unit: Int32 = 0
    let error = tl_probe_direct(directory + "/" + name, &unit)
    return (error, Int(unit))
  }
}
