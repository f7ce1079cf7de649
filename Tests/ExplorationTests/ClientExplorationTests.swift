import Defects
import FaultInjection
import LogModel
import Storage
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

/// Crash states and failing operations of the programs that keep logs of their own.
@Suite struct ClientExplorationTests {
  static func options(_ defect: String?, depth: Int = 1, _ profile: CrashProfile = .raw512) -> ExplorationOptions {
    var options = ExplorationOptions()
    (options.bound, options.statesPerPoint, options.samples) = (2, 16, 2)
    (options.profiles, options.depth, options.defect) = ([profile], depth, defect.flatMap { Defect(id: $0) })
    return options
  }

  @Test(arguments: LogClient.allCases, [CrashProfile.raw512, .ext4Ordered])
  func theSoundClientIsHeld(_ client: LogClient, _ profile: CrashProfile) throws {
    let report = try ClientExploration(client, messages: 8, Self.options(nil, profile)).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
    #expect(report.judged > 150 && report.visited > report.judged)
  }

  struct Case: Sendable, CustomStringConvertible {
    var defect: String
    var client: LogClient
    var check: CheckName
    var depth = 1
    var description: String { defect }
  }

  /// Each is found, by the check that names its kind of harm, and what is printed shows it again.
  @Test(arguments: [
    Case(defect: "R2", client: .transactions, check: .noDuplicates),
    Case(defect: "R2b", client: .transactions, check: .noAcknowledgedLoss),
    Case(defect: "R3", client: .transactions, check: .noAcknowledgedLoss, depth: 2),
    Case(defect: "R4", client: .transactions, check: .noDuplicates),
    Case(defect: "A6", client: .delivery, check: .noAcknowledgedLoss),
    Case(defect: "A7", client: .delivery, check: .deliveredAtStop),
    Case(defect: "A9", client: .delivery, check: .noAcknowledgedLoss),
    Case(defect: "A10", client: .delivery, check: .archiveKept),
  ])
  func aDefectIsFound(_ c: Case) throws {
    let options = Self.options(c.defect, depth: c.depth)
    let exploration = try ClientExploration(c.client, messages: 8, options)
    let report = exploration.run()
    let found = try #require(
      report.findings.map(\.violation).first { $0.check == c.check }, "\(report.text.joined(separator: "\n"))")
    #expect(found.story.count <= 10)
    let state = try #require(found.reproduce.split(separator: " ").last.map(String.init))
    let again = try exploration.run(state: state)
    #expect(again.findings.map(\.violation.check) == [c.check])
  }

  @Test func threadsShowInNothing() throws {
    func text(_ jobs: Int) throws -> [String] {
      var options = Self.options("R4")
      options.jobs = jobs
      return try ClientExploration(.transactions, messages: 8, options).run().text.dropLast()
    }
    #expect(try text(1) == text(2))
  }

  @Test func aStateThatDoesNotFitIsRefused() throws {
    let exploration = try ClientExploration(.transactions, messages: 8, Self.options(nil))
    for text in ["", "7", "7:some", "1:all/2:all/3:all", "99999:all", "1:all_700-1"] {
      #expect(throws: ExplorationError.self) { try exploration.run(state: text) }
    }
  }

  /// A few errors of each kind; the whole is `tornlog explore --errors`.
  @Test(arguments: ["delivery", "delivery-recover", "transactions", "transactions-recover", "record-leftovers"])
  func aFailingOperationCostsNothing(_ name: String) throws {
    var options = ErrorMatrixOptions()
    (options.scenarios, options.findsCallSites) = (ErrorScenario.all.filter { $0.name == name }, false)
    options.cells = ErrorCell.all.filter {
      $0.impossible == nil && $0.kind != nil && $0.lasting == .once
        && [.eio, .eioPartly, .enospc, .short].contains($0.error)
    }
    options.stride = 11
    let report = try ErrorMatrix(options).run()
    #expect(report.violated == 0 && report.unknown == 0 && report.fired > 20, "\(report.text.joined(separator: "\n"))")
  }

  /// A ROLLBACK that is not written down comes back in a later session, whatever failed in between.
  @Test func theMatrixFindsADefectOfAClient() throws {
    var options = ErrorMatrixOptions()
    (options.scenarios, options.findsCallSites) = (ErrorScenario.all.filter { $0.name == "transactions" }, false)
    options.cells = [ErrorCell(kind: .write, error: .eio, lasting: .once)]
    (options.defect, options.stride) = (Defect(id: "R4"), 11)
    #expect(try ErrorMatrix(options).run().violations.map(\.check).contains(.noDuplicates))
  }
}
