import Foundation
import LogModel
import ScenarioFormat

/// A page of `docs`: the rows of its tables, by the heading that they stand under.
struct ManualPage {
  let text: String
  private var tables: [String: [[String]]] = [:]

  /// - Parameter name: of a file in `docs`.
  init(_ name: String) {
    let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../docs")
    text = (try? String(contentsOf: docs.appendingPathComponent(name), encoding: .utf8)) ?? ""
    var heading = ""
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("#") {
        heading = String(line.drop { $0 == "#" || $0 == " " }.replacing("`", with: ""))
      } else if line.hasPrefix("|") {
        let cells = Self.cells(line)
        if cells.allSatisfy({ $0.allSatisfy { $0 == "-" } }) {
          // What stands above the line is the table's head.
          tables[heading]?.removeLast()
        } else {
          tables[heading, default: []].append(cells)
        }
      }
    }
  }

  /// Without the table's head; empty where there is no such heading.
  func rows(_ heading: String) -> [[String]] { tables[heading] ?? [] }

  /// Of each row the first column.
  func names(_ heading: String) -> [String] { rows(heading).compactMap(\.first).map(Self.plain) }

  /// The words that stand in backticks.
  static func words(_ cell: String) -> [String] {
    cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map {
      String($0.element)
    }
  }

  static func plain(_ cell: String) -> String { cell.replacing("`", with: "") }

  private static func cells(_ line: Substring) -> [String] {
    let escaped = "\u{1}"
    return line.replacing("\\|", with: escaped).split(separator: "|", omittingEmptySubsequences: false)
      .dropFirst().dropLast().map { $0.trimmingCharacters(in: .whitespaces).replacing(escaped, with: "|") }
  }
}
