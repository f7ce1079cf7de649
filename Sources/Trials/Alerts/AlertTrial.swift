import EngineAdapter
import EventReceivers
import LogModel
import Metrics
import ObjectStore
import PartitionEngine
import RecordLogs
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification
import WriteAheadLog

/// What an alert is about, made true by what job logs, archives and an engine really do, and cleared again, in minutes
/// of virtual time. The metrics are scraped from the run, and Prometheus' own tool says in which minutes the rule
/// fires. Whether it should is asked of the world: the disk, the receiver, the store. No metric has a part in that.
///
/// Before a threshold is passed, what is counted stays just below it for longer than the rule looks back and waits; and
/// what must last for minutes is so once for too short a time. A rule that fires then is wrong.
final class AlertTrial: @unchecked Sendable {
  // Touched by the tasks of one loop, and after it.

  private struct Terms {
    var alert: String
    /// Minutes that the run takes.
    var minutes: Int
    /// Minutes for which the rule wants it to have been so: its `for`, and 0 where it has none.
    var holds: Int
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
  private(set) var account = ClientTrial.Account()
  /// In each minute.
  private var isSo: [Bool] = []
  private var appended = 0
  private var archived = 0
  private var isOver = false

  private let rules: String
  private let folder: String

  /// - Parameters:
  ///   - rules: their file.
  ///   - folder: for what the rules' tool writes.
  init(_ client: TrialClient, _ spec: TrialSpec, rules: String = AlertRules.file, folder: String = AlertRules.folder) {
    (self.client, self.spec, self.rules, self.folder) = (client, spec, rules, folder)
    terms =
      switch client {
      case .diskSpaceLow: Terms(alert: "DiskSpaceLow", minutes: 40, holds: 1, grace: 2, capacity: 8 << 20)
      case .archiveFull: Terms(alert: "WALDiskFull", minutes: 40, holds: 1, grace: 2, capacity: 8 << 20)
      case .retryRate: Terms(alert: "WALRetryRate", minutes: 35, holds: 1, grace: 7)
      case .failedEvents: Terms(alert: "WALFailedEvents", minutes: 25, holds: 0, grace: 1)
      case .circuitBreaker: Terms(alert: "CircuitBreakerOpen", minutes: 33, holds: 2, grace: 4)
      default: Terms(alert: "WALPendingEvents", minutes: 33, holds: 5, grace: 7)
      }
    disk = MemoryDisk(seed: spec.seed, capacity: terms.capacity)
    metrics = DeliveryMetrics(in: registry)
  }

  private static func minute(_ n: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(60 * n) }

  func run() throws(TrialError) -> ClientTrial.Account {
    try live()
    if let rules = AlertRules(rules, folder: folder) {
      account.figures.merge(try figures(by: rules)) { $1 }
    } else {
      account.notices.append(AlertRules.absence)
    }
    return account
  }

  /// What the rules made of the run.
  func figures(by rules: AlertRules) throws(TrialError) -> [ClaimFigure: Double] {
    let fires = try rules.firing(terms.alert, in: series, to: terms.minutes)
    return Self.figures(isSo, fires, holds: terms.holds, grace: terms.grace)
  }

  /// The run itself, once.
  func live() throws(TrialError) {
    let room = DiskMetrics(in: registry)
    try ClientMatrixSubject(disk: disk, seed: spec.seed).live { [self] storage in
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
  }

  /// An alert is silent where it does not fire though it has been so for `grace` minutes. It is false where it fires
  /// though it has not been so for `holds` minutes, now or in the last `grace` minutes. One minute is allowed for
  /// scrapes: `holds` of them are seen to be so where it was so for a little longer than one less.
  /// - Parameters:
  ///   - isSo: of each minute, whether what the alert is about was so.
  ///   - fires: of each minute, whether it fired.
  static func figures(_ isSo: [Bool], _ fires: [Bool], holds: Int, grace: Int) -> [ClaimFigure: Double] {
    func isSettled(_ minute: Int) -> Bool { minute >= grace && isSo[(minute - grace)...minute].allSatisfy { $0 } }
    let needed = max(1, holds)
    func isHeld(_ minute: Int) -> Bool {
      minute + 1 >= needed && isSo[(minute + 1 - needed)...minute].allSatisfy { $0 }
    }
    func mayFire(_ minute: Int) -> Bool { (max(0, minute - grace)...minute).contains(where: isHeld) }
    let minutes = fires.indices.filter { $0 < isSo.count }
    return [
      .alertMinutes: Double(fires.count { $0 }),
      .alertSilent: Double(minutes.count { isSettled($0) && !fires[$0] }),
      .alertFalse: Double(minutes.count { fires[$0] && !mayFire($0) }),
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
    case .retryRate: return attempts(before: now, where: Self.isRepeated) > 3000
    case .failedEvents: return attempts(before: now, where: Self.isRejected) > 0
    case .circuitBreaker: return Self.isOutage(now)
    default: return appended - taken > 1000
    }
  }

  /// Attempts of the five minutes that the rules look back.
  private func attempts(before now: Instant, where isCounted: (ModelReceiver.Attempt) -> Bool) -> Int {
    receiver.attempts.count { now + .seconds(-300) < $0.at && $0.at <= now && isCounted($0) }
  }

  /// Whether the sender must try again.
  private static func isRepeated(_ attempt: ModelReceiver.Attempt) -> Bool {
    switch attempt.behavior {
    case .refuses, .asksForAPause: true
    default: false
    }
  }

  /// Whether the receiver will never have the event.
  private static func isRejected(_ attempt: ModelReceiver.Attempt) -> Bool {
    if case .rejects(let sequence) = attempt.behavior { attempt.sequences == [sequence] } else { false }
  }

  /// First for so short a time that no alert is due, with one full minute in it; then for ten minutes.
  private static func isOutage(_ now: Instant) -> Bool {
    minute(5) + .seconds(2) <= now && now < minute(6) + .seconds(10) || minute(10) <= now && now < outageEnd
  }

  private static let outageEnd = minute(20)

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

  /// The connection is refused, but for minutes 12 and 13 and from minute 27 on. 900 events wait from minute 1 to 9; as
  /// many as the scenario says from then to the end of minute 12, which is too short, and again from minute 15 to 27.
  private func pend(_ storage: any Storage) async throws {
    receiver.behavior = { now, _ in
      (Self.minute(12) <= now && now < Self.minute(14)) || Self.minute(27) <= now ? .accepts : .refuses
    }
    let (log, sender) = try await open("build-17", storage)
    let (most, below) = (spec.messages, min(900, spec.messages))
    for (minute, count) in [(1, below), (9, most - below), (15, most)] {
      await storage.loop.sleep(until: Self.minute(minute))
      for n in 0..<count {
        try await append(Array("event \(n)".utf8), to: log)
        await storage.loop.sleep(until: storage.loop.now + .seconds(60) / most)
      }
    }
    await storage.loop.sleep(until: Self.minute(30))
    _ = await sender.stop(within: .seconds(10))
  }

  /// 700 jobs, one event each. Until minute 10 the receiver asks each for a pause of 87.5 s: 8 attempts a second. Until
  /// minute 24 it refuses them, and their own pauses are 45 s on average: more than 15 a second.
  ///
  /// The rule waits for one minute. There is no shorter episode here: between scrapes 15 s apart, and minutes, none
  /// would be told from one that lasts.
  private func retry(_ storage: any Storage) async throws {
    receiver.behavior = { now, _ in
      now < Self.minute(10) ? .asksForAPause(.milliseconds(87_500)) : now < Self.minute(24) ? .refuses : .accepts
    }
    for n in 0..<700 {
      await storage.loop.sleep(until: Self.minute(0) + .milliseconds(125 * n))
      try await append(Array("event".utf8), to: try await open("build-\(n)", storage).log)
    }
    await storage.loop.sleep(until: Self.minute(30))
  }

  /// An event a minute. The connection is refused in minutes 3 to 5, which is no failure; one event of minute 10 is
  /// refused for good.
  private func fail(_ storage: any Storage) async throws {
    receiver.behavior = { now, _ in
      if Self.minute(3) <= now && now < Self.minute(6) { return .refuses }
      return now < Self.minute(10) ? .accepts : .rejects(11)
    }
    let (log, _) = try await open("build-17", storage)
    for n in 0..<20 {
      // Between two scrapes.
      await storage.loop.sleep(until: Self.minute(n) + .seconds(20))
      try await append(Array("event \(n)".utf8), to: log)
    }
  }

  /// Finished jobs are archived: 88 % of the disk in minute 5, 92 % in minute 12. The retention, which is 20 minutes
  /// here, frees what is of minute 5. The rules wait for one minute: as in `retry` there is no shorter episode.
  private func fillDisk(_ storage: any Storage) async throws {
    let archive = JobArchive(
      "archive", of: storage, retention: .seconds(1200), clock: .following(storage.loop), metrics: metrics)
    var random = SeededGenerator(seed: spec.seed, stream: "archive")
    var jobs = 0
    for (minute, sizes) in [(5, [Int](repeating: 8, count: 14) + [2]), (12, [5])] {
      await storage.loop.sleep(until: Self.minute(minute))
      for size in sizes {
        let (log, sender) = try await open("build-\(jobs)", storage)
        jobs += 1
        // What does not get smaller.
        for _ in 0..<size {
          try await append((0..<63 << 10).map { _ in UInt8.random(in: 0...255, using: &random) }, to: log)
        }
        _ = await sender.stop(within: .seconds(60))
        _ = try await archive.archive(log)
      }
    }
    await storage.loop.sleep(until: Self.minute(30) + .seconds(30))
    _ = try await archive.removeExpired()
  }

  /// A message a second until minute 30; the store is not there during the outages.
  private func loseStore(_ storage: any Storage) async throws {
    let loop = storage.loop
    let counts = EngineMetrics(in: registry)
    let store = AbsentStore(DirectoryObjectStore(storage), loop, backAt: Self.outageEnd, isAway: Self.isOutage)
    let log = LogConfiguration(
      segmentBytes: 256 << 10, commitBytes: 16 << 10, recentBatches: 4, recentBytes: 8 << 10,
      firstPreallocation: 8 << 10,
      largestPreallocation: 16 << 10)
    let (tested, _) = try await EngineFactory(
      storage, EngineConfiguration(log: log, checkpoints: CheckpointPolicy()),
      parts: EngineParts(store: store, metrics: counts)
    ).open()
    try await tested.createTopic("orders", partitions: 1)
    let orders = TopicPartition("orders", 0)
    for second in 0..<1800 {
      await loop.sleep(until: Instant(nanoseconds: 0) + .seconds(second))
      _ = try await tested.produce(MessageOfSevens(), to: orders)
      appended += 1
    }
    try await tested.checkpoint()
    let archived = try await store.list(nil).reduce(0) { $0 + Int($1.name.end.rawValue - $1.name.base.rawValue) }
    account.owe(appended, found: archived, "messages")
    try await tested.close()
    account.figures[.failuresBeforeOpen] = Double(store.failuresBeforeOpen)
    account.figures[.recoversWithin] = store.firstPut.map { ($0 - Self.outageEnd).inSeconds }
  }
}

/// A store that is not there at times.
private final class AbsentStore: ObjectStore, @unchecked Sendable {
  // Owned by `loop`.

  /// Whoever asks nothing for so long while the store is away has opened the circuit.
  private static let pause = Duration.seconds(10)

  private let store: any ObjectStore
  private let loop: EventLoop
  private let backAt: Instant
  private let isAway: (Instant) -> Bool
  /// In a row.
  private var failures = 0
  private var lastFailure: Instant?
  /// Failures in a row before the first pause; 0 where there was none.
  private(set) var failuresBeforeOpen = 0
  /// When the first object was there that it was given after `backAt`.
  private(set) var firstPut: Instant?

  init(_ store: any ObjectStore, _ loop: EventLoop, backAt: Instant, isAway: @escaping (Instant) -> Bool) {
    (self.store, self.loop, self.backAt, self.isAway) = (store, loop, backAt, isAway)
  }

  private func pass() async throws(ObjectStoreError) {
    guard isAway(loop.now) else {
      failures = 0
      return
    }
    if failuresBeforeOpen == 0, failures > 0, let lastFailure, loop.now - lastFailure >= Self.pause {
      failuresBeforeOpen = failures
    }
    failures += 1
    lastFailure = loop.now
    throw .refused("SlowDown")
  }

  func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    let begun = loop.now
    try await pass()
    try await store.put(name, bytes)
    if begun >= backAt, firstPut == nil { firstPut = loop.now }
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

private struct MessageOfSevens: OutgoingMessages {
  var count: Int { 1 }
  var valueBytes: Int { 1000 }
  var keyBytes: Int { 0 }
  func key(_ index: Int) -> [UInt8]? { nil }
  func writeValue(_ index: Int, into bytes: UnsafeMutableRawBufferPointer) {
    bytes.initializeMemory(as: UInt8.self, repeating: 7)
  }
}
