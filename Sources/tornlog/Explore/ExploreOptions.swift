import ArgumentParser
import CProcess
import CrashStates
import Defects
import Exploration
import Foundation
import LogModel
import Reporting
import Trials
import Verification

/// Options of every search.
struct SearchOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Switch on a historical defect: an id, several as C4+P9, or none. It is expected to do no harm.",
      valueName: "id"),
    transform: DefectChoice.init)
  var defect: DefectChoice?
  @Option(
    help: ArgumentHelp(
      "Report a hang when the engine computes this long on one state, case or schedule. At least 100ms.",
      valueName: "duration"))
  var timeout = Duration.seconds(60)
  @OptionGroup var report: ReportOptions<DocumentFormats>

  func validate() throws { try HangExit.validate(timeout) }

  /// For whatever runs the engine on the command's behalf.
  var watch: HangWatch {
    let requests = report.requests
    return HangExit.watch(timeout) { $0.write(to: requests) }
  }

  /// Runs a search, writes its report, and ends the command with the exit code of its verdict.
  func finish(_ search: () throws -> (verdict: Verdict, document: ReportDocument)) throws -> Never {
    do {
      let (verdict, document) = try search()
      report.write(document)
      if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
      throw ExitCode(ExitStatus.code(of: verdict))
    } catch let error as ExplorationError {
      fail("\(error)", error.exitCode)
    }
  }
}

extension ExitStatus {
  /// Of a search that must hold.
  static func code(of verdict: Verdict) -> Int32 {
    switch verdict {
    case .held: 0
    case .violated: violated
    case .unknown: unknown
    }
  }
}

/// `--jobs` of searches.
struct SearchJobs: ParsableArguments {
  @Option(parsing: .unconditional, help: ArgumentHelp("Number of threads.", valueName: "n"))
  var jobs = ProcessInfo.processInfo.activeProcessorCount

  func validate() throws {
    guard (1...1024).contains(jobs) else { throw ValidationError("--jobs \(jobs): from 1 to 1024") }
  }
}

/// How far a search over crash states goes.
struct SearchBounds: ParsableArguments {
  @Option(help: ArgumentHelp("Visit every state that differs in at most n pieces, 1 to 8.", valueName: "n"))
  var bound: Int?
  @Option(
    help: ArgumentHelp(
      "Visit at most n states at one crash point exhaustively. The bound is lowered to fit.", valueName: "n"))
  var statesPerPoint: Int?
  @Option(help: ArgumentHelp("Draw n more states at each crash point that was not exhausted.", valueName: "n"))
  var samples: Int?
  @Option(help: ArgumentHelp("1: cut the power in the workload. 2: cut it in the recoveries too.", valueName: "n"))
  var depth: Int?

  func validate() throws {
    guard (1...8).contains(bound ?? 1) else { throw ValidationError("--bound \(bound ?? 0): from 1 to 8") }
    guard (1...2).contains(depth ?? 1) else { throw ValidationError("--depth \(depth ?? 0): 1 or 2") }
    guard (statesPerPoint ?? 1) > 0 else {
      throw ValidationError("--states-per-point \(statesPerPoint ?? 0): 1 or more")
    }
    guard (samples ?? 0) >= 0 else { throw ValidationError("--samples \(samples ?? 0): 0 or more") }
  }

  /// Replaces what was given, and leaves the rest.
  func apply(to options: inout ExplorationOptions) {
    if let bound { options.bound = bound }
    if let statesPerPoint { options.statesPerPoint = statesPerPoint }
    if let samples { options.samples = samples }
    if let depth { options.depth = depth }
  }
}

/// `--profile` and `--seed` of searches over crash states.
struct SearchProfiles: ParsableArguments {
  @Option(
    name: .customLong("profile"),
    help: ArgumentHelp(
      "Use this persistence profile, or all. Repeatable. docs/crash-profiles.md lists them.", valueName: "name"),
    transform: ProfileChoice.init)
  var choices: [ProfileChoice] = []

  /// - Parameter coveringRecordLogs: where none is named, those only under which logs of records are covered.
  func profiles(coveringRecordLogs: Bool) -> [CrashProfile] {
    if let named = choices.profiles { return named }
    guard coveringRecordLogs else { return CrashProfile.all }
    let left = CrashProfile.all.filter { !CrashProfile.ofRecordLogs.contains($0) }.map(\.name)
    note(
      "left out, as this format has no salt and its records share sectors: the profiles "
        + "\(left.joined(separator: ", ")); "
        + "name one with --profile to see it")
    return CrashProfile.ofRecordLogs
  }
}

/// `--seed` of searches that draw.
struct SearchSeed: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Random seed (default: the scenario's, or 42; of other workloads 1).", valueName: "n"))
  var seed: UInt64?
}

/// Which of the scenarios that a search brings, and until when.
struct SearchScenarios: ParsableArguments {
  @Option(
    name: .customLong("scenario"),
    help: ArgumentHelp("Search only this scenario of the search, or all (default). Repeatable.", valueName: "name"))
  var names: [String] = []
  @Option(
    help: ArgumentHelp("Start nothing after this long, like 10m. The verdict is unknown then.", valueName: "duration"))
  var deadline: Duration?

  var moment: Date? { deadline.map { Date().addingTimeInterval($0.inSeconds) } }

  /// Of the scenarios that were named those in which the defect can act; of a single case, its own.
  /// - Parameter again: the case or schedule that is to be repeated, which begins with its scenario's name.
  /// - Throws: `ValidationError` where there is no such scenario, or where the defect can act in none.
  func chosen<Scenario>(
    among all: [Scenario], _ name: KeyPath<Scenario, String>, again: String?, _ ground: KeyPath<Scenario, DefectGround>,
    _ defect: Defect?
  ) throws -> [Scenario] {
    var scenarios = all
    if !names.isEmpty, !names.contains("all") {
      scenarios = all.filter { names.contains($0[keyPath: name]) }
      guard scenarios.count == Set(names).count else {
        throw ValidationError("--scenario: one of \(all.map { $0[keyPath: name] }.joined(separator: ", ")), all")
      }
    }
    guard let defect else { return scenarios }
    let asked = again.map { text in scenarios.filter { text.hasPrefix($0[keyPath: name] + "/") } } ?? scenarios
    let (possible, leftOut, reason) = defect.split(asked) { $0[keyPath: ground] }
    if possible.isEmpty, let reason { throw ValidationError("--defect \(defect.id): \(reason)") }
    if leftOut > 0, let reason { note("left out: \(leftOut) of \(asked.count) scenarios of the search: \(reason)") }
    return again == nil ? possible : scenarios
  }
}
