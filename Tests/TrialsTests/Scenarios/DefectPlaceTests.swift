import CrashStates
import Defects
import Exploration
import LogModel
import ScenarioFormat
import Testing

@testable import ScenarioExploration
@testable import Trials

/// A defect that cannot act is not held: it was never switched on.
@Suite struct DefectPlaceTests {
  private static let engine = DefectGround(.engine, has: [.objectStore, .otherWriter, .severalTopics])

  @Test(arguments: Defect.all.map(\.id)) func eachDefectActsInItsOwnProgramAndInNoOther(id: String) throws {
    let defect = try #require(Defect(id: id))
    let own: DefectGround =
      switch defect.subject {
      case .engine: Self.engine
      case .delivery: LogClient.delivery.defectGround
      case .transactions: LogClient.transactions.defectGround
      }
    #expect(defect.obstacle(on: own) == nil)
    for program in [Defect.Subject.engine, .delivery, .transactions] where program != defect.subject {
      let obstacle = defect.obstacle(on: DefectGround(program, has: Set(Defect.Need.allCases)))
      // An error of any file is repeated, or believed, in each of them.
      if ["P2", "P8"].contains(id) {
        #expect(obstacle == nil)
      } else {
        #expect("\(try #require(obstacle))".contains("it acts in"), "\(id)")
      }
    }
    if defect.subject == .engine {
      #expect(
        defect.obstacle(on: DefectGround(.engine, system: .chronik, has: Set(Defect.Need.allCases)))
          == .otherFormat(id, .chronik))
    }
  }

  @Test(arguments: [
    ("H1", Defect.Need.objectStore), ("H5", .objectStore), ("H8", .objectStore), ("H9", .severalTopics),
    ("H11", .otherWriter), ("A8", .severalExecutions), ("A10", .archive),
  ])
  func whatADefectNeeds(id: String, need: Defect.Need) throws {
    let defect = try #require(Defect(id: id))
    #expect(defect.obstacle(on: DefectGround(defect.subject)) == .missing(id, need))
    #expect(defect.obstacle(on: DefectGround(defect.subject, has: [need])) == nil)
    #expect(defect.obstacle(on: DefectGround(defect.subject), ignoringNeeds: true) == nil)
    #expect(Defect.all.filter { $0.needs.contains(need) }.map(\.id).contains(id))
  }

  /// Of several at once each must be able to act.
  @Test func severalAtOnce() throws {
    let both = try Defect.named("C4+H1")
    #expect(both.obstacle(on: DefectGround(.engine)) == .missing("H1", .objectStore))
    #expect(both.obstacle(on: DefectGround(.engine, has: [.objectStore])) == nil)
  }

  /// The scenario that was written for a defect is one in which it can act.
  @Test(arguments: Defect.all.map(\.id)) func itsOwnScenarioIsAPlaceForIt(id: String) {
    let cells = DefectScenarioTests.scenarios.flatMap { $0.cells() }.filter {
      $0.defect == id && $0.expectation != .held
    }
    #expect(!cells.isEmpty)
    for cell in cells {
      if cell.exploration == nil {
        #expect(TrialPlanner.defectObstacle(in: cell) == nil, "\(cell)")
      } else {
        #expect(ExplorationPlan.defectObstacle(in: cell, ignoringNeeds: false) == nil, "\(cell)")
      }
    }
  }

  /// What is recorded of a client with a defect that is said not to act is what is recorded without it.
  @Test(arguments: LogClient.allCases) func whatIsRefusedChangesNothing(client: LogClient) throws {
    func report(_ defect: Defect?) throws -> [Int] {
      var options = ExplorationOptions()
      (options.bound, options.statesPerPoint, options.samples, options.profiles) = (1, 1, 0, [.raw512])
      options.defect = defect
      let exploration = try ClientExploration(client, messages: 4, options)
      let report = exploration.run()
      return [exploration.events, report.visited, report.judged, report.findings.count]
    }
    let sound = try report(nil)
    for defect in Defect.all
    where defect.subject == .engine && defect.obstacle(on: client.defectGround) != nil
      && !["C20", "P12"].contains(defect.id)
    {
      #expect(try report(defect) == sound, "\(defect.id)")
    }
  }

  @Test func searchesSayInWhichOfTheirScenariosADefectCanAct() throws {
    let c2b = try Defect.named("C2b").split(ErrorScenario.all, \.defectGround)
    #expect(c2b.possible.allSatisfy { $0.defectGround.program == .engine && $0.defectGround.system == .tornlog })
    #expect(c2b.leftOut == ErrorScenario.all.count - c2b.possible.count && c2b.leftOut > 5)
    #expect(
      try Defect.named("A9").split(ErrorScenario.all, \.defectGround).possible.map(\.name) == [
        "delivery", "delivery-recover",
      ])
    #expect(try Defect.named("A9").split(ScheduleScenario.all, \.defectGround).possible.isEmpty)
    #expect(
      try Defect.named("H11").split(ScheduleScenario.all, \.defectGround).possible.map(\.name) == [
        "takeover", "checkpoint",
      ])
    #expect(try Defect.named("H1").split(ScheduleScenario.all, \.defectGround).possible.map(\.name) == ["checkpoint"])
  }
}
