import Foundation
import LogModel
import Testing
import Verification

@testable import Reporting

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// The elements of a document in order, as a real parser sees them.
private final class Elements: NSObject, XMLParserDelegate {
  var found: [(name: String, attributes: [String: String])] = []
  var text = ""

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    found.append((name, attributes))
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

  func named(_ name: String) -> [[String: String]] { found.filter { $0.name == name }.map(\.attributes) }
}

@Suite struct JUnitRecorderTests {
  private func parse(_ results: [TrialResult], interrupted: Bool = false) throws -> Elements {
    let sink = TextSink()
    try run(JUnitRecorder(sink), results, interrupted: interrupted)
    let parser = XMLParser(data: Data(sink.text.utf8))
    let elements = Elements()
    parser.delegate = elements
    #expect(parser.parse(), "\(String(describing: parser.parserError)) in \(sink.text)")
    return elements
  }

  @Test func aSuiteForEachScenarioAndACaseForEachCell() throws {
    let xml = try parse([
      trial(), trial(scenario: "other"), lostAll(),
      lostAll(defect: "C2", expectation: .caught(by: .noAcknowledgedLoss)),
      trial(defect: "C4", expectation: .caught(by: .noGaps)),
      trial(scenario: "other", verdict: .unknown, notices: ["the fault never fired"]),
    ])
    let suites = xml.named("testsuite")
    #expect(suites.map { $0["name"] } == ["ten-vs-hundred", "other"])
    #expect(suites.map { $0["tests"] } == ["4", "2"])
    // Not as expected: everything lost without a defect; C4 held. The caught C2 passes.
    #expect(suites.map { $0["failures"] } == ["2", "0"])
    #expect(suites.map { $0["errors"] } == ["0", "1"])
    #expect(suites.map { $0["time"] } == ["1.000", "0.500"])
    #expect(xml.named("testcase").count == 6)
    #expect(xml.named("testcase").first?["name"] == "messages=100 partitions=3 sync=always defect=none")
    #expect(xml.named("failure").map { $0["type"] } == ["violated", "held"])
    #expect(xml.named("failure").first?["message"] == "0 of 100 recovered, 100 acknowledged messages lost")
    #expect(xml.named("error").count == 1)
    #expect(xml.named("property").contains { $0 == ["name": "storage", "value": "io_uring"] })
    #expect(xml.text.contains("tornlog reproduce t1none-100"))
    #expect(xml.text.contains("the fault never fired"))
  }

  @Test func hostileStringsGiveValidXML() throws {
    let hostile = "]]>&<\"'\u{0}\u{8}\u{1B}[31m\u{FFFE}\u{FFFF}\u{85}\r\n😀"
    var result = trial(scenario: hostile, verdict: .violated, notices: [hostile])
    result.axes = Axes([("messages", .text(hostile))])
    let xml = try parse([result])
    let kept = "]]>&<\"'[31m\u{85}\r\n😀"
    #expect(xml.named("testsuite").first?["name"] == kept)
    #expect(xml.named("testcase").first?["name"] == "messages=" + kept)
    #expect(xml.text.contains("]]>&<\"'[31m"))
  }

  @Test func anInterruptedRunSaysSo() throws {
    #expect(try parse([trial()], interrupted: true).named("property").contains { $0["name"] == "interrupted" })
    #expect(try !parse([trial()]).named("property").contains { $0["name"] == "interrupted" })
    #expect(try parse([], interrupted: true).named("testsuites").first?["tests"] == "0")
  }
}
