import Glibc
import LogModel

/// Why a tuning run ended without an answer.
public enum TuningError: Error, Hashable, Sendable {
  case directory(String, errno: Int32)
  case invalidOption(String, value: String, expected: String)
  /// A run of one setting did not end.
  case hung(String, String)
  /// A raw loop on the disk failed.
  case disk(String, errno: Int32)
  /// The engine failed while it was measured, with no fault injected.
  case engine(String)
  /// What recovery kept is not what was produced: a finding, and no figure.
  case corrupted(String)
  /// The report of `--compare` cannot be read.
  case comparison(String, String)
  case interrupted
}

extension TuningError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .directory(let path, let number):
      "\(path): \(String(cString: strerror(number))) (name a directory that exists and that you may write with --dir)"
    case .invalidOption(let option, let value, let expected): "\(option) \(value): expected \(expected)"
    case .hung(let what, let how): "\(what) did not end: \(how)"
    case .disk(let path, let number):
      "\(path): \(String(cString: strerror(number)))"
        + (number == ENOSPC || number == EDQUOT ? " (free space there, or name another directory with --dir)" : "")
    case .engine(let text): "the engine failed while it was measured: \(text)"
    case .corrupted(let text): "\(text). Run `tornlog run` to find out what is wrong"
    case .comparison(let path, let why):
      "--compare \(path): \(why) (name a report that `tornlog tune --report json=PATH` wrote)"
    case .interrupted: "interrupted; nothing is left behind"
    }
  }

  /// As `docs/cli.md` has it.
  public var exitCode: Int32 {
    switch self {
    case .directory, .disk: 69
    case .invalidOption: 64
    case .comparison: 65
    case .hung, .corrupted: 1
    case .engine: 70
    case .interrupted: 130
    }
  }
}
