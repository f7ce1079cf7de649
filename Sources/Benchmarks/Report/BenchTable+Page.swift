import LogModel
import Plots

extension BenchTable {
  /// A page of Markdown: the tables, what was missed, and the command that made it.
  /// - Parameter command: as it is typed: `tornlog bench --peers`.
  public func renderMarkdown(_ command: String) -> String {
    func line(_ cells: [String]) -> String {
      "| " + cells.map { $0.escapingControls().replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
    }
    var lines = ["# \(command)", "", origin("`\(command)`"), ""]
    for section in sections {
      lines += ["## \(section.title)", ""]
      if !section.rows.isEmpty {
        lines.append(line(section.head))
        lines.append(line(section.head.indices.map { section.numeric.contains($0) ? "---:" : "---" }))
        lines += section.rows.map(line) + [""]
      }
      lines += section.notes.flatMap { ["\($0.escapingControls())", ""] }
    }
    for part in shortfalls {
      let parts = part.split(separator: "\n")
      lines += ["\(parts[0])", ""]
      if parts.count > 1 { lines += parts.dropFirst().map { "-\($0.dropFirst())" } + [""] }
    }
    return lines.joined(separator: "\n")
  }

  /// One self-contained page with a plot of the ratios.
  public func renderHTML(_ command: String) -> String {
    var page = HTMLPage(title: command)
    page.heading(command, level: 1)
    page.paragraph(origin(command), class: "quiet")
    for (reference, bars) in bars {
      page.heading("Rates as multiples of \(reference)")
      page.figure(
        BarPlot(
          bars, limit: 1, label: "rate of each row as a multiple of \(reference)",
          text: { "\(fixed($0, 2)) x" }
        ).render(),
        caption: "After each name: how many producers. Dashed: the raw loop, measured side by side with each row.")
    }
    for section in sections {
      page.heading(section.title)
      if !section.rows.isEmpty { page.table(section.head, section.rows, numeric: section.numeric) }
      for note in section.notes { page.paragraph(note, class: "quiet") }
    }
    for part in shortfalls {
      let parts = part.split(separator: "\n").map(String.init)
      page.paragraph(parts[0])
      page.list(Array(parts.dropFirst()))
    }
    return page.render()
  }

  private func origin(_ command: String) -> String {
    "Made by \(command) in \(directory.escapingControls()) (\(fileSystem)). Do not edit. Each figure is the "
      + "\(Self.method). Other work on the machine changes rates; it changes ratios less."
  }

  /// The append rows by the reference that they are read by, in the order of the table.
  private var bars: [(reference: String, bars: [(name: String, value: Double, series: Int)])] {
    let appends = rows.filter { $0.load != nil && $0.primary != nil }
    var subjects: [String] = []
    for row in appends where !subjects.contains(row.subject) { subjects.append(row.subject) }
    var references: [String] = []
    for row in appends {
      if let name = row.primary?.reference, !references.contains(name) { references.append(name) }
    }
    return references.map { reference in
      let bars = appends.filter { $0.primary?.reference == reference }.map { row in
        let load = row.load!
        let policy = subjects.count > 1 ? "" : "\(load.policy), "
        let batch = load.batch == 1 ? "" : " x \(load.batch)"
        return (
          name: "\(subjects.count > 1 ? "\(row.subject), " : policy)\(load.producers)\(batch)",
          value: row.primary!.sample.median, series: subjects.firstIndex(of: row.subject)!
        )
      }
      return (reference, bars)
    }
  }
}
