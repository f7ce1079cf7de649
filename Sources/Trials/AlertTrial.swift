import EventReceivers
import LogModel
import Metrics
import ObjectStore
import PartitionEngine
import RecordLogs
import ScenarioFormat
import Storage
import Verification
import WriteAheadLog

/// What an alert is about, made true by what job logs, archives and an engine really do, and cleared again, in minutes of virtual time.
/// The metrics are scraped from the run, and Prometheus' own tool says in which minutes the rule fires. Whether it should is asked of
/// the world: the disk, the receiver, the store. No metric has a part in that.
final class AlertTrial: @unchecked Sendable {
  // Touched by the tasks of one loop, and after it.

  private struct Terms {
    var alert: String
    /// Minutes that the run takes.
    var minutes: Int
    /// Minutes for which what the alert is about must have been so, or not so, before it is owed.
    var grace: Int
    var capacity: Int64?
  }

  private let client: TrialClient
  private let spec: TrialSpec
  private let terms: Terms
  private let disk: MemoryDisk
  private let registry = MetricRegistry()
  private let metrics: DeliveryMetrics
  private let series = MetricSeries()
  private let receiver = ModelReceiver()
  private var account = ClientTrial.Account()
  /// In each minute.
  private var isSo: [Bool] = []
  private var appended = 0
  private var archived = 0
  private var isOver = false

  private let rules: String

  /// - Parameter rules: their file.
  init(_ client: TrialClient, _ spec: TrialSpec, rules: String = AlertRules.file) {
    (self.client, self.spec, self.rules) = (client, spec, rules)
    terms =
      switch client {
      case .diskSpaceLow: Terms(alert: "DiskSpaceLow", minutes: 40, grace: 2, capacity: 8 << 20)
      case .archiveFull: Terms(alert: "WALDiskFull", minutes: 40, grace: 2, capacity: 8 << 20)
      case .retryRate: Terms(alert: "WALRetryRate", minutes: 25, grace: 7)
      case .failedEvents: Terms(alert: "WALFailedEvents", minutes: 25, grace: 1)
      case .circuitBreaker: Terms(alert: "CircuitBreakerOpen", minutes: 30, grace: 4)
      default: Terms(alert: "WALPendingEvents", minutes: 25, grace: 7)
      }
    disk = MemoryDisk(seed: spec.seed, capacity: terms.capacity)
    metrics = DeliveryMetrics(in: registry)
  }

  private static func minute(_ n: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(60 * n) }

  func run() throws(TrialError) -> ClientTrial.Account {
    let room = DiskMetrics(in: registry)
    try ClientStage(disk: disk, seed: spec.seed).live { [self] storage in
      let loop = storage.loop
      receiver.loop = loop
      for folder in ["wal", "archive"] { try await DurableDirectories(storage).make(folder) }
      series.begin(registry, loop) { [self] in
        guard let capacity = disk.capacity else { return }
        room.total.set(capacity)
        room.free.set(capacity - disk.usedBytes)
      }
      loop.spawn { [self] in
        while !isOver {
          isSo.append(isItSo(loop.now))
          await loop.sleep(until: Self.minute(isSo.count))
        }
      }
      try await work(storage)
      await loop.sleep(until: Self.minute(terms.minutes) + .seconds(1))
      series.end()
      isOver = true
    }
    switch client {
    case .failedEvents: account.owe(appended - 1, found: taken, "events that the receiver does not refuse for good")
    case .circuitBreaker: break
    default: account.owe(appended, found: taken, "events")
    }
    guard let rules = AlertRules(rules) else {
      account.notices.append(AlertRules.absence)
      return account
    }
    let fires = try rules.firing(terms.alert, in: series, to: terms.minutes)
    account.figures.merge(Self.figures(isSo, fires, grace: terms.grace)) { $1 }
    return account
  }

  /// - Parameters:
  ///   - isSo: of each minute, whether what the alert is about was so.
  ///   - fires: of each minute, whether it fired.
  static func figures(_ isSo: [Bool], _ fires: [Bool], grace: Int) -> [ClaimFigure: Double] {
    func settled(_ minute: Int, _ value: Bool) -> Bool { minute >= grace && isSo[(minute - grace)...minute].allSatisfy { $0 == value } }
    let minutes = fires.indices.filter { $0 < isSo.count }
    return [
      .alertMinutes: Double(fires.count { $0 }),
      .alertSilent: Double(minutes.count { settled($0, true) && !fires[$0] }),
      .alertFalse: Double(minutes.count { settled($0, false) && fires[$0] }),
    ]
  }

  private var taken: Int { receiver.taken.values.reduce(0) { $0 + $1.count } }

  /// Whether what the alert is about is so, as the world has it.
  private func isItSo(_ now: Instant) -> Bool {
    switch client {
    case .diskSpaceLow: return disk.capacity.map { Double($0 - disk.usedBytes) < 0.10 * Double($0) } ?? false
    case .archiveFull:
      let bytes = disk.paths.filter { $0.hasPrefix("archive/") }.reduce(0) { $0 + (disk.read($1)?.count ?? 0) }
      return disk.capacity.map { Double(bytes) > 0.9 * Double($0) } ?? false
    case .retryRate: return attempts(since: now + .seconds(-300), now) > 3000
    // The alert looks back for five minutes.
    case .failedEvents: return Self.minute(10) <= now && now < Self.minute(15)
    case .circuitBreaker: return isOutage(now)
    default: return appended - taken > 1000
    }
  }

  /// Attempts that failed.
  private func attempts(since start: Instant, _ now: Instant) -> Int {
    receiver.attempts.count { attempt in
      if case .refuses = attempt.mood { start < attempt.at && attempt.at <= now } else { false }
    }
  }

  private func isOutage(_ now: Instant) -> Bool { Self.minute(5) <= now && now < Self.minute(15) }

  // MARK: What is done

  private func open(_ name: String, _ storage: any Storage) async throws -> (log: JobLog, sender: Sender) {
    let (log, _) = try await JobLog.open(
      try JobID(name), in: "wal", of: storage, clock: .following(storage.loop), metrics: metrics)
    let sender = Sender(log, over: receiver, seed: name.utf8.reduce(spec.seed) { $0 &* 31 &+ UInt64($1) })
    sender.start()
    return (log, sender)
  }

  private func append(_ bytes: [UInt8], to log: JobLog) async throws {
    try await log.append(bytes)
    appended += 1
  }

  private func work(_ storage: any Storage) async throws {
    switch client {
    case .diskSpaceLow, .archiveFull: try await fillDisk(storage)
    case .retryRate: try await retry(storage)
    case .failedEvents: try await fail(storage)
    case .circuitBreaker: try await loseStore(storage)
    default: try await pend(storage)
    }
  }

  /// The connection is refused from minute 1 to 15; 1500 events are appended in minutes 1 and 2.
  private func pend(_ storage: any Storage) async throws {
    receiver.mood = { now, _ in Self.minute(1) <= now && now < Self.minute(15) ? .refuses : .accepts }
    let (log, sender) = try await open("build-17", storage)
    await storage.loop.sleep(until: Self.minute(1))
    for n in 0..<1500 {
      try await append(Array("event \(n)".utf8), to: log)
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(70))
    }
    await storage.loop.sleep(until: Self.minute(20))
    _ = await sender.stop(within: .seconds(10))
  }

  /// 700 jobs, one event each, are refused until minute 15.
  private func retry(_ storage: any Storage) async throws {
    receiver.mood = { now, _ in now < Self.minute(15) ? .refuses : .accepts }
    for n in 0..<700 { try await append(Array("event".utf8), to: try await open("build-\(n)", storage).log) }
    await storage.loop.sleep(until: Self.minute(20))
  }

  /// The receiver refuses one event of minute 10 for good.
  private func fail(_ storage: any Storage) async throws {
    receiver.mood = { now, _ in now < Self.minute(10) ? .accepts : .rejects(11) }
    let (log, _) = try await open("build-17", storage)
    for n in 0..<20 {
      try await append(Array("event \(n)".utf8), to: log)
      await storage.loop.sleep(until: Self.minute(n + 1))
    }
  }

  /// Finished jobs are archived until the disk is nearly full of them; the retention, which is 20 minutes here, frees it.
  private func fillDisk(_ storage: any Storage) async throws {
    let archive = JobArchive(
      "archive", of: storage, retention: .seconds(1200), clock: .following(storage.loop), metrics: metrics)
    var random = SeededGenerator(seed: spec.seed, stream: "archive")
    await storage.loop.sleep(until: Self.minute(5))
    for n in 0..<15 {
      let (log, sender) = try await open("build-\(n)", storage)
      // What does not get smaller.
      for _ in 0..<8 { try await append((0..<63 << 10).map { _ in UInt8.random(in: 0...255, using: &random) }, to: log) }
      _ = await sender.stop(within: .seconds(60))
      _ = try await archive.archive(log)
    }
    await storage.loop.sleep(until: Self.minute(30) + .seconds(30))
    _ = try await archive.removeExpired()
  }

  /// A message a second until minute 25; the store is not there from minute 5 to 15.
  private func loseStore(_ storage: any Storage) async throws {
    let loop = storage.loop
    let counts = EngineMetrics(in: registry)
    let store = AbsentStore(DirectoryObjectStore(storage), loop, counts) { [self] in isOutage($0) }
    let log = LogConfiguration(
      segmentBytes: 256 << 10, commitBytes: 16 << 10, recentBatches: 4, recentBytes: 8 << 10, firstPreallocation: 8 << 10,
      largestPreallocation: 16 << 10)
    let (engine, _) = try await PartitionEngine.open(
      storage, EngineConfiguration(log: log, checkpoints: CheckpointPolicy()), parts: EngineParts(store: store, metrics: counts))
    try await engine.createTopic("orders", partitions: 1)
    let value = [UInt8](repeating: 7, count: 1000)
    for second in 0..<1500 {
      await loop.sleep(until: Instant(nanoseconds: 0) + .seconds(second))
      _ = try await engine.produce(to: "orders", 0, recordCount: 1, payloadBytes: value.count) { writer in
        value.withUnsafeBytes { writer.append(value: $0) }
      }
      appended += 1
    }
    try await engine.checkpoint()
    let archived = try await store.list(nil).reduce(0) { $0 + Int($1.name.end.rawValue - $1.name.base.rawValue) }
    account.owe(appended, found: archived, "messages")
    try await engine.close()
    account.figures[.failuresBeforeOpen] = store.failuresBeforeOpen.map(Double.init)
    account.figures[.recoversWithin] = store.firstPut.map { ($0 - Self.minute(15)).inSeconds }
  }
}

/// A store that is not there at times.
private final class AbsentStore: ObjectStore, @unchecked Sendable {
  // Owned by `loop`.

  private let store: any ObjectStore
  private let loop: EventLoop
  private let counts: EngineMetrics
  private let isAway: (Instant) -> Bool
  private var failures = 0
  /// Failures in a row when the breaker counts as open for the first time.
  private(set) var failuresBeforeOpen: Int?
  /// When it was given the first object after it had been away.
  private(set) var firstPut: Instant?

  init(_ store: any ObjectStore, _ loop: EventLoop, _ counts: EngineMetrics, isAway: @escaping (Instant) -> Bool) {
    (self.store, self.loop, self.counts, self.isAway) = (store, loop, counts, isAway)
  }

  private func pass() async throws(ObjectStoreError) {
    if failuresBeforeOpen == nil, counts.breaker.value != 0, failures > 0 { failuresBeforeOpen = failures }
    guard isAway(loop.now) else { return }
    failures += 1
    throw .refused("SlowDown")
  }

  func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    try await pass()
    try await store.put(name, bytes)
    if failures > 0, firstPut == nil { firstPut = loop.now }
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
