import Glibc
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Why a tuning run ended without an answer.
public enum TuningError: Error, Hashable, Sendable {
  /// So many bytes are free, and a run may need so many.
  case noRoom(String, free: Int64, needed: Int64)
  /// A run of one setting did not end.
  case hung(String, String)
  /// A raw loop, or the engine's own storage, failed.
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
    case .noRoom(let path, let free, let needed):
      "\(path) has \(free >> 20) MiB free, and a run may need \(needed >> 20) MiB (free space there, or name another "
        + "directory with --dir)"
    case .hung(let what, let how): "\(what) did not end: \(how)"
    case .disk(let path, let number):
      "\(path): \(String(cString: strerror(number)))"
        + (number == ENOSPC || number == EDQUOT
          ? " (free space there, or name another directory with --dir)"
          : " (name a directory that exists and that you may write with --dir)")
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
    case .disk, .noRoom: 69
    case .comparison: 65
    case .hung, .corrupted: 1
    case .engine: 70
    case .interrupted: 130
    }
  }
}

extension TuningError {
  /// What stopped a run. A full disk, or one that cannot be written, is no failure of the engine.
  init(_ error: any Error) {
    switch error {
    case let error as TuningError: self = error
    case let error as StorageError: self.init(error)
    case EngineError.storage(let error), EngineError.log(_, .storage(let error)),
      EngineError.log(_, .poisoned(let error)):
      self.init(error)
    default: self = .engine("\(error)")
    }
  }

  init(_ error: StorageError) {
    if case .errno(let number) = error.code {
      self = .disk(error.path, errno: number)
    } else {
      self = .engine("\(error)")
    }
  }
}
