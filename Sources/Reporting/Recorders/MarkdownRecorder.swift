import Verification

/// A page for a pull request or a wiki: one row for each scenario or search, then every case that did not come out as
/// it should.
public final class MarkdownRecorder: RunRecorder {
  private let sink: any ReportSink
  private var cases: [(index: Int, case: ReportCase)] = []
  private var notices: [String] = []

  public init(_ sink: any ReportSink) { self.sink = sink }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started, .trialStarted: break
    case .notice(let text): notices.append(text)
    case .trialFinished(let index, let result): cases.append((index, ReportCase(result)))
    case .document(let document):
      if let page = document.page {
        try sink.write(page + "\n")
      } else {
        try sink.write(page(document.title, document.cases, conclusion: document.conclusion))
      }
    case .finished(let summary):
      let cases = cases.sorted { $0.index < $1.index }.map(\.case)
      try sink.write(page("tornlog run", cases, conclusion: Self.conclusion(summary)))
    }
  }

  private static func conclusion(_ summary: RunSummary) -> String {
    let cut = summary.stoppedBy.map { "Stopped early (\($0.rawValue)). " } ?? ""
    return cut + "\(counted(summary.trials, "trial")): \(summary.held) held, \(summary.violated) violated, "
      + "\(summary.unknown) unknown; \(summary.unexpected) not as expected; \(durationText(summary.seconds))"
  }

  private func page(_ title: String, _ cases: [ReportCase], conclusion: String) -> String {
    var groups: [String] = []
    for one in cases where !groups.contains(one.group) { groups.append(one.group) }
    var lines = ["# \(title)", "", Self.cell(conclusion), ""]
    lines += notices.flatMap { ["Note: \(Self.cell($0))", ""] }
    if !cases.isEmpty {
      lines += ["| scenario or search | cases | held | violated | unknown | not as expected |"]
      lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    }
    for group in groups {
      let own = cases.filter { $0.group == group }
      let counts = [Verdict.held, .violated, .unknown].map { verdict in "\(own.count { $0.verdict == verdict })" }
      let columns = [Self.cell(group), "\(own.count)"] + counts + ["\(own.count { !$0.isExpected })"]
      lines.append("| \(columns.joined(separator: " | ")) |")
    }
    for one in cases where !one.isExpected {
      lines += ["", "## \(one.verdict.rawValue): \(Self.cell(one.group)) \(Self.cell(one.name))", ""]
      if !one.message.isEmpty { lines += [Self.cell(one.message), ""] }
      lines += one.lines.map { "    \($0.printable)" }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// On one line, and no column of its own.
  private static func cell(_ text: String) -> String { text.printable.replacing("|", with: "\\|") }
}
