import Defects
import LogModel
import Testing
import Verification

@testable import Exploration

private func options(_ scenarios: [String], _ count: Int, jobs: Int = 2, defect: String? = nil) -> ScheduleOptions {
  var options = ScheduleOptions()
  options.scenarios = ScheduleScenario.all.filter { scenarios.contains($0.name) }
  (options.schedules, options.jobs) = (count, jobs)
  options.defect = defect.flatMap { Defect(id: $0) }
  return options
}

@Suite struct ScheduleSearchTests {
  @Test func theSoundEngineHoldsInEveryOrder() throws {
    let report = try ScheduleSearch(options(["always", "interval", "writers", "takeover"], 120)).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
    #expect(report.schedules == 120 && report.unique > 60)
  }

  /// H11 takes a pre-emption at one decision of some hundred: single ones are all tried, and then samples.
  @Test(arguments: [("C7", "always", 66), ("H11", "takeover", 400), ("P6", "always", 66)])
  func aRaceIsFound(id: String, scenario: String, within count: Int) throws {
    let report = try ScheduleSearch(options([scenario], count, defect: id)).run()
    let first = try #require(report.violations.first)
    #expect(first.check == .noAcknowledgedLoss)
    let again = try ScheduleSearch(options([scenario], 1, defect: id)).run(schedule: first.schedule)
    #expect(again.violations.map(\.check) == [first.check])
  }

  /// No power cut in the default order shows it: it takes a pre-emption, which the search finds.
  @Test func aRaceThatTheDefaultOrderHidesIsFound() throws {
    let report = try ScheduleSearch(options(["writers"], 400, defect: "C11")).run()
    let first = try #require(report.violations.first)
    #expect(!first.isInDefaultOrder && first.within > 1)
    #expect(first.check == .noAcknowledgedLoss)
    var plain = options(["writers"], 400, defect: "C11")
    plain.bound = 0
    #expect(try ScheduleSearch(plain).run().verdict == .held)
  }

  @Test func theNumberOfThreadsShowsInNothingButTheTime() throws {
    func text(_ jobs: Int) throws -> [String] {
      try ScheduleSearch(options(["always", "takeover"], 60, jobs: jobs, defect: "P6")).run().text
    }
    #expect(try text(1) == text(2))
  }

  @Test func aScheduleReadsAsItIsWritten() {
    for text in ["always/-/cut end", "always/3:1/cut 9", "always/3:1,17:2/cut end"] {
      #expect(Schedule(text).map { "\($0)" } == text)
    }
    for text in ["", "always", "always/x/cut end", "always/3:0/cut end", "always/-/cut 0", "always/-/cut x"] {
      #expect(Schedule(text) == nil)
    }
  }
}
