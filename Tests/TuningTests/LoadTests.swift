import FaultInjection
import LogModel
import Testing

@testable import Tuning

@Suite struct LoadTests {
  private let load = LoadMeasurement(disk: SimulatedDisk.flush(.milliseconds(5)), workload: SimulatedDisk.load)

  private func capacity() throws -> Double {
    try load.capacity(LoadSetting(.always, batch: 1, producers: 16), warmUp: .milliseconds(100), length: .seconds(2))
  }

  private func run(
    _ rate: Double, seconds: Int, policy: SyncPolicy = .always, batch: Int = 1, window: Duration = .zero
  ) throws -> LoadFigures {
    try load.run(
      LoadSetting(policy, commitWindow: window, batch: batch, producers: 16), rate: rate, warmUp: .milliseconds(200),
      length: .seconds(seconds)
    ).figures
  }

  /// 16 producers, and a flush of 5 ms that takes what waits: 3200 a second.
  @Test func theCapacityIsThatOfTheDisk() throws {
    let found = try capacity()
    #expect((2800...3400).contains(found), "\(found)")
  }

  /// What a measurement with coordinated omission would not show: a closed loop sees 5 ms however long the queue is.
  @Test func beyondItsCapacityTheLatencyGrowsWithTheBacklog() throws {
    let capacity = try capacity()
    let short = try run(1.2 * capacity, seconds: 2)
    let long = try run(1.2 * capacity, seconds: 6)
    #expect(short.unsent > 0)
    #expect(long.latency.p99 > 2 * short.latency.p99, "\(short.latency.p99) and \(long.latency.p99)")
    #expect(long.latency.p99 > 500_000_000)
    let within = try run(0.5 * capacity, seconds: 2)
    #expect(within.latency.p99 < 30_000_000, "\(within.latency.p99)")
    #expect(within.unsent == 0)
  }

  @Test func aBatchWaitsForItsLastMessage() throws {
    // 16 producers, 20 messages each: at 3200 a second a batch fills in 100 ms.
    let found = try run(3200, seconds: 2, batch: 20)
    #expect(found.latency.p50 > 40_000_000, "\(found.latency.p50)")
    #expect(found.latency.longest > 95_000_000, "\(found.latency.longest)")
  }

  @Test func aCommitWindowDelaysACommit() throws {
    let without = try run(100, seconds: 2)
    let with = try run(100, seconds: 2, window: .milliseconds(3))
    #expect((2_500_000...4_500_000).contains(with.latency.p50 - without.latency.p50), "\(with.latency.p50)")
  }

  /// The last sync of a run ends after it, and counts.
  @Test func aStallAtTheEndIsExposedToo() throws {
    let stall = FlushTiming.Stall(every: .seconds(1), for: .milliseconds(300))
    let stalling = LoadMeasurement(
      disk: SimulatedDisk.flush(.milliseconds(1), stall: stall), workload: SimulatedDisk.load)
    let found = try stalling.run(
      LoadSetting(.interval(.milliseconds(20)), batch: 1, producers: 16), rate: 2000, warmUp: .milliseconds(500),
      length: .milliseconds(520)
    ).figures
    #expect(found.exposedTime.longest > 250_000_000, "\(found.exposedTime)")
  }

  @Test func underAlwaysNothingIsExposed() throws {
    let found = try run(2000, seconds: 1)
    #expect(found.exposedTime.longest == 0 && found.exposedMessages.longest == 0)
  }

  /// The sync comes a quarter of the interval after the first acknowledgement, and takes 5 ms.
  @Test func anIntervalExposesAQuarterOfItselfAndAFlush() throws {
    let found = try run(2000, seconds: 1, policy: .interval(.milliseconds(100)))
    #expect((29_000_000...32_000_000).contains(found.exposedTime.longest), "\(found.exposedTime)")
    #expect(found.exposedTime.median > 5_000_000)
    // 30 ms of 2000 a second.
    #expect((50...70).contains(found.exposedMessages.longest), "\(found.exposedMessages)")
  }
}
