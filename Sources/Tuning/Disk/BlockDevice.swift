import Glibc
import Storage

/// What sysfs says of the block device below a folder (`Documentation/ABI/stable/sysfs-block` of the kernel).
struct BlockDevice: Hashable, Sendable {
  /// `write back` or `write through`; nil where the kernel does not say.
  var writeCache: String?
  /// A disk with platters.
  var isRotational: Bool?
  /// The name of its driver's device, `vda` say: virtual ones are called so.
  var name: String?

  /// Nil where the folder lies on no block device of its own.
  static func under(_ directory: String) -> BlockDevice? {
    var status = stat()
    guard stat(directory, &status) == 0 else { return nil }
    let device = UInt64(status.st_dev)
    // gnu_dev_major and gnu_dev_minor (`man 3 makedev`), which are macros.
    let major = ((device >> 8) & 0xFFF) | ((device >> 32) & ~0xFFF)
    let minor = (device & 0xFF) | ((device >> 12) & ~0xFF)
    let block = "/sys/dev/block/\(major):\(minor)"
    for queue in ["\(block)/queue", "\(block)/../queue"] where access(queue, F_OK) == 0 {
      var found = BlockDevice()
      found.writeCache = line(queue + "/write_cache")
      found.isRotational = line(queue + "/rotational").map { $0 == "1" }
      found.name = realpath(block, nil).map { path in
        defer { free(path) }
        return String(String(cString: path).split(separator: "/").last ?? "")
      }
      return found
    }
    return nil
  }

  private static func line(_ path: String) -> String? {
    SmallFile.read(path)?.split(separator: "\n").first.map(String.init)
  }

  /// A disk of a virtual machine.
  var isVirtual: Bool { name.map { $0.hasPrefix("vd") || $0.hasPrefix("xvd") } ?? false }
  /// A file on another file system.
  var isLoop: Bool { name.map { $0.hasPrefix("loop") } ?? false }
}
