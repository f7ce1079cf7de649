import FaultInjection
import LogModel
import ObjectStore
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Two engines, one store: the first is replaced while a piece of its log is on its way.
@Suite struct ArchiveTakeoverTests {
  private typealias H = ArchiveHarness

  /// The answer to the first one's put is late; meanwhile a second engine takes over, writes and archives. What the
  /// first one has put counts for nothing, it is told so, and it puts nothing more. All messages are there, once, in
  /// order.
  @Test(arguments: [ObjectFault.late(.seconds(3)), .slow(.seconds(3)), .lostAnswer], 0..<10)
  func aReplacedWriterArchivesNothingMore(_ fault: ObjectFault, _ seed: UInt64) throws {
    let machine = try Machine(.memory, seed: seed)
    let disk = machine.disk
    try machine.boot(seed: seed, limit: .seconds(600)) { storage in
      let loop = storage.loop
      let store = FaultyObjectStore(
        DirectoryObjectStore(storage), plan: [PlannedObjectFault(fault, on: .put)], loop: loop)
      let (first, _) = try await H.open(storage, store: store)
      try await first.createTopic("orders", partitions: 1)
      try await H.produce(first, 0..<8)
      let told = AsyncEvent()
      loop.spawn {
        let error = await H.failure { () async throws(EngineError) in
          for _ in 0..<3 { try await first.checkpoint() }
        }
        #expect(error != nil)
        told.open()
      }
      while store.receipts.isEmpty { await loop.sleep(until: loop.now + .microseconds(100)) }
      try await storage.unlink(DirectoryExclusion.lockPath)
      let (second, _) = try await H.open(storage)
      try await H.produce(second, 8..<8 + Int(seed))
      try await second.checkpoint()
      await told.wait()
      await loop.sleep(until: loop.now + .seconds(10))
      let before = H.objects(disk)
      let again = await H.failure { () async throws(EngineError) in try await first.checkpoint() }
      #expect(again != nil && first.checkpointStatus?.isStopped == true, "\(String(describing: again))")
      #expect(H.objects(disk) == before)
      try await H.produce(second, 8 + Int(seed)..<20)
      try await second.checkpoint()
      #expect(await H.flawsOfEveryOffset(second, count: 20) == [])
      _ = await H.failure { () async throws(EngineError) in try await first.close() }
      try await second.close()
    }
    try machine.boot(seed: 99) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      #expect(await H.flawsOfEveryOffset(engine, count: 20) == [])
      #expect(try await H.numbers(engine) == Array(0..<20))
      try await engine.close()
    }
  }
}
