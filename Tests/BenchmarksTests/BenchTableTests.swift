import LogModel
import Testing

@testable import Benchmarks

@Suite struct BenchTableTests {
  private var table: BenchTable {
    func row(_ producers: Int, _ ratio: Double, target: Double?) -> BenchRow {
      BenchRow(
        subject: "tornlog", load: AppendLoad(producers: producers, recordSize: 1024, batch: 1, policy: .always),
        rate: Sample([100_000 * ratio]),
        ratios: [
          Ratio(reference: "REF", sample: Sample([ratio]), referenceRate: Sample([100_000])),
          Ratio(reference: "ring", sample: Sample([ratio / 2]), referenceRate: Sample([200_000])),
        ],
        target: target.map { BenchRow.Target(minimum: $0, reference: "REF") }, explanations: [.ref])
    }
    var table = BenchTable(directory: "/data", fileSystem: "ext4")
    table.rows = [row(1, 1.0, target: 1), row(4, 3.5, target: nil), row(16, 7.999, target: 8)]
    return table
  }

  @Test func `the text is one aligned table, a legend, and what was missed`() {
    let expected = """
      bench in /data (ext4); median of interleaved rounds, ± half of the range

      append   policy  producers  record  batch  messages/s   ±       ratio   ±  target          beside
      tornlog  always          1    1 KB      1     100 000  0%  1.00 x REF  0%  >= 1.0  met     0.50 x ring
      tornlog  always          4    1 KB      1     350 000  0%  3.50 x REF  0%                  1.75 x ring
      tornlog  always         16    1 KB      1     799 900  0%  7.99 x REF  0%  >= 8.0  MISSED  3.99 x ring

      references       rate  what it does
      REF         100 000/s  pwrite of one record + fdatasync, zero-filled file

      targets missed: 1
        tornlog, always, 16 producers, 1 KB, single messages: 7.99 x REF, target 8.0 x REF

      """
    #expect(table.renderText() == expected)
  }

  @Test func `the JSON carries figures, ratios and verdicts`() throws {
    let json = try table.renderJSON()
    for part in [
      "\"version\" : 1", "\"tool\" : \"tornlog\"", "\"filesystem\" : \"ext4\"", "\"missed\" : 1",
      "\"sync\" : \"always\"",
      "\"verdict\" : \"met\"", "\"verdict\" : \"missed\"", "\"minimum\" : 8", "\"unit\" : \"messages/s\"",
    ] {
      #expect(json.contains(part), "\(part)")
    }
  }

  @Test func `a target whose reference was not measured is missed`() {
    var table = table
    table.rows[0].ratios.removeFirst()
    #expect(table.rows[0].verdict == .missed)
    #expect(table.exitCode == 1)
  }

  /// Spreads of 64 % and 88 % were called missed, and 86 % met.
  @Test(arguments: [
    ([0.5, 0.47, 1.1], BenchRow.TargetVerdict.noisy), ([0.98, 0.99, 1.0], .missed), ([1.1, 1.2, 1.15], .met),
    ([0.7, 3, 1.2], .noisy),
  ])
  func aTargetIsJudgedOnlyWhereTheRoundsAgree(ratios: [Double], verdict: BenchRow.TargetVerdict) {
    var table = table
    table.rows = Array(table.rows.prefix(1))
    table.rows[0].ratios[0] = Ratio(reference: "REF", sample: Sample(ratios), referenceRate: Sample([1]))
    #expect(table.rows[0].verdict == verdict)
    #expect(table.exitCode == [.met: 0, .missed: 1, .noisy: 2][verdict])
  }

  @Test(arguments: [([0.5, 0.47, 1.1], Int32(2)), ([0.98, 0.99, 1.0], 0)] as [([Double], Int32)])
  func aRowWithoutATargetIsNoisyOrHasNoVerdict(ratios: [Double], exitCode: Int32) {
    var table = table
    table.rows = Array(table.rows.prefix(1))
    table.rows[0].target = nil
    table.rows[0].ratios[0] = Ratio(reference: "REF", sample: Sample(ratios), referenceRate: Sample([1]))
    #expect(table.rows[0].verdict == (exitCode == 2 ? .noisy : nil) && table.exitCode == exitCode)
    #expect(table.renderText().contains("NOISY") == (exitCode == 2))
  }

  @Test func `a recovery whose rounds differ is noisy`() {
    func row(_ ratios: [Double]) -> RecoveryRow {
      RecoveryRow(
        kind: .log, bytes: 1 << 20, messages: 1000, nanoseconds: Sample([1e9]), timesRead: Sample(ratios),
        peakBytes: 1 << 20, emptyPeakBytes: 1 << 20)
    }
    var table = BenchTable(directory: "/tmp", fileSystem: "ext4")
    table.recoveries = [row([1, 1.1, 1.2])]
    #expect(table.exitCode == 0 && !table.renderText().contains("NOISY"))
    table.recoveries = [row([1, 3, 1.2])]
    #expect(table.exitCode == 2 && table.renderText().contains("NOISY"))
  }

  @Test func `a miss weighs more than noise, and an interruption more than both`() {
    #expect(
      Noise.exitCode([]) == 0 && Noise.exitCode([.met, .noisy]) == 2 && Noise.exitCode([.noisy, .missed, .met]) == 1)
    var table = table
    table.isInterrupted = true
    #expect(table.exitCode == 130)
  }

  @Test(arguments: [
    ([0.1], Noise.Decision.take(0)), ([0.3], .take(0)), ([0.31], .measureAgain), ([0.64, 0.2], .take(1)),
    ([0.64, 0.88], .measureAgain),
    ([0.64, 0.31, 0.88], .noisy(calmest: 1)), ([0.64, 0.5, 0.3], .take(2)),
  ])
  func aRowIsMeasuredUntilItsRoundsAgree(spreads: [Double], decision: Noise.Decision) {
    #expect(Noise.decide(spreads) == decision)
  }

  @Test func `an opening that always keeps its limit is met, however much it varies`() {
    func row(_ milliseconds: [Double]) -> OpeningRow {
      OpeningRow(partitions: 1000, nanoseconds: Sample(milliseconds.map { $0 * 1e6 }), timesRaw: Sample([1]))
    }
    #expect(row([30, 40, 90]).verdict == .met)
    #expect(row([600, 700, 1900]).verdict == .noisy)
    #expect(row([1900, 2000, 2100]).verdict == .missed)
  }

  @Test func `options that make no sense are usage errors`() {
    let error = #expect(throws: BenchError.self) { try BenchOptions(rounds: 0) }
    #expect(error?.exitCode == 64)
  }
}
