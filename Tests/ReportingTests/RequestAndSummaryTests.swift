import LogModel
import Testing
import Verification

@testable import Reporting

@Suite struct RequestAndSummaryTests {
  @Test func requests() throws {
    #expect(try ReportRequest("json").path == nil)
    #expect(try ReportRequest("junit=a=b.xml").path == "a=b.xml")
    #expect(try ReportRequest("junit=a=b.xml").format == .junit)
    #expect(throws: ReportError.emptyPath(format: "json")) { try ReportRequest("json=") }
    for text in ["data-loss", "html=x", "", "JSON", "=x"] {
      let error = try #require(throws: ReportError.self) { try ReportRequest(text, of: ReportFormat.ofDocuments) }
      #expect("\(error)".contains("there are terminal, json, markdown, junit, each"), "\(error)")
    }
    #expect(try ReportRequest("data-loss=x", of: ReportFormat.allCases).text == "data-loss=x")
  }

  /// Whoever sends a report to a file still reads on the terminal what came of it.
  @Test func theSummaryGoesToTheTerminalUnlessSomethingElseDoes() {
    let terminal = ReportRequest(.terminal)
    let (file, shown) = (ReportRequest(.json, path: "j"), ReportRequest(.junit))
    #expect(ReportRequest.completed([]) == [terminal])
    #expect(ReportRequest.completed([file]) == [terminal, file])
    #expect(ReportRequest.completed([file, shown]) == [file, shown])
    let apart = ReportRequest(.terminal, path: "t")
    #expect(ReportRequest.completed([apart]) == [apart])
  }

  /// What the exit code is made of.
  @Test func theSummaryCountsVerdictsAndExpectations() {
    var summary = RunSummary()
    summary.count(trial())
    summary.count(lostAll(defect: "C2", expectation: .caught(by: .noAcknowledgedLoss)))
    #expect(summary.unexpected == 0)
    summary.count(lostAll())
    summary.count(lostAll(defect: "C2", expectation: .caught(by: .noGaps)))
    summary.count(trial(defect: "C2", expectation: .caught(by: .noGaps)))
    summary.count(trial(verdict: .unknown))
    #expect(summary.trials == 6 && summary.held == 2 && summary.violated == 3 && summary.unknown == 1)
    #expect(summary.unexpected == 4)
  }

  @Test func figuresForPeople() {
    #expect(0.25.fixed(3) == "0.250")
    #expect((-1.05).fixed(1) == "-1.1" || (-1.05).fixed(1) == "-1.0")
    #expect(12.0.fixed(0) == "12")
    #expect(Double.nan.fixed(2) == "-")
    #expect(
      [0.04, 9.97, 59.4, 59.6, 185, 7800].map(durationText) == [
        "0.0 s", "10 s", "59 s", "1 min 00 s", "3 min 05 s", "2 h 10 min",
      ])
  }
}
