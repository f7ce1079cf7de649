import LogModel
import Testing

@testable import Tuning

/// What power cuts take is what the policy says, and what the trace says.
@Suite struct LossTests {
  private func losses(
    _ policy: SyncPolicy, flush: Duration, cuts: Int, batch: Int = 1, rate: Double = 4000
  ) throws -> LossFigures {
    let setting = LoadSetting(policy, batch: batch, producers: 16)
    let runs = PowerCuts(
      disk: SimulatedDisk.flush(flush), workload: Workload(rate: rate, messageSize: 100, partitions: 3))
    var found: [PowerCut] = []
    for seed in 1...cuts {
      if let cut = try runs.cut(setting, seed: UInt64(seed)) { found.append(cut) }
    }
    return LossFigures(found)
  }

  @Test(arguments: [1, 5, 10, 50, 100, 500, 1000])
  func anIntervalLosesNoMoreThanItselfAndAFlush(_ milliseconds: Int) throws {
    let limit = Duration.milliseconds(milliseconds)
    let flush = min(Duration.milliseconds(2), limit / 2)
    let found = try losses(.interval(limit), flush: flush, cuts: milliseconds > 100 ? 20 : 100)
    #expect(found.cuts > 10)
    #expect(found.time.longest > 0 && found.messages.longest > 0)
    #expect(found.time.longest <= (limit + flush).nanoseconds)
    #expect(found.beyond == 0)
    // The trace and the recovery agree.
    #expect(found.widestGap == 0)
  }

  /// A message that is acknowledged just after a sync was submitted waits for that one, and for the next.
  @Test func anIntervalShorterThanAFlushLosesUpToTwoFlushes() throws {
    let found = try losses(.interval(.milliseconds(1)), flush: .milliseconds(4), cuts: 60)
    #expect((5_000_000...8_500_000).contains(found.time.longest), "\(found.time)")
    #expect(found.beyond == 0)
    #expect(found.widestGap == 0)
  }

  @Test func alwaysLosesNothing() throws {
    let found = try losses(.always, flush: .milliseconds(2), cuts: 200)
    #expect(found.cuts > 160)
    #expect(found.messages.longest == 0 && found.exposedMessages.longest == 0)
  }

  /// The power goes when batches have been sent, however long they take to fill.
  @Test(arguments: [(100, 4000.0), (1, 20), (10, 200)])
  func largeBatchesAndLowRatesAreCutToo(batch: Int, rate: Double) throws {
    let found = try losses(.interval(.milliseconds(20)), flush: .milliseconds(1), cuts: 20, batch: batch, rate: rate)
    #expect(found.cuts >= 10, "\(found.cuts)")
    #expect(found.beyond == 0 && found.widestGap == 0)
  }

  @Test func neverLosesEverythingThatWasAcknowledged() throws {
    let found = try losses(.never, flush: .milliseconds(2), cuts: 20)
    #expect(found.messages.median > 10)
    #expect(found.widestGap == 0)
  }
}
