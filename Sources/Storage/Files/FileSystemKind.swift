import Glibc

/// The file system that a path lies on, by the kernel's list of mounts (`man 5 proc`, /proc/self/mountinfo): unlike
/// `statfs`, it tells ext4 from ext3 and needs no table of magic numbers.
public struct FileSystemKind: Hashable, Sendable {
  /// `ext4`, `xfs`, `tmpfs`, `overlay` ...; `unknown` where there is no /proc.
  public var name: String
  /// What is mounted: a device, or a word of the file system's own.
  public var source: String
  public var mountPoint: String
  /// Options of the mount and of the file system: `rw`, `noatime`, `barrier=0`.
  public var options: Set<String> = []

  public init(name: String, source: String, mountPoint: String, options: Set<String> = []) {
    (self.name, self.source, self.mountPoint, self.options) = (name, source, mountPoint, options)
  }

  /// Files on it are memory: nothing of them survives the machine.
  public var isMemory: Bool { ["tmpfs", "ramfs"].contains(name) }
  /// What a sync does there is up to another layer: a server, a program, a file system below.
  public var isDecidedElsewhere: Bool {
    name.hasPrefix("fuse") || ["overlay", "9p", "virtiofs", "nfs", "nfs4", "cifs", "smb3", "ceph"].contains(name)
  }

  /// Of an existing path.
  public static func of(_ path: String) -> FileSystemKind {
    guard let real = realpath(path, nil) else { return unknown }
    defer { free(real) }
    return find(String(cString: real), in: SmallFile.read("/proc/self/mountinfo") ?? "")
  }

  static let unknown = FileSystemKind(name: "unknown", source: "", mountPoint: "")

  /// The deepest mount point above `path`; of equal ones the last, which covers the others.
  static func find(_ path: String, in mountinfo: String) -> FileSystemKind {
    var best = unknown
    for line in mountinfo.split(separator: "\n") {
      let fields = line.split(separator: " ")
      // 36 35 98:0 /root /mount rw,noatime shared:1 - ext4 /dev/sda1 rw
      guard let dash = fields.firstIndex(of: "-"), dash >= 6, dash + 2 < fields.count else { continue }
      let mount = unescape(fields[4])
      let covers = mount == "/" || path == mount || path.hasPrefix(mount + "/")
      guard covers, mount.utf8.count >= best.mountPoint.utf8.count else { continue }
      best = FileSystemKind(name: String(fields[dash + 1]), source: unescape(fields[dash + 2]), mountPoint: mount)
      for list in [fields[5], dash + 3 < fields.count ? fields[dash + 3] : ""] {
        best.options.formUnion(list.split(separator: ",").map(String.init))
      }
    }
    return best
  }

  /// Space, tab, newline and backslash are written as three octal digits.
  private static func unescape(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = field.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3, let code = UInt8(String(rest.prefix(3)) ?? "", radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
