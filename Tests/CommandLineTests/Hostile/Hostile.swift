import Foundation
import Glibc
import Testing

/// Programs under a limit of the machine, or with a signal on its way.
enum Hostile {
  /// The whole size of the hostile run, and not the sample of it that fits among the tests.
  static let isWhole = ProcessInfo.processInfo.environment["TORNLOG_EXHAUSTIVE"] != nil

  static let isRoot = geteuid() == 0

  /// Limits of a shell; some of them do not bind root.
  enum Limit: String, CaseIterable, CustomTestStringConvertible {
    case files16 = "ulimit -n 16"
    case files64 = "ulimit -n 64"
    case files256 = "ulimit -n 256"
    case files1024 = "ulimit -n 1024"
    case fileSize = "ulimit -f 64"
    case memory = "ulimit -v 524288"
    case processes = "ulimit -u 8"
    case locked = "ulimit -l 0"

    var testDescription: String { rawValue }
    var bindsRoot: Bool { self != .processes && self != .locked }
  }

  /// The commands of the contract that run something, small ones and whole ones.
  enum Command: String, CaseIterable, CustomTestStringConvertible {
    case run, explore, defects, bench

    var testDescription: String { rawValue }

    /// Which ends by itself.
    func words(_ place: Place) -> [String] {
      switch self {
      case .run where isWhole:
        [
          "run", place.scenarios + "/controls", place.scenarios + "/sweeps", "--dir", place.directory, "--report",
          "json=\(place.report)",
        ]
      case .run:
        [
          "run", place.scenarios + "/chronik", "-k", Cells.tiny, "--dir", place.directory, "--report",
          "json=\(place.report)",
        ]
      case .explore:
        ["explore", "--reference", "--profile", "raw-512", "--report", "json=\(place.report)"]
          + (isWhole ? [] : ["--states-per-point", "2", "--samples", "0"])
      case .defects:
        [
          "defects", "--smoke", "--only", isWhole ? "none,C2,A4,P2,R1" : "C2", "--scenarios", place.scenarios, "--dir",
          place.directory,
          "--report", "json=\(place.report)",
        ] + (isWhole ? [] : ["--way", "own-scenario", "--way", "process-kill", "--seeds", "2"])
      case .bench:
        // Rows without a target: whether one is met is the disk's business.
        [
          "bench", "--quick", "--only", "partitions", "--partitions", isWhole ? "200" : "10", "--dir", place.directory,
          "--report",
          "json=\(place.report)",
        ]
      }
    }

    /// Which takes long enough to be interrupted.
    func longWords(_ place: Place) -> [String] {
      switch self {
      case .run:
        [
          "run", place.scenarios + "/chronik", "-t", "full", "-k", "messages=10000 or messages=50000", "--dir",
          place.directory, "--report",
          "json=\(place.report)",
        ]
      case .explore: ["explore", "--reference", "--depth", "2", "--report", "json=\(place.report)"]
      case .defects:
        [
          "defects", "--only", "none", "--scenarios", place.scenarios, "--dir", place.directory, "--report",
          "json=\(place.report)",
        ]
      case .bench: ["bench", "--dir", place.directory, "--report", "json=\(place.report)"]
      }
    }
  }

  /// What a program may use, and where it leaves its report.
  struct Place {
    let scratch: Scratch
    let program: String
    let scenarios: String
    let directory: String
    let report: String

    init() throws {
      scratch = try Scratch()
      (program, scenarios) = (Program.tornlog, Program.root + "/Scenarios")
      directory = try scratch.folder()
      report = scratch.path("report.json")
    }

    /// For an ordinary user: the package may be closed to others, a copy is not.
    init(copiedTo shelf: Scratch) throws {
      scratch = try Scratch()
      (program, scenarios) = (shelf.path("tornlog"), shelf.path("Scenarios"))
      directory = try scratch.folder()
      report = scratch.path("report.json")
    }
  }

  /// The report, where there is one: no half of one.
  static func report(_ place: Place) throws -> [String: Any]? {
    guard FileManager.default.fileExists(atPath: place.report) else { return nil }
    return try place.scratch.json("report.json")
  }

  /// Processes below `parent`, whatever they are.
  static func descendants(of parent: pid_t) -> Set<pid_t> {
    var found: Set<pid_t> = [parent]
    while true {
      let more = Set(processes { found.contains($0.parent) }).union(found)
      if more == found { return found.subtracting([parent]) }
      found = more
    }
  }

  /// What is not there any more a second after the end of a command, does not count.
  static func survivors(of processes: Set<pid_t>) async throws -> [pid_t] {
    for _ in 0..<50 {
      let alive = CommandLineTests.alive(processes)
      if alive.isEmpty { return [] }
      try await Task.sleep(for: .milliseconds(20))
    }
    return CommandLineTests.alive(processes)
  }

  /// Waits until the program has taken over a signal (`man 5 proc_pid_status`: SigCgt): before, it dies as any program
  /// does.
  static func takesOver(_ signal: Int32, _ running: Running) async throws {
    for _ in 0..<1000 {
      let status = (try? String(contentsOfFile: "/proc/\(running.process)/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
      let caught = line.flatMap { UInt64($0.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16) } ?? 0
      if caught & (1 << UInt64(signal - 1)) != 0 { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw Running.Failure.tooLong("no signal was taken over")
  }
}

extension CommandLineTests {
  static func alive(_ pids: Set<pid_t>) -> [pid_t] { processes { pids.contains($0.pid) } }
}
