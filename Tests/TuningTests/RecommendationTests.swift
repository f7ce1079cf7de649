import FaultInjection
import LogModel
import Testing

@testable import Tuning

/// On disks whose latencies are known the right answer is known too.
@Suite struct RecommendationTests {
  private func chosen(
    _ disk: TuningDisk, loss: Requirements.Loss = .time(.milliseconds(50)), p99: Duration = .milliseconds(5)
  ) throws -> (SyncPolicy?, TuningResult) {
    let requirements = Requirements(loss: loss, p99: p99, workload: SimulatedDisk.load, producers: 16, batch: 1)
    let result = try Tuning(disk, requirements, .brief).run()
    return (result.recommendation.chosen.map { result.points[$0].setting.policy }, result)
  }

  @Test func whereAFlushCostsNothingAlwaysIsRight() throws {
    let (policy, result) = try chosen(SimulatedDisk.flush(.microseconds(10)))
    #expect(policy == .always, "\(result.recommendation)")
  }

  /// 16 producers commit 3200 a second at 5 ms a flush: 20 000 need an interval. A message may have to wait
  /// for two flushes, 10 ms: an interval of 5 ms cannot be kept.
  @Test func whereAFlushTakesFiveMillisecondsAnIntervalIsRight() throws {
    let (policy, result) = try chosen(SimulatedDisk.flush(.milliseconds(5)))
    #expect(policy == .interval(.milliseconds(10)), "\(result.recommendation)")
    let interval = result.points.first { $0.setting.policy == .interval(.milliseconds(5)) }
    #expect(interval.map { !$0.meets(result.requirements) } == true)
  }

  @Test func whoMayLoseNothingIsToldThatAlwaysDoesNotCarryIt() throws {
    let (policy, result) = try chosen(SimulatedDisk.flush(.milliseconds(5)), loss: .nothing)
    #expect(policy == nil)
    let always = result.recommendation.obstacles.first ?? ""
    #expect(always.hasPrefix("always: it carries ") && always.contains("p99"), "\(result.recommendation.obstacles)")
  }

  /// A disk that stalls 200 ms once a second: what is acknowledged meanwhile waits for its sync.
  @Test func aStallChangesTheAnswer() throws {
    let stall = FlushTiming.Stall(every: .seconds(1), for: .milliseconds(200))
    let disk = SimulatedDisk.flush(.milliseconds(5), stall: stall)
    let (none, result) = try chosen(disk)
    #expect(none == nil, "\(result.recommendation)")
    let (policy, _) = try chosen(disk, loss: .time(.milliseconds(500)))
    #expect(policy == .interval(.milliseconds(500)))
  }

  /// A request is no larger than the engine takes, whatever a message's size.
  @Test(arguments: [100, 3000, 60_000]) func otherBatchesFit(size: Int) {
    let requirements = Requirements(
      loss: .nothing, p99: .seconds(1), workload: Workload(rate: 1000, messageSize: size, partitions: 1), producers: 16,
      batch: 1)
    let tuning = Tuning(SimulatedDisk.flush(.zero), requirements, .quick)
    #expect(tuning.settings.allSatisfy { requirements.workload.fits(batch: $0.batch) })
    #expect(tuning.settings.contains { $0.batch == 100 } == (size == 100))
  }

  @Test func aLimitOfMessagesIsHeldToo() throws {
    // 20 000 a second: 100 ms are 2000 messages.
    let (policy, _) = try chosen(SimulatedDisk.flush(.milliseconds(5)), loss: .messages(450))
    #expect(policy == .interval(.milliseconds(20)) || policy == .interval(.milliseconds(10)))
    let (none, _) = try chosen(SimulatedDisk.flush(.milliseconds(5)), loss: .messages(10))
    #expect(none == nil)
  }
}
