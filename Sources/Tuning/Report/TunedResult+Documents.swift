import FoundationEssentials
import LogModel
import Reporting
import Verification

extension TunedResult {
  /// For every `--report` format.
  /// - Parameter earlier: the result of `--compare`.
  public func document(comparedWith earlier: TunedResult<Setting>? = nil) throws -> ReportDocument {
    let old = earlier.map { TuningComparison(of: self, with: $0) }
    return ReportDocument(
      title: Setting.command, text: lines(old), conclusion: headline, json: try json(), cases: cases,
      page: markdown(old), html: html(old))
  }

  /// Lines for a terminal: the answer, then the table.
  func lines(_ old: TuningComparison?) -> [String] {
    var lines =
      ["\(Setting.command) in \(place)", question, "", headline] + reasons.flatMap { wrapped($0, indent: "  ") } + [""]
    lines += findings.flatMap { wrapped("FINDING: \($0). \(Setting.inquiry).") }
    lines += ((disk?.notices ?? []) + (notes ?? [])).flatMap { wrapped("note: \($0)") }
    if let diskLine { lines += wrapped(diskLine) }
    let signs = disk?.signs ?? []
    if !signs.isEmpty {
      lines.append("Signs that a flush may not reach the medium (signs, no proof):")
      lines += signs.flatMap { wrapped($0.text, indent: "  - ") }
    }
    lines += [
      "",
      alignedColumns(
        ([Self.head] + askedRows.map(row)).map { Array($0.prefix(Self.narrow)) }, rightAligned: Self.numeric),
    ]
    lines += wrapped(legend)
    let comparison = comparison
    if comparison.count > 1 {
      lines += ["", alignedColumns([Self.comparisonHead] + comparison, rightAligned: Set(0...6))]
    }
    if let old { lines += ["", old.title, alignedColumns([old.head] + old.rows, rightAligned: Set(1...9))] }
    return lines.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }
  }

  /// What the engine's policies do not allow is violated; everything else is a figure.
  private var cases: [ReportCase] {
    askedRows.map { index in
      let point = points[index]
      return ReportCase(
        group: "tune", name: point.setting.name,
        mustHold: !point.isSound ? .violated : isInterrupted || !point.isMeasured ? .unknown : .held,
        message: "\(shortCount(point.capacity))/s, p99 \(shortTime(point.atRate.latency.p99)), lost up to "
          + (point.worstTime.map(shortTime) ?? "all"))
    }
  }

  private func markdown(_ old: TuningComparison?) -> String {
    func table(_ head: [String], _ rows: [[String]], _ numeric: Set<Int>) -> [String] {
      let rule = head.indices.map { numeric.contains($0) ? "---:" : "---" }
      return ([head, rule] + rows).map { cells in
        "| " + cells.map { $0.printable.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
      }
    }
    var lines = ["# \(Setting.command)", "", "In \(place.printable): \(question).", "", "**\(headline)**", ""]
    lines += reasons.map { $0.hasPrefix("  ") ? "- \($0.dropFirst(2))" : "\($0)\n" } + [""]
    lines +=
      findings.map { "**Finding**: \($0.printable)\n" }
      + ((disk?.notices ?? []) + (notes ?? [])).map { "Note: \($0.printable)\n" }
    if let diskLine { lines += [diskLine, ""] }
    let signs = disk?.signs ?? []
    if !signs.isEmpty { lines += ["Signs that a flush may not reach the medium (signs, no proof):", ""] }
    lines += signs.map { "- \($0.text.printable)" } + ["", "## Settings", ""]
    lines += table(Self.head, askedRows.map(row), Self.numeric) + ["", legend, "", "## Loss and exposure", ""]
    lines += table(Self.lossHead, lossRows, Self.lossNumeric) + [""]
    if comparison.count > 0 {
      lines += ["## Batches and producers", ""] + table(Self.comparisonHead, comparison, Set(0...6)) + [""]
    }
    let claims = Setting.claims(of: self)
    if !claims.isEmpty {
      lines += ["## What the documents say", ""] + table(DocumentClaim.head, claims.map(\.cells), []) + [""]
    }
    if let ways = disk?.ways {
      lines += ["## The disk", ""] + table(Self.wayHead, ways.map(Self.wayRow), Set(1...4)) + [""]
    }
    if let old { lines += ["## \(old.title)", ""] + table(old.head, old.rows, Set(1...9)) + [""] }
    lines.append(origin(command: "`\(Setting.command)`"))
    return lines.joined(separator: "\n")
  }

  /// `By tornlog tune --thorough, in 872 s.`
  func origin(command: String) -> String {
    "By \(isThorough ? command.replacing("tune", with: "tune --thorough") : command), in \(Int64(seconds.rounded())) s."
  }

  static var wayHead: [String] { ["way", "writes", "median", "p99", "longest"] }

  static func wayRow(_ figures: FlushFigures) -> [String] {
    guard let latency = figures.latency else { return [figures.way.name, "refused", "-", "-", figures.refusal ?? ""] }
    return [
      figures.way.name, "\(latency.messages)", shortTime(latency.p50), shortTime(latency.p99),
      shortTime(latency.longest),
    ]
  }

  private func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(TuningReport(result: self)), as: UTF8.self) + "\n"
  }

  /// Reads what `--report json=PATH` has written.
  /// - Throws: `TuningError.comparison`.
  public static func read(_ text: String, from path: String) throws(TuningError) -> TunedResult<Setting> {
    do {
      return try JSONDecoder().decode(TuningReport<Setting>.self, from: Data(text.utf8)).result
    } catch DecodingError.keyNotFound(let key, _) {
      throw .comparison(path, "it has no `\(key.stringValue)`: it is no report of tune")
    } catch {
      throw .comparison(path, "it is no report of tune")
    }
  }
}

/// The JSON report: `tune` beside the keys that every report of tornlog has. Keys are added, never renamed.
private struct TuningReport<Setting: TunedSetting>: Codable {
  private enum Key: CodingKey {
    case version, tool, tune, tuneProgram
  }

  private static var key: Key { Key(stringValue: Setting.reportKey)! }

  var result: TunedResult<Setting>

  init(result: TunedResult<Setting>) { self.result = result }

  init(from decoder: any Decoder) throws {
    result = try decoder.container(keyedBy: Key.self).decode(TunedResult<Setting>.self, forKey: Self.key)
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(1, forKey: .version)
    try container.encode("tornlog", forKey: .tool)
    try container.encode(result, forKey: Self.key)
  }
}

/// Lines of at most 96 columns; further lines begin below the text of the first.
func wrapped(_ text: String, indent: String = "") -> [String] {
  let margin = indent + text.prefix { $0 == " " }
  var lines: [String] = []
  var line = margin
  for word in text.split(separator: " ") {
    if line.count + word.count + 1 > 96, line.count > margin.count {
      lines.append(line)
      line = String(repeating: " ", count: margin.count)
    }
    line += (line.count > margin.count ? " " : "") + word
  }
  return lines + [line]
}
