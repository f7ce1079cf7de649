import Verification

/// JUnit XML as CI systems read it: a test suite for each scenario, a test case for each cell. A cell that came out
/// as its scenario expects passes, a caught defect too; `unknown` is an error, anything else a failure.
public final class JUnitRecorder: RunRecorder {
  private let sink: any ReportSink
  private var run: RunDescription?
  private var trials: [(index: Int, result: TrialResult)] = []
  private var notices: [String] = []

  public init(_ sink: any ReportSink) { self.sink = sink }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let description): run = description
    case .trialStarted: break
    case .notice(let text): notices.append(text)
    case .trialFinished(let index, let result): trials.append((index, result))
    case .finished(let summary): try sink.write(report(summary))
    }
  }

  private func report(_ summary: RunSummary) -> String {
    let results = trials.sorted { $0.index < $1.index }.map(\.result)
    var scenarios: [String] = []
    for result in results where !scenarios.contains(result.scenario) { scenarios.append(result.scenario) }
    var xml = XMLText()
    xml.open("testsuites", [("name", "tornlog")] + figures(results) + [("time", seconds(summary.seconds))])
    for scenario in scenarios {
      let cells = results.filter { $0.scenario == scenario }
      let time = seconds(cells.reduce(0) { $0 + $1.seconds })
      xml.open("testsuite", [("name", scenario)] + figures(cells) + [("time", time)])
      properties(of: cells[0], summary, &xml)
      for cell in cells { testCase(cell, &xml) }
      xml.close("testsuite")
    }
    xml.close("testsuites")
    return xml.text
  }

  private func figures(_ results: [TrialResult]) -> [(String, String)] {
    let errors = results.count { $0.verdict == .unknown }
    let failures = results.count { !$0.isExpected } - errors
    return [
      ("tests", "\(results.count)"), ("failures", "\(failures)"), ("errors", "\(errors)"), ("skipped", "0"),
    ]
  }

  private func properties(of cell: TrialResult, _ summary: RunSummary, _ xml: inout XMLText) {
    xml.open("properties", [])
    xml.empty("property", [("name", "file"), ("value", cell.file)])
    if let run {
      xml.empty("property", [("name", "seed"), ("value", "\(run.seed)")])
      xml.empty("property", [("name", "storage"), ("value", run.storage)])
      xml.empty("property", [("name", "filesystem"), ("value", run.filesystem)])
    }
    if summary.interrupted { xml.empty("property", [("name", "interrupted"), ("value", "true")]) }
    if let stop = summary.stoppedBy { xml.empty("property", [("name", "stopped-by"), ("value", stop.rawValue)]) }
    for notice in notices { xml.empty("property", [("name", "notice"), ("value", notice)]) }
    xml.close("properties")
  }

  private func testCase(_ cell: TrialResult, _ xml: inout XMLText) {
    let name = cell.axes.entries.isEmpty ? cell.scenario : cell.axes.description
    xml.open(
      "testcase",
      [("name", name), ("classname", cell.scenario), ("file", cell.file), ("time", seconds(cell.seconds))])
    if !cell.isExpected {
      let account = FailureAccount(cell)
      let attributes = [("message", account.loss), ("type", cell.verdict.rawValue)]
      xml.element(cell.verdict == .unknown ? "error" : "failure", attributes, account.lines.joined(separator: "\n"))
    }
    xml.close("testcase")
  }

  private func seconds(_ value: Double) -> String { value.fixed(3) }
}

/// XML 1.0 text. Every string passes `escape`: JSON can carry any character, XML cannot.
struct XMLText {
  private(set) var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
  private var depth = 0

  mutating func open(_ name: String, _ attributes: [(String, String)]) {
    text += "\(indent)<\(name)\(render(attributes))>\n"
    depth += 1
  }

  mutating func close(_ name: String) {
    depth -= 1
    text += "\(indent)</\(name)>\n"
  }

  mutating func empty(_ name: String, _ attributes: [(String, String)]) {
    text += "\(indent)<\(name)\(render(attributes))/>\n"
  }

  mutating func element(_ name: String, _ attributes: [(String, String)], _ content: String) {
    text += "\(indent)<\(name)\(render(attributes))>\(Self.escape(content, inAttribute: false))</\(name)>\n"
  }

  private var indent: String { String(repeating: "  ", count: depth) }

  private func render(_ attributes: [(String, String)]) -> String {
    attributes.map { " \($0)=\"\(Self.escape($1, inAttribute: true))\"" }.joined()
  }

  /// Escapes markup and leaves out what XML 1.0 forbids even as a reference (section 2.2): control characters but
  /// tab, line feed and carriage return, and U+FFFE and U+FFFF.
  static func escape(_ s: String, inAttribute: Bool) -> String {
    var out = String.UnicodeScalarView()
    for scalar in s.unicodeScalars {
      switch scalar {
      case "&": out.append(contentsOf: "&amp;".unicodeScalars)
      case "<": out.append(contentsOf: "&lt;".unicodeScalars)
      case ">": out.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": out.append(contentsOf: "&quot;".unicodeScalars)
      case "\t", "\n", "\r":
        // A parser would turn them into spaces in an attribute, and CR into LF anywhere (sections 2.11, 3.3.3).
        if inAttribute || scalar == "\r" {
          out.append(contentsOf: "&#\(scalar.value);".unicodeScalars)
        } else {
          out.append(scalar)
        }
      case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: break
      default: out.append(scalar)
      }
    }
    return String(out)
  }
}
