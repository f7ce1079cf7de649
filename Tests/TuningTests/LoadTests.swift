import LogModel
import Testing

@testable import Tuning

@Suite struct LoadTests {
  private func run(
    _ pace: Producers.Pace, seconds: Int, policy: SyncPolicy = .always, batch: Int = 1, window: Duration = .zero,
    warmUp: Duration = .zero
  ) throws -> LoadFigures {
    let load = LoadMeasurement(disk: SimulatedDisk.flush(.milliseconds(5)), workload: SimulatedDisk.load)
    return try load.run(
      LoadSetting(policy, commitWindow: window, batch: batch, producers: 16), pace, warmUp: warmUp,
      length: .seconds(seconds))
  }

  /// 16 producers, and a flush of 5 ms that takes what waits: 3200 a second.
  @Test func theCapacityIsThatOfTheDisk() throws {
    let found = try run(.flatOut, seconds: 2)
    #expect((2800...3400).contains(found.rate), "\(found.rate)")
    #expect((5_000_000...11_000_000).contains(found.latency.p99), "\(found.latency)")
  }

  /// What a measurement with coordinated omission would not show: a closed loop sees 5 ms however long the queue is.
  @Test func beyondItsCapacityTheLatencyGrowsWithTheBacklog() throws {
    let capacity = try run(.flatOut, seconds: 2).rate
    let short = try run(.rate(1.2 * capacity), seconds: 2)
    let long = try run(.rate(1.2 * capacity), seconds: 6)
    #expect(short.unsent > 0)
    #expect(long.latency.p99 > 2 * short.latency.p99, "\(short.latency.p99) and \(long.latency.p99)")
    #expect(long.latency.p99 > 500_000_000)
    let within = try run(.rate(0.5 * capacity), seconds: 2)
    #expect(within.latency.p99 < 30_000_000, "\(within.latency.p99)")
    #expect(within.unsent == 0)
  }

  @Test func aBatchWaitsForItsLastMessage() throws {
    // 16 producers, 20 messages each: at 3200 a second a batch fills in 100 ms.
    let found = try run(.rate(3200), seconds: 2, batch: 20)
    #expect(found.latency.p50 > 40_000_000, "\(found.latency.p50)")
    #expect(found.latency.longest > 95_000_000, "\(found.latency.longest)")
  }

  @Test func aCommitWindowDelaysACommit() throws {
    let without = try run(.rate(100), seconds: 2)
    let with = try run(.rate(100), seconds: 2, window: .milliseconds(3))
    #expect((2_500_000...4_500_000).contains(with.latency.p50 - without.latency.p50), "\(with.latency.p50)")
  }

  @Test func underAlwaysNothingIsExposed() throws {
    let found = try run(.rate(2000), seconds: 1)
    #expect(found.exposedTime.longest == 0 && found.exposedMessages.longest == 0)
  }

  /// The sync comes a quarter of the interval after the first acknowledgement, and takes 5 ms.
  @Test func anIntervalExposesAQuarterOfItselfAndAFlush() throws {
    let found = try run(.rate(2000), seconds: 1, policy: .interval(.milliseconds(100)), warmUp: .milliseconds(200))
    #expect((29_000_000...32_000_000).contains(found.exposedTime.longest), "\(found.exposedTime)")
    #expect(found.exposedTime.median > 5_000_000)
    // 30 ms of 2000 a second.
    #expect((50...70).contains(found.exposedMessages.longest), "\(found.exposedMessages)")
  }
}
