import Defects
import Foundation
import Reporting
import Verification

/// The detection matrix, in three forms.
public struct DefectReport: Sendable {
  public var rows: [DefectRow]
  public var ways: [WayOfLooking]
  public var seconds: Double
  public var effort: DefectEffort
  public var seed: UInt64

  public init(rows: [DefectRow], ways: [WayOfLooking], seconds: Double, effort: DefectEffort, seed: UInt64) {
    (self.rows, self.ways, self.seconds, self.effort, self.seed) = (rows, ways, seconds, effort, seed)
  }

  private var defects: [DefectRow] { rows.filter { $0.defect != nil } }
  private var sound: DefectRow? { rows.first { $0.defect == nil } }
  public var isExpected: Bool { rows.allSatisfy(\.isExpected) }
  /// Whether every row that is not as expected was cut short: there is no verdict on it.
  public var isUndecided: Bool { !isExpected && rows.allSatisfy { $0.isExpected || $0.isUndecided } }

  /// One sentence.
  public var summary: String {
    let caught = defects.count(where: \.isExpected)
    let control = sound.map { row in
      let accused = row.cells.count { $0.check != nil }
      let trials = row.cells.reduce(0) { $0 + $1.trials }
      return ", the sound engine accused in \(accused) of \(row.cells.count) ways (\(trials) trials)"
    }
    return "\(caught) of \(defects.count) defects caught by the check that is named for them\(control ?? ""), \(Self.time(seconds))"
  }

  static func time(_ seconds: Double) -> String {
    seconds < 10 ? String(format: "%.1f s", seconds) : seconds < 120 ? String(format: "%.0f s", seconds) : "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
  }

  // MARK: Terminal

  public var text: [String] {
    let names = ways.map(\.rawValue)
    func pad(_ text: String, _ width: Int) -> String { text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0) }
    let columns = ways.indices.map { at in
      ([names[at]] + rows.map { Self.short($0, at) }).map(\.count).max() ?? 0
    }
    let first = max(6, (rows.map(\.id.count).max() ?? 0) + 1)
    func line(_ name: String, _ cells: [String]) -> String {
      let padded = zip(cells, columns).map { pad($0, $1) }.joined(separator: "  ")
      let line = "\(pad(name, first))\(padded)"
      return String(line[..<(line.lastIndex { $0 != " " }.map { line.index(after: $0) } ?? line.endIndex)])
    }
    var lines = [line("", names)]
    lines += rows.map { row in line(row.id, row.cells.indices.map { Self.short(row, $0) }) }
    for row in rows where !row.isExpected {
      if row.isUndecided {
        lines += row.cells.compactMap { cell in cell.undecided.map { "UNDECIDED \(row.id), \(cell.way.rawValue): \($0)" } }
      } else if row.defect == nil {
        lines += row.cells.filter { $0.check != nil }.map { "ACCUSED the sound engine, \($0.way.rawValue): \($0.check!.rawValue); \($0.reproduce ?? "")" }
      } else {
        for (id, wanted) in row.missing {
          let named = wanted.map(\.rawValue).joined(separator: " or ")
          lines.append("NOT CAUGHT \(id): \(row.catching.map { "only by \($0.check!.rawValue)" } ?? "by nothing"), wanted \(named)")
        }
      }
    }
    for row in rows {
      for cell in row.cells { if let remark = cell.remark { lines.append("\(row.id), \(cell.way.rawValue): \(remark)") } }
    }
    lines.append(summary)
    return lines
  }

  private static func short(_ row: DefectRow, _ at: Int) -> String {
    let cell = row.cells[at]
    let named = row.named(cell).map(\.rawValue).joined(separator: "+")
    return "\(named.isEmpty ? "-" : named) \(cell.trials)"
  }

  // MARK: JSON

  private struct Document: Encodable {
    var version = 1
    var tool = "tornlog"
    var defects: [Entry]
    var summary: Summary
  }

  private struct Summary: Encodable {
    var defects, caught: Int
    var soundAccused: Int?
    var seconds: Double
  }

  private struct Entry: Encodable {
    var id: String
    var caught: Bool
    var check: String?
    var expected: [String]
    var by: String?
    var trials: Int?
    var seconds: Double?
    var story: [String]
    var cells: [DefectCell]
  }

  public func json() throws -> String {
    let entries = rows.map { row in
      Entry(
        id: row.id, caught: row.catching != nil, check: row.catching?.check?.rawValue, expected: row.expected.map(\.rawValue),
        by: row.catching?.way.rawValue, trials: row.catching?.trials, seconds: row.catching?.seconds, story: row.story,
        cells: row.cells)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let document = Document(
      defects: entries,
      summary: Summary(
        defects: defects.count, caught: defects.count(where: \.isExpected),
        soundAccused: sound.map { $0.cells.count { $0.check != nil } }, seconds: seconds))
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }

  // MARK: Markdown

  /// - Parameter command: that makes this file.
  public func markdown(command: String) -> String {
    var lines = [
      "# Historical defects, and what catches them", "", "Generated by `\(command)`. Do not edit.", "", "\(summary). Seed \(seed); "
        + "at most \(effort.trials) trials of each way that is made of trials.", "",
      "Each defect is switched on and looked for in each way; a cell names the check that caught it and the trial, state, run or "
        + "schedule by which it had been caught, `-` says how many found nothing. The first column is the scenario that was written for "
        + "the defect; the others know nothing of it: the sound engine and every defect see the same trials. `none` is the sound engine.",
      "", "| defect | " + ways.map(\.rawValue).joined(separator: " | ") + " |",
      "| --- |" + String(repeating: " --- |", count: ways.count),
    ]
    for row in rows {
      let cells = row.cells.map { cell in
        let named = row.named(cell).map { "**\($0.rawValue)**" }.joined(separator: " ")
        return named.isEmpty ? "- \(cell.trials)" : "\(named) \(cell.trials), \(Self.time(cell.seconds))"
      }
      lines.append("| \(row.id) | " + cells.joined(separator: " | ") + " |")
    }
    lines += ["", "## The defects", ""]
    for row in defects { lines += chapter(row) }
    let remarks = rows.flatMap { row in
      row.cells.compactMap { cell in cell.remark.map { "- \(row.id), \(cell.way.rawValue): \($0)" } }
    }
    if !remarks.isEmpty { lines += ["## Remarks", ""] + remarks + [""] }
    return lines.joined(separator: "\n")
  }

  private func chapter(_ row: DefectRow) -> [String] {
    guard let defect = row.defect else { return [] }
    var lines = ["### \(defect.id), \(defect.origin)", "", defect.summary, "", "Shows when: \(defect.showsWhen)."]
    if let cell = row.catching {
      let names = row.named(cell).map { "`\($0.rawValue)`" }.joined(separator: " and ")
      lines += ["", "Caught by \(names) (\(cell.way.rawValue))."]
      if let command = cell.reproduce { lines += ["", "    \(command)"] }
    } else {
      lines += ["", "**Not caught.**"]
    }
    if !row.story.isEmpty { lines += ["", "```"] + row.story + ["```"] }
    return lines + [""]
  }
}
