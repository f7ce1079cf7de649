import ArgumentParser
import CrashStates
import Exploration
import Foundation
import LogModel
import Reporting
import ScenarioExploration
import ScenarioFormat
import Trials
import Verification

/// `explore crashes PATH...`: the cells of scenarios, one after the other.
extension ExploreCrashesCommand {
  static let defaultPath = "Scenarios/exploration"

  func exploreScenarios() throws {
    let plan = plan()
    for (reason, cells) in plan.refused { note("left out: \(cells) \(cells == 1 ? "cell" : "cells"): \(reason)") }
    if !plan.ignored.isEmpty {
      note(
        "not looked at: the axes \(plan.ignored.map(\.name).joined(separator: ", ")); the crash is a power cut at "
          + "every "
          + "moment, the storage the model")
    }
    guard !plan.explorations.isEmpty else {
      let why =
        search.defect.map { "no cell is an exploration in which defect \($0.id) can act" }
        ?? "no cell can be explored"
      let next = plan.refused.isEmpty ? "`tornlog list -v` shows all cells" : "the lines above say why"
      fail("nothing selected: \(why); \(next)", ExitStatus.nothingSelected)
    }
    var lines: [String] = []
    var cells: [ExplorationReport.Cell] = []
    var cases: [ReportCase] = []
    var reports: [ExplorationReport] = []
    var code: Int32 = 0
    let started = ContinuousClock.now
    let watch = search.watch
    for (index, planned) in plan.explorations.enumerated() {
      if Interruption.isRequested { break }
      let gone = (ContinuousClock.now - started).inSeconds
      let left =
        index == 0 ? "" : ", about \(Int(gone / Double(index) * Double(plan.explorations.count - index))) s left"
      note("cell \(index + 1) of \(plan.explorations.count): \(planned.scenario) \(planned.axes)\(left)")
      let outcome = outcome(of: planned, watch)
      reports.append(outcome.report)
      cells.append(Self.cell(planned, outcome))
      cases.append(Self.reportCase(planned, outcome))
      lines += self.lines(planned, outcome)
      let own = outcome.isExpected ? 0 : outcome.report.verdict == .unknown ? ExitStatus.unknown : ExitStatus.violated
      if code != ExitStatus.violated, own != 0 { code = own }
    }
    var merged = ExplorationReport(merging: reports)
    if reports.count < plan.explorations.count { merged.stoppedBy = .signal }
    var total = merged.figures
    total.cells = cells
    let expected = cells.count { $0.isExpected }
    lines.append("\(expected) of \(plan.explorations.count) cells came out as expected")
    if merged.stoppedBy == .signal {
      let whole = reports.count { $0.stoppedBy == nil }
      lines.append(
        "\(merged.verdict.rawValue): interrupted after \(whole) of \(plan.explorations.count) cells; of the others "
          + "nothing is known"
      )
    }
    let json = rendered { try ExplorationDocument(total).text() }
    search.report.write(ReportDocument(title: "tornlog explore crashes", text: lines, json: json, cases: cases))
    throw ExitCode(Interruption.isRequested ? ExitStatus.interrupted : code)
  }

  private func outcome(of planned: PlannedExploration, _ watch: HangWatch) -> PlannedExploration.Outcome {
    do throws(ExplorationError) { return try planned.run(jobs: threads.jobs, watch: watch) { note("  \($0)") } } catch {
      fail("\(planned.file): \(error)", error.exitCode)
    }
  }

  private func plan() -> ExplorationPlan {
    ScenarioPaths.check(
      paths.isEmpty ? [Self.defaultPath] : paths, isDefault: paths.isEmpty,
      commands: ExploreCommand.configuration.subcommands.compactMap { $0.configuration.commandName })
    do {
      let loaded = try ScenarioFiles.load(
        paths.isEmpty ? [Self.defaultPath] : paths, vocabulary: TrialPlanner.vocabulary)
      var selection = ScenarioSelection(
        tags: tags, expression: try expression.map { try SelectionExpression($0, vocabulary: TrialPlanner.vocabulary) })
      try selection.checkTags(of: loaded)
      var replaced: [Axis: [AxisValue]] = [:]
      if let defect = search.defect {
        replaced[.defect] = [try Axis.defect.parse(defect.id, vocabulary: TrialPlanner.vocabulary)]
        if tags.isEmpty { selection.tags = ["quick"] }
      }
      var plan = try ExplorationPlan(
        selection.cells(of: loaded, replacing: replaced), seed: random.seed, profiles: profiles.choices.profiles,
        expectsSound: search.defect != nil)
      for index in plan.explorations.indices { apply(to: &plan.explorations[index].options) }
      return plan
    } catch let error as InvalidScenarios {
      fail(
        "\(error.errors.count == 1 ? "invalid scenario" : "\(error.errors.count) mistakes in scenarios")\n\(error)",
        ExitStatus.invalidScenario)
    } catch let error as TrialError {
      fail("\(error)", ExitStatus.internalError)
    } catch {
      fail("\(error)", ExitStatus.usage)
    }
  }

  private func lines(_ planned: PlannedExploration, _ outcome: PlannedExploration.Outcome) -> [String] {
    let report = outcome.report
    let found = report.findings.map { "\($0.violation.check.rawValue) (\($0.profile.name))" }
    let what = planned.state == nil ? "\(report.visited) states visited" : "the one state"
    var lines = [
      "\(outcome.isExpected ? "ok        " : "UNEXPECTED") \(planned.scenario) \(planned.axes): "
        + "\(report.verdict.rawValue)"
        + "\(found.isEmpty ? "" : " " + found.joined(separator: ", ")); \(what)"
    ]
    if case .caught(let check) = planned.expectation, !outcome.isExpected {
      lines.append("  expected: caught by \(check.rawValue)")
    }
    // A state of its own is there to be told.
    if verbose || !outcome.isExpected {
      lines += report.text.map { "  \($0)" }
    } else if planned.state != nil {
      lines += report.findings.flatMap { $0.violation.story + ["reproduce: \($0.violation.reproduce)"] }.map {
        "  \($0)"
      }
    }
    return lines
  }

  private static func reportCase(_ planned: PlannedExploration, _ outcome: PlannedExploration.Outcome) -> ReportCase {
    let report = outcome.report
    return ReportCase(
      group: planned.scenario, name: planned.axes.entries.isEmpty ? planned.scenario : "\(planned.axes)",
      file: planned.file,
      verdict: report.verdict, isExpected: outcome.isExpected,
      message: "\(report.visited) states visited", lines: report.findings.flatMap { $0.violation.lines })
  }

  private static func cell(_ planned: PlannedExploration, _ outcome: PlannedExploration.Outcome)
    -> ExplorationReport.Cell
  {
    let expectation =
      switch planned.expectation {
      case .held: "held"
      case .caught(let check): "caught by \(check.rawValue)"
      }
    return ExplorationReport.Cell(
      scenario: planned.scenario, file: planned.file,
      axes: Dictionary(planned.axes.entries.map { ($0.name, "\($0.value)") }) { $1 }, expectation: expectation,
      isExpected: outcome.isExpected, exploration: outcome.report.figures)
  }
}
