import LogModel

extension BenchTable {
  /// A row of any kind: what was measured, what came out, and whether its target was met.
  public struct Case: Hashable, Sendable {
    public var name: String
    /// The ratio that the row is read by: `1.10 x raw ring`.
    public var figure: String
    /// Nil where the row has no target.
    public var verdict: BenchRow.TargetVerdict?
  }

  /// All rows, in the order of the table.
  public var cases: [Case] {
    rows.map { row in
      Case(
        name: "\(row.subject), \(row.load.map { "\($0)" } ?? "scan")",
        figure: row.primary.map { "\(fixed($0.sample.median, 2)) x \($0.reference)" } ?? "not measured",
        verdict: row.verdict)
    }
      + peerRatios.map { row in
        Case(
          name: "the engine beside \(row.peer), \(row.load)", figure: "\(fixed(row.times, 2)) x", verdict: row.verdict)
      }
      + openings.map { row in
        Case(
          name: "opening \(row.partitions) empty partitions", figure: "\(fixed(row.timesRaw.median, 2)) x raw",
          verdict: row.verdict)
      }
      + commits.map { row in
        Case(
          name: "\(row.commits) offset commits",
          figure: "\(fixed(row.ratio.sample.median, 2)) x \(row.ratio.reference)",
          verdict: row.verdict)
      }
      + recoveries.map { row in
        Case(
          name: "recovery of \(row.bytes >> 20) MiB, \(row.kind.rawValue)",
          figure: "\(fixed(row.timesRead.median, 2)) x reading",
          verdict: row.verdict)
      }
  }
}
