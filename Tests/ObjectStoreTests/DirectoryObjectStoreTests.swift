import FaultInjection
import Foundation
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import ObjectStore

@Suite struct DirectoryObjectStoreTests {
  static let source = TopicPartition("orders", 3)

  /// One life of a machine with a store on its disk.
  static func boot<Value: Sendable>(
    _ disk: MemoryDisk, seed: UInt64 = 1, _ body: @escaping @Sendable (any Storage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: seed)
    let storage = MemoryStorage(disk: disk, loop: loop)
    let result = loop.run(limit: .seconds(600)) { () async -> Result<Value, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    try #require(result.ending == .finished)
    return try result.value!.get()
  }

  static func name(_ n: Int, epoch: UInt64 = 1) -> ObjectName {
    ObjectName(source, base: Offset(n), end: Offset(n + 1), epoch: Epoch(epoch))
  }

  static func content(_ n: Int) -> [UInt8] { (0..<(700 + n)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ n) } }

  static func failure(_ body: () async throws(ObjectStoreError) -> Void) async -> ObjectStoreError? {
    do throws(ObjectStoreError) {
      try await body()
      return nil
    } catch { return error }
  }

  @Test func itKeepsWhatItIsGiven() throws {
    try Self.boot(MemoryDisk(seed: 1)) { storage in
      let store = DirectoryObjectStore(storage)
      #expect(try await store.list(nil) == [])
      for n in [2, 0, 1] { try await store.put(Self.name(n), Self.content(n)) }
      let other = ObjectName(TopicPartition("orders-3", 0), base: 0, end: 1, epoch: Epoch(1))
      try await store.put(other, [1, 2, 3])
      #expect(try await store.list(Self.source) == (0..<3).map { ListedObject(Self.name($0)) })
      #expect(try await store.list(nil).map(\.name) == (0..<3).map { Self.name($0) } + [other])
      #expect(try await store.get(Self.name(1)) == Self.content(1))
      try await store.put(Self.name(1), Self.content(1))
      try await store.delete(Self.name(0))
      try await store.delete(Self.name(0))
      #expect(try await store.list(Self.source) == [1, 2].map { ListedObject(Self.name($0)) })
      let missing = await Self.failure { () async throws(ObjectStoreError) in _ = try await store.get(Self.name(0)) }
      #expect(missing == .notFound(Self.name(0)))
    }
  }

  /// On a real file system too.
  @Test(arguments: [StorageChoice.posix, .ring])
  func itWorksOnFiles(_ choice: StorageChoice) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-objects-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let loop = EventLoop()
    let storage = try choice.openFiles(root: folder, loop: loop)
    let result = loop.run(limit: .seconds(60)) { () async -> Result<[UInt8], any Error> in
      do {
        let store = DirectoryObjectStore(storage)
        let large = [UInt8](repeating: 7, count: 3 << 20)
        try await store.put(Self.name(0), large)
        #expect(try await store.list(nil) == [ListedObject(Self.name(0))])
        return .success(try await store.get(Self.name(0)))
      } catch { return .failure(error) }
    }
    #expect(try result.value?.get().count == 3 << 20)
  }

  /// Two partitions' worth of puts and a removal.
  private static func workload(_ store: DirectoryObjectStore, _ done: Done) async {
    do throws(ObjectStoreError) {
      for n in 0..<4 {
        try await store.put(name(n), content(n))
        done.put.insert(n)
      }
      done.removing.insert(1)
      try await store.delete(name(1))
      done.removed.insert(1)
    } catch {}
  }

  final class Done: @unchecked Sendable {
    // Touched on one loop.
    var put: Set<Int> = []
    var removing: Set<Int> = []
    var removed: Set<Int> = []
    var cut = false
  }

  /// What a put has answered for is there after a power loss, whole; what is there at all is whole; nothing is missed
  /// that nobody removed.
  @Test(arguments: [false, true])
  func aPowerLossAtEveryOperation(_ dropsSyncs: Bool) throws {
    var points = 0
    var flaws: [String] = []
    for n in 1... {
      let disk = MemoryDisk(seed: UInt64(n))
      let done = Done()
      try Self.boot(disk, seed: UInt64(n)) { machine in
        let triggered = TriggeredStorage(dropsSyncs ? Unsynced(machine) : machine)
        triggered.arm(CrashTrigger([], .occurrence(n), .submission)) { _ throws(StorageError) in
          done.cut = true
          _ = disk.powerLoss(seed: UInt64(n), profile: n % 2 == 0 ? .dropUnsynced : .posixMinimal)
        }
        await Self.workload(DirectoryObjectStore(triggered), done)
      }
      guard done.cut else { break }
      points += 1
      flaws += try Self.boot(disk, seed: 99) { storage in
        let store = DirectoryObjectStore(storage)
        var flaws: [String] = []
        let listing = try await store.list(Self.source)
        for object in listing where object.isMissing { flaws.append("\(n): \(object.name) is missed") }
        let there = Set(listing.filter { !$0.isMissing }.map { Int($0.name.base.rawValue) })
        for put in done.put.subtracting(done.removing) where !there.contains(put) {
          flaws.append("\(n): \(put) is lost")
        }
        for gone in done.removed where there.contains(gone) { flaws.append("\(n): \(gone) is back") }
        for one in there where try await store.get(Self.name(one)) != Self.content(one) {
          flaws.append("\(n): \(one) is torn")
        }
        // It takes objects again.
        let next = DirectoryObjectStore(storage)
        try await next.put(Self.name(9, epoch: 2), Self.content(9))
        if try await next.manifestState(of: Self.source) != .whole { flaws.append("\(n): no manifest") }
        return flaws
      }
    }
    #expect(points > 40)
    if dropsSyncs {
      #expect(!flaws.isEmpty, "the control: without syncs objects are lost or torn")
    } else {
      #expect(flaws == [])
    }
    print("object store, \(dropsSyncs ? "without" : "with") syncs: \(points) crash points, \(flaws.count) flaws")
  }

  /// The mutation that the crash test must notice: nothing of the store is ever synced.
  final class Unsynced: StorageWrapper, @unchecked Sendable {
    override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {}
    override func syncDirectory(_ path: String) async throws(StorageError) {}
  }

  /// Each operation of a put fails once: the put says so, and the next one of the same object mends it.
  @Test func anErrorAtEveryOperationIsTold() throws {
    var points = 0
    let kinds = Set(OperationKind.allCases).subtracting([.close])
    for n in 1... {
      let hit = try Self.boot(MemoryDisk(seed: 1)) { machine in
        let faulty = FaultyStorage(
          machine, plan: FaultPlan([PlannedFault(.ioError, FaultTrigger(kinds, .occurrence(n)), .once)]))
        let store = DirectoryObjectStore(faulty)
        var failures = 0
        for attempt in 0..<3 {
          if await Self.failure({ () async throws(ObjectStoreError) in
            try await store.put(Self.name(0), Self.content(0))
          }) == nil {
            break
          }
          failures = attempt + 1
        }
        let fired = faulty.receipts.count
        faulty.lift()
        let listing = try await store.list(Self.source)
        #expect(listing == [ListedObject(Self.name(0))], "error at \(n)")
        #expect(try await store.get(Self.name(0)) == Self.content(0))
        #expect(failures <= 1)
        return fired > 0
      }
      guard hit else { break }
      points += 1
    }
    #expect(points > 15)
  }

  /// Somebody removes an object, or the manifest.
  @Test func theManifestMissesWhatIsGone() throws {
    let disk = MemoryDisk(seed: 1)
    try Self.boot(disk) { storage in
      let store = DirectoryObjectStore(storage)
      for n in 0..<3 { try await store.put(Self.name(n), Self.content(n)) }
      try await storage.unlink("objects/\(Self.name(2).path)")
      #expect(
        try await store.list(Self.source) == [0, 1].map { ListedObject(Self.name($0)) } + [
          ListedObject(Self.name(2), isMissing: true)
        ])
      // Without the manifest what is there is listed all the same, and the next put makes it anew.
      try await storage.unlink("objects/orders/3/manifest")
      #expect(try await store.manifestState(of: Self.source) == .absent)
      #expect(try await store.list(Self.source) == [0, 1].map { ListedObject(Self.name($0)) })
      try await store.put(Self.name(5), Self.content(5))
      try await storage.unlink("objects/\(Self.name(0).path)")
      #expect(try await store.list(Self.source).first == ListedObject(Self.name(0), isMissing: true))
    }
    #expect(disk.flipBit("objects/orders/3/manifest", byte: 60, bit: 2))
    try Self.boot(disk, seed: 2) { storage in
      let store = DirectoryObjectStore(storage)
      #expect(try await store.manifestState(of: Self.source) == .damaged)
      #expect(try await store.list(Self.source) == [1, 5].map { ListedObject(Self.name($0)) })
      try await store.put(Self.name(6), Self.content(6))
      #expect(try await store.manifestState(of: Self.source) == .whole)
    }
  }

  /// A writer that has been replaced puts nothing more where its successor has put something.
  @Test func anOlderWriterIsRefused() throws {
    try Self.boot(MemoryDisk(seed: 1)) { storage in
      let store = DirectoryObjectStore(storage)
      try await store.put(Self.name(0, epoch: 4), Self.content(0))
      let late = await Self.failure { () async throws(ObjectStoreError) in
        try await store.put(Self.name(1, epoch: 3), Self.content(1))
      }
      #expect(late == .superseded(by: Epoch(4)))
      #expect(try await store.list(nil) == [ListedObject(Self.name(0, epoch: 4))])
      #expect(try await storage.list("objects/orders/3").map(\.name).filter { $0.hasSuffix(".partial") } == [])
    }
  }
}
