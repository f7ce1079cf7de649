import ArgumentParser
import Defects
import Exploration
import Foundation
import LogModel
import Verification

struct ExploreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explore",
    abstract: "Visit every crash state that a storage permits, recover from each, and judge what is left.",
    discussion: """
      The reference workload (3 partitions, 60 batches, rotation, commits of consumer offsets) runs once in virtual time. \
      At each of its moments the states that a power cut may leave are enumerated, as the profile permits. \
      Exits with 1 where a promise was broken in any of them.
      """)

  @Flag(help: "The reference workload; what is explored where nothing else is named.")
  var reference = false
  @Option(name: .customLong("profile"), help: "A persistence profile, or `all`; repeatable.")
  var profiles: [String] = ["all"]
  @Option(help: "Every state that differs in at most so many pieces is visited.")
  var bound = 3
  @Option(help: "States that the exhaustive part visits at one crash point at the most; the bound is lowered to fit.")
  var statesPerPoint = 4096
  @Option(help: "States drawn by the seed at each crash point that was not exhausted.")
  var samples = 64
  @Option(help: "always, interval(100ms) or never.")
  var sync = "always"
  @Option(help: "2: the recoveries are cut off too.")
  var depth = 1
  @Flag(help: "The device makes short writes, and one fsync fails.")
  var mishaps = false
  @Option(help: "A historical defect, by its id.")
  var defect: String?
  @Option(help: "So many states of each profile are run again without any reduction, and the verdicts compared.")
  var calibrate = 0
  @Option(help: "Where every choice begins.")
  var seed: UInt64 = 1
  @Option(help: "Threads.")
  var jobs = ProcessInfo.processInfo.activeProcessorCount
  @Option(help: "terminal, json or json=PATH; repeatable.")
  var report: [String] = ["terminal"]

  func run() throws {
    var options = ExplorationOptions()
    guard let policy = SyncPolicy(sync) else { throw ValidationError("--sync \(sync): always, interval(100ms) or never") }
    guard (1...8).contains(bound), statesPerPoint > 0, samples >= 0, jobs > 0 else {
      throw ValidationError("--bound 1 to 8, --states-per-point, --samples and --jobs positive")
    }
    guard (1...2).contains(depth) else { throw ValidationError("--depth \(depth): 1 or 2") }
    options.workload.syncPolicy = policy
    options.workload.seed = seed
    options.workload.mishaps = mishaps
    (options.bound, options.statesPerPoint, options.samples) = (bound, statesPerPoint, samples)
    (options.seed, options.jobs, options.depth) = (seed, jobs, depth)
    options.calibration = max(0, calibrate)
    if let defect {
      guard let found = Defect(id: defect) else { throw ValidationError("there is no defect \(defect): tornlog list --defects") }
      options.defect = found
    }
    do throws(ExplorationError) {
      options.profiles = try Self.profiles(profiles)
      let exploration = try Exploration(options)
      note("\(exploration.events) events recorded")
      let result = exploration.run { note($0) }
      write(result)
      switch result.verdict {
      case .held: return
      case .violated: Self.exit(withError: ExitCode(ExitStatus.violated))
      case .unknown: Self.exit(withError: ExitCode(ExitStatus.unknown))
      }
    } catch {
      switch error {
      case .unknownProfile: fail("\(error)", ExitStatus.usage)
      case .workloadTooLarge, .stateDoesNotFit: fail("\(error)", ExitStatus.invalidScenario)
      case .recordingFailed: fail("\(error)", ExitStatus.internalError)
      }
    }
  }

  private static func profiles(_ names: [String]) throws(ExplorationError) -> [CrashProfile] {
    if names.contains("all") { return CrashProfile.all }
    for name in names where CrashProfile.named(name) == nil { throw .unknownProfile(name) }
    return CrashProfile.all.filter { names.contains($0.name) }
  }

  private func text(_ result: ExplorationReport) -> String {
    do { return try result.json() } catch { fail("the report cannot be written as JSON: \(error)", ExitStatus.internalError) }
  }

  private func write(_ result: ExplorationReport) {
    for target in report {
      switch target {
      case "terminal": Console.print(result.text)
      case "json": Console.print([text(result)])
      default:
        guard target.hasPrefix("json="), case let path = String(target.dropFirst(5)), !path.isEmpty else {
          fail("--report \(target): terminal, json or json=PATH", ExitStatus.usage)
        }
        do { try Data((text(result) + "\n").utf8).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
          fail("\(path): \(error)", ExitStatus.unavailable)
        }
      }
    }
  }
}
