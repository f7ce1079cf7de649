import Glibc
import LogModel
import PartitionEngine
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
}

extension TrialError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .system(let what, let path, let code): "cannot \(what) \(path): \(String(cString: strerror(code)))"
    case .worker(let text): "worker process: \(text)"
    case .unknownFault(let kind): "there is no fault `\(kind)`"
    case .faultMissed(let text): "the fault did not fire: \(text)"
    case .directory(let error): "\(error)"
    case .unknownDefect(let id): "there is no defect `\(id)`; `tornlog list --defects` names them"
    }
  }
}
