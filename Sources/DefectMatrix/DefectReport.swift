import Defects
import Foundation
import Reporting
import Trials
import Verification

/// The detection matrix, in three forms.
public struct DefectReport: Sendable {
  public var rows: [DefectRow]
  public var ways: [DetectionStrategy]
  public var seconds: Double
  public var effort: DefectEffort
  public var seed: UInt64

  public init(rows: [DefectRow], ways: [DetectionStrategy], seconds: Double, effort: DefectEffort, seed: UInt64) {
    (self.rows, self.ways, self.seconds, self.effort, self.seed) = (rows, ways, seconds, effort, seed)
  }

  /// Cells that there are, and that there were to be.
  private var cells: (done: Int, all: Int) { (rows.reduce(0) { $0 + $1.cells.count }, rows.count * ways.count) }
  /// Whether a signal came before every cell had been looked at.
  public var isInterrupted: Bool { cells.done < cells.all }
  /// Whether it was looked for in every way to the end: a search whose process died or ran out of time has not looked.
  private func isWhole(_ row: DefectRow) -> Bool {
    row.cells.count == ways.count && row.cells.allSatisfy { $0.remark == nil || $0.check != nil }
  }

  /// `violated` where the sound engine was accused, or where a defect was looked for in every way and not caught by the
  /// check that
  /// is named for it. A way that was not gone to its end may still catch a defect, and may still accuse the sound
  /// engine.
  public var verdict: Verdict {
    if rows.contains(where: { !$0.isExpected && !$0.isUndecided && ($0.defect == nil || isWhole($0)) }) {
      return .violated
    }
    let isDoubtful = rows.contains { $0.isUndecided || (!isWhole($0) && ($0.defect == nil || !$0.isExpected)) }
    return isInterrupted || isDoubtful ? .unknown : .held
  }

  private var defects: [DefectRow] { rows.filter { $0.defect != nil } }
  private var sound: DefectRow? { rows.first { $0.defect == nil } }
  public var isExpected: Bool { rows.allSatisfy(\.isExpected) }

  /// One sentence.
  public var summary: String {
    let caught = defects.count(where: \.isExpected)
    let control = sound.map { row in
      let accused = row.cells.count { $0.check != nil }
      let trials = row.cells.reduce(0) { $0 + $1.trials }
      return ", the sound engine accused in \(accused) of \(row.cells.count) ways (\(trials) trials)"
    }
    let end = isInterrupted ? "unknown: interrupted after \(cells.done) of \(cells.all) cells; until then " : ""
    return end
      + "\(caught) of \(defects.count) defects caught by the check that is named for them\(control ?? ""), "
      + "\(Self.time(seconds))"
  }

  static func time(_ seconds: Double) -> String {
    seconds < 10
      ? String(format: "%.1f s", seconds)
      : seconds < 120 ? String(format: "%.0f s", seconds) : "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
  }

  // MARK: Terminal

  public var text: [String] {
    let names = ways.map(\.name)
    func pad(_ text: String, _ width: Int) -> String {
      text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0)
    }
    let columns = ways.indices.map { at in
      ([names[at]] + rows.map { short($0, at) }).map(\.count).max() ?? 0
    }
    let first = max(6, (rows.map(\.id.count).max() ?? 0) + 1)
    func line(_ name: String, _ cells: [String]) -> String {
      let padded = zip(cells, columns).map { pad($0, $1) }.joined(separator: "  ")
      let line = "\(pad(name, first))\(padded)"
      return String(line[..<(line.lastIndex { $0 != " " }.map { line.index(after: $0) } ?? line.endIndex)])
    }
    var lines = [line("", names)]
    lines += rows.map { row in line(row.id, ways.indices.map { short(row, $0) }) }
    for row in rows where !row.isExpected {
      if row.isUndecided {
        lines += row.cells.compactMap { cell in cell.undecided.map { "UNDECIDED \(row.id), \(cell.way.name): \($0)" } }
      } else if row.defect == nil {
        lines += row.cells.filter { $0.check != nil }.map {
          "ACCUSED the sound engine, \($0.way.name): \($0.check!.rawValue); \($0.reproduce ?? "")"
        }
      } else if isWhole(row) {
        for (id, wanted) in row.missing {
          let named = wanted.map(\.rawValue).joined(separator: " or ")
          lines.append(
            "NOT CAUGHT \(id): \(row.catching.map { "only by \($0.check!.rawValue)" } ?? "by nothing"), wanted \(named)"
          )
        }
      }
    }
    for row in rows {
      for cell in row.cells { if let remark = cell.remark { lines.append("\(row.id), \(cell.way.name): \(remark)") } }
    }
    lines.append(summary)
    return lines
  }

  /// `?` where nobody has looked to the end.
  private func short(_ row: DefectRow, _ at: Int) -> String {
    guard let cell = row.cells.first(where: { $0.way == ways[at] }) else { return "?" }
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
    var verdict: String
    var interrupted: Bool
    var stoppedBy: String?
    var cells, cellsDone: Int
  }

  private struct Entry: Encodable {
    var id: String
    var caught: Bool
    /// Whether it was looked for in every way that was asked for.
    var complete: Bool
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
        id: row.id, caught: row.catching != nil, complete: isWhole(row), check: row.catching?.check?.rawValue,
        expected: row.expected.map(\.rawValue),
        by: row.catching?.way.rawValue, trials: row.catching?.trials, seconds: row.catching?.seconds, story: row.story,
        cells: row.cells)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let document = Document(
      defects: entries,
      summary: Summary(
        defects: defects.count, caught: defects.count(where: \.isExpected),
        soundAccused: sound.map { $0.cells.count { $0.check != nil } }, seconds: seconds, verdict: verdict.rawValue,
        interrupted: isInterrupted, stoppedBy: isInterrupted ? RunSummary.Stop.signal.rawValue : nil, cells: cells.all,
        cellsDone: cells.done))
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }

  // MARK: Markdown

  /// - Parameter command: that makes this file.
  public func markdown(command: String) -> String {
    var lines = [
      "# Historical defects, and what catches them", "", "Generated by `\(command)`. Do not edit.", "",
      "\(summary). Seed \(seed); "
        + "at most \(effort.trials) trials of each way that is made of trials.", "",
      "Each defect is switched on and looked for in each way; a cell names the check that caught it and the trial, "
        + "state, run or "
        + "schedule by which it had been caught, `-` says how many found nothing. The first column is the scenario "
        + "that was written for "
        + "the defect; the others know nothing of it: the sound engine and every defect see the same trials. `none` is "
        + "the sound engine.",
      "", "| defect | " + ways.map(\.name).joined(separator: " | ") + " |",
      "| --- |" + String(repeating: " --- |", count: ways.count),
    ]
    for row in rows {
      let cells = ways.map { way in
        guard let cell = row.cells.first(where: { $0.way == way }) else { return "?" }
        let named = row.named(cell).map { "**\($0.rawValue)**" }.joined(separator: " ")
        return named.isEmpty ? "- \(cell.trials)" : "\(named) \(cell.trials), \(Self.time(cell.seconds))"
      }
      lines.append("| \(row.id) | " + cells.joined(separator: " | ") + " |")
    }
    lines += ["", "## The defects", ""]
    for row in defects { lines += chapter(row) }
    let remarks = rows.flatMap { row in
      row.cells.compactMap { cell in cell.remark.map { "- \(row.id), \(cell.way.name): \($0)" } }
    }
    if !remarks.isEmpty { lines += ["## Remarks", ""] + remarks + [""] }
    return lines.joined(separator: "\n")
  }

  private func chapter(_ row: DefectRow) -> [String] {
    guard let defect = row.defect else { return [] }
    var lines = ["### \(defect.id), \(defect.origin)", "", defect.summary, "", "Shows when: \(defect.showsWhen)."]
    if let cell = row.catching {
      let names = row.named(cell).map { "`\($0.rawValue)`" }.joined(separator: " and ")
      lines += ["", "Caught by \(names) (\(cell.way.name))."]
      if let command = cell.reproduce { lines += ["", "    \(command)"] }
    } else {
      lines += [
        "", isWhole(row) ? "**Not caught.**" : "Not looked for in every way: a search was interrupted, or ended early.",
      ]
    }
    if !row.story.isEmpty { lines += ["", "```"] + row.story + ["```"] }
    return lines + [""]
  }
}
