import ArgumentParser
import Drivers
import Foundation
import LogModel
import ProgramTesting

struct DriverToolCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "driver", abstract: "Help with writing a driver: the program that calls a program under test.",
    subcommands: [DriverCheckCommand.self])
}

struct DriverCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Test a driver against the protocol.",
    discussion: """
      The driver works on a plain folder; nothing is made to fail. docs/driver-protocol.md has the protocol.

        tornlog driver check -- python3 Examples/drivers/sqlite.py

      Exit codes: 0 it keeps to the protocol; 1 it does not; 64 wrong usage; 69 the folder cannot be made.
      """)

  @Option(help: ArgumentHelp("Give the driver this configuration: a JSON object.", valueName: "json"))
  var config = "{}"
  @Option(name: .customLong("time-limit"), help: ArgumentHelp("Time for one request.", valueName: "duration"))
  var timeLimit = Duration.seconds(10)
  @Option(help: ArgumentHelp("Make the driver's folder in this one.", valueName: "dir"), completion: .directory)
  var dir = "/tmp"
  @Argument(parsing: .postTerminator, help: "The driver and its arguments, after `--`.")
  var driver: [String] = []

  func validate() throws {
    guard !driver.isEmpty else { throw ValidationError("name a driver: tornlog driver check -- python3 driver.py") }
    guard (try? JSONSerialization.jsonObject(with: Data(config.utf8))) is [String: Any] else {
      throw ValidationError("--config \(config): a JSON object is needed, like '{\"synchronous\":\"FULL\"}'")
    }
    guard timeLimit >= .milliseconds(100) else { throw ValidationError("--time-limit \(timeLimit): at least 100ms") }
  }

  func run() throws {
    let check: DriverCheck
    do throws(ProgramTestError) {
      check = try DriverCheck(
        Drivers.DriverCommand(driver), config: config, limit: UInt64(timeLimit.inSeconds * 1e9), directory: dir)
    } catch { throw error.asExit }
    check.run()
    var lines: [String] = []
    for step in check.steps {
      if let problem = step.problem {
        lines += ["  FAILS  \(step.name)", "         \(problem)"]
      } else {
        lines.append("  ok     \(step.name)")
      }
      if let advice = step.advice { lines.append("         note: \(advice)") }
    }
    let failures = check.steps.count { $0.problem != nil }
    lines.append(
      failures == 0
        ? "the driver keeps to the protocol: try 'tornlog test -- \(driver.joined(separator: " "))'"
        : "\(failures) of \(check.steps.count) checks fail; docs/driver-protocol.md has the protocol")
    Console.print(lines)
    throw ExitCode(failures == 0 ? 0 : ExitStatus.violated)
  }
}
