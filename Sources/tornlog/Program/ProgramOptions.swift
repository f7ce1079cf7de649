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
  var config: String?
  @Option(
    help: ArgumentHelp(
      "Judge by this model: log, map, queue or transactions. Without it, by what the driver offers.",
      valueName: "model"))
  var model: String?
  @Option(
    help: ArgumentHelp(
      "What an acknowledgement promises: acknowledged (default), flushed, interval(1s) or nothing.",
      valueName: "promise"))
  var promise: String?
  @Option(
    help: ArgumentHelp(
      "Allow a documented weakness. Repeatable; docs/program-contracts.md lists them.", valueName: "name"))
  var allow: [String] = []
  @Option(parsing: .unconditional, help: ArgumentHelp("Send n requests (default: 100).", valueName: "n"))
  var requests: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Keep n requests in flight (default: 1); the driver may answer in any order.", valueName: "n"))
  var concurrency: Int?
  @Option(
    name: .customLong("time-limit"), help: ArgumentHelp("Time for one request (default: 10s).", valueName: "duration"))
  var timeLimit: Duration?
  @Option(
    help: ArgumentHelp("Keep at most this much of a volume in memory; the rest goes to a file.", valueName: "size"))
  var memory = ByteSize(bytes: 1 << 30)
  @Flag(help: "Give drivers no namespaces of their own, also as root.")
  var noIsolation = false
  @Option(help: ArgumentHelp("Make mount points in this folder.", valueName: "dir"), completion: .directory)
  var dir = "/tmp"

  func validate() throws {
    if let requests, !(1...100_000).contains(requests) {
      throw ValidationError("--requests \(requests): from 1 to 100000")
    }
    if let concurrency, !(1...1000).contains(concurrency) {
      throw ValidationError("--concurrency \(concurrency): from 1 to 1000")
    }
    guard memory.bytes >= 64 << 20 else { throw ValidationError("--memory \(memory): at least 64MiB") }
    if let timeLimit, timeLimit < .milliseconds(100) {
      throw ValidationError("--time-limit \(timeLimit): at least 100ms")
    }
    _ = try spec([""])
  }

  /// What scenarios say, and the command line must not say too.
  var ofScenarios: [String] {
    [
      ("--config", config != nil), ("--model", model != nil), ("--promise", promise != nil),
      ("--allow", !allow.isEmpty),
    ].filter(\.1).map(\.0)
  }

  func spec(_ command: [String]) throws -> ProgramSpec {
    var spec = ProgramSpec(DriverCommand(command))
    if let config {
      guard let object = try? JSONSerialization.jsonObject(with: Data(config.utf8)), object is [String: Any] else {
        throw ValidationError("--config \(config): a JSON object is needed, like '{\"synchronous\":\"FULL\"}'")
      }
      spec.config = config
    }
    if let model {
      guard let known = ProgramModel(rawValue: model) else {
        throw ValidationError("--model \(model): log, map, queue or transactions")
      }
      spec.model = known
    }
    if let promise {
      guard let known = ProgramPromise(promise) else {
        throw ValidationError("--promise \(promise): acknowledged, flushed, interval(1s) or nothing")
      }
      spec.promise = known
    }
    for name in allow {
      guard let allowance = ProgramAllowance(rawValue: name) else {
        let names = ProgramAllowance.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("--allow \(name): one of \(names)")
      }
      spec.allowances.insert(allowance)
    }
    if let requests { spec.requests = requests }
    if let concurrency { spec.concurrency = concurrency }
    if let timeLimit { spec.requestLimit = UInt64(max(1, timeLimit.inSeconds * 1e9)) }
    spec.memoryLimit = memory.bytes
    spec.directory = dir
    if noIsolation { spec.isIsolated = false }
    return spec
  }
}
