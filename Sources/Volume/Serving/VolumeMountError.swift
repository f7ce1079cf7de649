import Glibc

/// Why a volume could not be mounted, and what to do.
package enum VolumeMountError: Error, Equatable, Sendable, CustomStringConvertible {
  /// There is no /dev/fuse, or it may not be opened (errno).
  case noDevice(Int32)
  /// The kernel or fusermount3 refuses; `said` is libfuse's word where it has one.
  case notPermitted(said: String)
  /// Something is mounted there already.
  case busy(String)
  /// The mount point cannot be made or used (errno).
  case folder(String, Int32)
  /// Anything else: what was tried, and the errno.
  case failed(String, Int32)

  package var description: String {
    switch self {
    case .noDevice(let code):
      "there is no /dev/fuse to open (\(text(code))): load the kernel's module (modprobe fuse), or start the"
        + " container with --device /dev/fuse --cap-add SYS_ADMIN"
    case .notPermitted(let said):
      "mounting is not permitted" + (said.isEmpty ? "" : " (\(said))")
        + ": run as root, or install fusermount3 (Debian's package fuse3); in a container add"
        + " --device /dev/fuse --cap-add SYS_ADMIN, and --security-opt apparmor=unconfined where AppArmor is on"
    case .busy(let folder):
      "something is mounted at \(folder) already: choose another folder, or end it with `umount -l \(folder)`"
    case .folder(let folder, let code):
      "\(folder) cannot be a mount point (\(text(code))): name an empty folder, or one that can be made"
    case .failed(let what, let code): "\(what) failed (\(text(code)))"
    }
  }

  private func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
