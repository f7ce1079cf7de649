import Glibc
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// A committed offset never lies beyond what is durable in the log, nor beyond its end after a recovery.
@Suite struct CommittedOffsetTests {
  static func configuration(_ policy: SyncPolicy, _ system: LogSystem = .tornlog, _ recovery: RecoveryPolicy? = nil)
    -> EngineConfiguration
  {
    EngineConfiguration(
      system: system,
      log: LogConfiguration(
        syncPolicy: policy, recoveryPolicy: recovery ?? system.recoveryPolicy, segmentBytes: 64 << 10,
        commitBytes: 16 << 10))
  }

  /// Whatever the system, one message of a request.
  static func produce(_ engine: PartitionEngine, _ text: String) async throws -> Offset {
    try await EngineTests.produce(engine, "orders", 0, text)
  }

  static func committed(_ engine: PartitionEngine, _ group: String) throws -> Offset? {
    try engine.committedOffset(group: group, "orders", 0)
  }

  // MARK: Two committers, one sync

  /// A's sync is in flight when m1 is acknowledged; B and C commit 2 and wait for it. When it ends, one of them begins
  /// the next sync, and the other must wait for that. The power goes when the first of them has been answered.
  @Test(arguments: [LogSystem.tornlog, .streamhouse, .airunner, .chronik, .chronikV1, .replayBuffer])
  func whoWaitsForASyncWaitsForTheNextOneToo(_ system: LogSystem) throws {
    let disk = MemoryDisk(seed: 7)
    let configuration = Self.configuration(.interval(.seconds(10)), system)
    let slow = MemoryLatency(
      read: 5_000...6_000, write: 20_000...30_000, durableWrite: 40_000...60_000, sync: 20_000_000...20_000_001,
      names: 0...0)
    try Self.live(disk, slow) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      _ = try await Self.produce(engine, "m0")
      let answered = AsyncEvent()
      storage.loop.spawn { do { try await engine.commitOffset(group: "A", "orders", 0, 1) } catch {} }
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(5))
      _ = try await Self.produce(engine, "m1")
      for group in ["B", "C"] {
        storage.loop.spawn {
          do { try await engine.commitOffset(group: group, "orders", 0, 2) } catch {}
          answered.open()
        }
        await storage.loop.sleep(until: storage.loop.now + .microseconds(10))
      }
      await answered.wait()
      // The other one's record may be on its way.
      await storage.loop.sleep(until: storage.loop.now + .microseconds(200))
      _ = disk.powerLoss(seed: 3, profile: .dropUnsynced)
    }
    try Self.live(disk, .disk) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      let end = try engine.watermarks("orders", 0).logEndOffset
      #expect(end == 2, "what was committed had been synced")
      for group in ["A", "B", "C"] { #expect(try Self.committed(engine, group) ?? 0 <= end) }
      #expect(recovery.lowered.isEmpty)
    }
  }

  // MARK: A sync that fails

  @Test(arguments: [LogSystem.tornlog, .streamhouse, .airunner, .chronik, .chronikV1, .replayBuffer], [true, false])
  func anOffsetIsNotCommittedWhoseMessagesCannotBeSynced(_ system: LogSystem, _ isCutAtOnce: Bool) throws {
    let disk = MemoryDisk(seed: 1)
    let configuration = Self.configuration(.interval(.seconds(10)), system)
    try Self.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      _ = try await Self.produce(engine, "m0")
      try await engine.commitOffset(group: "g", "orders", 0, 1)
      for n in 1...2 { _ = try await Self.produce(engine, "m\(n)") }
      storage.before = { call throws(StorageError) in
        if call.kind == .sync, call.path.hasPrefix("topics/") { throw StorageError(errno: EIO, .sync, call.path) }
      }
      do throws(EngineError) {
        try await engine.commitOffset(group: "g", "orders", 0, 3)
        Issue.record("3 was committed, and the sync had failed")
      } catch {
        guard case .offsetNotDurable(_, 3, let failure) = error else { throw error }
        #expect(failure.isErrno(EIO) && error.isCertainFailure && "\(error)".contains("commit it again"), "\(error)")
      }
      storage.before = nil
      if !isCutAtOnce { await storage.loop.sleep(until: storage.loop.now + .seconds(5)) }
      #expect(try Self.committed(engine, "g") == 1)
      _ = disk.powerLoss(seed: 3, profile: .dropUnsynced)
    }
    try Self.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      #expect(try Self.committed(engine, "g") == 1)
    }
  }

  /// The next segment's head testifies to what the failed sync covered: its offsets are nobody else's from then on, and
  /// can be committed.
  @Test func whatASegmentTestifiesToCanBeCommitted() throws {
    let disk = MemoryDisk(seed: 1)
    let configuration = Self.configuration(.interval(.seconds(10)))
    try Self.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<3 { _ = try await Self.produce(engine, "m\(n)") }
      let failing = AsyncEvent()
      storage.before = { call throws(StorageError) in
        guard call.kind == .sync, call.path.hasPrefix("topics/"), !failing.isOpen else { return }
        failing.open()
        throw StorageError(errno: EIO, .sync, call.path)
      }
      do { try await engine.commitOffset(group: "g", "orders", 0, 3) } catch {}
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(100))
      try await engine.commitOffset(group: "g", "orders", 0, 3)
      _ = disk.powerLoss(seed: 3, profile: .dropUnsynced)
    }
    try Self.live(disk, .disk) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(try Self.committed(engine, "g") == 3)
      #expect(try engine.watermarks("orders", 0).logEndOffset == 3)
      #expect(recovery.partitions[0].damage.map { [$0.from, $0.to] } == [[0, 3]])
      #expect(try await Self.produce(engine, "new") == 3)
    }
  }

  // MARK: Logs that come back shorter

  struct Shorter: Sendable, CustomTestStringConvertible {
    var name: String
    var policy: SyncPolicy
    var recovery: RecoveryPolicy
    var isDamaged: Bool
    var testDescription: String { name }
  }

  /// Everything that is appended afterwards reaches the group, and the report says what has happened, until the group
  /// commits.
  @Test(arguments: [
    Shorter(name: "never and a power loss", policy: .never, recovery: .skipCorrupted, isDamaged: false),
    Shorter(name: "truncate-at-corruption", policy: .always, recovery: .truncateAtCorruption, isDamaged: true),
  ]) func anOffsetBeyondTheEndIsLoweredToIt(_ test: Shorter) throws {
    let disk = MemoryDisk(seed: 1)
    let configuration = Self.configuration(test.policy, .tornlog, test.recovery)
    let old = (0..<10).map { "old message number \($0) which is long enough" }
    try Self.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for text in old { _ = try await Self.produce(engine, text) }
      try await engine.commitOffset(group: "g", "orders", 0, 9)
      try await engine.commitOffset(group: "behind", "orders", 0, 0)
      if test.isDamaged { try await engine.close() } else { _ = disk.powerLoss(seed: 3, profile: .dropUnsynced) }
    }
    if test.isDamaged { #expect(Self.flip(old[4], on: disk)) }
    let end: Offset = test.isDamaged ? 4 : 0
    // A report that reached nobody is repeated.
    for life in 0..<2 {
      try Self.live(disk, .disk, seed: UInt64(2 + life)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        #expect(try engine.watermarks("orders", 0).logEndOffset == end)
        #expect(try Self.committed(engine, "g") == end)
        #expect(try Self.committed(engine, "behind") == 0)
        #expect(
          recovery.lowered == [LoweredOffset(group: "g", partition: TopicPartition("orders", 0), from: 9, to: end)])
        try await engine.close()
      }
    }
    try Self.live(disk, .disk, seed: 4) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      for n in 0..<8 { #expect(try await Self.produce(engine, "new \(n)") == end + n) }
      let from = try #require(try Self.committed(engine, "g"))
      #expect(try await Self.texts(engine, from: from) == (0..<8).map { "new \($0)" }, "all of them reach the group")
      try await engine.commitOffset(group: "g", "orders", 0, end + 8)
      try await engine.close()
    }
    try Self.live(disk, .disk, seed: 5) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(recovery.lowered.isEmpty)
      #expect(try Self.committed(engine, "g") == end + 8)
    }
  }

  /// Nothing is served before the lowered offsets are durable, and a crash at any operation of the opening leaves an
  /// engine that lowers them all the same.
  @Test(arguments: 1...60) func loweringIsCutOffAnywhere(_ operation: Int) throws {
    let disk = MemoryDisk(seed: 1)
    let configuration = Self.configuration(.never)
    try Self.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<10 { _ = try await Self.produce(engine, "m\(n)") }
      try await engine.commitOffset(group: "g", "orders", 0, 10)
      _ = disk.powerLoss(seed: 3, profile: .dropUnsynced)
    }
    try Self.live(disk, .disk, seed: 2) { storage in
      let count = Counter()
      storage.before = { call throws(StorageError) in
        count.value += 1
        guard count.value == operation else { return }
        _ = disk.powerLoss(seed: 4, profile: .posixMinimal)
        throw StorageError(.powerLost, call.kind, call.path)
      }
      do { _ = try await PartitionEngine.open(storage, configuration) } catch {}
      if count.value < operation { _ = disk.powerLoss(seed: 4, profile: .posixMinimal) }
    }
    try Self.live(disk, .disk, seed: 3) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(try Self.committed(engine, "g") == 0 && recovery.lowered.map(\.from) == [10])
    }
  }

  final class Counter: @unchecked Sendable { var value = 0 }

  @Test func theRecordCrossesTheMetadataAndBack() {
    let record = MetadataRecord.loweredOffset(group: "g", TopicPartition("orders", 3), 4, was: 9)
    #expect(MetadataRecord(text: record.text) == record)
    var metadata = Metadata()
    metadata.apply(record)
    #expect(metadata.records == [record])
    metadata.apply(.consumerOffset(group: "g", TopicPartition("orders", 3), 5))
    #expect(metadata.records == [.consumerOffset(group: "g", TopicPartition("orders", 3), 5)])
  }

  // MARK: Helpers

  static func live(
    _ disk: MemoryDisk, _ latency: MemoryLatency, seed: UInt64 = 1,
    _ body: @escaping @Sendable (HookedStorage) async throws -> Void
  ) throws {
    let loop = EventLoop(simulatedWithSeed: seed)
    let storage = HookedStorage(MemoryStorage(disk: disk, loop: loop, latency: latency))
    let (ending, result) = loop.run(limit: .seconds(3600)) { () async -> Result<Void, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try result?.get()
  }

  static func texts(_ engine: PartitionEngine, from offset: Offset) async throws -> [String] {
    let response = FetchResponse()
    var texts: [String] = []
    var at = offset
    while at < (try engine.watermarks("orders", 0).highWatermark) {
      try await engine.fetch("orders", 0, from: at, maxBytes: 1 << 20, into: response)
      response.forEachRecord { texts.append(String(decoding: $0.value, as: UTF8.self)) }
      at = response.nextOffset
    }
    return texts
  }

  static func flip(_ text: String, on disk: MemoryDisk) -> Bool {
    let needle = Array(text.utf8)
    for path in disk.paths where path.hasPrefix("topics/") {
      guard let bytes = disk.read(path), bytes.count >= needle.count else { continue }
      for at in 0...(bytes.count - needle.count)
      where bytes[at] == needle[0] && bytes[at..<at + needle.count].elementsEqual(needle) {
        return disk.flipBit(path, byte: Int64(at + 3), bit: 2)
      }
    }
    return false
  }
}
