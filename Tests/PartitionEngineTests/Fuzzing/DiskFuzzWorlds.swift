import LogModel
import ObjectStore
import RecordLogs
import Storage
import WriteAheadLog

@testable import PartitionEngine

/// What lies on a disk once a program has lived there: whole files of every format, of several lives.
enum DiskFuzzWorld: String, CaseIterable, Codable, Sendable {
  /// The engine's own format, with an object store, under `always`; leases.
  case store
  /// The same without a store, with damage cut rather than skipped.
  case truncating
  case interval
  case never
  case streamhouse, airunner, chronik, chronikV1, replayBuffer
  /// A job's log, which the engine does not keep.
  case job
  /// A replay buffer with compressed files.
  case buffer

  var system: LogSystem {
    switch self {
    case .streamhouse: .streamhouse
    case .airunner, .job: .airunner
    case .chronik: .chronik
    case .chronikV1: .chronikV1
    case .replayBuffer, .buffer: .replayBuffer
    case .store, .truncating, .interval, .never: .tornlog
    }
  }

  var hasEngine: Bool { self != .job && self != .buffer }
  var syncs: SyncPolicy { self == .interval ? .interval(.milliseconds(50)) : self == .never ? .never : .always }

  var configuration: EngineConfiguration {
    EngineConfiguration(
      system: system,
      log: LogConfiguration(
        syncPolicy: syncs, recoveryPolicy: self == .truncating ? .truncateAtCorruption : system.recoveryPolicy,
        segmentBytes: 16 << 10, commitBytes: 8 << 10, recentBatches: 2, recentBytes: 4 << 10,
        firstPreallocation: 4 << 10,
        largestPreallocation: 4 << 10),
      checkpoints: CheckpointPolicy(
        interval: .seconds(3600), bytes: 1 << 40, objectBytes: 6 << 10, timeout: .seconds(5),
        firstPause: .milliseconds(50),
        longestPause: .seconds(2)))
  }

  func parts(_ storage: any Storage) -> EngineParts {
    guard self == .store else { return EngineParts() }
    return EngineParts(
      exclusion: LeaseExclusion(duration: .seconds(10), clock: .following(storage.loop)),
      store: DirectoryObjectStore(storage))
  }

  static let jobPolicy: RecordLogPolicy = .airunner

  static let bufferPolicy: RecordLogPolicy = {
    var policy = RecordLogPolicy.replayBuffer
    policy.rotation = RecordLogPolicy.Rotation(bytes: 2 << 10)
    return policy
  }()

  // MARK: Building

  /// The disk after four lives, of which one was killed and one lost its power.
  func build() throws -> MemoryDisk {
    let disk = MemoryDisk(seed: 1)
    for life in 0..<4 as Range<UInt64> {
      try Self.live(disk, seed: life, hours: life) { storage in
        switch self {
        case .job: try await Self.job(storage, life)
        case .buffer: try await Self.buffer(storage, life)
        default: try await engine(storage, life)
        }
      }
      if life == 1 { _ = disk.processKill(seed: 1) }
      if life == 2 { _ = disk.powerLoss(seed: 1, profile: .posixMinimal) }
    }
    return disk
  }

  /// One life on the disk, in virtual time.
  static func live<Value: Sendable>(
    _ disk: MemoryDisk, seed: UInt64, hours: UInt64, _ body: @escaping @Sendable (any Storage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: seed, startingAt: Instant(nanoseconds: Int64(hours) * 3_600_000_000_000))
    let storage = MemoryStorage(disk: disk, loop: loop, latency: .zero)
    let (ending, result) = loop.run(limit: .seconds(7200)) { () async -> Result<Value, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    guard let result else { throw Hung(ending: ending) }
    return try result.get()
  }

  struct Hung: Error { var ending: EventLoop.Ending }

  private func engine(_ storage: any Storage, _ life: UInt64) async throws {
    let (engine, _) = try await PartitionEngine.open(storage, configuration, parts: parts(storage))
    if life == 0 {
      try await engine.createTopic("orders", partitions: 2)
      try await engine.createTopic("b", partitions: 1)
    }
    for topic in engine.topics {
      for p in 0..<topic.partitions {
        for n in 0..<12 {
          let text = "\(life)-\(n)-" + String(repeating: "x", count: n * n * 9)
          _ = try await EngineTests.produce(engine, topic.name, PartitionID(p), text)
        }
        let marks = try engine.watermarks(topic.name, PartitionID(p))
        try await engine.commitOffset(group: "g\(life % 2)", topic.name, PartitionID(p), marks.highWatermark)
        if life > 0, p == 0 {
          try await engine.deleteRecords(topic.name, PartitionID(p), before: marks.logStartOffset + 3)
        }
      }
    }
    if life != 2 { try await engine.checkpoint() }
    if life == 0 || life == 3 { try await engine.close() }
  }

  private static func job(_ storage: any Storage, _ life: UInt64) async throws {
    try await storage.makeDirectory("jobs")
    try await storage.syncDirectory("")
    for execution in 1...2 {
      let (log, _) = try await JobLog.open(
        try JobID("j", execution: execution), in: "jobs", of: storage, policy: jobPolicy,
        clock: .following(storage.loop))
      for n in 0..<10 { _ = try await log.append(Array("\(life)-\(n)-\(String(repeating: "y", count: n * 30))".utf8)) }
      if life != 1 { try await log.close() }
    }
  }

  private static func buffer(_ storage: any Storage, _ life: UInt64) async throws {
    try await storage.makeDirectory("wal")
    try await storage.syncDirectory("")
    let (buffer, _) = try await ReplayBuffer.open(
      in: "wal", of: storage, policy: bufferPolicy, clock: .following(storage.loop))
    try await buffer.recover { _ in true }
    for k in 0..<8 {
      let number = try await buffer.start(user: "user \(k)")
      for n in 0..<4 { try await buffer.add(Array("\(life) \(k) \(n)".utf8), to: number) }
      if k % 4 > 0 { try await buffer.end(number) }
      if k % 4 > 1 { try await buffer.checkpoint(number) }
      if k % 4 > 2 { try await buffer.commit(number) }
    }
    // Most of what is not finished, so that files can be compressed.
    for number in 1...64 as ClosedRange<UInt64> where number % 8 < 6 {
      do throws(ReplayBufferError) { try await buffer.rollback(number) } catch {}  // it is finished
    }
    _ = try await buffer.maintain()
    if life != 1 { try await buffer.close() }
  }

  // MARK: Living on what is there now

  /// Opens everything, reads everything, appends, and closes. Refusals are answers.
  /// - Returns: messages, events or transactions that were seen.
  func visit(_ storage: any Storage) async -> Int {
    switch self {
    case .job: await Self.visitJob(storage)
    case .buffer: await Self.visitBuffer(storage)
    default: await visitEngine(storage)
    }
  }

  private func visitEngine(_ storage: any Storage) async -> Int {
    let engine: PartitionEngine
    do throws(EngineError) {
      engine = try await PartitionEngine.open(storage, configuration, parts: parts(storage)).engine
    } catch { return "\(error)".isEmpty ? -1 : 0 }
    var seen = 0
    for topic in engine.topics.prefix(8) {
      for p in 0..<min(topic.partitions, 8) { seen += await Self.read(engine, topic.name, PartitionID(p)) }
      do throws(EngineError) {
        let marks = try engine.watermarks(topic.name, 0)
        for group in ["g0", "g1"] { if try engine.committedOffset(group: group, topic.name, 0) != nil { seen += 1 } }
        try await engine.commitOffset(group: "g0", topic.name, 0, marks.highWatermark)
        _ = try await engine.produce(to: topic.name, 0, recordCount: 1, payloadBytes: 100) {
          $0.append(valueSize: 100) { _ in }
        }
        if marks.logStartOffset < marks.highWatermark {
          try await engine.deleteRecords(topic.name, 0, before: marks.logStartOffset + 1)
        }
      } catch {}
      seen += await Self.read(engine, topic.name, 0)
    }
    do throws(EngineError) { try await engine.checkpoint() } catch {}
    do throws(EngineError) { try await engine.close() } catch {}
    return seen
  }

  private static func read(_ engine: PartitionEngine, _ topic: String, _ partition: PartitionID) async -> Int {
    let response = FetchResponse()
    var seen = 0
    do throws(EngineError) {
      let marks = try engine.watermarks(topic, partition)
      var at = marks.logStartOffset
      for _ in 0..<2000 where at < marks.highWatermark {
        do throws(EngineError) {
          try await engine.fetch(topic, partition, from: at, maxBytes: 4096, into: response)
          response.forEachRecord { record in
            seen += record.value.isEmpty ? 0 : 1 + Int(record.value[record.value.count - 1] & 0)
          }
          guard response.nextOffset > at else { return seen }
          at = response.nextOffset
        } catch {
          guard case .log(_, .damaged(let range)) = error else { throw error }
          at = max(range.to, at + 1)
        }
      }
    } catch {}
    return seen
  }

  private static func visitJob(_ storage: any Storage) async -> Int {
    var seen = 0
    for execution in 1...2 {
      do throws(JobLogError) {
        let (log, report) = try await JobLog.open(
          try JobID("j", execution: execution), in: "jobs", of: storage, policy: jobPolicy,
          clock: .following(storage.loop))
        seen += report.events
        _ = try await log.append([1, 2, 3])
        try await log.close()
      } catch {}
    }
    return seen
  }

  private static func visitBuffer(_ storage: any Storage) async -> Int {
    var seen = 0
    do throws(ReplayBufferError) {
      let (buffer, report) = try await ReplayBuffer.open(
        in: "wal", of: storage, policy: bufferPolicy, clock: .following(storage.loop))
      seen += report.unfinished + report.committed + report.rolledBack
      try await buffer.recover { $0.measurements.count % 2 == 0 }
      let number = try await buffer.start(user: "u")
      try await buffer.add([1, 2, 3], to: number)
      _ = try await buffer.maintain()
      try await buffer.close()
    } catch {}
    return seen
  }
}
