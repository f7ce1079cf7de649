import ArgumentParser
import CrashStates
import Foundation
import LogModel
import ProgramTesting
import Reporting
import Trials
import Verification

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Show what a command leaves un-synced, and which files a crash would leave half done.",
    discussion: """
      The command works on a copy of the current folder, in memory; the folder itself stays as it is. No crash is needed, and \
      no driver. A file that was there should be as before or as after in every crash state.

        tornlog audit -- sort -o big.txt big.txt
        tornlog audit --ack-pattern '^stored' -- ./my-server --once

      Exit codes: 0 nothing to complain of; 1 a crash may leave a file half done, or acknowledged work may be lost; 2 \
      unknown; 64 wrong usage; 69 this machine cannot run it; 130 interrupted.
      """)

  @Option(
    name: .customLong("ack-pattern"),
    help: ArgumentHelp("Lines of its output that match acknowledge all that it did before.", valueName: "regex"))
  var acknowledgement: String?
  @Option(
    name: .customLong("folder"), help: ArgumentHelp("Give the command a copy of this folder.", valueName: "dir"),
    completion: .directory)
  var folder = "."
  @Option(
    help: ArgumentHelp(
      "Crash states of this profile. Repeatable. Without it: ext4-ordered, xfs, btrfs.", valueName: "name"))
  var profile: [String] = []
  @Option(help: ArgumentHelp("Look at crash states for this long.", valueName: "duration"))
  var budget = Duration.seconds(30)
  @Option(name: .customLong("time-limit"), help: ArgumentHelp("Time for the command.", valueName: "duration"))
  var timeLimit = Duration.seconds(600)
  @Option(
    help: ArgumentHelp("Keep at most this much of the copy in memory; the rest goes to a file.", valueName: "size"))
  var memory = ByteSize(bytes: 1 << 30)
  @Option(help: ArgumentHelp("Make the mount point in this folder.", valueName: "dir"), completion: .directory)
  var dir = "/tmp"
  @OptionGroup var report: ReportOptions<DocumentFormats>
  @Argument(parsing: .postTerminator, help: "The command and its arguments, after `--`.")
  var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("name a command: tornlog audit -- sort -o big.txt big.txt") }
    if let acknowledgement, (try? NSRegularExpression(pattern: acknowledgement)) == nil {
      throw ValidationError("--ack-pattern \(acknowledgement): no regular expression")
    }
    for name in profile where CrashProfile.named(name) == nil {
      throw ValidationError(
        "--profile \(name): one of \(CrashProfile.known.map(\.name).joined(separator: ", "))")
    }
    guard memory.bytes >= 64 << 20 else { throw ValidationError("--memory \(memory.bytes): at least 64MiB") }
  }

  func run() throws {
    report.check()
    guard let resolved = realpath(folder, nil) else {
      fail("--folder \(folder): \(String(cString: strerror(errno)))", ExitStatus.usage)
    }
    var options = AuditOptions(command, folder: String(cString: resolved))
    free(resolved)
    options.acknowledgement = acknowledgement
    options.limit = UInt64(timeLimit.inSeconds * 1e9)
    (options.memoryLimit, options.directory) = (memory.bytes, dir)
    options.isCancelled = { Interruption.isRequested }
    let profiles = profile.isEmpty ? [CrashProfile.ext4Ordered, .xfs, .btrfs] : profile.compactMap(CrashProfile.named)
    let found: AuditReport
    do throws(ProgramTestError) {
      found = try AuditReport.make(
        options, profiles: profiles, seed: 1, budget: UInt64(budget.inSeconds * 1e9), show: { note("| \($0)") })
    } catch {
      if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
      throw error.asExit
    }
    report.write(
      ReportDocument(
        title: "tornlog audit", text: found.lines, conclusion: found.conclusion, json: rendered { try found.json() },
        cases: found.between.map {
          ReportCase(
            group: "tornlog audit", name: $0.path, verdict: $0.wasThere ? .violated : .held,
            isExpected: !$0.wasThere, message: $0.example, lines: $0.story)
        }))
    if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    throw ExitCode(ExitStatus.code(of: found.verdict))
  }
}
