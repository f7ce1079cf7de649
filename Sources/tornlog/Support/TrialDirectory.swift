import ArgumentParser
import Foundation

/// `--dir` of commands that run trials.
struct TrialDirectory: ParsableArguments {
  @Option(
    help: ArgumentHelp("Keep the trials' files here while they run (default: $TMPDIR, or /tmp).", valueName: "dir"),
    completion: .directory)
  var dir: String?

  var path: String { dir ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp" }
}
