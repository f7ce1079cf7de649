import Glibc
import LogModel
import Storage

/// What keeps a trial from being run or judged: never the engine's failure, which is a finding.
public enum TrialError: Error, Hashable, Sendable {
  /// A system call of the harness itself failed.
  case system(String, String, Int32)
  /// The worker process could not be started or spoken to.
  case worker(String)
  /// A fault that the scenario asks for does not exist.
  case unknownFault(String)
  /// A fault could not be placed: there was nothing to hit.
  case faultMissed(String)
  /// The directory for the trials' files cannot be used.
  case directory(StorageError)
  case unknownDefect(String)
  /// What the trial's system cannot be asked for; the text says why.
  case notOfSystem(String)
  /// `--storage ring`, and the kernel says no.
  case ringRefused(StorageError)
  /// The trials that run at the same time do not fit; bytes.
  case noRoom(String, needed: Int64, free: Int64)
  /// The machine failed under a trial, and no fault of the trial's had asked for it.
  case machine(String)
  /// A limit of the machine, of the process or of its user has been reached: what, and what to do.
  case shortage(String)
  /// A limit is lower than what the trials need for certain.
  case limitTooLow(ProcessLimit, value: Int64, needed: Int64, by: String)
  /// Trials in memory need more than there is; bytes.
  case noMemory(needed: Int64, available: Int64, limit: ProcessLimit?)

  /// Whether the environment is to blame and not the harness.
  public var isEnvironment: Bool {
    switch self {
    case .system, .directory, .ringRefused, .noRoom, .machine, .shortage, .limitTooLow, .noMemory: true
    case .worker, .unknownFault, .faultMissed, .unknownDefect, .notOfSystem: false
    }
  }

  /// Whether a limit of the machine decided: there is no verdict on the trial, and the next one may well have one.
  public var isShortage: Bool {
    switch self {
    case .shortage: true
    case .system(_, _, let code): Shortage.isOne(code)
    case .directory(let error), .ringRefused(let error):
      if case .errno(let code) = error.code { Shortage.isOne(code) } else { false }
    case .worker, .unknownFault, .faultMissed, .unknownDefect, .noRoom, .notOfSystem, .machine, .limitTooLow, .noMemory: false
    }
  }
}

extension TrialError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .system(let what, let path, let code):
      "cannot \(what) \(path): \(code == ENOSPC ? "\(String(cString: strerror(code))) (free space there, or choose another place with --dir)" : Shortage.text(code))"
    case .ringRefused(let error):
      "io_uring is refused here: \(error). `tornlog doctor` says why; --storage posix does without it"
    case .noRoom(let path, let needed, let free):
      "\(path) has \(free >> 20) MiB free and the trials need up to \(needed >> 20) MiB at a time; free space, choose another place with --dir, or lower --jobs"
    case .machine(let text), .shortage(let text): text
    case .limitTooLow(let limit, let value, let needed, let what):
      "\(limit.name) is \(value) and \(what) needs \(needed): raise the limit with \(limit.command), or leave the trial out"
    case .noMemory(let needed, let available, let limit):
      "the trials in memory need at least \(needed >> 20) MiB at a time, and "
        + (limit.map { "\($0.name) allows \(available >> 20) MiB: raise the limit with \($0.command)" }
          ?? "the machine has \(available >> 20) MiB: lower --jobs")
        + ", use --storage auto, or ask for fewer messages"
    case .worker(let text): "worker process: \(text)"
    case .unknownFault(let kind): "there is no fault `\(kind)`"
    case .faultMissed(let text): "the fault did not fire: \(text)"
    case .directory(let error) where error.isNotFound: "\(error) (create it, or choose another place with --dir)"
    case .directory(let error): "\(error)"
    case .notOfSystem(let text): text
    case .unknownDefect(let id): "there is no defect `\(id)`; `tornlog list --defects` names them"
    }
  }
}
