import Defects
import LogModel
import PartitionEngine
import Storage
import Testing
import Verification

@testable import Exploration

private func options(
  _ scenarios: [String], _ cells: [ErrorCell], stride: Int = 1, jobs: Int = 1, defect: String? = nil
) -> ErrorMatrixOptions {
  var options = ErrorMatrixOptions()
  options.scenarios = ErrorScenario.all.filter { scenarios.contains($0.name) }
  (options.cells, options.stride, options.jobs) = (cells, stride, jobs)
  options.defect = defect.flatMap { Defect(id: $0) }
  return options
}

@Suite struct ErrorMatrixTests {
  @Test func everyCombinationIsThereAndAnImpossibleOneSaysWhy() {
    #expect(ErrorCell.all.count == (OperationKind.allCases.count - 1 + 1) * 9 * 3)
    #expect(Set(ErrorCell.all).count == ErrorCell.all.count)
    for kind in EngineCallSite.kinds {
      for error in [InjectedError.eio, .stall] {
        #expect(ErrorCell(kind: kind, error: error, lasting: .once).impossible == nil)
        #expect(ErrorCell(kind: kind, error: error, lasting: .sticky).impossible == nil)
      }
    }
    #expect(ErrorCell.all.allSatisfy { $0.impossible?.isEmpty != true })
  }

  /// A hundred thousand of them run in one process, each with a disk of its own.
  @Test(arguments: [
    ErrorCell(kind: .write, error: .eio, lasting: .once), ErrorCell(kind: .open, error: .stall, lasting: .sticky),
  ])
  func aStoryThatIsOverHoldsNothing(_ cell: ErrorCell) throws {
    let scenario = try #require(ErrorScenario.all.first { $0.name == "produce" })
    let ground = try ErrorFixture(scenario, EngineUnderTest(scenario.workload, parts: { EngineParts() }, layer: { $0 }))
    weak var story: ErrorRun?
    do {
      let own = ErrorRun(ground, FaultHitRecorder(notesSites: false))
      story = own
      #expect(own.run(ErrorCase(scenario: scenario.name, cells: [(cell, 2)]).faults).firings.count > 0)
    }
    #expect(story == nil)
  }

  @Test func aCallSiteThatNoErrorHasHitLeavesNoVerdict() throws {
    let cells = [ErrorCell(kind: .lock, error: .eio, lasting: .once)]
    var report = try ErrorMatrix(options(["produce"], cells)).run()
    // The other one is in the logs of single records.
    let locks = report.sites.filter { $0.kind == .lock && $0.file.hasPrefix("PartitionEngine/") }
    #expect(report.verdict == .held && locks.count == 1 && report.rows.contains { $0.sites == Set(locks) })
    // The same, as if these cells were to cover everything.
    report.isWhole = true
    #expect(report.verdict == .unknown && report.unvisited.count == report.sites.count - locks.count)
    report.sites = locks
    #expect(report.verdict == .held)
    report.sites.append(EngineCallSite(file: "PartitionEngine/New.swift", line: 7, kind: .unlink))
    #expect(report.verdict == .unknown)
    #expect(report.text.contains("NOT VISITED PartitionEngine/New.swift:7 unlink"))
  }

  @Test(arguments: ["produce", "recover", "skip-damage", "lease", "checkpoint-takeover"]) func theSoundEngineHolds(
    scenario: String
  ) throws {
    let cells = ErrorCell.all.filter { $0.impossible == nil && $0.lasting == .once && $0.kind != nil }
    let report = try ErrorMatrix(options([scenario], cells, stride: 127, jobs: 2)).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
    #expect(report.fired > 10 && report.unlisted.isEmpty)
  }

  /// Rows in which the engine was found wrong once: directories whose sync had failed were believed the next time; a
  /// log of which nothing but the head could be read began anew; a cut was reported by an opening that failed, and by
  /// none after it.
  @Test(arguments: [
    ("produce", ErrorCell(kind: .syncDirectory, error: .eio, lasting: .once)),
    ("interval", ErrorCell(kind: .syncDirectory, error: .eio, lasting: .sticky)),
    ("never-then-always", ErrorCell(kind: .syncDirectory, error: .eio, lasting: .once)),
    ("never", ErrorCell(kind: .read, error: .eio, lasting: .sticky)),
    ("truncate-damage", ErrorCell(kind: .read, error: .eio, lasting: .sticky)),
    ("truncate-damage", ErrorCell(kind: .write, error: .eio, lasting: .once)),
  ]) func whatWasFoundStaysMended(scenario: String, cell: ErrorCell) throws {
    let report = try ErrorMatrix(options([scenario], [cell], jobs: 2)).run()
    #expect(report.verdict == .held && report.fired > 3, "\(report.text.joined(separator: "\n"))")
  }

  @Test(arguments: [
    ("P8", "produce", ErrorCell(kind: .write, error: .short, lasting: .once)),
    ("P2", "interval", ErrorCell(kind: .sync, error: .eio, lasting: .once)),
    ("C16", "produce", ErrorCell(kind: .write, error: .eioAfterwards, lasting: .once)),
    ("A3", "close", ErrorCell(kind: .write, error: .eioAfterwards, lasting: .once)),
  ]) func aDefectIsFoundByItsError(id: String, scenario: String, cell: ErrorCell) throws {
    let found = try ErrorMatrix(options([scenario], [cell], jobs: 2, defect: id)).run()
    #expect(found.verdict == .violated)
    let sound = try ErrorMatrix(options([scenario], [cell], stride: 9, jobs: 2)).run()
    #expect(sound.verdict == .held, "\(sound.text.joined(separator: "\n"))")
    // The line that the report prints repeats it.
    let story = try #require(found.violations.first)
    let again = try ErrorMatrix(options([scenario], [cell], defect: id)).run(case: story.story)
    #expect(again.violations.map(\.check) == [story.check])
  }

  @Test func theNumberOfThreadsShowsInNothingButTheTime() throws {
    let cells = ErrorCell.all.filter { $0.impossible == nil && $0.kind == .write && $0.lasting == .once }
    func text(_ jobs: Int) throws -> [String] {
      try ErrorMatrix(options(["produce"], cells, stride: 9, jobs: jobs, defect: "P8")).run().text
    }
    #expect(try text(1) == text(2))
  }

  @Test func whatIsNoCaseIsRefused() throws {
    let matrix = try ErrorMatrix(options(["produce"], []))
    for text in ["", "produce", "produce/write EIO once/0", "nowhere/write EIO once/1", "produce/lock short once/1"] {
      #expect(throws: ExplorationError.unknownCase(text)) { try matrix.run(case: text) }
    }
  }
}
