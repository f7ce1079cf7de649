import Glibc
import Storage

extension Doctor {
  /// Whether files can be made there; the checks of the disk need that.
  static func examineDirectory(_ directory: String) -> (findings: [Finding], isUsable: Bool) {
    func failure(_ detail: String, _ remedy: String) -> (findings: [Finding], isUsable: Bool) {
      ([Finding("directory", .failure, "\(directory): \(detail)", remedy: remedy)], false)
    }
    var info = stat()
    guard stat(directory, &info) == 0 else {
      let number = errno
      let remedy =
        number == ENOENT ? "create it, or choose another place with --dir" : "choose another place with --dir"
      return failure(String(cString: strerror(number)), remedy)
    }
    guard info.st_mode & S_IFMT == S_IFDIR else { return failure("is a file", "name a directory with --dir") }
    // Not access(2): only a file that was made shows that one can be made (ACLs, read-only mounts, quotas).
    let path = "\(directory)/\(probeName)"
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      let number = errno
      let remedy =
        switch number {
        case EACCES, EPERM: "give this user write access, or choose another place with --dir"
        case EROFS: "the file system is read-only; choose another place with --dir"
        case ENOSPC, EDQUOT: "free space there, or choose another place with --dir"
        default: "choose another place with --dir"
        }
      return failure("no file can be made there: \(String(cString: strerror(number)))", remedy)
    }
    close(descriptor)
    unlink(path)
    return ([Finding("directory", .ok, "\(directory) can be written")], true)
  }

  static func disk(_ directory: String) -> [Finding] {
    [fileSystem(FileSystemKind.of(directory)), directIO(directory), freeSpace(directory), blockSize(directory)]
  }

  static func fileSystem(_ kind: FileSystemKind) -> Finding {
    let place = kind.mountPoint.isEmpty ? kind.name : "\(kind.name) (\(kind.source) on \(kind.mountPoint))"
    if kind.isMemory {
      return Finding(
        "file system", .warning, "\(place) is memory: syncs cost nothing, so figures say nothing about a disk",
        remedy: "choose a directory on a disk with --dir")
    }
    if kind.isDecidedElsewhere {
      return Finding(
        "file system", .warning, "\(place): what a sync does there is up to another layer",
        remedy: "choose a directory on a local disk with --dir; in a container, mount a volume")
    }
    return Finding("file system", .ok, place)
  }

  static func directIO(_ directory: String) -> Finding {
    let result = DirectIOProbe.write(in: directory, name: probeName)
    if result.errno == 0 { return Finding("O_DIRECT", .ok, "honoured in units of \(result.unit) bytes") }
    return Finding(
      "O_DIRECT", .warning, "refused: \(String(cString: strerror(result.errno))); commits go through the page cache",
      remedy: "choose a directory on ext4, xfs or btrfs with --dir")
  }

  /// The full ladder's largest cell holds 500 MB of messages, its log and a copy.
  static func freeSpace(_ directory: String) -> Finding {
    var info = statvfs()
    guard statvfs(directory, &info) == 0 else {
      return Finding("free space", .warning, "not told: \(String(cString: strerror(errno)))")
    }
    let free = Int(info.f_bavail) * Int(info.f_frsize)
    let remedy = "free space there, or choose another place with --dir"
    if free < 64 << 20 {
      return Finding("free space", .failure, "\(bytesText(free)); the quick suite needs 64 MiB", remedy: remedy)
    }
    if free < 2 << 30 {
      return Finding("free space", .warning, "\(bytesText(free)); the full ladder needs 2 GiB", remedy: remedy)
    }
    return Finding("free space", .ok, bytesText(free))
  }

  /// By sysfs, for file systems on one block device; a partition has its disk's queue one level up.
  static func blockSize(_ directory: String) -> Finding {
    var info = stat()
    guard stat(directory, &info) == 0 else { return Finding("block size", .ok, "unknown") }
    let device = UInt64(info.st_dev)
    // gnu_dev_major and gnu_dev_minor (`man 3 makedev`), which are macros.
    let major = ((device >> 8) & 0xFFF) | ((device >> 32) & ~0xFFF)
    let minor = (device & 0xFF) | ((device >> 12) & ~0xFF)
    let block = "/sys/dev/block/\(major):\(minor)"
    for folder in ["\(block)/queue", "\(block)/../queue"] {
      if let logical = firstLine(of: folder + "/logical_block_size") {
        let physical = firstLine(of: folder + "/physical_block_size") ?? logical
        let cache = firstLine(of: folder + "/write_cache").map { ", \($0)" } ?? ""
        return Finding("block size", .ok, "\(logical) bytes logical, \(physical) physical\(cache)")
      }
    }
    return Finding("block size", .ok, "not told (no block device of its own)")
  }

  static func names(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.sorted()
  }

  private static var probeName: String { "tornlog-doctor-\(getpid())" }
}
