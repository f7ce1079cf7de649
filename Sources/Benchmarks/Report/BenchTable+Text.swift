import LogModel

extension BenchTable {
  /// A table for a terminal: aligned columns, then the legend of the references, then what was missed.
  public func renderText() -> String {
    var parts = ["\(headline); \(Self.method)"]
    for section in sections {
      parts.append(
        ([alignedColumns([section.head] + section.rows, rightAligned: section.numeric)] + section.notes)
          .joined(separator: "\n"))
    }
    return (parts + shortfalls).joined(separator: "\n\n") + "\n"
  }

  /// `bench in /var/lib (ext4)`
  var headline: String { "bench in \(directory) (\(fileSystem))" }
  static let method = "median of interleaved rounds, ± half of the range"

  /// One table of any report format.
  struct Section {
    var title: String
    var head: [String]
    var rows: [[String]]
    /// Columns that are aligned to the right.
    var numeric: Set<Int>
    /// Sentences below the table.
    var notes: [String] = []
  }

  /// What was measured, then the references. Parts of which nothing was measured are left out.
  var sections: [Section] {
    let all = [appendSection, peerSection, scanSection, openingSection, commitSection, recoverySection, legend]
    return all.filter { !$0.rows.isEmpty || !$0.notes.isEmpty }
  }

  /// Paragraphs: targets that were missed, rows without a verdict, whether the run is whole.
  var shortfalls: [String] {
    var parts: [String] = []
    if !missed.isEmpty {
      parts.append((["targets missed: \(missed.count)"] + missed.map(Self.missedLine)).joined(separator: "\n"))
    }
    if !noisy.isEmpty {
      let head =
        "no verdict, as the rounds differ by more than ± \(percent(Noise.limit)): \(noisy.count); measure again on a "
        + "quieter disk, or with more --rounds"
      parts.append(
        ([head] + noisy.map { Self.missedLine($0) + ", measured \($0.measurements) times" }).joined(separator: "\n"))
    }
    if isInterrupted { parts.append("interrupted after \(count) of \(planned ?? count) rows") }
    return parts
  }

  private var appendSection: Section {
    Section(
      title: "Appends",
      head: [
        "append", "policy", "producers", "record", "batch", "messages/s", "±", "ratio", "±", "target", "", "beside",
      ],
      rows: rows.filter { $0.load != nil }.map(Self.appendCells), numeric: [2, 3, 4, 5, 6, 7, 8, 9],
      notes: policyRatios.map { "\($0.load): \(fixed($0.timesAlways, 1)) x always" })
  }

  private var peerSection: Section {
    let lines = peerRatios.map { row in
      [
        row.peer, "\(row.load.producers)", fixed(row.times, 2), percent(row.spread),
        row.minimum.map { ">= \(fixed($0, 1))" } ?? "", row.verdict.map(Self.word) ?? "",
      ]
    }
    let notes = [
      "both as ratios to REF in this run; SQLite and LMDB have one writer at a time, whoever waits beside it",
      "pg_test_fsync writes 8 KB at one place of a file, and nothing else",
    ]
    return Section(
      title: "The engine beside others", head: ["the engine beside", "producers", "times its rate", "±", "target", ""],
      rows: lines, numeric: [1, 2, 3, 4], notes: lines.isEmpty ? [] : notes)
  }

  private var scanSection: Section {
    Section(
      title: "Scans", head: ["scan", "GB/s", "±", "ratio", "±", "target", "", "beside"],
      rows: rows.filter { $0.load == nil }.map(Self.scanCells), numeric: [1, 2, 3, 4, 5])
  }

  private var openingSection: Section {
    let lines = openings.map { row in
      [
        "\(row.partitions) empty partitions", fixed(row.nanoseconds.median / 1e6, 1), percent(row.nanoseconds.spread),
        "\(fixed(row.timesRaw.median, 2)) x raw", percent(row.timesRaw.spread), "< \(fixed(OpeningRow.limit, 0)) s",
        Self.word(row.verdict),
      ]
    }
    return Section(
      title: "Opening", head: ["opening", "ms", "±", "ratio", "±", "target", ""], rows: lines, numeric: [1, 2, 3, 4],
      notes: lines.isEmpty ? [] : ["raw: \(OpeningRow.explanation)"])
  }

  private var commitSection: Section {
    let lines = commits.map { row in
      [
        "\(grouped(Double(row.commits)))", grouped(row.rate.median), percent(row.rate.spread),
        "\(fixed(row.ratio.sample.median, 2)) x \(row.ratio.reference)", percent(row.ratio.sample.spread),
        ">= \(fixed(CommitRow.minimum, 1))", grouped(Double(row.peakBytes >> 10)),
        "<= \(grouped(Double(CommitRow.largest >> 10)))",
        grouped(Double(row.uncompactedBytes >> 10)), Self.word(row.verdict),
      ]
    }
    let note =
      "rates of slices, always synced; on disk: the larger copy of the metadata log, at the most in a run of so "
      + "many commits"
    return Section(
      title: "Commits of offsets",
      head: ["offset commits", "commits/s", "±", "ratio", "±", "target", "KiB on disk", "target", "without, KiB", ""],
      rows: lines, numeric: [0, 1, 2, 3, 4, 5, 6, 7, 8], notes: lines.isEmpty ? [] : [note])
  }

  private var recoverySection: Section {
    let lines = recoveries.map { row in
      [
        row.kind.rawValue, grouped(Double(row.bytes >> 20)), grouped(Double(row.messages)),
        fixed(row.nanoseconds.median / 1e9, 2),
        percent(row.nanoseconds.spread), fixed(Double(row.bytes) / row.nanoseconds.median, 2),
        "\(fixed(row.timesRead.median, 2)) x reading", percent(row.timesRead.spread),
        fixed(Double(row.peakBytes) / 1048576, 1),
        fixed(Double(row.emptyPeakBytes) / 1048576, 1), row.verdict.map(Self.word) ?? "",
      ]
    }
    let note =
      "reading: every file read once in pieces of 256 KiB; peak: VmHWM of a process that does nothing else, beside "
      + "that of one with an empty engine"
    return Section(
      title: "Recovery",
      head: ["recovery", "MiB on disk", "messages", "s", "±", "GB/s", "ratio", "±", "peak MiB", "empty engine", ""],
      rows: lines, numeric: [1, 2, 3, 4, 5, 6, 7, 8, 9], notes: lines.isEmpty ? [] : [note])
  }

  private static func appendCells(_ row: BenchRow) -> [String] {
    let load = row.load!
    return [
      row.subject, "\(load.policy)", String(load.producers), load.recordSize == 1024 ? "1 KB" : "\(load.recordSize) B",
      String(load.batch), grouped(row.rate.median), percent(row.rate.spread),
    ] + ratioCells(row)
  }

  private static func scanCells(_ row: BenchRow) -> [String] {
    [row.subject, fixed(row.rate.median / 1e9, 2), percent(row.rate.spread)] + ratioCells(row)
  }

  private static func ratioCells(_ row: BenchRow) -> [String] {
    let others = row.ratios.filter { $0.reference != row.primary?.reference }
    return [
      row.primary.map { "\(fixed($0.sample.median, 2)) x \($0.reference)" } ?? "not measured",
      row.primary.map { percent($0.sample.spread) } ?? "",
      row.target.map { ">= \(fixed($0.minimum, 1))" } ?? "",
      row.verdict.map(Self.word) ?? "",
      others.map { "\(fixed($0.sample.median, 2)) x \($0.reference)" }.joined(separator: ", "),
    ]
  }

  private static func word(_ verdict: BenchRow.TargetVerdict) -> String {
    verdict == .met ? "met" : verdict.rawValue.uppercased()
  }

  private static func missedLine(_ row: BenchRow) -> String {
    let name = row.load.map { "\($0)" } ?? "scan"
    let found = row.primary.map { "\(fixed($0.sample.median, 2)) x \($0.reference)" } ?? "not measured"
    let target = row.target.map { ", target \(fixed($0.minimum, 1)) x \($0.reference)" } ?? ""
    return "  \(row.subject), \(name): \(found)\(target)"
  }

  /// Each reference that a row uses, once, with its own rate.
  private var legend: Section {
    var lines: [[String]] = []
    var seen: Set<String> = []
    for row in rows {
      for reference in row.explanations where seen.insert(reference.name).inserted {
        lines.append([reference.name, rates(of: reference), reference.explanation])
      }
    }
    return Section(
      title: "References", head: ["references", "rate", "what it does"], rows: lines, numeric: [1],
      notes: notices)
  }

  /// The range of the reference's medians over the rows that used it.
  private func rates(of reference: RawReference) -> String {
    let medians = rows.flatMap(\.ratios).filter { $0.reference == reference.name }.map(\.referenceRate.median)
    guard let low = medians.min(), let high = medians.max() else { return "" }
    switch reference {
    case .cachedRead, .checksum: return "\(fixed(low / 1e9, 2)) GB/s"
    default: return low == high ? "\(grouped(low))/s" : "\(grouped(low))-\(grouped(high))/s"
    }
  }
}
