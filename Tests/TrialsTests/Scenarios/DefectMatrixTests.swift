import Defects
import Foundation
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import DefectMatrix
@testable import Trials

/// What the matrix is made of: the trials that it draws, and what it makes of what they came to.
@Suite struct DefectMatrixTests {
  static let drawn: [DetectionStrategy] = [.plainRestart, .processKill, .powerLoss, .oneFault]

  /// A way that accuses the sound engine says nothing of a defect.
  @Test(arguments: drawn) func theSoundEngineIsNotAccused(way: DetectionStrategy) throws {
    let trials = RandomTrialGenerator(way: way, seed: 42, effort: .usual)
    var verdicts: [Verdict: Int] = [:]
    for n in 0..<40 {
      let spec = trials.trial(n)
      #expect(spec == trials.trial(n) && spec.defect == "none")
      for fault in spec.faults where fault.isStorageFault { _ = try StorageFaultGrammar.planned(fault, seed: 1) }
      let scratch = try TrialScratch()
      let reply = try SimulatedTrial(spec, scratch.folder).run()
      var findings = TrialRunner.Findings()
      TrialRunner(executable: "").take(reply, &findings)
      findings.doubts += spec.unfired(reply.storageFaults)
      let (judgement, verdict) = findings.judged()
      #expect(verdict != .violated, "\(Token.encode(spec)): \(judgement.checks.filter { $0.verdict == .violated })")
      verdicts[verdict, default: 0] += 1
    }
    #expect(verdicts[.held, default: 0] >= 25, "\(verdicts)")
  }

  @Test func aFewTrialsOfEachKindAreDrawn() {
    let faults = (0..<200).flatMap {
      RandomTrialGenerator(way: .oneFault, seed: 1, effort: .usual).trial($0).faults.map(\.kind)
    }
    #expect(Set(faults).count >= 8 && faults.count == 200)
    let writers = (0..<200).map { RandomTrialGenerator(way: .processKill, seed: 1, effort: .usual).trial($0).writers }
    #expect(Set(writers).count == 5)
  }

  // MARK: What comes of it

  private func row(_ id: String?, expected: [CheckName], _ checks: [CheckName]...) -> DefectRow {
    let cells = zip(DetectionStrategy.allCases, checks).map { way, checks in
      DefectCell(
        way: way, check: checks.first(where: expected.contains) ?? checks.first,
        findings: checks.map { DefectFinding(check: $0, reproduce: "tornlog reproduce t1.\($0.rawValue)") }, trials: 7,
        seconds: 1, unknown: 0)
    }
    return DefectRow(defect: id.flatMap { Defect(id: $0) }, wanted: id == nil ? [] : [expected], cells: cells)
  }

  @Test func itIsCaughtByTheCheckThatIsNamedOrNotAtAll() {
    #expect(row("C4", expected: [.noGaps], [.noAcknowledgedLoss, .noGaps], []).isExpected)
    #expect(row("C4", expected: [.noGaps], [], [.noGaps]).catching?.way == .plainRestart)
    #expect(row("C4", expected: [.noGaps], [.highWatermark], [.noGaps]).catching?.way == .plainRestart)
    #expect(!row("C4", expected: [.noGaps], [.noAcknowledgedLoss], []).isExpected)
    #expect(!row("C4", expected: [.noGaps], [], []).isExpected)
    #expect(!row("C4", expected: [], [.noGaps]).isExpected, "no scenario wants it")
  }

  /// What shows the check that caught it, and not the first that was violated.
  @Test func theCommandIsThatOfTheCheckThatCaughtIt() {
    let row = row("C4", expected: [.noGaps], [.noAcknowledgedLoss, .noGaps])
    #expect(row.catching?.reproduce == "tornlog reproduce t1.no-gaps")
  }

  @Test func theSoundEngineMustBeCaughtByNothing() {
    #expect(row(nil, expected: [], [], []).isExpected)
    #expect(!row(nil, expected: [], [], [.noGaps]).isExpected)
  }

  @Test func theReportSaysWhatFailed() throws {
    let ways = Array(DetectionStrategy.allCases.prefix(2))
    let report = DefectReport(
      rows: [
        row(nil, expected: [], [], [.noGaps]), row("C4", expected: [.noGaps], [.noGaps], []),
        row("P2", expected: [.noAcknowledgedLoss], [], []),
      ], ways: ways, seconds: 3, effort: .smoke, seed: 1)
    #expect(!report.isExpected)
    let text = report.text.joined(separator: "\n")
    #expect(text.contains("ACCUSED the sound engine, plain-restart: no-gaps; tornlog reproduce t1.no-gaps"))
    #expect(text.contains("NOT CAUGHT P2: by nothing, wanted no-acknowledged-loss"))
    #expect(text.contains("1 of 2 defects caught by the check that is named for them"))
    let json = try #require(try JSONSerialization.jsonObject(with: Data(report.json().utf8)) as? [String: Any])
    let defects = try #require(json["defects"] as? [[String: Any]])
    #expect(defects.map { $0["id"] as? String } == ["none", "C4", "P2"])
    #expect(defects[1]["caught"] as? Bool == true && defects[1]["check"] as? String == "no-gaps")
    #expect(defects[1]["by"] as? String == "own-scenario" && defects[1]["trials"] as? Int == 7)
    #expect(defects[2]["caught"] as? Bool == false && defects[2]["check"] == nil && defects[2]["story"] is [Any])
    let page = report.markdown(command: "tornlog defects")
    #expect(page.contains("| C4 | **no-gaps** 7, 1.0 s | - 7 |") && page.contains("**Not caught.**"))
  }

  /// What was not looked at may catch a defect yet, and may accuse the sound engine yet.
  @Test func whatWasInterruptedHasNoVerdict() throws {
    let ways = Array(DetectionStrategy.allCases.prefix(2))
    func report(_ rows: DefectRow...) -> DefectReport {
      DefectReport(rows: rows, ways: ways, seconds: 1, effort: .smoke, seed: 1)
    }
    let whole = report(row(nil, expected: [], [], []), row("C4", expected: [.noGaps], [.noGaps], []))
    #expect(whole.verdict == .held && !whole.isInterrupted)
    #expect(report(row("C4", expected: [.noGaps], [], [])).verdict == .violated)
    #expect(report(row(nil, expected: [], [], [.noGaps])).verdict == .violated)
    #expect(report(row(nil, expected: [], [])).verdict == .unknown, "one way is missing")
    #expect(report(row(nil, expected: [], [.noGaps])).verdict == .violated, "accused in the way that there is")
    var ended = row(nil, expected: [], [], [])
    ended.cells[1].remark = "the process of the search ended"
    #expect(report(ended).verdict == .unknown, "a search that ended early has not looked")
    let partial = report(row("C4", expected: [.noGaps], [.noGaps], []), row("P2", expected: [.noAcknowledgedLoss], []))
    #expect(partial.verdict == .unknown && partial.isInterrupted)
    #expect(
      partial.text.contains { $0.hasPrefix("P2") && $0.hasSuffix("?") }
        && !partial.text.contains { $0.contains("NOT CAUGHT") })
    #expect(partial.summary.hasPrefix("unknown: interrupted after 3 of 4 cells; until then 1 of 2 defects caught"))
    let json = try #require(try JSONSerialization.jsonObject(with: Data(partial.json().utf8)) as? [String: Any])
    let summary = try #require(json["summary"] as? [String: Any])
    #expect(
      summary["interrupted"] as? Bool == true && summary["stoppedBy"] as? String == "signal"
        && summary["verdict"] as? String == "unknown")
    #expect((json["defects"] as? [[String: Any]])?.map { $0["complete"] as? Bool } == [true, false])
    #expect(!partial.markdown(command: "tornlog defects").contains("**Not caught.**"))
  }

  // MARK: Memory

  @Test func memoryIsJudgedWhereTheLogIsLargerThanWhatMayBeTaken() throws {
    let small = spec(messages: 100)
    #expect(small.recoveryMemory(scanning: 10_000) == nil && !small.mayJudgeMemory)
    let limit = try #require(small.recoveryMemory(scanning: 100 << 20))
    #expect(limit > 8 << 20 && limit < 20 << 20)
    #expect(CheckResult.boundedMemory(used: limit, limit: limit, log: 100 << 20).verdict == .held)
    let found = CheckResult.boundedMemory(used: limit + 1, limit: limit, log: 100 << 20)
    #expect(found.verdict == .violated && found.name == .boundedMemory && found.detail.contains("\(limit + 1)"))
  }
}
