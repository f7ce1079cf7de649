import LeaseDatabase
import LogModel
import Metrics
import ObjectStore
import PartitionEngine
import Storage
import Testing
import Trials
import WriteAheadLog

/// The alerts of the Streamhouse runbook index on the object store and on leases, each made true by what a real engine
/// does and cleared again.
@Suite(.enabled(if: Promtool.path != nil, Promtool.absence)) struct StoreAlertTests {
  static let log = LogConfiguration(
    segmentBytes: 256 << 10, commitBytes: 16 << 10, recentBatches: 4, recentBytes: 8 << 10, firstPreallocation: 8 << 10,
    largestPreallocation: 16 << 10)

  /// From minute 5 to minute 15.
  static func isOutage(_ now: Instant) -> Bool { AlertRun.minute(5) <= now && now < AlertRun.minute(15) }

  enum Outage: Sendable, CaseIterable { case refuses, hangs }

  /// A message a second, from the start to minute 25. The store is asked every minute.
  /// - Returns: the messages that were refused.
  private func produce(
    _ run: AlertRun, _ outage: Outage, _ checkpoints: CheckpointPolicy, _ metrics: EngineMetrics
  ) throws -> Int {
    let refused = Refused()
    try run.run(minutes: 30) { storage, loop in
      let store = FlakyStore(DirectoryObjectStore(storage), loop, outage)
      let (engine, _) = try await PartitionEngine.open(
        storage, EngineConfiguration(log: Self.log, checkpoints: checkpoints),
        parts: EngineParts(store: store, metrics: metrics))
      try await engine.createTopic("orders", partitions: 1)
      let value = [UInt8](repeating: 7, count: 1000)
      for second in 0..<1500 {
        await loop.sleep(until: Instant(nanoseconds: 0) + .seconds(second))
        do throws(EngineError) {
          _ = try await engine.produce(to: "orders", 0, recordCount: 1, payloadBytes: value.count) { writer in
            value.withUnsafeBytes { writer.append(value: $0) }
          }
        } catch {
          guard case .archiveBehind = error else { throw error }
          refused.count += 1
        }
      }
      try await engine.checkpoint()
      #expect(metrics.waitingBytes.value == 0)
      try await engine.close()
    }
    return refused.count
  }

  /// Touched on the loop of a run, and after it.
  private final class Refused: @unchecked Sendable {
    var count = 0
  }

  /// Streamhouse runbook index: the circuit breaker opens after repeated failures of the store, and recovers by itself
  /// after 30 s. A store that never answers keeps it half open: the document's rule, which wants it open for two
  /// minutes on end, says nothing then.
  @Test(arguments: Outage.allCases) func circuitBreaker(_ outage: Outage) throws {
    let run = AlertRun()
    let metrics = EngineMetrics(in: run.registry)
    let refused = try produce(run, outage, CheckpointPolicy(), metrics)
    #expect(refused == 0 && metrics.limited.value == 0 && metrics.allowed.value == 1500)
    #expect(metrics.failures.value >= 10 && metrics.pieces.value >= 10)
    #expect(metrics.breaker.value == 0)
    let moments = [(4, false), (12, true), (14, true), (17, false), (24, false)].map { (minute: $0.0, isFiring: $0.1) }
    try Promtool.judge(run.series, ["CircuitBreakerOpen": moments])
    let asDocumented = outage == .refuses ? moments : moments.map { (minute: $0.minute, isFiring: false) }
    try Promtool.judge(
      run.series, by: "Tests/AlertsTests/as-documented.rules.yml", ["CircuitBreakerOpen": asDocumented])
  }

  /// 64 KB may wait for the store: a minute of messages. Then they are refused, until it takes some again.
  @Test func throttling() throws {
    let run = AlertRun()
    let metrics = EngineMetrics(in: run.registry)
    let refused = try produce(
      run, .refuses, CheckpointPolicy(objectBytes: 16 << 10, mostWaiting: 64 << 10, patience: .milliseconds(500)),
      metrics)
    #expect(refused >= 400 && metrics.limited.value == refused)
    #expect(metrics.allowed.value + metrics.delayed.value == 1500 - refused)
    let moments = [(4, false), (12, true), (14, true), (24, false)].map { (minute: $0.0, isFiring: $0.1) }
    try Promtool.judge(run.series, ["HighThrottlingRate": moments])
  }

  /// A second engine asks for the log every 5 s from minute 5 on, and gets it when the first one stops, in minute 15.
  @Test func leaseConflicts() throws {
    let run = AlertRun()
    let metrics = EngineMetrics(in: run.registry)
    try run.run(minutes: 30) { storage, loop in
      let database = try LeaseDatabase(path: nil)
      let configuration = EngineConfiguration(log: Self.log)
      func open(_ holder: String) async throws(EngineError) -> PartitionEngine {
        let lease = DatabaseLease(database, holder: holder, clock: .following(loop), metrics: metrics.lease)
        return try await PartitionEngine.open(
          storage, configuration, parts: EngineParts(exclusion: lease, metrics: metrics)
        ).engine
      }
      let first = try await open("a")
      try await first.createTopic("orders", partitions: 1)
      await loop.sleep(until: AlertRun.minute(5))
      var refusals = 0
      while loop.now < AlertRun.minute(15) {
        do throws(EngineError) {
          _ = try await open("b")
          Issue.record("two writers")
        } catch {
          guard case .inUse = error else { throw error }
          refusals += 1
        }
        await loop.sleep(until: loop.now + .seconds(5))
      }
      #expect(refusals == 120 && metrics.lease.conflicts.value == 120)
      try await first.close()
      let second = try await open("b")
      await loop.sleep(until: AlertRun.minute(29))
      try await second.close()
      #expect(metrics.lease.conflicts.value == 120 && metrics.lease.staleEpochs.value == 0)
      #expect(
        metrics.lease.renewed.value >= 400 && metrics.lease.lost.value == 0 && metrics.lease.renewalsFailed.value == 0)
    }
    try Promtool.judge(run.series, ["LeaseConflicts": [(4, false), (9, true), (14, true), (22, false), (29, false)]])
  }

  /// The clock of the second engine is an hour ahead: it takes the lease from one that holds it. That one's next
  /// message is refused for its epoch, and its next renewal finds the lease lost.
  @Test func aReplacedHolderIsCounted() throws {
    let run = AlertRun()
    let (first, second) = (EngineMetrics(in: run.registry), EngineMetrics())
    try run.run(minutes: 3) { storage, loop in
      let database = try LeaseDatabase(path: nil)
      func open(_ holder: String, ahead: Duration, _ metrics: EngineMetrics) async throws(EngineError)
        -> PartitionEngine
      {
        let lease = DatabaseLease(
          database, holder: holder, clock: .following(loop, ahead: ahead), metrics: metrics.lease)
        return try await PartitionEngine.open(
          storage, EngineConfiguration(log: Self.log), parts: EngineParts(exclusion: lease, metrics: metrics)
        ).engine
      }
      let old = try await open("a", ahead: .zero, first)
      try await old.createTopic("orders", partitions: 1)
      #expect(first.lease.staleEpochs.value == 0)
      let new = try await open("b", ahead: .seconds(3600), second)
      await #expect(throws: EngineError.self) {
        _ = try await old.produce(to: "orders", 0, recordCount: 1, payloadBytes: 1) { writer in
          [UInt8(1)].withUnsafeBytes { writer.append(value: $0) }
        }
      }
      #expect(first.lease.staleEpochs.value >= 1 && first.lease.conflicts.value == first.lease.staleEpochs.value)
      await loop.sleep(until: loop.now + .seconds(20))
      #expect(second.lease.staleEpochs.value == 0 && second.lease.lost.value == 0 && second.lease.renewed.value >= 5)
      do { try await old.close() } catch {}
      try await new.close()
    }
  }
}

/// A store that is not there from minute 5 to minute 15.
private final class FlakyStore: ObjectStore, @unchecked Sendable {
  // Owned by `loop`.

  private let store: any ObjectStore
  private let loop: EventLoop
  private let outage: StoreAlertTests.Outage

  init(_ store: any ObjectStore, _ loop: EventLoop, _ outage: StoreAlertTests.Outage) {
    (self.store, self.loop, self.outage) = (store, loop, outage)
  }

  private func pass() async throws(ObjectStoreError) {
    guard StoreAlertTests.isOutage(loop.now) else { return }
    if outage == .refuses { throw .refused("SlowDown") }
    await loop.sleep(until: AlertRun.minute(15))
  }

  func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    try await pass()
    try await store.put(name, bytes)
  }

  func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
    try await pass()
    return try await store.get(name)
  }

  func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
    try await pass()
    return try await store.list(source)
  }

  func delete(_ name: ObjectName) async throws(ObjectStoreError) {
    try await pass()
    try await store.delete(name)
  }
}
