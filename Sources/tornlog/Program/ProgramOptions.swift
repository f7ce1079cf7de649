import ArgumentParser
import CrashStates
import Drivers
import Foundation
import LogModel
import ProgramOracle
import ProgramTesting

/// What is said about a program under test on the command line.
struct ProgramOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Give the driver this configuration: a JSON object.", valueName: "json"))
  var config = "{}"
  @Option(
    help: ArgumentHelp(
      "Judge by this model: log, map, queue or transactions. Without it, by what the driver offers.",
      valueName: "model"))
  var model: String?
  @Option(
    help: ArgumentHelp(
      "What an acknowledgement promises: acknowledged, flushed, interval(1s) or nothing.", valueName: "promise"))
  var promise = "acknowledged"
  @Option(
    help: ArgumentHelp(
      "Allow a documented weakness. Repeatable; docs/program-contracts.md lists them.", valueName: "name"))
  var allow: [String] = []
  @Option(parsing: .unconditional, help: ArgumentHelp("Send n requests.", valueName: "n"))
  var requests = 100
  @Option(name: .customLong("time-limit"), help: ArgumentHelp("Time for one request.", valueName: "duration"))
  var timeLimit = Duration.seconds(10)
  @Option(
    help: ArgumentHelp("Keep at most this much of a volume in memory; the rest goes to a file.", valueName: "size"))
  var memory = ByteSize(bytes: 1 << 30)
  @Flag(help: "Give drivers no namespaces of their own, also as root.")
  var noIsolation = false
  @Option(help: ArgumentHelp("Make mount points in this folder.", valueName: "dir"), completion: .directory)
  var dir = "/tmp"

  /// Whether nothing is said of a program. The folder for mounts is not of a program only.
  var isDefault: Bool {
    config == "{}" && model == nil && promise == "acknowledged" && allow.isEmpty && requests == 100
      && timeLimit == .seconds(10) && memory.bytes == 1 << 30 && !noIsolation
  }

  func validate() throws {
    guard (1...100_000).contains(requests) else { throw ValidationError("--requests \(requests): from 1 to 100000") }
    guard memory.bytes >= 64 << 20 else { throw ValidationError("--memory \(memory): at least 64MiB") }
    guard timeLimit >= .milliseconds(100) else { throw ValidationError("--time-limit \(timeLimit): at least 100ms") }
    _ = try spec([""])
  }

  func spec(_ command: [String]) throws -> ProgramSpec {
    var spec = ProgramSpec(DriverCommand(command))
    guard let object = try? JSONSerialization.jsonObject(with: Data(config.utf8)), object is [String: Any] else {
      throw ValidationError("--config \(config): a JSON object is needed, like '{\"synchronous\":\"FULL\"}'")
    }
    spec.config = config
    if let model {
      guard let known = ProgramModel(rawValue: model) else {
        throw ValidationError("--model \(model): log, map, queue or transactions")
      }
      spec.model = known
    }
    guard let known = ProgramPromise(promise) else {
      throw ValidationError("--promise \(promise): acknowledged, flushed, interval(1s) or nothing")
    }
    spec.promise = known
    for name in allow {
      guard let allowance = ProgramAllowance(rawValue: name) else {
        let names = ProgramAllowance.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("--allow \(name): one of \(names)")
      }
      spec.allowances.insert(allowance)
    }
    spec.requests = requests
    spec.requestLimit = UInt64(max(1, timeLimit.inSeconds * 1e9))
    spec.memoryLimit = memory.bytes
    spec.directory = dir
    if noIsolation { spec.isIsolated = false }
    return spec
  }
}
