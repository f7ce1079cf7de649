import Testing
import Verification

@testable import Reporting

/// What a command without trials has found, in every format that it offers.
@Suite struct ReportDocumentTests {
  private static let document = ReportDocument(
    title: "tornlog explore errors", text: ["a table", "violated: 1 of 3"], json: "{\"version\": 1}",
    cases: [
      ReportCase(group: "explore errors", name: "produce", mustHold: .held, seconds: 1.5, message: "9 runs"),
      ReportCase(
        group: "explore errors", name: "recover", mustHold: .violated, message: "2 runs, 1 violated",
        lines: ["no-gaps: offset 4 & 5", "tornlog explore errors --case 'x|y'"]),
      ReportCase(group: "explore errors", name: "archive", mustHold: .unknown, lines: ["cut off"]),
    ])

  private func text(_ format: ReportFormat) throws -> String {
    let sink = TextSink()
    let recorder: any RunRecorder =
      switch format {
      case .terminal: TerminalRecorder(sink)
      case .json: JSONRecorder(sink)
      case .markdown: MarkdownRecorder(sink)
      default: JUnitRecorder(sink)
      }
    try recorder.record(.document(Self.document))
    return sink.text
  }

  @Test func terminalAndJSONAreTheCommands() throws {
    #expect(try text(.terminal) == "a table\nviolated: 1 of 3\n")
    #expect(try text(.json) == "{\"version\": 1}\n")
  }

  @Test func everyCaseIsATestCase() throws {
    let xml = try text(.junit)
    #expect(
      xml.contains(
        "<testsuite name=\"explore errors\" tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\" time=\"1.500\">"),
      "\(xml)")
    #expect(
      xml.contains("<failure message=\"2 runs, 1 violated\" type=\"violated\">no-gaps: offset 4 &amp; 5\n"), "\(xml)")
    #expect(xml.contains("<error message=\"\" type=\"unknown\">cut off</error>") && !xml.contains("9 runs"), "\(xml)")
  }

  @Test func aPageHasARowForEachSearchAndWhatWentWrong() throws {
    let page = try text(.markdown)
    #expect(page.hasPrefix("# tornlog explore errors\n\nviolated: 1 of 3\n"), "\(page)")
    #expect(page.contains("| explore errors | 3 | 1 | 1 | 1 | 2 |\n"), "\(page)")
    #expect(
      page.contains("## violated: explore errors recover\n\n2 runs, 1 violated\n\n    no-gaps: offset 4 & 5\n"),
      "\(page)")
    #expect(!page.contains("produce"), "\(page)")
  }

  @Test func aRunIsAPageToo() throws {
    let sink = TextSink()
    try run(MarkdownRecorder(sink), [trial(), lostAll(defect: "C2")])
    #expect(sink.text.contains("| ten-vs-hundred | 2 | 1 | 1 | 0 | 1 |\n"), "\(sink.text)")
    #expect(sink.text.contains("2 trials: 1 held, 1 violated, 0 unknown; 1 not as expected; 1.5 s\n"), "\(sink.text)")
    #expect(sink.text.contains("    reproduce  tornlog reproduce t1C2-100\n"), "\(sink.text)")
  }
}
