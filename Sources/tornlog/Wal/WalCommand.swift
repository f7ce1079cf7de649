import ArgumentParser
import Foundation
import LogModel
import LogTools
import Trials

/// Tools for log files that somebody else's program has left.
struct WalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wal",
    abstract: "Look into a log file, check it, mend it: Tornlog's own, Streamhouse, airunner, chronik, replay buffer.",
    discussion: """
      The format is told from the file. Input is never changed, and may be written to while it is read. \
      docs/wal-tools.md says \
      what to type when a log is broken.
      """,
    subcommands: [
      WalVerifyCommand.self, WalDumpCommand.self, WalInspectCommand.self, WalRepairCommand.self, WalReplayCommand.self,
      WalArchiveCommand.self, WalRestoreCommand.self, WalCleanupCommand.self, WalMigrateCommand.self,
      WalCompactCommand.self, WalConvertCommand.self,
    ])
}

/// What the commands that read logs have in common.
struct WalInput: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The format: \(LogSystem.allCases.map(\.rawValue).joined(separator: ", ")). Without it the file tells.",
      valueName: "name"))
  var format: LogSystem?
  @Argument(
    help: ArgumentHelp("A file, or a folder: every log in it, and in the folders below.", valueName: "file|folder"),
    completion: .file())
  var paths: [String]

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("name a file or a folder") }
  }

  /// What a shell calls `~`.
  static var home: String { ProcessInfo.processInfo.environment["HOME"] ?? NSHomeDirectory() }
}

/// How tools end where they cannot go on.
enum WalExit {
  /// - Parameter code: of what the machine or the file is to blame for.
  static func fail(_ error: LogToolError, _ code: Int32 = ExitStatus.unavailable) -> Never {
    switch error {
    case .exists, .sameFile: tornlog.fail("\(error)", ExitStatus.usage)
    default: tornlog.fail("\(error)", code)
    }
  }
}

/// Progress on a terminal, from two seconds on: how much of the bytes is done, and how long the rest will take.
final class WalProgress {
  private let line = ProgressLine()
  private let begun = ContinuousClock.now
  private let total: Int64
  private var done: Int64 = 0

  init(_ paths: [String]) { total = paths.reduce(0) { $0 + Self.size($1) } }

  private static func size(_ path: String) -> Int64 {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : 0
  }

  /// - Parameter bytes: that are done of the log at hand.
  func show(_ bytes: Int64) {
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    let all = done + bytes
    guard seconds > 2, all > 0 else { return }
    let part = min(1, Double(all) / Double(max(total, all, 1)))
    let rest = seconds / part - seconds
    line.show(
      "\(Int(part * 100)) % of \(SizeText.render(total)), \(SizeText.render(Int64(Double(all) / seconds)))/s, about "
        + "\(Int(rest.rounded(.up))) s left")
  }

  /// A log is done.
  func finish(_ bytes: Int64) { done += bytes }

  func clear() { line.clear() }
}

/// Numbers of bytes for people.
enum SizeText {
  static func render(_ bytes: Int64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    var (value, unit) = (Double(bytes), 0)
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(units[unit])"
  }
}
