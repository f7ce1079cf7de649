import ArgumentParser
import Foundation
import LogModel
import LogTools
import Trials

struct WalDumpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump",
    abstract: "Print a log, one line a record.",
    discussion: """
      Each line has the offset, the byte in the file, the lengths, the checksum that is stored and the one that the \
      bytes have, \
      the time, the epoch and the state: valid, damaged, torn, remains. `byte` is the place of the record; a batch \
      has one \
      checksum for all its records.

        tornlog wal dump orders-0.wal | head -20
        tornlog wal dump --format runbook orders-0.wal
        tornlog wal dump --json --from 100 --to 200 orders-0.wal

      Exit codes: 0 the log was read, whatever state it is in; 64 wrong usage; 69 it could not be read; 130 interrupted.
      """)

  /// A format of logs, or of lines.
  enum Format: ExpressibleByArgument {
    case log(LogSystem)
    case runbook

    init?(argument: String) {
      if argument == "runbook" {
        self = .runbook
      } else if let system = LogSystem(rawValue: argument) {
        self = .log(system)
      } else {
        return nil
      }
    }

    static var allValueStrings: [String] { LogSystem.allCases.map(\.rawValue) + ["runbook"] }
  }

  @Option(
    help: ArgumentHelp(
      "The format of the log; without it the file tells. `runbook` prints lines as the Streamhouse runbook has them. "
        + "Repeatable.", valueName: "name"))
  var format: [Format] = []
  @Flag(help: "Print one JSON object a line.")
  var json = false
  @Flag(help: "Print keys and values too, in hexadecimal.")
  var hex = false
  @Option(help: ArgumentHelp("Print messages from this offset on.", valueName: "offset"))
  var from: Int64?
  @Option(help: ArgumentHelp("Print messages before this offset.", valueName: "offset"))
  var to: Int64?
  @Option(help: ArgumentHelp("Print messages with this key.", valueName: "key"))
  var key: String?
  @Flag(name: .shortAndLong, help: "Go on with what is added to the file, until interrupted.")
  var follow = false
  @Argument(
    help: ArgumentHelp("A file, or a folder: every log in it, and in the folders below.", valueName: "file|folder"),
    completion: .file())
  var paths: [String]

  private var system: LogSystem? {
    for case .log(let system) in format { return system }
    return nil
  }

  func validate() throws {
    guard !paths.isEmpty else { throw ValidationError("name a file or a folder") }
    if follow, paths.count > 1 { throw ValidationError("--follow takes one file") }
    if json, format.contains(where: { if case .runbook = $0 { true } else { false } }) {
      throw ValidationError("--json and --format runbook are two styles; choose one")
    }
    if let from, let to, to < from { throw ValidationError("--to \(to) is before --from \(from)") }
  }

  func run() throws {
    let out = LineBuffer(STDOUT_FILENO)
    var dump = LogDump(to: out)
    dump.style = json ? .json : .text
    for case .runbook in format { dump.style = .runbook }
    dump.showsBytes = hex
    if from != nil || to != nil { dump.offsets = max(0, from ?? 0)..<max(from ?? 0, to ?? .max) }
    dump.key = key.map { Array($0.utf8) }
    do throws(LogToolError) {
      var logs: [LogFiles] = []
      for path in paths { logs += try LogFolder(path).logs }
      dump.namesFile = logs.count > 1 || logs.contains { $0.paths.count > 1 }
      if follow {
        guard let only = logs.first, logs.count == 1, only.paths.count == 1 else {
          fail("--follow takes one file, and there are several in \(paths[0])", ExitStatus.usage)
        }
        try dump.follow(try LogFile(only.paths[0], format: system), isStopped: { Interruption.isRequested })
      } else {
        for log in logs { try print(log, &dump) }
      }
    } catch {
      out.flush()
      WalExit.fail(error)
    }
    out.flush()
    if let failure = out.failure { WalExit.fail(failure) }
    if Interruption.isRequested, !follow { throw ExitCode(ExitStatus.interrupted) }
  }

  private func print(_ log: LogFiles, _ dump: inout LogDump) throws(LogToolError) {
    var ordinal: Int64 = 0
    for path in log.paths {
      let file = try LogFile(path, format: system)
      try dump.print(file, ordinal: &ordinal, isStopped: { Interruption.isRequested })
      if let size = file.reader.bytes.shrunkTo {
        note("\(path) was cut to \(size) bytes while it was read; run this again")
      }
    }
  }
}
