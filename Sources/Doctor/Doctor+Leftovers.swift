import CProcess
import Glibc
import Storage

/// What runs that were killed have left behind.
///
/// A run holds a lock on its folder as long as it lives (`man 2 flock`): the kernel takes it away with the process, in
/// whatever name space of processes that one was. Between making the folder and locking it lies a moment: then the
/// process in its name is alive.
extension Doctor {
  /// In `directory`, in the place for temporary files, and where the command was called, which is where `bench` works.
  static func leftovers(in directory: String) -> Finding {
    let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var found: [String] = []
    var seen: Set<FolderID> = []
    for folder in [directory, temporary, "."] {
      guard let id = FolderID(folder), seen.insert(id).inserted else { continue }
      found += names(in: folder).filter { Leftover(name: $0) != nil }.map { folder == "." ? $0 : "\(folder)/\($0)" }
    }
    found = found.filter(isLeftover)
    // Whoever had made a folder and not yet locked it has locked it now.
    if !found.isEmpty {
      usleep(100_000)
      found = found.filter(isLeftover)
    }
    guard let first = found.first else { return Finding("left-overs", .ok, "none") }
    let more = found.count > 1 ? " and \(found.count - 1) more" : ""
    return Finding(
      "left-overs", .warning, "\(first)\(more), of runs that were killed",
      remedy: "rm -r " + found.prefix(4).map(quoted).joined(separator: " ") + (found.count > 4 ? " ..." : ""))
  }

  /// The same folder, by whatever name.
  private struct FolderID: Hashable {
    var device, inode: UInt64

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
  }

  /// As a shell takes it for one word.
  private static func quoted(_ path: String) -> String {
    let isPlain = path.utf8.allSatisfy { $0 == 0x2F || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F || isLetterOrDigit($0) }
    return isPlain ? path : "'\(path.replacing("'", with: "'\\''"))'"
  }

  fileprivate static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  /// Whether whoever made it is gone. What a run has kept on purpose is none.
  static func isLeftover(_ path: String) -> Bool {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    guard let leftover = Leftover(name: name) else { return false }
    var status = stat()
    guard lstat(path, &status) == 0 else { return false }
    switch (leftover.kind, status.st_mode & S_IFMT) {
    case (.folder, S_IFDIR):
      guard access(path + "/" + WorkFolder.kept, F_OK) != 0, !WorkFolder.isLocked(path) else { return false }
    case (.file, S_IFREG): break
    default: return false
    }
    return leftover.process.map { !isAlive($0, since: Int(status.st_mtim.tv_sec)) } ?? true
  }

  /// Whether the process of that number may be the one that last changed a file then. One that began later has its
  /// number from a process that is gone.
  private static func isAlive(_ process: pid_t, since changed: Int) -> Bool {
    // EPERM: alive, and another user's (`man 2 kill`).
    guard kill(process, 0) == 0 || errno != ESRCH else { return false }
    guard let began = beginning(of: process) else { return true }
    // Clocks of the file system lag by a tick.
    return began <= changed + 2
  }

  /// In seconds since 1970 (`man 5 proc_pid_stat`: the 22nd field, in ticks since the boot; `man 5 proc_stat`: btime).
  static func beginning(of process: pid_t) -> Int? {
    guard let stat = SmallFile.read("/proc/\(process)/stat"), let boot = SmallFile.read("/proc/stat"),
      let line = boot.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
      let booted = Int(line.dropFirst(6)),
      let names = stat.lastIndex(of: ")")
    else { return nil }
    // The name of the command, in brackets, is the second field.
    let fields = stat[stat.index(after: names)...].split(separator: " ")
    guard fields.count > 19, let ticks = Int(fields[19]) else { return nil }
    return booted + ticks / max(1, Int(sysconf(Int32(_SC_CLK_TCK))))
  }
}

/// A name that tornlog gives to what it makes and removes again.
struct Leftover: Equatable {
  enum Kind { case folder, file }

  var kind: Kind
  /// Whose it is; nil where the name does not say.
  var process: pid_t?

  /// | name                      | of                                    |
  /// |---------------------------|---------------------------------------|
  /// | `tornlog-PID-XXXXXX`      | `run`, `reproduce`, `shrink`, `defects`, `tune`, `bench` |
  /// | `tornlog-real-XXXXXX`     | `explore disks`                       |
  /// | `tornlog-boot-PID-XXXXXX`, files | `test`: the boot ID that a program sees |
  /// | `tornlog-WORD-PID`, files | traces of `reproduce`, `shrink` and `defects`; probes of `doctor` |
  init?(name: String) {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3 || parts.count == 4 && parts[1] == "boot", parts[0] == "tornlog" else { return nil }
    func number(_ text: String) -> pid_t? { text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? pid_t(text) : nil }
    let last = parts[parts.count - 1]
    let isRandom = last.utf8.count == 6 && last.utf8.allSatisfy(Doctor.isLetterOrDigit)
    switch parts[1] {
    case "boot" where parts.count == 4 && isRandom: (kind, process) = (.file, number(parts[2]))
    case "real" where isRandom: (kind, process) = (.folder, nil)
    case "trace", "shrink", "defects", "doctor": (kind, process) = (.file, number(parts[2]))
    case let word where isRandom && number(word) != nil: (kind, process) = (.folder, number(word))
    default: return nil
    }
    if process == nil, parts[1] != "real" { return nil }
  }
}
