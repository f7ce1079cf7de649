import Glibc
import Storage

/// The folder that a bench run works in, see `WorkFolder`; below `--dir`, removed when the run ends.
final class BenchScratch {
  let path: String
  /// Held as long as this process works in it.
  private let lock: WorkFolder?

  init(in directory: String) throws(BenchError) {
    do { path = try WorkFolder.make(in: directory) } catch { throw .scratch(error) }
    lock = WorkFolder(locking: path)
  }

  /// An empty folder; what an earlier run left in it is gone.
  func folder(_ name: String) throws(BenchError) -> String {
    let folder = path + "/" + name
    WorkFolder.removeTree(folder)
    try Self.make(folder)
    return folder
  }

  deinit { WorkFolder.removeTree(path) }

  private static func make(_ path: String) throws(BenchError) {
    guard mkdir(path, 0o700) == 0 else { throw .directory(path, errno: errno) }
  }
}

extension BenchScratch {
  /// The names in a directory, sorted.
  static func names(in directory: String) throws(BenchError) -> [String] {
    guard let stream = opendir(directory) else { throw .directory(directory, errno: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Paths of all regular files below a directory.
  static func files(below directory: String) throws(BenchError) -> [String] {
    var found: [String] = []
    for name in try names(in: directory) {
      let path = "\(directory)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { throw .directory(path, errno: errno) }
      if status.st_mode & S_IFMT == S_IFDIR { found += try files(below: path) }
      if status.st_mode & S_IFMT == S_IFREG { found.append(path) }
    }
    return found
  }
}

/// Why a bench run ended without a table.
public enum BenchError: Error, Hashable, Sendable {
  case directory(String, errno: Int32)
  /// The run's own folder could not be made.
  case scratch(StorageError)
  /// `--only` left nothing, or no subject was given.
  case nothingSelected
  case invalidOption(String, value: String, expected: String)
  case interrupted
  /// A peer, see `PeerSubject`, failed.
  case peerFailed(String)
  /// The process that was to recover did not.
  case recoveryFailed(String)
  /// The same, for want of room, say: the machine is to blame.
  case recoveryImpossible(String)
  /// Not everything was there again: its time says nothing.
  case wrongRecovery(RecoveryKind, recovered: Int, of: Int)
}

extension BenchError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .directory(let path, let number):
      "\(path): \(String(cString: strerror(number))) (choose a directory that exists and that you may write with --dir)"
    case .scratch(let error): "\(error)" + (error.isNotFound ? " (choose a directory that exists with --dir)" : "")
    case .nothingSelected:
      "nothing to measure (leave --only away, or give it append, scan, recovery, partitions or commits)"
    case .invalidOption(let option, let value, let expected): "\(option) \(value): expected \(expected)"
    case .recoveryImpossible(let why): "the process that was to recover could not: \(why)"
    case .recoveryFailed(let why): "the process that was to recover ended without an answer: \(why)"
    case .wrongRecovery(let kind, let recovered, let all):
      "recovery of \(kind.rawValue): \(recovered) of \(all) messages are there again"
    case .peerFailed(let why): "a peer failed: \(why)"
    case .interrupted: "interrupted; nothing is left behind"
    }
  }

  /// As COMMANDS has it.
  public var exitCode: Int32 {
    switch self {
    case .directory, .scratch, .recoveryImpossible: 69
    case .nothingSelected: 3
    case .invalidOption: 64
    case .interrupted: 130
    case .recoveryFailed, .peerFailed: 70
    case .wrongRecovery: 1
    }
  }
}
