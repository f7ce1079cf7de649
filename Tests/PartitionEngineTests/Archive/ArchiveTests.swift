import FaultInjection
import LogModel
import ObjectStore
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Checkpoints to an object store: what is served, what is removed, and when.
@Suite struct ArchiveTests {
  private typealias H = ArchiveHarness

  /// Fetches from every offset, out of the store, the log and the newest buffer, before, while and after pieces go to
  /// the store; and after a restart.
  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(20)), .never])
  func everyOffsetIsServedBeforeWhileAndAfter(_ policy: SyncPolicy) throws {
    let machine = try Machine(.memory)
    let configuration = H.configured(policy)
    try machine.boot { storage in
      let (engine, _) = try await H.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<40)
      #expect(await H.flawsOfEveryOffset(engine, count: 40) == [])
      let files = try engine.segmentBases("orders", 0)
      #expect(files.count >= 3)
      let done = AsyncEvent()
      storage.loop.spawn {
        do { try await engine.checkpoint() } catch { Issue.record("\(error)") }
        done.open()
      }
      var rounds = 0
      while !done.isOpen {
        #expect(await H.flawsOfEveryOffset(engine, count: 40) == [], "while it goes there")
        rounds += 1
        await storage.loop.sleep(until: storage.loop.now + .microseconds(50))
      }
      #expect(rounds > 3)
      #expect(try engine.archivedEnd("orders", 0) == 40)
      #expect(try engine.segmentBases("orders", 0).count == 1, "files that are archived are removed")
      try await H.produce(engine, 40..<55)
      #expect(await H.flawsOfEveryOffset(engine, count: 55) == [])
      #expect(try engine.watermarks("orders", 0) == Watermarks(logStartOffset: 0, highWatermark: 55, logEndOffset: 55))
      try await engine.close()
    }
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage, configuration)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      #expect(recovery.archive.map { $0.objects > 3 && $0.rebuilt == [] } == true)
      #expect(await H.flawsOfEveryOffset(engine, count: 55) == [])
      #expect(try await H.numbers(engine) == Array(0..<55))
      try await engine.close()
    }
  }

  /// In the background: at once what is in closed segments, after `interval` what is in the open one, and when enough
  /// waits.
  @Test func piecesGoThereByThemselves() throws {
    try Machine(.memory).boot { storage in
      let configuration = H.configured { $0.checkpoints.interval = .seconds(10) }
      let (engine, _) = try await H.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      let loop = storage.loop
      try await H.produce(engine, 0..<3)
      await loop.sleep(until: loop.now + .seconds(5))
      #expect(try engine.archivedEnd("orders", 0) == 0)
      await loop.sleep(until: loop.now + .seconds(6))
      #expect(try engine.archivedEnd("orders", 0) == 3)
      try await H.produce(engine, 3..<30)
      await loop.sleep(until: loop.now + .seconds(1))
      #expect(try #require(try engine.archivedEnd("orders", 0)) > 15, "closed segments do not wait")
      await loop.sleep(until: loop.now + .seconds(11))
      #expect(try engine.archivedEnd("orders", 0) == 30)
      try await engine.close()
    }
    try Machine(.memory).boot { storage in
      let configuration = H.configured { $0.checkpoints.bytes = 4000 }
      let (engine, _) = try await H.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<3)
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      #expect(try engine.archivedEnd("orders", 0) == 0)
      try await H.produce(engine, 3..<6)
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      #expect(try #require(try engine.archivedEnd("orders", 0)) >= 4, "enough waited")
      try await engine.close()
    }
  }

  /// Segments are closed by age too, with or without a commit that asks for it; and go to the store then.
  @Test func segmentsAreClosedByAge() throws {
    try Machine(.memory).boot(limit: .seconds(600)) { storage in
      let configuration = H.configured { $0.log.segmentAge = .seconds(30) }
      let (engine, _) = try await H.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      let loop = storage.loop
      try await H.produce(engine, 0..<2)
      await loop.sleep(until: loop.now + .seconds(29))
      #expect(try engine.segmentBases("orders", 0) == [0])
      await loop.sleep(until: loop.now + .seconds(2))
      #expect(try engine.segmentBases("orders", 0) == [2])
      #expect(try engine.archivedEnd("orders", 0) == 2)
      // An empty one has no age.
      await loop.sleep(until: loop.now + .seconds(100))
      #expect(try engine.segmentBases("orders", 0) == [2])
      try await H.produce(engine, 2..<3)
      #expect(try engine.segmentBases("orders", 0) == [2])
      #expect(await H.flawsOfEveryOffset(engine, count: 3) == [])
      try await engine.close()
    }
    // Without a store a commit finds out.
    try Machine(.memory).boot(limit: .seconds(600)) { storage in
      let configuration = H.configured { $0.log.segmentAge = .seconds(30) }
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<2)
      await storage.loop.sleep(until: storage.loop.now + .seconds(31))
      try await H.produce(engine, 2..<3)
      #expect(try engine.segmentBases("orders", 0) == [0, 2])
      #expect(await H.flawsOfEveryOffset(engine, count: 3) == [])
      try await engine.close()
    }
  }

  /// Files stay as long as the retention says, and are read from; none goes before the store has it.
  @Test func filesStayAsLongAsTheRetentionSays() throws {
    let machine = try Machine(.memory)
    let disk = machine.disk
    try machine.boot(limit: .seconds(600)) { storage in
      let configuration = H.configured { $0.checkpoints.retention = LocalRetention(age: .seconds(60)) }
      let counted = FaultyObjectStore(DirectoryObjectStore(storage), plan: [], loop: storage.loop)
      let (engine, _) = try await H.open(storage, configuration, store: counted)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<40)
      let files = H.logFiles(disk).count
      try await engine.checkpoint()
      #expect(H.logFiles(disk).count == files)
      let gets = counted.calls[.get]
      #expect(await H.flawsOfEveryOffset(engine, count: 40) == [])
      #expect(counted.calls[.get] == gets, "the files are there: nothing is fetched from the store")
      await storage.loop.sleep(until: storage.loop.now + .seconds(61))
      #expect(H.logFiles(disk).count == 1)
      #expect(await H.flawsOfEveryOffset(engine, count: 40) == [])
      #expect(counted.calls[.get] != gets)
      try await engine.close()
    }
    let bySize = try Machine(.memory)
    let second = bySize.disk
    try bySize.boot { storage in
      let configuration = H.configured { $0.checkpoints.retention = LocalRetention(bytes: 40 << 10) }
      let store = FaultyObjectStore(
        DirectoryObjectStore(storage), plan: [PlannedObjectFault(.refusal, on: .put, times: .max)], loop: storage.loop)
      let (engine, _) = try await H.open(storage, configuration, store: store)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<100)
      #expect(H.logFiles(second).count >= 6, "nothing is archived, so nothing goes")
      store.lift()
      try await engine.checkpoint()
      #expect((2...3).contains(H.logFiles(second).count))
      #expect(await H.flawsOfEveryOffset(engine, count: 100) == [])
      try await engine.close()
    }
  }

  /// What somebody deletes goes from the store as well, and stays gone.
  @Test func deletedRecordsLeaveTheStore() throws {
    let machine = try Machine(.memory)
    let disk = machine.disk
    try machine.boot { storage in
      let (engine, _) = try await H.open(storage)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<40)
      try await engine.checkpoint()
      let before = H.objects(disk).count
      try await engine.deleteRecords("orders", 0, before: 22)
      try await engine.checkpoint()
      #expect(H.objects(disk).count < before)
      #expect(try await H.numbers(engine) == Array(22..<40))
      // Beyond what is archived: those never go there.
      try await H.produce(engine, 40..<60)
      try await engine.deleteRecords("orders", 0, before: 50)
      try await engine.checkpoint()
      #expect(try await H.numbers(engine) == Array(50..<60))
      try await engine.close()
    }
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      #expect(try engine.watermarks("orders", 0).logStartOffset == 50)
      #expect(try await H.numbers(engine) == Array(50..<60))
      let error = await H.failure { () async throws(EngineError) in
        try await engine.fetch("orders", 0, from: 49, maxBytes: 1, into: FetchResponse())
      }
      #expect(error == .log(TopicPartition("orders", 0), .offsetOutOfRange(49, start: 50, end: 60)))
      try await engine.close()
    }
  }

  /// An engine that has given messages to a store cannot be opened as if there were none.
  @Test func withoutItsStoreAnEngineDoesNotOpen() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await H.open(storage)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<10)
      try await engine.checkpoint()
      try await engine.close()
      let error = await H.failure { () async throws(EngineError) in
        _ = try await PartitionEngine.open(storage, H.configuration)
      }
      #expect(error == .storeNeeded(TopicPartition("orders", 0), before: 10))
      let (again, _) = try await H.open(storage)
      #expect(try await H.numbers(again) == Array(0..<10))
      try await again.close()
    }
  }
}
