import FaultInjection
import Glibc
import LogModel
import Storage
import Synchronization
import Testing

@testable import WriteAheadLog

/// Fails chosen operations below the log and keeps account of what is done to a file after that.
final class UnreliableStorage: StorageWrapper, @unchecked Sendable {
  var failingSyncs: Set<Int> = []
  var failingWrites: Set<Int> = []
  private(set) var syncs = 0
  private(set) var writes = 0
  private(set) var failed: Set<String> = []
  /// Syncs and writes of a file after a sync of it had failed: each may report success without having done anything.
  private(set) var retries: [String] = []
  private(set) var handles: Set<FileID> = []
  private(set) var mostHandles = 0

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await super.open(path, mode)
    handles.insert(file)
    mostHandles = max(mostHandles, handles.count)
    return file
  }

  override func close(_ file: FileID) async {
    handles.remove(file)
    await super.close(file)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    syncs += 1
    if failed.contains(paths[file]) { retries.append(paths[file]) }
    if failingSyncs.contains(syncs) {
      failed.insert(paths[file])
      throw StorageError(errno: EIO, .sync, paths[file])
    }
    try await super.sync(file, scope)
  }

  override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await super.rename(path, to: newPath)
    failed.remove(newPath)
  }

  override func unlink(_ path: String) async throws(StorageError) {
    try await super.unlink(path)
    failed.remove(path)  // a file of the same name is another one
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    writes += 1
    if failed.contains(paths[file]) { retries.append(paths[file]) }
    if failingWrites.contains(writes) { throw StorageError(errno: ENOSPC, .write, paths[file]) }
    return try await super.write(file, at: offset, from: buffer, range, durability)
  }
}

/// Once armed, holds the next write until a sync of the same file has failed, which it sees to.
private final class WriteAcrossAFailedSync: StorageWrapper, @unchecked Sendable {
  var isArmed = false
  private var held: String?
  private let failed = AsyncEvent()

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    if isArmed, held == nil {
      held = paths[file]
      await failed.wait()
      await loop.sleep(until: loop.now + .milliseconds(1))
    }
    return try await super.write(file, at: offset, from: buffer, range, durability)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    guard paths[file] == held, !failed.isOpen else { return try await super.sync(file, scope) }
    failed.open()
    throw StorageError(errno: EIO, .sync, paths[file])
  }
}

/// Once armed, the first sync takes ten milliseconds, and may fail; those after it are quick.
private final class OneSlowSync: StorageWrapper, @unchecked Sendable {
  var isArmed = false
  let fails: Bool

  init(_ base: any Storage, fails: Bool) {
    self.fails = fails
    super.init(base)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    guard isArmed else { return try await super.sync(file, scope) }
    isArmed = false
    await loop.sleep(until: loop.now + .milliseconds(10))
    if fails { throw StorageError(errno: EIO, .sync, paths[file]) }
    try await super.sync(file, scope)
  }
}

/// Says of the first durable write that it has taken an odd number of bytes.
private final class OddShortWrite: StorageWrapper, @unchecked Sendable {
  private(set) var shortened = 0

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let written = try await super.write(file, at: offset, from: buffer, range, durability)
    guard shortened == 0, durability == .durable, written > 700 else { return written }
    shortened = written - 700
    return 700
  }
}

@Suite struct SyncFailureTests {
  static let interval = SyncPolicy.interval(.milliseconds(100))

  /// Runs `body` on a log over an unreliable storage.
  static func live<Value: Sendable>(
    _ harness: LogHarness, at start: Int64 = 0, latency: MemoryLatency = .disk,
    _ body: @escaping @Sendable (PartitionLog, UnreliableStorage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: 1, startingAt: Instant(nanoseconds: start))
    let storage = UnreliableStorage(MemoryStorage(disk: harness.disk, loop: loop, latency: latency))
    let configuration = harness.configuration
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<Value, any Error> in
      do {
        try await storage.makeDirectory("log")
        try await storage.syncDirectory("")
        let (log, _) = try await PartitionLog.open(LogHarness.source, in: "log", of: storage, configuration)
        return .success(try await body(log, storage))
      } catch {
        return .failure(error)
      }
    }
    return try #require(result.value).get()
  }

  /// "Can Applications Recover from fsync Failures?": after a sync that failed, no other sync of the same file may be
  /// taken for one of the same pages, wherever the sync stands: in the sync loop, in rolling, in closing.
  @Test(arguments: 2...30)
  func aFailedSyncIsNeverTriedAgain(_ n: Int) throws {
    let harness = LogHarness(policy: Self.interval)
    try Self.live(harness) { log, storage in
      storage.failingSyncs = [n]
      for m in 0..<120 {
        do throws(LogError) { _ = try await log.append(message: m, size: 3000) } catch {}
        if m % 40 == 20 { await storage.loop.sleep(until: storage.loop.now + .milliseconds(300)) }
      }
      do throws(StorageError) { try await log.close() } catch {}
      #expect(storage.retries == [], "sync \(n) failed")
    }
  }

  /// A write that finds the disk full once ends its segment; what had been acknowledged there is synced all the same.
  @Test(arguments: 1...30)
  func aFullDiskCostsNothingThatWasAcknowledged(_ n: Int) throws {
    let harness = LogHarness(policy: Self.interval)
    let acknowledged = try Self.live(harness) { log, storage in
      storage.failingWrites = [n]
      var acknowledged: [Int: Offset] = [:]
      for m in 0..<60 {
        do throws(LogError) { acknowledged[m] = try await log.append(message: m, size: 1000) } catch {}
      }
      #expect(acknowledged.count >= 59)
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(300))
      #expect(log.durableOffset == log.highWatermark)
      return acknowledged
    }
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try Self.live(harness, at: 1 << 40) { log, _ in
      let found = try await log.consume()
      for (message, offset) in acknowledged {
        #expect(
          found.contains { $0.message == message && $0.offset == offset }, "write \(n): message \(message) is lost")
      }
    }
  }

  /// A sync that failed has destroyed what it covered; what was acknowledged later, and synced, stays, and the hole is
  /// reported.
  @Test(arguments: [RecoveryPolicy.skipCorrupted])
  func whatAFailedSyncDestroysIsReportedAndNoMore(_ policy: RecoveryPolicy) throws {
    for n in 3...12 {
      let harness = LogHarness(policy: Self.interval, recovery: policy)
      let (acknowledged, atRisk) = try Self.live(harness) { log, storage in
        storage.failingSyncs = [n]
        var acknowledged: [Int: Offset] = [:]
        for m in 0..<60 {
          do throws(LogError) { acknowledged[m] = try await log.append(message: m, size: 1000) } catch {}
          if m % 10 == 9 { await storage.loop.sleep(until: storage.loop.now + .milliseconds(300)) }
        }
        await storage.loop.sleep(until: storage.loop.now + .milliseconds(300))
        return (acknowledged, log.atRisk)
      }
      _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
      try Self.live(harness, at: 1 << 40) { log, _ in
        let found = try await log.consume()
        for (message, offset) in acknowledged
        where !found.contains(where: { $0.message == message && $0.offset == offset }) {
          #expect(atRisk.contains { $0.from <= offset && offset < $0.to }, "sync \(n): \(message) at \(offset) is lost")
          #expect(log.damage.contains { $0.from <= offset && offset < $0.to }, "sync \(n): \(offset) is not reported")
        }
      }
    }
  }

  /// A sync failed, the log went over to another segment, and the process died. What stands in the page cache of the
  /// first is served by whoever opens the log next: it must be on the medium then, as what stands in the last segment
  /// is.
  @Test(arguments: 3...8) func whatIsServedOfASegmentThatCouldNotBeSyncedIsDurable(_ n: Int) throws {
    let harness = LogHarness(policy: Self.interval)
    let (atRisk, segments) = try Self.live(harness) { log, storage in
      storage.failingSyncs = [n]
      for m in 0..<60 {
        do throws(LogError) { _ = try await log.append(message: m, size: 1000) } catch {}
        if m % 10 == 9 { await storage.loop.sleep(until: storage.loop.now + .milliseconds(300)) }
      }
      return (log.atRisk, log.segmentBases)
    }
    _ = harness.disk.processKill(seed: 1)
    let served = try Self.live(harness, at: 1 << 40) { log, _ in try await log.consume().map(\.message) }
    #expect(served.count >= 50)
    if let range = atRisk.first {
      #expect(segments.contains { $0 > range.from }, "the segment at risk is not the last")
    }
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    let kept = try Self.live(harness, at: 1 << 41) { log, _ in try await log.consume().map(\.message) }
    #expect(kept == served, "sync \(n)")
  }

  /// The write was on its way when a sync of its file failed: no sync of that file will ever be believed again, so that
  /// nobody is told that it has been taken.
  @Test func nothingIsAcknowledgedInAFileWhoseSyncFailedMeanwhile() throws {
    let harness = LogHarness(policy: Self.interval)
    let loop = EventLoop(simulatedWithSeed: 1, startingAt: Instant(nanoseconds: 0))
    let storage = WriteAcrossAFailedSync(MemoryStorage(disk: harness.disk, loop: loop, latency: .disk))
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<LogError?, any Error> in
      do {
        try await storage.makeDirectory("log")
        let (log, _) = try await PartitionLog.open(LogHarness.source, in: "log", of: storage, harness.configuration)
        _ = try await log.append(message: 0)
        storage.isArmed = true
        do throws(LogError) { _ = try await log.append(message: 1) } catch { return .success(error) }
        return .success(nil)
      } catch {
        return .failure(error)
      }
    }
    let answer = try #require(result.value)
    let refusal = try #require(try answer.get())
    #expect(!refusal.isCertainFailure, "it is in the file: \(refusal)")
  }

  /// A log on a storage of a test's own.
  private static func run<Layer: Storage>(
    _ policy: SyncPolicy, _ layer: (any Storage) -> Layer,
    _ body: @escaping @Sendable (PartitionLog, Layer) async throws -> Void
  ) throws {
    let harness = LogHarness(policy: policy)
    let loop = EventLoop(simulatedWithSeed: 1, startingAt: Instant(nanoseconds: 0))
    let storage = layer(MemoryStorage(disk: harness.disk, loop: loop, latency: .disk))
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<Void, any Error> in
      do {
        try await storage.makeDirectory("log")
        let (log, _) = try await PartitionLog.open(LogHarness.source, in: "log", of: storage, harness.configuration)
        return .success(try await body(log, storage))
      } catch {
        return .failure(error)
      }
    }
    try #require(result.value).get()
  }

  /// A sync that succeeds beside one that fails says nothing of what that one was to cover. Nobody had noticed when a
  /// sync did not wait for the one before it.
  @Test func aSyncWaitsForTheOneBeforeIt() throws {
    try Self.run(Self.interval, { OneSlowSync($0, fails: true) }) { log, storage in
      _ = try await log.append(message: 0)
      storage.isArmed = true
      storage.loop.spawn { await log.sync() }
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
      _ = try await log.append(message: 1)
      await log.sync()
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(50))
      #expect(log.atRisk.first.map { $0.from == 0 && $0.to >= 1 } ?? false, "\(log.atRisk)")
    }
  }

  /// A file is not closed while it is being synced. Nobody had noticed when a rotation did not wait.
  @Test func aRotationWaitsForTheSyncInFlight() throws {
    try Self.run(.never, { OneSlowSync($0, fails: false) }) { log, storage in
      _ = try await log.append(message: 0)
      storage.isArmed = true
      storage.loop.spawn { await log.sync() }
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
      try await log.beginSegment(at: log.logEndOffset)
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(50))
      #expect(log.atRisk.isEmpty && !storage.isArmed, "\(log.atRisk)")
    }
  }

  /// What a direct write has taken is carried on from a whole block. Nobody had noticed when it was not: a device takes
  /// whole blocks, and only the storage interface says otherwise.
  @Test func aShortWriteIsCarriedOnFromAWholeBlock() throws {
    try Self.run(.always, { OddShortWrite($0) }) { log, storage in
      _ = try await log.append(message: 0, size: 3000)
      #expect(storage.shortened > 0)
      #expect(try await log.consume().map(\.message) == [0])
    }
  }

  /// Closing promises that the tail is durable. If it is not, closing says so.
  @Test func aFailedLastSyncIsTold() throws {
    try Self.live(LogHarness(policy: Self.interval)) { log, storage in
      _ = try await log.append(message: 0)
      storage.failingSyncs = [storage.syncs + 1]
      do throws(StorageError) {
        try await log.close()
        Issue.record("closed as if everything were durable")
      } catch { #expect(error.isErrno(EIO)) }
      #expect(storage.handles.isEmpty)
    }
  }

  /// What a failed commit carried is not among the newest batches, however late the loop has the leisure to copy it:
  /// its offsets are given again. Found by the trials of `fault-kinds`: 42 of 1244 served the wrong message.
  @Test func aFailedCommitIsNeverServed() throws {
    for policy in [Self.interval, .never] {
      let harness = LogHarness(policy: policy)
      try Self.live(harness, latency: .zero) { log, storage in
        _ = try await log.append(message: 0)
        storage.failingWrites = [storage.writes + 1]
        do throws(LogError) {
          _ = try await log.append(message: 1)
          Issue.record("\(policy): the write did not fail")
        } catch {}
        #expect(try await log.append(message: 2) == 1)
        for _ in 0..<2 {
          let found = try await log.consume().map(\.message)
          #expect(found == [0, 2], "\(policy)")
          await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
        }
      }
    }
  }

  /// A sync fails in recovery and marks its pages clean, and so does the copy that should help. Whoever opens the log
  /// again before the machine goes down serves what is in the page cache: so it must be on the medium after that,
  /// though a sync of the same pages succeeds without having written them.
  @Test(arguments: [
    PlannedFault(.ioError, FaultTrigger([.open], pathContains: ".rewritten"), .sticky),
    PlannedFault(.ioError, FaultTrigger([.write], pathContains: ".rewritten"), .sticky),
    PlannedFault(.ioError, FaultTrigger([.sync], pathContains: ".rewritten"), .sticky),
    PlannedFault(.ioError, FaultTrigger([.syncDirectory], pathContains: "log"), .sticky),
  ])
  func whatARecoveryCouldNotSyncIsNotBelieved(_ second: PlannedFault) throws {
    let harness = LogHarness(policy: Self.interval)
    try harness.live { log, _, _ in for n in 0..<20 { _ = try await log.append(message: n) } }
    _ = harness.disk.processKill(seed: 1)
    let failing = FaultPlan([
      PlannedFault(.syncFailure(.marksClean), FaultTrigger([.sync], pathContains: ".log")), second,
    ])
    #expect(throws: StorageError.self) {
      try harness.live(startingAt: Instant(nanoseconds: 1 << 40), plan: failing) { _, _, _ in }
    }
    let served = try harness.live(startingAt: Instant(nanoseconds: 1 << 41)) { log, _, storage in
      let served = try await log.consume().map(\.message)
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      let left = try await storage.list("log").filter { $0.name.hasSuffix(".unsynced") }
      #expect(left.isEmpty, "the mark stays no longer than it must")
      return served
    }
    #expect(served == Array(0..<20))
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    let kept = try harness.live(startingAt: Instant(nanoseconds: 1 << 42)) { log, _, _ in
      try await log.consume().map(\.message)
    }
    #expect(kept == served)
  }

  /// However many segments a log has, few of its files are open; and none once it is closed.
  @Test func fewFilesAreOpen() throws {
    let harness = LogHarness()
    try Self.live(harness) { log, storage in
      for n in 0..<300 { _ = try await log.append(message: n, size: 6000) }
      #expect(log.segmentBases.count > 30)
      #expect(try await log.consume().count == 300)
      #expect(storage.mostHandles <= 16)
      try await log.close()
      #expect(storage.handles.isEmpty)
    }
    try Self.live(harness, at: 1 << 40) { log, storage in
      #expect(try await log.consume().count == 300)
      #expect(storage.mostHandles <= 16)
      try await log.close()
      #expect(storage.handles.isEmpty)
    }
  }
}
