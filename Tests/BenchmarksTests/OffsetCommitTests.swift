import Testing

@testable import Benchmarks

@Suite struct OffsetCommitTests {
  /// What the disk takes is a bound, whatever its speed.
  @Test func commitsOfOffsetsTakeBoundedSpace() throws {
    let folder = TestFolder()
    var bench = Bench(
      try BenchOptions(directory: folder.path, quick: true, only: .commits, rounds: 1), append: [], scan: [])
    bench.commits = [12_000]
    let table = try bench.run()
    let row = try #require(table.commits.first)
    #expect(row.commits == 12_000 && row.rate.median > 0 && row.longRate > 0)
    #expect(row.peakBytes > 1 << 20 && row.peakBytes <= CommitRow.largest, "\(row.peakBytes)")
    #expect(
      row.uncompactedBytes > CommitRow.largest, "without compaction it would not be bounded: \(row.uncompactedBytes)")
    let (text, json) = (table.renderText(), try table.renderJSON())
    #expect(text.contains("without compaction") && json.contains("uncompactedBytes"))
    #expect(folder.names.isEmpty)
  }

  /// A copy that is too large misses the target, whatever the rate.
  @Test func aMetadataLogThatIsTooLargeMissesTheTarget() {
    func row(_ peak: Int64, _ ratio: Double) -> BenchRow.TargetVerdict {
      let ratio = Ratio(reference: CommitRow.reference, sample: Sample([ratio]), referenceRate: Sample([1]))
      return CommitRow(commits: 1, rate: Sample([1]), ratio: ratio, peakBytes: peak, longRate: 1, uncompactedBytes: 1)
        .verdict
    }
    #expect(
      row(CommitRow.largest, 0.9) == .met && row(CommitRow.largest, 0.89) == .missed
        && row(CommitRow.largest + 1, 2) == .missed)
  }
}
