import Glibc

/// Why a tool cannot read, write or judge a log.
public enum LogToolError: Error, Hashable, Sendable {
  /// `what` failed with this errno.
  case system(what: String, path: String, errno: Int32)
  /// The path names something that is no regular file.
  case notAFile(path: String, kind: String)
  /// Nothing in the file tells its format.
  case unknownFormat(path: String)
  case emptyFile(path: String)
  /// A compressed file that is cut off or damaged: nothing in it can be believed.
  case damagedArchive(path: String)
  case noLogs(path: String)
  /// A file stands where a new one is to be made.
  case exists(path: String)
  case sameFile(path: String)
  /// Somebody has the log open.
  case inUse(path: String)
  /// What was asked cannot be done with this log, and why.
  case refused(path: String, why: String)
  /// What was written does not read back as it should.
  case differs(path: String, why: String)
}

extension LogToolError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .system(let what, let path, let code): "cannot \(what) \(path): \(String(cString: strerror(code)))"
    case .notAFile(let path, let kind): "\(path) is \(kind), not a regular file"
    case .unknownFormat(let path): "nothing in \(path) tells its format; say which it is with --format"
    case .emptyFile(let path): "\(path) is empty, so that nothing tells its format; say which it is with --format"
    case .damagedArchive(let path):
      "\(path) is cut off or damaged, and nothing in a compressed file that is can be believed; use another copy"
    case .noLogs(let path): "there is no log in \(path); name a file, or a folder that holds some"
    case .exists(let path): "\(path) exists, and no file is written over; name another one"
    case .sameFile(let path): "\(path) is both input and output; the input is never touched"
    case .inUse(let path): "\(path) is in use by another process; stop that one first, or see --force"
    case .refused(let path, let why): "\(path): \(why)"
    case .differs(let path, let why): "\(path) does not read back as it was written: \(why); the original is as it was"
    }
  }
}
