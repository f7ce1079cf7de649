import CProcess
import Glibc

/// Why a driver cannot be used: nothing that the program under test is to blame for.
package enum DriverError: Error, CustomStringConvertible {
  /// There is no such program.
  case notFound(String)
  /// It cannot be started: which step failed, and the errno.
  case notStarted(String, step: String, Int32)
  /// A descriptor or a pipe that this process could not get.
  case system(String, Int32)
  /// It does not keep to the protocol.
  case protocolBroken(String)
  /// It ended before it could be asked for anything.
  case ended(String, log: [String])
  /// It does not answer.
  case silent(String, log: [String])

  package var description: String {
    switch self {
    case .notFound(let name):
      "there is no program '\(name)': give its path, or install it"
    case .notStarted(let name, let step, let code):
      "'\(name)' cannot be started: \(step): \(String(cString: strerror(code)))"
    case .system(let call, let code): "\(call): \(String(cString: strerror(code)))"
    case .protocolBroken(let complaint): complaint + "; 'tornlog driver check' shows what is expected"
    case .ended(let how, let log): "the driver \(how)" + Self.quoted(log)
    case .silent(let what, let log): "the driver does not answer \(what)" + Self.quoted(log)
    }
  }

  private static func quoted(_ log: [String]) -> String {
    log.isEmpty ? "; it wrote nothing on standard error" : "; its last words: \(log.suffix(3).joined(separator: " / "))"
  }
}
