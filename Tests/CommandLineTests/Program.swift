import Foundation
import Glibc
import Testing

/// The program under test and its helpers, as the package has built them.
enum Program {
  static let tornlog = built("tornlog")
  static let seccompLauncher = built("SeccompLauncher")

  /// The repository's root: scenarios are named relative to it.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  /// Beside the test bundle, or in one of the folders above it.
  private static func built(_ name: String) -> String {
    var starts = [URL(fileURLWithPath: CommandLine.arguments[0]), Bundle.main.bundleURL]
    if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
      starts.append(URL(fileURLWithPath: own))
    }
    for start in starts {
      var folder = start.standardizedFileURL.deletingLastPathComponent()
      while folder.path != "/" {
        let candidate = folder.appendingPathComponent(name).path
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue,
          access(candidate, X_OK) == 0
        {
          return candidate
        }
        folder.deleteLastPathComponent()
      }
    }
    preconditionFailure("\(name) is not beside the tests: \(starts.map(\.path))")
  }
}

/// What a process left: its exit code and what it printed.
struct Ended: CustomStringConvertible {
  var code: Int32
  var out: String
  var err: String
  var seconds: Double

  var description: String { "exit code \(code) after \(seconds) s\n--- stdout\n\(out)\n--- stderr\n\(err)" }
}

/// A running process, its output in files.
final class Running: @unchecked Sendable {
  // Used by one test.

  enum Failure: Error {
    case spawn(String, Int32)
    case tooLong(String)
  }

  let process: pid_t
  private let scratch: Scratch
  private let started = ContinuousClock.now
  private var code: Int32?

  /// - Parameter environment: on top of the tests' own; nil removes a variable.
  init(
    _ command: [String], in directory: String = Program.root, environment: [String: String?] = [:],
    closing closed: [Int32] = []
  ) throws {
    scratch = try Scratch()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    for (descriptor, name) in [(Int32(1), "out"), (2, "err")] {
      posix_spawn_file_actions_addopen(&actions, descriptor, scratch.path(name), O_WRONLY | O_CREAT | O_APPEND, 0o666)
    }
    // What the runner of the tests, or a test beside this one, has open counts for the limits of the program.
    for descriptor in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    for descriptor in closed { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var variables = ProcessInfo.processInfo.environment
    variables["XDG_CACHE_HOME"] = scratch.path("cache")
    for (name, value) in environment { variables[name] = value }
    // `env` becomes the command: the process stays the same.
    let arguments = (["env", "-C", directory] + command).map { strdup($0) } + [nil]
    let pairs = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for case let text? in arguments + pairs { free(text) } }
    var pid: pid_t = 0
    let result = posix_spawnp(&pid, "env", &actions, nil, arguments, pairs)
    guard result == 0 else { throw Failure.spawn(command[0], result) }
    process = pid
  }

  func signal(_ number: Int32) { kill(process, number) }

  /// Waits for the end; a process that does not end is killed and is an error.
  func end(within limit: Double = 60) async throws -> Ended {
    var status: Int32 = 0
    while waitpid(process, &status, WNOHANG) == 0 {
      guard ContinuousClock.now - started < .seconds(limit) else {
        kill(process, SIGKILL)
        waitpid(process, &status, 0)
        throw Failure.tooLong(try scratch.text("out") + scratch.text("err"))
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    let time = (ContinuousClock.now - started) / .seconds(1)
    // As a shell says it: a death by signal is 128 and the signal.
    let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    return Ended(code: code, out: try scratch.text("out"), err: try scratch.text("err"), seconds: time)
  }

  /// Processes whose parent is this one.
  var children: [pid_t] { processes { $0.parent == process } }
}

/// Processes as /proc shows them; those that are over and wait to be reaped do not count.
func processes(_ matches: ((pid: pid_t, parent: pid_t)) -> Bool) -> [pid_t] {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
  return names.compactMap { pid_t($0) }.filter { pid in
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let fields = stat.range(of: ") ", options: .backwards).map({ stat[$0.upperBound...].split(separator: " ") }),
      fields.count > 1, fields[0] != "Z", let parent = pid_t(fields[1])
    else { return false }
    return matches((pid, parent))
  }
}

/// Runs the program to its end.
func tornlog(
  _ arguments: String..., in directory: String = Program.root, environment: [String: String?] = [:],
  within limit: Double = 60
) async throws -> Ended {
  try await Running([Program.tornlog] + arguments, in: directory, environment: environment).end(within: limit)
}

/// A folder that goes with its owner.
final class Scratch: Sendable {
  let root: String

  init() throws {
    var template = Array("/tmp/tl-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
    root = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    chmod(root, 0o777)
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func path(_ name: String) -> String { root + "/" + name }

  func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

  func write(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: path(name), atomically: false, encoding: .utf8)
    return path(name)
  }

  /// A folder for --dir.
  func folder(_ name: String = "dir") throws -> String {
    try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: true)
    chmod(path(name), 0o777)
    return path(name)
  }

  func entries(_ name: String = "dir") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path(name))
  }

  func json(_ name: String) throws -> [String: Any] {
    let value = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path(name))))
    return try #require(value as? [String: Any])
  }

  /// A report's trials.
  func trials(_ name: String) throws -> [[String: Any]] { try #require(try json(name)["trials"] as? [[String: Any]]) }
}

/// The smallest cells.
enum Cells {
  /// Where they are. Whoever names no file reads all scenarios: most of the time of a small run.
  static let file = "Scenarios/chronik/ten-vs-hundred.yaml"

  static func volume(_ messages: Int, defect: String = "none", crash: String = "process-kill") -> String {
    "ten-vs-hundred and messages=\(messages) and partitions=3 and sync=always and crash=\(crash) and defect=\(defect)"
  }

  static let tiny = volume(10)

  /// The token of `tiny`.
  static func token(seed: Int = 42, messages: Int = 10, defect: String = "none") -> String {
    "t1.sc=ten-vs-hundred.m=\(messages).p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=\(defect).b=10.n=4.z=1000"
      + ".a=\(defect == "none" ? 10 : 0).t=orders.seed=\(seed).st=auto"
  }
}

/// All tests of the command line, one after the other: they share two processors with the workers they start.
@Suite(.serialized) struct CommandLineTests {}
