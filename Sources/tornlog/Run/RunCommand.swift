import ArgumentParser
import DefectMatrix
import Foundation
import HTTPServing
import LogModel
import Metrics
import Reporting
import ScenarioFormat
import Storage
import Trials
import Verification

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run scenarios: one trial for each cell of their matrices.",
    discussion: "Without -t the cells of the suite `quick` run.")

  @OptionGroup var scenarios: ScenarioOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var execution: ExecutionOptions

  @Flag(
    name: [.customShort("x"), .customLong("fail-fast")],
    help: "Stop at the first trial that does not come out as expected.")
  var failFast = false
  @Flag(
    help: "Run only what did not come out as expected the last time in this checkout. Run all where nothing failed.")
  var lastFailed = false
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Run n random trials of the unmodified engine in place of scenarios. --seed decides them.", valueName: "n"))
  var random: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Run each trial with n seeds, counted up from the first.", valueName: "n"))
  var seeds = 1
  @Option(parsing: .unconditional, help: ArgumentHelp("Run each trial n times with the same seed.", valueName: "n"))
  var `repeat` = 1
  @Option(
    parsing: .unconditional, help: ArgumentHelp("Start no trial after this long, like 10m.", valueName: "duration"))
  var deadline: Duration?

  @Option(
    help: ArgumentHelp(
      "Serve the run's metrics as OpenMetrics while it lasts, like 127.0.0.1:9464.", valueName: "address"))
  var serveMetrics: String?

  /// Trials of one run; each is held in memory.
  private static let trialLimit = 1_000_000

  func validate() throws {
    guard (1...1_000_000).contains(seeds) else { throw ValidationError("--seeds \(seeds): from 1 to 1000000") }
    guard (1...1_000_000).contains(self.repeat) else {
      throw ValidationError("--repeat \(self.repeat): from 1 to 1000000")
    }
    try checkRandom()
    if let serveMetrics {
      do throws(HTTPListenerError) { _ = try HTTPAddress(serveMetrics) } catch {
        throw ValidationError("--serve-metrics \(error)")
      }
    }
  }

  /// What is of scenarios says nothing of random trials.
  private func checkRandom() throws {
    guard let random else { return }
    guard (1...Self.trialLimit).contains(random) else {
      throw ValidationError("--random \(random): from 1 to \(Self.trialLimit)")
    }
    let strays = [
      ("PATH", scenarios.paths != ScenarioOptions.defaultPaths), ("-k", scenarios.expression != nil),
      ("-t", !scenarios.tags.isEmpty),
      ("--defect", !scenarios.defect.isEmpty), ("--last-failed", lastFailed), ("--seeds", seeds != 1),
      ("--repeat", self.repeat != 1),
    ].filter(\.1).map(\.0)
    guard strays.isEmpty else {
      throw ValidationError("--random and \(strays.joined(separator: ", ")): one or the other")
    }
  }

  /// Random trials, by their numbers.
  private func runRandom(_ count: Int) throws {
    let seed = execution.seed ?? TrialPlanner.defaultSeed
    let source = RandomTrials(
      seed: seed, storage: execution.storage == .auto ? .memory : execution.storage,
      phaseSeconds: execution.phaseSeconds ?? 60)
    let shard: Shard?
    do { shard = try scenarios.shard.map { try Shard($0).resolved() } } catch { fail("\(error)", ExitStatus.usage) }
    let numbers = (0..<count).filter {
      shard?.keeps(position: $0, name: "\(RandomTrials.scenario) \(seed) \($0)") ?? true
    }
    guard !numbers.isEmpty else {
      fail("nothing selected: the shard has none of the \(count) trials", ExitStatus.nothingSelected)
    }
    let (endpoint, live) = serve()
    let summary = execution.execute(
      numbers.map(source.trial), recorders: output.recorders(isOfRandomTrials: true) + live, failFast: failFast,
      deadline: deadline?.inSeconds, memory: nil, showsNotices: output.showsNotices)
    endpoint?.stop()
    throw ExitCode(summary)
  }

  func run() throws {
    output.check()
    if let random { return try runRandom(random) }
    let loaded = scenarios.load()
    let selected = scenarios.cells(of: loaded)
    let trialCells = selected.filter { $0.exploration == nil }
    if trialCells.count < selected.count {
      note(
        "left out, as they are no trials: \(selected.count - trialCells.count) cells of crash states; `tornlog "
          + "explore` takes them"
      )
    }
    let able = leavingOutWhereNoDefectCanAct(trialCells)
    let cells = able.filter { TrialPlanner.isPossible($0, on: execution.storage) }
    let impossible = able.count { $0.delivery == nil } - cells.count { $0.delivery == nil }
    if impossible > 0 {
      note("left out, as the model has no processes: \(impossible) cells with writers=second-process")
    }
    let powerless = able.count - cells.count - impossible
    if powerless > 0 {
      note("left out, as job logs lose power in the model only: \(powerless) cells with crash=power-loss")
    }
    let count = cells.count * seeds * self.repeat
    guard count <= Self.trialLimit else {
      fail("\(count) trials; the limit is \(Self.trialLimit): lower --seeds or --repeat", ExitStatus.usage)
    }
    var trials: [PlannedTrial] = []
    for cell in cells {
      for n in 0..<UInt64(seeds) {
        let planned = plan(cell, seedStep: n)
        for _ in 0..<self.repeat { trials.append(planned) }
      }
    }
    let memory = FailureMemory()
    guard !trials.isEmpty else {
      fail("nothing selected: \(scenarios.whyNoCell(of: loaded))", ExitStatus.nothingSelected)
    }
    if lastFailed {
      let tokens = memory.tokens
      let failed = trials.filter { tokens.contains(Token.encode($0.spec)) }
      if failed.isEmpty {
        note("--last-failed: no trial of this selection failed the last time; all \(trials.count) run")
      } else {
        trials = failed
      }
    }
    let (endpoint, live) = serve()
    let summary = execution.execute(
      trials, recorders: output.recorders(showsShortForms: true) + live, failFast: failFast,
      deadline: deadline?.inSeconds, memory: memory, findings: LastFindings(),
      showsNotices: output.showsNotices,
      cases: loaded.filter { scenario in cells.contains { $0.scenario == scenario.name } }.map(CaseDescription.init))
    endpoint?.stop()
    throw ExitCode(summary)
  }

  /// What serves the run's metrics, and what counts for it.
  private func serve() -> (endpoint: MetricsEndpoint?, recorders: [any RunRecorder]) {
    guard let serveMetrics else { return (nil, []) }
    do throws(HTTPListenerError) {
      let registry = MetricRegistry()
      let endpoint = try MetricsEndpoint(registry, at: try HTTPAddress(serveMetrics))
      note("metrics at http://\(endpoint.address)/metrics")
      return (endpoint, [OpenMetricsRecorder(nil, registry: registry)])
    } catch { fail("\(error)", ExitStatus.unavailable) }
  }

  /// The cells in which the defects that the user has switched on can act: in the others "held" would be a pass for
  /// nothing. Says how many are left out, and why.
  private func leavingOutWhereNoDefectCanAct(_ cells: [Cell]) -> [Cell] {
    guard !scenarios.defect.isEmpty else { return cells }
    var reasons: [(reason: String, cells: Int)] = []
    let able = cells.filter { cell in
      guard let reason = TrialPlanner.defectObstacle(in: cell) else { return true }
      if let at = reasons.firstIndex(where: { $0.reason == reason }) {
        reasons[at].cells += 1
      } else {
        reasons.append((reason, 1))
      }
      return false
    }
    for (reason, count) in reasons { note("left out: \(count) \(count == 1 ? "cell" : "cells"): \(reason)") }
    if able.isEmpty, !cells.isEmpty {
      fail(
        "nothing selected: in none of the \(cells.count) cells can \(scenarios.defect.joined(separator: ", ")) act",
        ExitStatus.nothingSelected)
    }
    return able
  }

  private func plan(_ cell: Cell, seedStep: UInt64) -> PlannedTrial {
    do {
      let base = execution.seed ?? cell.seed ?? TrialPlanner.defaultSeed
      return try TrialPlanner.trial(
        cell, storage: execution.storage, seed: base &+ seedStep, phaseSeconds: execution.phaseSeconds,
        expectsSound: !scenarios.defect.isEmpty)
    } catch {
      // What contradicts itself in a cell is the scenario's mistake; everything else is a mistake of this program.
      if case .notOfSystem = error { fail("invalid scenario\n\(cell.file): \(error)", ExitStatus.invalidScenario) }
      fail("\(error)", ExitStatus.internalError)
    }
  }
}

/// Where and how trials run.
struct ExecutionOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: ArgumentHelp("Random seed (default: the scenario's, or 42).", valueName: "n"))
  var seed: UInt64?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Run n trials at once (default: one for each processor).", valueName: "n"))
  var jobs: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Limit one phase of a trial, like 30s (default: the scenario's limit).", valueName: "duration"))
  var timeout: Duration?
  @OptionGroup var place: TrialDirectory
  @Option(help: "The engine's storage: io_uring (ring), system calls (posix), a model in virtual time (memory).")
  var storage = StorageChoice.auto
  @Option(help: "Keep the trials' files afterwards.")
  var keep = RunPlan.Keep.never

  func validate() throws {
    if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs \(jobs): from 1 to 256") }
  }

  var phaseSeconds: Double? { timeout?.inSeconds }
  var directory: String { place.path }

  /// Runs the trials and returns the exit code.
  /// - Parameter showsNotices: whether a recorder shows notices to a person; otherwise they go to standard error.
  func execute(
    _ trials: [PlannedTrial], recorders: [any RunRecorder], failFast: Bool, deadline: Double?, memory: FailureMemory?,
    findings: LastFindings? = nil, showsNotices: Bool, cases: [CaseDescription] = []
  ) -> Int32 {
    let plan = RunPlan(
      trials: trials, jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount, directory: directory,
      keep: keep, failFast: failFast, deadline: deadline,
      executable: "/proc/self/exe", cases: cases)
    do {
      let description = try Preflight.examine(plan, seed: seed ?? trials[0].spec.seed)
      if !showsNotices { for notice in description.notices { note(notice) } }
      var outcome = ExitDecision()
      let recorders = Recorders(recorders)
      let run = Run(plan) { event in
        try recorders.record(event)
        if case .trialFinished(let index, let result) = event {
          outcome.take(result)
          memory?.take(Token.encode(trials[index].spec), result)
          findings?.take(result)
        }
      }
      let summary = try run.execute(description.run, notices: description.notices)
      do { try findings?.save() } catch {
        note("`tornlog reproduce last` will not know this run: \(CheckoutCache.complaint(error))")
      }
      do { try memory?.save() } catch {
        note("--last-failed will not know this run: \(CheckoutCache.complaint(error))")
      }
      if Interruption.isRequested { return ExitStatus.interrupted }
      if summary.stoppedBy == .deadline {
        note("stopped at the deadline after \(summary.trials) of \(trials.count) trials")
        return outcome.code == 0 ? ExitStatus.unknown : outcome.code
      }
      return outcome.code
    } catch let error as TrialError {
      note("\(error)")
      return error.isEnvironment ? ExitStatus.unavailable : ExitStatus.internalError
    } catch let error as ReportError {
      note("\(error)")
      return ExitStatus.unavailable
    } catch {
      note("internal error: \(error)")
      return ExitStatus.internalError
    }
  }
}

/// From results to an exit code: a violation that nobody expected weighs more than a doubt.
struct ExitDecision {
  private(set) var code: Int32 = 0

  mutating func take(_ result: TrialResult) {
    guard !result.isExpected else { return }
    let own = result.verdict == .unknown ? ExitStatus.unknown : ExitStatus.violated
    if code != ExitStatus.violated { code = own }
  }
}
