import Glibc

/// The folder that a bench run works in: `tornlog-bench-<pid>` below `--dir`, removed when the run ends.
final class BenchScratch {
  let path: String

  init(in directory: String) throws(BenchError) {
    path = "\(directory)/tornlog-bench-\(getpid())"
    try Self.make(path)
  }

  /// An empty folder; what an earlier run left in it is gone.
  func folder(_ name: String) throws(BenchError) -> String {
    let folder = path + "/" + name
    Self.remove(folder)
    try Self.make(folder)
    return folder
  }

  deinit { Self.remove(path) }

  private static func make(_ path: String) throws(BenchError) {
    guard mkdir(path, 0o700) == 0 else { throw .directory(path, errno: errno) }
  }

  /// Removes `path` and what is below it; symbolic links are removed, not followed. What cannot be removed stays,
  /// and `tornlog doctor` names it.
  static func remove(_ path: String) {
    if unlink(path) == 0 || errno == ENOENT { return }
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { remove(path + "/" + name) }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}

/// Why a bench run ended without a table.
public enum BenchError: Error, Hashable, Sendable {
  case directory(String, errno: Int32)
  /// `--only` left nothing, or no subject was given.
  case nothingSelected
  case invalidOption(String, value: String, expected: String)
  case interrupted
}

extension BenchError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .directory(let path, let number):
      "\(path): \(String(cString: strerror(number))) (choose a directory that exists and that you may write with --dir)"
    case .nothingSelected: "nothing to measure (leave --only away, or give it append or scan)"
    case .invalidOption(let option, let value, let expected): "\(option) \(value): expected \(expected)"
    case .interrupted: "interrupted; nothing is left behind"
    }
  }

  /// As COMMANDS has it.
  public var exitCode: Int32 {
    switch self {
    case .directory: 69
    case .nothingSelected: 3
    case .invalidOption: 64
    case .interrupted: 130
    }
  }
}
