import ArgumentParser
import Defects
import Exploration
import Foundation
import Trials
import Verification

/// The searches of `explore` that are not over crash states: failing operations, and orders of execution.
struct ExploreSearches: ParsableArguments {
  @Flag(help: "The error matrix: the Nth operation of each kind fails with each error, recovery included.")
  var errors = false
  @Option(name: .customLong("case"), help: "With --errors: one case again, as the report prints it.")
  var errorCase: String?
  @Option(help: "A scenario of the search by its name, or `all`; repeatable.")
  var scenario: [String] = []
  @Option(help: "With --errors: every so many-th N only; 1 is the whole matrix.")
  var stride: Int?
  @Flag(help: "Orders of execution: completions and tasks run in chosen orders, with a few pre-emptions each.")
  var schedules = false
  @Option(name: .customLong("schedule"), help: "With --schedules: one schedule again, as the report prints it.")
  var one: String?
  @Option(help: "With --schedules: how many, over all scenarios (16000).")
  var count: Int?
  @Option(help: "With --schedules: pre-emptions of one schedule at the most (3).")
  var preemptions: Int?
  @Option(help: "10m, 30s: what has not been begun by then is left out, and the verdict is unknown.")
  var deadline: String?

  /// Options of another search than the one that is asked for, or of none; nil where there are none.
  var stray: String? {
    let ofErrors = [("--case", errorCase != nil), ("--stride", stride != nil)]
    let ofSchedules = [("--schedule", one != nil), ("--count", count != nil), ("--preemptions", preemptions != nil)]
    let ofBoth = [("--scenario", !scenario.isEmpty), ("--deadline", deadline != nil)]
    var given = errors ? [] : ofErrors
    if !schedules { given += ofSchedules }
    if !errors, !schedules { given += ofBoth }
    if errors, schedules { return "--errors and --schedules: one or the other" }
    let names = given.filter(\.1).map(\.0)
    if names.isEmpty { return nil }
    return "\(names.joined(separator: ", ")): of \(errors || schedules ? "the other search" : "--errors and --schedules") only"
  }

  private func moment() throws -> Date? {
    guard let deadline else { return nil }
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
    guard let unit = deadline.last.flatMap({ units[$0] }), let number = Double(deadline.dropLast()), number > 0 else {
      throw ValidationError("--deadline \(deadline): a number with s, m or h")
    }
    return Date().addingTimeInterval(number * unit)
  }

  /// - Returns: nil where none of the searches is asked for.
  func run(
    defect: Defect?, jobs: Int, seed: UInt64, watch: HangWatch, note: @escaping @Sendable (String) -> Void
  ) throws -> SearchResult? {
    if errors { return try matrix(defect, jobs, watch, note) }
    return schedules ? try search(defect, jobs, seed, watch, note) : nil
  }

  /// The scenarios that the user has named.
  private func chosen<Scenario>(among all: [Scenario], _ name: KeyPath<Scenario, String>) throws -> [Scenario] {
    if scenario.isEmpty || scenario.contains("all") { return all }
    let chosen = all.filter { scenario.contains($0[keyPath: name]) }
    guard chosen.count == Set(scenario).count else {
      throw ValidationError("--scenario: one of \(all.map { $0[keyPath: name] }.joined(separator: ", ")), all")
    }
    return chosen
  }

  /// Of scenarios those in which the defect can act; of a single case, its own.
  /// - Throws: `ValidationError` where it can act in none.
  private func able<Scenario>(
    _ scenarios: [Scenario], _ defect: Defect?, again: String?, _ name: KeyPath<Scenario, String>,
    _ ground: KeyPath<Scenario, DefectGround>, _ note: (String) -> Void
  ) throws -> [Scenario] {
    guard let defect else { return scenarios }
    let asked = again.map { text in scenarios.filter { text.hasPrefix($0[keyPath: name] + "/") } } ?? scenarios
    let (possible, leftOut, reason) = defect.split(asked) { $0[keyPath: ground] }
    if possible.isEmpty, let reason { throw ValidationError("--defect \(defect.id): \(reason)") }
    if leftOut > 0, let reason { note("left out: \(leftOut) of \(asked.count) scenarios of the search: \(reason)") }
    return again == nil ? possible : scenarios
  }

  private func search(
    _ defect: Defect?, _ jobs: Int, _ seed: UInt64, _ watch: HangWatch, _ note: @escaping @Sendable (String) -> Void
  ) throws -> SearchResult {
    var options = ScheduleOptions()
    let (count, preemptions) = (count ?? 16_000, preemptions ?? 3)
    guard count > 0, (0...8).contains(preemptions) else { throw ValidationError("--count 1 or more, --preemptions 0 to 8") }
    (options.defect, options.jobs, options.seed) = (defect, jobs, seed)
    (options.schedules, options.bound, options.deadline) = (count, preemptions, try moment())
    options.watch = watch
    options.isCancelled = { Interruption.isRequested }
    options.scenarios = try able(
      chosen(among: ScheduleScenario.all, \.name), defect, again: one, \.name, \.defectGround, note)
    let search = try ScheduleSearch(options)
    let report = try one.map { (name) throws(ExplorationError) in try search.run(schedule: name) } ?? search.run(progress: note)
    return SearchResult(verdict: report.verdict, text: report.text, json: try report.json())
  }

  private func matrix(
    _ defect: Defect?, _ jobs: Int, _ watch: HangWatch, _ note: @escaping @Sendable (String) -> Void
  ) throws -> SearchResult {
    let stride = stride ?? 1
    var options = ErrorMatrixOptions()
    (options.defect, options.jobs, options.stride) = (defect, jobs, stride)
    options.deadline = try moment()
    options.watch = watch
    options.isCancelled = { Interruption.isRequested }
    guard stride > 0 else { throw ValidationError("--stride \(stride): 1 or more") }
    options.scenarios = try able(
      chosen(among: ErrorScenario.all, \.name), defect, again: errorCase, \.name, \.defectGround, note)
    let matrix = try ErrorMatrix(options)
    let report = try errorCase.map { (name) throws(ExplorationError) in try matrix.run(case: name) } ?? matrix.run(progress: note)
    return SearchResult(verdict: report.verdict, text: report.text, json: try report.json())
  }
}

/// What a search came to, in both forms of the report.
struct SearchResult {
  var verdict: Verdict
  var text: [String]
  var json: String
}
