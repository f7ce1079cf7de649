import CURing
import Glibc

public enum OperationKind: String, Hashable, Sendable, Codable, CaseIterable {
  case open, close, size, read, write, sync, truncate, makeDirectory, syncDirectory, rename, unlink, list
  case lock, linkCount
}

/// What went wrong, on which file, where.
public struct StorageError: Error, Hashable, Sendable {
  /// The kernel's word for it (`man 3 errno`), or one of ours where no kernel was involved.
  public enum Code: Hashable, Sendable {
    case errno(Int32)
    /// The model or the fault layer has cut the power: nothing passes any more.
    case powerLost
    /// The device has taken no more than so many bytes of a write, again and again, and has given no error; see
    /// `WholeWrite`.
    case shortWrite(taken: Int, of: Int)
    /// The bytes are intact, and of a version of their format that this build does not know.
    case unknownVersion(Int, known: Int)
  }

  public var code: Code
  public var operation: OperationKind
  public var path: String
  /// Byte position in the file, for operations that have one.
  public var offset: Int64?

  public init(_ code: Code, _ operation: OperationKind, _ path: String, offset: Int64? = nil) {
    self.code = code
    self.operation = operation
    self.path = path
    self.offset = offset
  }

  public init(errno: Int32, _ operation: OperationKind, _ path: String, offset: Int64? = nil) {
    self.init(.errno(errno), operation, path, offset: offset)
  }

  public func isErrno(_ value: Int32) -> Bool { code == .errno(value) }
  public var isNotFound: Bool { isErrno(ENOENT) }
  public var isNoSpace: Bool { isErrno(ENOSPC) || isErrno(EDQUOT) }
  public var isPowerLost: Bool { code == .powerLost }
}

extension StorageError: CustomStringConvertible {
  public var description: String {
    let place = path.isEmpty ? "the storage's root" : path
    let at = offset.map { " at byte \($0)" } ?? ""
    let reason =
      switch code {
      case .errno(let number): "\(errnoText(number))\(remedy(number))"
      case .powerLost: "power was cut by the trial"
      case .shortWrite(let taken, let count):
        "the device takes only \(taken) of \(count) bytes, \(WholeWrite.attempts) times in a row, and gives no error; "
          + "check the device, or choose another place with --dir"
      case .unknownVersion(let version, let known):
        "it is written in version \(version) of the format, and this build knows version \(known); open it with the "
          + "build that wrote it. Nothing was changed"
      }
    return "\(operation.rawValue) \(place)\(at): \(reason)"
  }

  private func remedy(_ number: Int32) -> String {
    // What helps here depends on who refuses: `tornlog doctor` finds that out.
    if path == "io_uring", !Shortage.isOne(number) { return "" }
    return switch number {
    case ENOSPC: " (free space there, or choose another place with --dir)"
    case EACCES, EPERM: " (give this user access, or choose another place with --dir)"
    case ENOTDIR: " (a part of the path is a file; name a directory)"
    case EROFS: " (the file system is read-only; choose another place with --dir)"
    case EMFILE: " (raise the limit with ulimit -n)"
    case ENFILE, EFBIG, ENOMEM, ECANCELED: Shortage.remedy(number).map { " (\($0))" } ?? ""
    default: ""
    }
  }
}

/// The C library's words for an errno; `strerror_r` is the form without a shared buffer.
func errnoText(_ number: Int32) -> String {
  var text = [CChar](repeating: 0, count: 256)
  guard tl_strerror(number, &text, text.count) == 0 else { return "errno \(number)" }
  return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
