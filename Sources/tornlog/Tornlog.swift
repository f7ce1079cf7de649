import ArgumentParser
import Foundation
import Trials

@main
struct Main {
  static func main() {
    // A worker is this same program, spoken to through its standard input.
    if CommandLine.arguments.dropFirst().first == Worker.argument { Worker.main() }
    Interruption.install()
    Tornlog.main()
  }
}

struct Tornlog: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tornlog",
    abstract: "Breaks write-ahead logs on purpose, and says, offset by offset, what was lost that had been promised.",
    discussion: """
      Exit codes: 0 every expectation held; 1 durability violated or a threshold missed; 2 unknown (a fault never fired,
      a time-out, a checker crashed); 3 nothing selected; 64 usage; 65 invalid scenario; 69 the environment cannot run
      it; 70 internal error; 130 interrupted, with partial reports written.
      """,
    version: "1.0.0",
    subcommands: [BenchCommand.self])
}

/// Ends the program with a message and one of the exit codes of the contract.
struct Failure: Error {
  var message: String
  var code: Int32

  func end() -> Never {
    FileHandle.standardError.write(Data("tornlog: \(message)\n".utf8))
    exit(code)
  }
}
