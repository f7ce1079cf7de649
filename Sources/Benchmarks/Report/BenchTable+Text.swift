import LogModel

extension BenchTable {
  /// A table for a terminal: aligned columns, then the legend of the references, then what was missed.
  public func renderText() -> String {
    let appends = rows.filter { $0.load != nil }
    let scans = rows.filter { $0.load == nil }
    var parts = ["bench in \(directory) (\(fileSystem)); median of interleaved rounds, ± half of the range"]
    if !appends.isEmpty {
      let head = [
        "append", "policy", "producers", "record", "batch", "messages/s", "±", "ratio", "±", "target", "", "beside",
      ]
      let numeric: Set<Int> = [2, 3, 4, 5, 6, 7, 8, 9]
      parts.append(alignedColumns([head] + appends.map(Self.appendCells), rightAligned: numeric))
    }
    let ratios = policyRatios
    if !ratios.isEmpty {
      parts.append(ratios.map { "\($0.load): \(fixed($0.timesAlways, 1)) x always" }.joined(separator: "\n"))
    }
    if !peerRatios.isEmpty { parts.append(peerText()) }
    if !scans.isEmpty {
      let head = ["scan", "GB/s", "±", "ratio", "±", "target", "", "beside"]
      parts.append(alignedColumns([head] + scans.map(Self.scanCells), rightAligned: [1, 2, 3, 4, 5]))
    }
    if !openings.isEmpty { parts.append(openingText()) }
    if !commits.isEmpty { parts.append(commitText()) }
    if !recoveries.isEmpty { parts.append(recoveryText()) }
    let legend = legend()
    if !legend.isEmpty { parts.append(legend) }
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
    return parts.joined(separator: "\n\n") + "\n"
  }

  private func peerText() -> String {
    let head = ["the engine beside", "producers", "times its rate", "±", "target", ""]
    let lines = peerRatios.map { row in
      [
        row.peer, "\(row.load.producers)", fixed(row.times, 2), percent(row.spread),
        row.minimum.map { ">= \(fixed($0, 1))" } ?? "", row.verdict.map(Self.word) ?? "",
      ]
    }
    return alignedColumns([head] + lines, rightAligned: [1, 2, 3, 4])
      + "\nboth as ratios to REF in this run; SQLite and LMDB have one writer at a time, whoever waits beside it"
  }

  private func openingText() -> String {
    let head = ["opening", "ms", "±", "ratio", "±", "target", ""]
    let lines = openings.map { row in
      [
        "\(row.partitions) empty partitions", fixed(row.nanoseconds.median / 1e6, 1), percent(row.nanoseconds.spread),
        "\(fixed(row.timesRaw.median, 2)) x raw", percent(row.timesRaw.spread), "< \(fixed(OpeningRow.limit, 0)) s",
        Self.word(row.verdict),
      ]
    }
    return alignedColumns([head] + lines, rightAligned: [1, 2, 3, 4]) + "\nraw: \(OpeningRow.explanation)"
  }

  private func commitText() -> String {
    let head = [
      "offset commits", "commits/s", "±", "ratio", "±", "target", "KiB on disk", "target", "without, KiB", "",
    ]
    let lines = commits.map { row in
      [
        "\(grouped(Double(row.commits)))", grouped(row.rate.median), percent(row.rate.spread),
        "\(fixed(row.ratio.sample.median, 2)) x \(row.ratio.reference)", percent(row.ratio.sample.spread),
        ">= \(fixed(CommitRow.minimum, 1))", grouped(Double(row.peakBytes >> 10)),
        "<= \(grouped(Double(CommitRow.largest >> 10)))",
        grouped(Double(row.uncompactedBytes >> 10)), Self.word(row.verdict),
      ]
    }
    return alignedColumns([head] + lines, rightAligned: [0, 1, 2, 3, 4, 5, 6, 7, 8])
      + "\nrates of slices, always synced; on disk: the larger copy of the metadata log, at the most in a run of so "
      + "many commits"
  }

  private func recoveryText() -> String {
    let head = ["recovery", "MiB on disk", "messages", "s", "±", "GB/s", "ratio", "±", "peak MiB", "empty engine", ""]
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
    return alignedColumns([head] + lines, rightAligned: [1, 2, 3, 4, 5, 6, 7, 8, 9])
      + "\nreading: every file read once in pieces of 256 KiB; peak: VmHWM of a process that does nothing else, beside "
      + "that of one with an empty engine"
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
  private func legend() -> String {
    var lines: [[String]] = []
    var seen: Set<String> = []
    for row in rows {
      for reference in row.explanations where seen.insert(reference.name).inserted {
        lines.append([reference.name, rates(of: reference), reference.explanation])
      }
    }
    let head = ["references", "rate", "what it does"]
    let table = lines.isEmpty ? "" : alignedColumns([head] + lines, rightAligned: [1])
    return ([table] + notices).filter { !$0.isEmpty }.joined(separator: "\n")
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
