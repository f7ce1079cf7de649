import ArgumentParser
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Trials
import Verification

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Run scenarios.")
  @Argument var paths: [String] = ["Scenarios"]
  @Option(name: .customShort("k")) var expression: String?
  @Option(name: .customShort("t")) var tags: [String] = []
  @Option var storage = "auto"
  @Option var jobs = 2
  @Option var dir = "/tmp"

  func run() throws {
    let scenarios = try ScenarioFiles.load(paths, vocabulary: Planning.vocabulary)
    let selection = ScenarioSelection(
      tags: tags, expression: try expression.map { try SelectionExpression($0, vocabulary: Planning.vocabulary) })
    let cells = selection.cells(of: scenarios)
    let trials = try cells.map {
      try Planning.trial($0, storage: StorageChoice(rawValue: storage)!, seed: nil, phaseSeconds: nil, expectsSound: false)
    }
    let plan = RunPlan(
      trials: trials, jobs: jobs, directory: dir, keep: .never, failFast: false, deadline: nil,
      executable: "/proc/self/exe")
    let summary = try Run(plan) { event in
      if case .trialFinished(_, let r) = event {
        let bad = r.checks.filter { $0.verdict != .held }
        print("\(r.isExpected ? "ok  " : "BAD ") \(r.verdict) \(r.axes) lost=\(r.counts.lost) rec=\(r.counts.recovered)/\(r.counts.attempted) \(String(format: "%.2f", r.seconds))s \(r.isExpected ? "" : "expected \(r.expectation) \(bad.map { "\($0.name.rawValue): \($0.detail)" }) \(r.notices) \(r.faults)\n   \(r.reproduce)")")
      }
    }.execute(RunDescription(seed: 42, storage: storage, filesystem: "", trials: trials.count, jobs: jobs))
    print(summary)
  }
}
