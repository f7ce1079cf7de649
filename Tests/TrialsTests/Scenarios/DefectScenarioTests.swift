import Defects
import Exploration
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import ScenarioExploration
@testable import Trials

/// Every historical defect, switched on in the smallest scenario that shows it, and the same scenario without it.
@Suite struct DefectScenarioTests {
  static let scenarios: [Scenario] = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../Scenarios")
      .path
    do {
      return try ScenarioFiles.load(["\(root)/defects", "\(root)/exploration"], vocabulary: TrialPlanner.vocabulary)
    } catch {
      Issue.record(error)
      return []
    }
  }()

  /// The cells in which a defect must be caught.
  private static func cells(of id: String) -> [ScenarioFormat.Cell] {
    scenarios.flatMap { $0.cells() }.filter { $0.defect == id && $0.expectation != .held }
  }

  /// Of the same scenario and the same settings without the defect.
  private static func sound(_ cell: ScenarioFormat.Cell) -> ScenarioFormat.Cell? {
    let settings = cell.axes.filter { $0.axis != .defect }
    return scenarios.first { $0.name == cell.scenario }?.cells().first { other in
      other.defect == nil && other.axes.filter { $0.axis != .defect } == settings
    }
  }

  /// Their engine keeps the processor, or takes memory that other tests take too: they need a process of their own, and
  /// have one in `VerdictTests`.
  static let apart: Set = ["P12", "C20"]
  static let together = Defect.all.map(\.id).filter { !apart.contains($0) }

  @Test(arguments: Defect.all.map(\.id)) func itHasAScenario(id: String) {
    let cells = Self.cells(of: id)
    #expect(!cells.isEmpty)
    for cell in cells { #expect(Self.sound(cell) != nil, "\(cell)") }
  }

  @Test(arguments: together) func itIsCaught(id: String) throws {
    for cell in Self.cells(of: id) {
      let sound = try #require(Self.sound(cell))
      if cell.exploration == nil {
        try expectTrial(cell, sound)
      } else {
        try expectExploration(cell)
      }
    }
  }

  /// The cells without a defect, each once: those of several defects have the same one.
  static let soundCells: [ScenarioFormat.Cell] = {
    var seen: Set<ScenarioFormat.Cell> = []
    return together.flatMap(cells(of:)).compactMap(sound).filter { seen.insert($0).inserted }
  }()

  @Test(arguments: soundCells.indices) func withoutADefectAllIsWell(number: Int) throws {
    let cell = Self.soundCells[number]
    guard cell.exploration == nil else { return try expectExploration(cell) }
    let planned = try TrialPlanner.trial(cell, storage: .memory, seed: nil, phaseSeconds: nil, expectsSound: false)
    let (verdict, checks) = try run(planned.spec)
    #expect(verdict == .held, "\(cell): \(checks.filter { $0.verdict != .held })")
  }

  /// - Parameter sound: the trial of `withoutADefectAllIsWell`: the same one but for the defect.
  private func expectTrial(_ cell: ScenarioFormat.Cell, _ sound: ScenarioFormat.Cell) throws {
    let planned = try TrialPlanner.trial(cell, storage: .memory, seed: nil, phaseSeconds: nil, expectsSound: false)
    let (verdict, checks) = try run(planned.spec)
    #expect(planned.expectation.isMet(by: verdict, checks: checks), "\(cell): \(checks.filter { $0.verdict != .held })")
    let other = try TrialPlanner.trial(sound, storage: .memory, seed: nil, phaseSeconds: nil, expectsSound: false)
    #expect(
      other.spec.defect == "none" && other.spec.seed == planned.spec.seed && other.spec.faults == planned.spec.faults)
  }

  private func run(_ spec: TrialSpec) throws -> (Verdict, [CheckResult]) {
    #expect(spec.storage == .memory)
    let scratch = try TrialScratch()
    let reply =
      spec.delivery == nil
      ? try SimulatedTrial(spec, scratch.folder).run() : try SimulatedDelivery(spec, scratch.folder).run()
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "").take(reply, &findings)
    if findings.runnerChecks.isEmpty {
      #expect(spec.unfired(reply.storageFaults) == [])
      #expect(findings.doubts == [] && findings.voids == [])
    }
    let judgement = findings.runnerChecks.reduce(findings.judgement ?? Judgement(checks: [])) { $0.adding($1) }
    return (judgement.verdict, judgement.checks)
  }

  private func expectExploration(_ cell: ScenarioFormat.Cell) throws {
    let plan = try ExplorationPlan([cell], seed: nil, profiles: nil, expectsSound: false)
    #expect(plan.explorations.count == 1 && plan.refused.isEmpty)
    for planned in plan.explorations {
      let outcome = try planned.run(jobs: 2) { _ in }
      #expect(outcome.isExpected, "\(planned.scenario) \(planned.axes): \(outcome.report.verdict)")
    }
  }
}
