import Glibc
import Storage

extension Doctor {
  /// Whether `tornlog test`, `audit` and `mount` can mount a volume here: `man 4 fuse`, `man 1 fusermount3`.
  static func volumes(status: String) -> [Finding] {
    let descriptor = open("/dev/fuse", O_RDWR | O_CLOEXEC)
    let code = descriptor < 0 ? errno : 0
    if descriptor >= 0 { close(descriptor) }
    let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    let hasHelper = folders.split(separator: ":").contains { access("\($0)/fusermount3", X_OK) == 0 }
    return volumes(device: code, status: status, isRoot: geteuid() == 0, hasHelper: hasHelper)
  }

  /// - Parameters:
  ///   - device: the errno of opening /dev/fuse, or 0.
  ///   - status: /proc/self/status.
  ///   - hasHelper: fusermount3 is in a folder of PATH.
  static func volumes(device: Int32, status: String, isRoot: Bool, hasHelper: Bool) -> [Finding] {
    let container = "in a container: docker run --device /dev/fuse --cap-add SYS_ADMIN"
    if device != 0 {
      return [
        Finding(
          "volumes", .warning,
          "/dev/fuse cannot be opened (\(String(cString: strerror(device)))): no test, audit or mount of programs",
          remedy: device == ENOENT ? "modprobe fuse; \(container)" : container)
      ]
    }
    /// CAP_SYS_ADMIN, `linux/capability.h`.
    let capabilities = SmallFile.value(of: "CapEff", in: status).flatMap { UInt64($0, radix: 16) } ?? 0
    let mayMount = capabilities & 1 << 21 != 0
    if !mayMount, !hasHelper || isRoot {
      return [
        Finding(
          "volumes", .warning, "nothing can be mounted: no test, audit or mount of programs",
          remedy: isRoot ? container : "apt-get install fuse3, or run as root")
      ]
    }
    let how = mayMount ? "" : " through fusermount3"
    var findings = [Finding("volumes", .ok, "programs can be tested: FUSE mounts\(how)")]
    if !isRoot {
      findings.append(
        Finding(
          "isolation", .warning, "drivers have no namespaces of their own: what leaves its session survives a kill",
          remedy: "run `tornlog test` as root for servers"))
    }
    return findings
  }
}
