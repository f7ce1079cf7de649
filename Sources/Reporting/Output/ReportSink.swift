import Glibc
import LogModel

/// Where a report's text goes.
public protocol ReportSink: AnyObject {
  func write(_ text: String) throws(ReportError)
  /// Called once, when nothing more will be written.
  func finish() throws(ReportError)
}

extension ReportSink {
  public func finish() throws(ReportError) {}
}

/// Why a report could not be delivered or was not understood.
public enum ReportError: Error, Hashable, Sendable {
  case cannotWrite(path: String, errno: Int32)
  /// A path at which no file can be: its folder is not there, or it is a folder itself.
  case unusablePath(String, errno: Int32)
  /// `--report NAME` with a name that there is not.
  case unknownFormat(String, supported: [String])
  /// `json=` with nothing behind.
  case emptyPath(format: String)
}

extension ReportError {
  /// The reader of a pipe has gone: `| head -1`.
  public var isBrokenPipe: Bool { if case .cannotWrite(_, EPIPE) = self { true } else { false } }

  public var isStandardError: Bool {
    if case .cannotWrite(DescriptorSink.standardErrorName, _) = self { true } else { false }
  }

  /// Whether the machine is to blame and not the command line.
  public var isEnvironment: Bool { if case .cannotWrite = self { true } else { false } }
}

extension ReportError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .cannotWrite(let path, let code): "cannot write \(path): \(String(cString: strerror(code)))"
    case .unusablePath(let path, let code): "cannot write \(path): \(String(cString: strerror(code)))"
    case .unknownFormat(let name, let supported):
      "there is no report '\(name)'; there are \(supported.joined(separator: ", ")), each as NAME or NAME=PATH"
    case .emptyPath(let format): "report '\(format)=' names no path; without '=' it goes to standard output"
    }
  }
}

/// Writes to a descriptor that somebody else owns: standard output, standard error. All text of this program that a
/// terminal may
/// show comes through here, and here it is made certain that none of it steers the terminal: whatever is no line feed,
/// no tab
/// and no sequence that the writer has announced is escaped (`String.escapingControls`).
public final class DescriptorSink: ReportSink {
  private let descriptor: Int32
  private let name: String
  private let sequences: [String]
  private let wrapped: WrappedText?

  /// - Parameters:
  ///   - sequences: control sequences of the writer's own, colours say, that are written as they are.
  ///   - wraps: whether lines are broken at the width of the terminal, where there is one: text for people, written in
  ///     whole lines.
  public init(_ descriptor: Int32, name: String, sequences: [String] = [], wraps: Bool = false) {
    self.descriptor = descriptor
    self.name = name
    self.sequences = sequences
    wrapped = wraps ? WrappedText.width(of: descriptor).map(WrappedText.init) : nil
  }

  static let standardErrorName = "standard error"

  public static var standardOutput: DescriptorSink { standardOutput(wraps: false) }

  public static func standardOutput(sequences: [String] = [], wraps: Bool) -> DescriptorSink {
    DescriptorSink(STDOUT_FILENO, name: "standard output", sequences: sequences, wraps: wraps)
  }

  public static func standardError(sequences: [String] = [], wraps: Bool = false) -> DescriptorSink {
    DescriptorSink(STDERR_FILENO, name: standardErrorName, sequences: sequences, wraps: wraps)
  }

  public var isTerminal: Bool { isatty(descriptor) == 1 }

  public func write(_ text: String) throws(ReportError) {
    let lines = wrapped?.wrap(text) ?? text
    try writeAll(Self.safe(lines, sequences: sequences), to: descriptor, name: name)
  }

  /// What reaches the terminal.
  static func safe(_ text: String, sequences: [String]) -> String {
    func escaped(_ text: String) -> String { text.escapingControls { $0 == "\n" || $0 == "\t" } }
    guard !sequences.isEmpty, text.utf8.contains(0x1B) else { return escaped(text) }
    var (safe, rest) = ("", text[...])
    while let at = rest.utf8.firstIndex(where: { $0 == 0x1B || $0 == 0x0D }) {
      safe += escaped(String(rest[..<at]))
      let own = sequences.first { rest[at...].utf8.starts(with: $0.utf8) }
      let end = own.map { rest.utf8.index(at, offsetBy: $0.utf8.count) } ?? rest.utf8.index(after: at)
      safe += own ?? escaped(String(rest[at..<end]))
      rest = rest[end...]
    }
    return safe + escaped(String(rest))
  }
}

/// Replaces a file as a whole: readers see the old report or the new one, never half of one.
public final class AtomicFileSink: ReportSink {
  private let path: String

  public init(path: String) { self.path = path }

  public func write(_ text: String) throws(ReportError) {
    // A device, a pipe or a link is written to and never replaced: a rename over /dev/null would take it away.
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      let fd = SpareDescriptors.retry({ open(path, O_WRONLY | O_CLOEXEC) }, failed: { $0 < 0 })
      guard fd >= 0 else { throw ReportError.cannotWrite(path: path, errno: errno) }
      defer { close(fd) }
      return try writeAll(text, to: fd, name: path)
    }
    // The same folder, so that `rename` stays within one file system (man 2 rename, EXDEV).
    let temporary = "\(path).\(getpid()).tmp"
    let fd = SpareDescriptors.retry(
      { open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }, failed: { $0 < 0 })
    guard fd >= 0 else { throw ReportError.cannotWrite(path: path, errno: errno) }
    do throws(ReportError) {
      defer { close(fd) }
      try writeAll(text, to: fd, name: path)
      guard fsync(fd) == 0 else { throw ReportError.cannotWrite(path: path, errno: errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    guard rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw ReportError.cannotWrite(path: path, errno: code)
    }
  }
}

private func writeAll(_ text: String, to fd: Int32, name: String) throws(ReportError) {
  let bytes = Array(text.utf8)
  var at = 0
  while at < bytes.count {
    let n = bytes[at...].withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
    if n < 0, errno == EINTR { continue }
    guard n > 0 else { throw ReportError.cannotWrite(path: name, errno: n < 0 ? errno : EIO) }
    at += n
  }
}
