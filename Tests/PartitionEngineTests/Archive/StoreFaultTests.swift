import Defects
import FaultInjection
import LogModel
import ObjectStore
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// A store that fails, in each way, at each call.
@Suite struct StoreFaultTests {
  private typealias H = ArchiveHarness

  static let faults: [ObjectFault] = [
    .refusal, .lostAnswer, .late(.seconds(8)), .slow(.seconds(8)), .hang, .partialUpload(percent: 0, isTold: true),
    .partialUpload(percent: 60, isTold: true), .partialUpload(percent: 60, isTold: false),
  ]

  /// One engine's life on a store with that fault at call `n`; whatever the store does, everything acknowledged is
  /// served, and gets to the store in the end.
  private static func life(_ fault: ObjectFault, at n: Int, _ parts: CheckpointParts = CheckpointParts()) throws -> (
    fired: Int, flaws: [String]
  ) {
    let machine = try Machine(.memory, seed: UInt64(n))
    let configuration = H.configured { $0.checkpoints.bytes = 5000 }
    let first = try machine.boot(seed: UInt64(n), limit: .seconds(600)) { storage -> (fired: Int, flaws: [String]) in
      let store = FaultyObjectStore(
        DirectoryObjectStore(storage), plan: [PlannedObjectFault(fault, occurrence: n)], loop: storage.loop)
      // The store may not say whether it is empty: then an engine that is new does not open.
      var opened: PartitionEngine?
      for _ in 0..<2 where opened == nil {
        do throws(EngineError) { opened = try await H.open(storage, configuration, store: store, parts).engine } catch {
          guard case .store = error else { return (1, ["\(error)"]) }
        }
      }
      guard let engine = opened else { return (1, ["it does not open"]) }
      try await engine.createTopic("orders", partitions: 1)
      let loop = storage.loop
      var flaws: [String] = []
      for round in 0..<3 {
        try await H.produce(engine, round * 10..<round * 10 + 10)
        await loop.sleep(until: loop.now + .seconds(1))
        flaws += await readable(engine, round * 10 + 10, loop)
      }
      // Until the back-off is over.
      await loop.sleep(until: loop.now + .seconds(20))
      if try engine.archivedEnd("orders", 0).map({ $0 < 23 }) ?? true {
        flaws.append("archived up to \(String(describing: try engine.archivedEnd("orders", 0)))")
      }
      flaws += await readable(engine, 30, loop)
      let fired = store.receipts.count
      store.lift()
      try await engine.close()
      return (fired, flaws)
    }
    let second = try machine.boot(seed: 900) { storage -> [String] in
      let (engine, recovery) = try await H.open(storage, configuration)
      var flaws = recovery.partitions.flatMap(\.damage).map { "\($0)" }
      let numbers = try await H.numbers(engine)
      if numbers != Array(0..<30) { flaws.append("\(numbers)") }
      try await engine.close()
      return flaws
    }
    return (first.fired, first.flaws + second)
  }

  /// A fetch may be told that the store failed; asked again, it is served.
  private static func readable(_ engine: PartitionEngine, _ count: Int, _ loop: EventLoop) async -> [String] {
    let flaws = await H.flawsOfEveryOffset(engine, count: count)
    guard !flaws.isEmpty else { return [] }
    guard flaws.allSatisfy({ $0.contains("object store") }) else { return flaws }
    await loop.sleep(until: loop.now + .seconds(10))
    return await H.flawsOfEveryOffset(engine, count: count)
  }

  @Test(arguments: faults)
  func eachFaultAtEachCallCostsNothing(_ fault: ObjectFault) throws {
    var calls = 0
    for n in 1... {
      let (fired, flaws) = try Self.life(fault, at: n)
      guard fired > 0 else { break }
      calls += 1
      #expect(flaws == [], "\(fault) at call \(n)")
    }
    #expect(calls > 5)
    print("\(fault): \(calls) calls")
  }

  /// The control, H1: what failed to get there is given up, and the log is cut behind it.
  @Test func H1IsNoticed() throws {
    let parts = try #require(Defect(id: "H1")).parts().checkpoints
    let noticed = try (1...20).filter { try !Self.life(.refusal, at: $0, parts).flaws.isEmpty }.count
    #expect(noticed > 0)
    print("H1: noticed at \(noticed) of 20 calls")
  }

  /// A store that is gone for an hour: appends go on, reads go on, attempts become rare, memory does not grow; when it
  /// is back everything gets there.
  @Test(arguments: [ObjectFault.refusal, .hang, .lostAnswer])
  func aStoreThatIsGoneForAnHour(_ fault: ObjectFault) throws {
    let loop = EventLoop(simulatedWithSeed: 1)
    let disk = MemoryDisk(seed: 1)
    let storage = MemoryStorage(disk: disk, loop: loop)
    let result = loop.run(limit: .seconds(8000)) { () async -> [String] in
      do {
        let configuration = H.configured { $0.checkpoints.bytes = 5000 }
        let store = FaultyObjectStore(
          DirectoryObjectStore(storage), plan: [PlannedObjectFault(fault, on: .put, times: .max)], loop: loop)
        let gauge = Gauge(store)
        let (engine, _) = try await H.open(storage, configuration, store: gauge)
        try await engine.createTopic("orders", partitions: 1)
        var flaws: [String] = []
        for n in 0..<120 {
          try await H.produce(engine, n..<n + 1)
          await loop.sleep(until: loop.now + .seconds(30))
        }
        let status = try #require(engine.checkpointStatus)
        if status.pieces > 0 || status.failures < 100 { flaws.append("\(status)") }
        let attempts = store.calls[.put] ?? 0
        // One in two seconds at most, and fewer where each waits for its time to be over.
        if attempts < 2 || attempts > 1900 { flaws.append("\(attempts) attempts") }
        flaws += await H.flawsOfEveryOffset(engine, count: 120)
        if try engine.archivedEnd("orders", 0) != 0 { flaws.append("archived") }
        // Two that were given up and have not ended: until they do nothing more is sent.
        if gauge.peak != (fault == .hang ? 2 : 1) { flaws.append("\(gauge.peak) objects on their way at once") }
        store.lift()
        await loop.sleep(until: loop.now + .seconds(60))
        if try engine.archivedEnd("orders", 0).map({ $0 < 115 }) ?? true { flaws.append("not archived afterwards") }
        if try engine.segmentBases("orders", 0).count > 2 { flaws.append("files are still there") }
        flaws += await H.flawsOfEveryOffset(engine, count: 120)
        try await engine.close()
        return flaws
      } catch { return ["\(error)"] }
    }
    #expect(result.ending == .finished)
    #expect(result.value == [])
  }

  /// Knows how many objects are on their way at most.
  final class Gauge: ObjectStore, @unchecked Sendable {
    // Owned by the loop of its engine.
    private let base: any ObjectStore
    private var underway = 0
    private(set) var peak = 0

    init(_ base: any ObjectStore) { self.base = base }

    func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
      underway += 1
      peak = max(peak, underway)
      defer { underway -= 1 }
      try await base.put(name, bytes)
    }

    func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] { try await base.get(name) }
    func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
      try await base.list(source)
    }
    func delete(_ name: ObjectName) async throws(ObjectStoreError) { try await base.delete(name) }
  }

  /// Back-pressure: so many bytes may wait, then appends do, and are refused in the end, for certain.
  @Test func appendsWaitForAStoreThatIsBehind() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let configuration = H.configured {
        $0.checkpoints.mostWaiting = 20_000
        $0.checkpoints.patience = .seconds(4)
      }
      let store = FaultyObjectStore(
        DirectoryObjectStore(storage), plan: [PlannedObjectFault(.refusal, on: .put, times: .max)], loop: storage.loop)
      let (engine, _) = try await H.open(storage, configuration, store: store)
      try await engine.createTopic("orders", partitions: 1)
      var taken = 0
      var refusal: EngineError?
      let loop = storage.loop
      while refusal == nil, taken < 100 {
        let start = loop.now
        let n = taken
        do {
          try await H.produce(engine, n..<n + 1)
          taken += 1
        } catch {
          refusal = error as? EngineError
          #expect(loop.now - start >= .seconds(4))
        }
      }
      #expect((12...30).contains(taken), "\(taken) of about 20 KB")
      guard case .archiveBehind(TopicPartition("orders", 0), let bytes, limit: 20_000) = refusal else {
        Issue.record("\(String(describing: refusal))")
        return
      }
      #expect(refusal?.isCertainFailure == true && bytes > 15_000)
      #expect(await H.flawsOfEveryOffset(engine, count: taken) == [])
      // It is back while an append waits: that one gets through.
      loop.spawn {
        await loop.sleep(until: loop.now + .seconds(1))
        store.lift()
      }
      try await H.produce(engine, taken..<taken + 1)
      #expect(await H.flawsOfEveryOffset(engine, count: taken + 1) == [])
      try await engine.close()
    }
  }

  /// Nothing is known locally, and the store does not say what there is: that is no empty engine.
  @Test func anEmptyEngineDoesNotOpenWithoutItsStoresWord() throws {
    try Machine(.memory).boot { storage in
      let store = FaultyObjectStore(
        DirectoryObjectStore(storage), plan: [PlannedObjectFault(.refusal, on: .list, times: .max)], loop: storage.loop)
      let error = await H.failure { () async throws(EngineError) in _ = try await H.open(storage, store: store) }
      #expect(error == .store(.refused("injected")))
      store.lift()
      let (engine, _) = try await H.open(storage, store: store)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<20)
      try await engine.checkpoint()
      try await engine.close()
      // Where something is known the logs open, and what is in the store is fetched when it is back. An opening asks
      // for the epochs of the objects once, and for what there is three times; the fifth call is the fetch's.
      let away = FaultyObjectStore(
        DirectoryObjectStore(storage), plan: [PlannedObjectFault(.refusal, times: 5)], loop: storage.loop)
      let (again, recovery) = try await H.open(storage, store: away)
      #expect(recovery.archive?.unavailable != nil)
      try await H.produce(again, 20..<22)
      let refused = await H.failure { () async throws(EngineError) in
        try await again.fetch("orders", 0, from: 3, maxBytes: 1, into: FetchResponse())
      }
      #expect(refused == .store(.refused("injected")))
      #expect(await H.flawsOfEveryOffset(again, count: 22) == [])
      try await again.close()
    }
  }
}
