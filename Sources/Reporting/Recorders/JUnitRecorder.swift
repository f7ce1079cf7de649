import Verification

/// JUnit XML as CI systems read it: a test suite for each scenario or search, a test case for each cell. A cell that
/// came out as it should passes, a caught defect too; `unknown` is an error, anything else a failure.
public final class JUnitRecorder: RunRecorder {
  private let sink: any ReportSink
  private var run: RunDescription?
  private var cases: [(index: Int, case: ReportCase)] = []
  private var notices: [String] = []

  public init(_ sink: any ReportSink) { self.sink = sink }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let description): run = description
    case .trialStarted: break
    case .notice(let text): notices.append(text)
    case .trialFinished(let index, let result): cases.append((index, ReportCase(result)))
    case .document(let document): try sink.write(report(document.cases, nil))
    case .finished(let summary): try sink.write(report(cases.sorted { $0.index < $1.index }.map(\.case), summary))
    }
  }

  /// - Parameter summary: of a run of trials; nil for every other command.
  private func report(_ cases: [ReportCase], _ summary: RunSummary?) -> String {
    var groups: [String] = []
    for one in cases where !groups.contains(one.group) { groups.append(one.group) }
    var xml = XMLText()
    xml.open("testsuites", [("name", "tornlog")] + figures(cases) + [("time", seconds(summary?.seconds ?? sum(cases)))])
    for group in groups {
      let own = cases.filter { $0.group == group }
      xml.open("testsuite", [("name", group)] + figures(own) + [("time", seconds(sum(own)))])
      if let summary { properties(of: own[0], summary, &xml) }
      for one in own { testCase(one, &xml) }
      xml.close("testsuite")
    }
    xml.close("testsuites")
    return xml.text
  }

  private func sum(_ cases: [ReportCase]) -> Double { cases.reduce(0) { $0 + ($1.seconds ?? 0) } }

  private func figures(_ cases: [ReportCase]) -> [(String, String)] {
    let errors = cases.count { !$0.isExpected && $0.verdict == .unknown }
    let failures = cases.count { !$0.isExpected } - errors
    return [("tests", "\(cases.count)"), ("failures", "\(failures)"), ("errors", "\(errors)"), ("skipped", "0")]
  }

  private func properties(of one: ReportCase, _ summary: RunSummary, _ xml: inout XMLText) {
    xml.open("properties", [])
    if let file = one.file { xml.empty("property", [("name", "file"), ("value", file)]) }
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

  private func testCase(_ one: ReportCase, _ xml: inout XMLText) {
    let file = one.file.map { [("file", $0)] } ?? []
    let time = one.seconds.map { [("time", seconds($0))] } ?? []
    xml.open("testcase", [("name", one.name), ("classname", one.group)] + file + time)
    if !one.isExpected {
      let attributes = [("message", one.message), ("type", one.verdict.rawValue)]
      xml.element(one.verdict == .unknown ? "error" : "failure", attributes, one.lines.joined(separator: "\n"))
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
