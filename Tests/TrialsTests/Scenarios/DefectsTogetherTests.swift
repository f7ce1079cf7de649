import Defects
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import DefectMatrix
@testable import Trials

/// Several defects at once: each is reported, not only the one that is met first.
@Suite struct DefectsTogetherTests {
  private func checks(_ spec: TrialSpec) throws -> Set<CheckName> {
    let scratch = try TrialScratch()
    let reply =
      spec.delivery == nil
      ? try SimulatedTrial(spec, scratch.folder).run() : try SimulatedDelivery(spec, scratch.folder).run()
    return Set(try #require(reply.judgement).checks.filter { $0.verdict == .violated }.map(\.name))
  }

  /// The trial of a defect's own scenario, and the check that it names.
  private func own(_ id: String) throws -> (spec: TrialSpec, check: CheckName) {
    let cell = try #require(
      DefectScenarioTests.scenarios.flatMap { $0.cells() }.first { $0.defect == id && $0.expectation != .held })
    let planned = try TrialPlanner.trial(cell, storage: .memory, seed: nil, phaseSeconds: nil, expectsSound: false)
    guard case .caught(let check) = planned.expectation else { throw Missing() }
    return (planned.spec, check)
  }

  private struct Missing: Error {}

  /// Each alone violates its own check in its own scenario; both together violate both, in the scenario of the first
  /// and in that of the second taken together.
  @Test(arguments: [
    ("C4", "P9"), ("C8", "C3"), ("C8", "P10"), ("C12b", "C8"), ("H9", "C8"), ("A5", "A3"), ("C15", "P9"), ("H7", "C8"),
  ])
  func bothAreReported(_ first: String, _ second: String) throws {
    var found: Set<CheckName> = []
    var wanted: Set<CheckName> = []
    for id in [first, second] {
      var (spec, check) = try own(id)
      #expect(try checks(spec).contains(check), "\(id) alone")
      wanted.insert(check)
      spec.defect = "\(first)+\(second)"
      found.formUnion(try checks(spec))
    }
    #expect(wanted.count == 2 && wanted.isSubset(of: found), "\(found)")
  }

  /// In one and the same trial.
  @Test(arguments: [("C4", "C8"), ("C8", "C3"), ("H9", "C8")])
  func bothAreReportedByOneTrial(_ first: String, _ second: String) throws {
    let wanted = Set([try own(first).check, try own(second).check])
    #expect(wanted.count == 2)
    var spec = try own(first).spec
    spec.defect = "\(first)+\(second)"
    let both = try checks(spec)
    #expect(wanted.isSubset(of: both), "\(both)")
    let token = try Token.decode(Token.encode(spec))
    #expect(token.defect == "\(first)+\(second)")
    // What the second adds is its own.
    spec.defect = first
    #expect(try !wanted.isSubset(of: checks(spec)))
  }

  @Test func theyMustGoTogether() {
    func clash(_ text: String) -> DefectClash? {
      do throws(DefectClash) { _ = try Defect.named(text) } catch { return error }
      return nil
    }
    #expect(clash("C2+C2b") == .samePart("watermarks", first: "C2", second: "C2b"))
    #expect(clash("C4+P9+C4") == .namedTwice("C4"))
    #expect(clash("C4+X1") == .unknown("X1") && clash("C4+") == .unknown("") && clash("none+C4") == .unknown("none"))
    #expect(clash("A9+C1") == .differentSubjects("A9", "C1"))
    #expect(clash("H1+H5") == nil && Defect(id: "H1+H5")?.members == ["H1", "H5"])
    #expect(
      clash("A6+A9") == nil && Defect(id: "A6+A9")?.subject == .delivery
        && clash("R4+A9") == .differentSubjects("R4", "A9"))
    #expect(Defect.all.allSatisfy { $0.members == [$0.id] && clash($0.id) == nil })
  }

  /// A row of the matrix is as expected once each has been caught by the check that is named for it.
  @Test func aRowNamesWhatIsMissing() throws {
    func row(_ checks: [CheckName]...) -> DefectRow {
      DefectRow(
        defect: Defect(id: "C4+P9"), wanted: [[.noGaps], [.logEndOffset]],
        cells: checks.map { checks in
          DefectCell(
            way: .dedicatedScenario, check: checks.first, findings: checks.map { DefectFinding(check: $0) }, trials: 1,
            seconds: 1, unknown: 0)
        })
    }
    #expect(row([.noGaps, .logEndOffset]).isExpected && row([.noGaps], [.logEndOffset]).isExpected)
    let one = row([.noGaps, .noDuplicates], [.highWatermark])
    #expect(!one.isExpected && one.missing.map(\.id) == ["P9"])
    #expect(
      row([.noDuplicates, .logEndOffset, .noGaps]).named(row([.noDuplicates, .logEndOffset, .noGaps]).cells[0]) == [
        .noGaps, .logEndOffset,
      ])
    let report = DefectReport(
      rows: [one], ways: [.dedicatedScenario, .plainRestart], seconds: 1, effort: .smoke, seed: 1)
    #expect(report.text.contains("NOT CAUGHT P9: only by no-gaps, wanted log-end-offset"))
    #expect(!report.isExpected)
  }
}
