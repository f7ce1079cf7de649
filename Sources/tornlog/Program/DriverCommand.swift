import ArgumentParser
import Drivers
import EngineDriver
import Foundation
import LogModel
import ProgramTesting
import Storage

struct DriverToolCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "driver", abstract: "Help with writing a driver: the program that calls a program under test.",
    subcommands: [DriverCheckCommand.self, DriverEngineCommand.self])
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

struct DriverEngineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine", abstract: "Be a driver of Tornlog's own log, the partition engine.",
    discussion: """
      It answers requests on standard input: docs/driver-protocol.md. Each log is a topic with one partition.

        tornlog test -- tornlog driver engine
        tornlog test -- tornlog driver engine --defect C2

      `config` may have the same: {"sync": "interval(4ms)", "segment": 65536, "storage": "ring", "recovery": \
      "truncate-at-corruption", "defect": "C2"}.
      """)

  @Option(help: "Sync policy. interval(4ms) and never promise less: tell `tornlog test` with --promise.")
  var sync = SyncPolicy.always
  @Option(help: ArgumentHelp("Begin a new segment after this much, 16KiB to 4GiB.", valueName: "size"))
  var segment = ByteSize(bytes: EngineSettings().segmentBytes)
  @Option(help: "posix, ring (io_uring) or auto.")
  var storage = StorageChoice.posix
  @Option(
    help: ArgumentHelp("Switch on a historical defect: an id, several as C4+P9, or none.", valueName: "id"),
    transform: DefectChoice.init)
  var defect: DefectChoice?

  func validate() throws {
    guard EngineSettings.segmentSizes ~= segment.bytes else {
      throw ValidationError("--segment \(segment.bytes): from 16KiB to 4GiB")
    }
    guard storage != .memory else { throw ValidationError("--storage memory: a driver's files are files") }
    _ = try defect.chosen(on: EngineSettings.ground)
  }

  func run() throws {
    var settings = EngineSettings()
    (settings.syncPolicy, settings.segmentBytes, settings.storage) = (sync, segment.bytes, storage)
    settings.defect = try defect.chosen(on: EngineSettings.ground)
    EngineDriver(settings, version: Tornlog.configuration.version.replacing("tornlog ", with: "")).run()
  }
}
