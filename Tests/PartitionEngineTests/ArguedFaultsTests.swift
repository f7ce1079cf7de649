import Foundation
import Glibc
import LogModel
import ObjectStore
import RecordLogs
import Testing
import WriteAheadLog

@testable import PartitionEngine
@testable import Storage

/// Faults that a review of the engine argued for by reading it. Each test failed before what it is about was put right.
@Suite struct ArguedFaultsTests {
  typealias Helpers = CommittedOffsetTests

  // MARK: Requests while the engine closes

  enum Request: CaseIterable { case commit, deletion }

  /// The first copy of the metadata closes slowly, for its zero-fill is under way. What is asked for meanwhile is
  /// refused for certain and is not there afterwards, or it is there.
  @Test(arguments: Request.allCases, [0, 1, 5, 50, 400]) func whatIsRefusedWhileClosingIsNotThere(
    _ request: Request, _ delay: Int
  ) throws {
    let disk = MemoryDisk(seed: 1)
    let outcome = Outcome()
    // Its metadata log is zero-filled several times before the next segment.
    let configuration = EngineConfiguration(log: LogConfiguration(segmentBytes: 1 << 20, commitBytes: 16 << 10))
    try Helpers.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<3 { _ = try await EngineTests.produce(engine, "orders", 0, "m\(n)") }
      let loop = storage.loop
      storage.before = { call throws(StorageError) in
        guard call.kind == .write, call.path.hasPrefix("metadata/"), call.length > 4096 else { return }
        outcome.isFilling = true
        await loop.sleep(until: loop.now + .milliseconds(500))
        outcome.isFilling = false
      }
      // Until one is answered while a zero-fill ahead of the next ones goes on.
      for _ in 0..<1000 where !outcome.isFilling { try await engine.commitOffset(group: "g", "orders", 0, 1) }
      #expect(outcome.isFilling)
      let closed = AsyncEvent()
      loop.spawn {
        do throws(EngineError) { try await engine.close() } catch { Issue.record("\(error)") }
        closed.open()
      }
      await loop.sleep(until: loop.now + .milliseconds(Int64(delay)))
      do throws(EngineError) {
        switch request {
        case .commit: try await engine.commitOffset(group: "g", "orders", 0, 2)
        case .deletion: try await engine.deleteRecords("orders", 0, before: 2)
        }
        outcome.isDone = true
      } catch {
        #expect(error.isCertainFailure, "\(error)")
      }
      await closed.wait()
      // Once it has closed, too.
      do throws(EngineError) {
        try await engine.commitOffset(group: "g", "orders", 0, 3)
        Issue.record("it was taken after the close")
      } catch { #expect(error == .closed) }
    }
    try Helpers.live(disk, .disk, seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      let committed = try Helpers.committed(engine, "g")
      let start = try engine.watermarks("orders", 0).logStartOffset
      #expect((request == .commit ? committed : start) == (outcome.isDone ? 2 : request == .commit ? 1 : 0))
      #expect(recovery.metadata.damage.isEmpty)
      try await engine.close()
    }
  }

  final class Outcome: @unchecked Sendable {
    var isFilling = false
    var isDone = false
  }

  // MARK: Leases

  /// So that a flipped bit of the first digit is decades.
  private static let years = Duration.seconds(1_700_000_000)

  private static func lease(_ storage: any Storage, ahead: Duration = .zero) -> EngineParts {
    EngineParts(
      exclusion: LeaseExclusion(duration: .seconds(10), clock: .following(storage.loop, ahead: years + ahead)))
  }

  /// - Returns: whether it opened.
  private static func opens(_ storage: any Storage, ahead: Duration = .zero) async throws -> Bool {
    do throws(EngineError) {
      let (engine, _) = try await PartitionEngine.open(
        storage, EngineTests.configuration, parts: lease(storage, ahead: ahead))
      try await engine.close()
      return true
    } catch {
      guard case .inUse = error else { throw error }
      return false
    }
  }

  /// A holder that was killed, and a bit of its claim that has turned over: an hour later anybody opens.
  @Test func oneBitOfAClaimLocksNobodyOut() throws {
    for bit in stride(from: 0, to: 8 * 64, by: 3) {
      let disk = MemoryDisk(seed: 1)
      try Helpers.live(disk, .zero) { storage in
        _ = try await PartitionEngine.open(storage, EngineTests.configuration, parts: Self.lease(storage))
        _ = disk.processKill(seed: 1)
      }
      let claim = try #require(disk.paths.first { $0.hasPrefix("writers/") })
      #expect(disk.flipBit(claim, byte: Int64(bit / 8), bit: bit % 8))
      try Helpers.live(disk, .zero, seed: 2) { storage in
        let isOpen = try await Self.opens(storage, ahead: .seconds(3600))
        #expect(isOpen, "bit \(bit) of \(claim)")
      }
    }
  }

  /// A holder whose clock is ten years ahead: alive, nobody gets in; dead, the next one gets in after one lease.
  @Test(arguments: [true, false]) func aClockFarAheadLocksNobodyOut(_ isAlive: Bool) throws {
    let disk = MemoryDisk(seed: 1)
    let ahead = Duration.seconds(315_360_000)
    try Helpers.live(disk, .zero) { storage in
      let (holder, _) = try await PartitionEngine.open(
        storage, EngineTests.configuration, parts: Self.lease(storage, ahead: ahead))
      if isAlive {
        for _ in 0..<3 { #expect(try await !Self.opens(storage)) }
        try await holder.createTopic("orders", partitions: 1)
        try await holder.close()
      } else {
        _ = disk.processKill(seed: 1)
      }
    }
    try Helpers.live(disk, .zero, seed: 2) { storage in
      let start = storage.loop.now
      let isOpen = try await Self.opens(storage)
      #expect(isOpen)
      #expect(storage.loop.now - start <= .seconds(11))
    }
  }

  @Test func aClaimSaysWhatItSays() {
    let claim = LeaseClaim(end: Instant(nanoseconds: 1_700_000_000_000_000_000), duration: .seconds(10))
    #expect(claim.text.utf8.count < LeaseTerm.size)
    func read(_ text: String) -> LeaseClaim? { Array(text.utf8).withUnsafeBytes { LeaseClaim($0) } }
    #expect(read(claim.text + "     ") == claim)
    for text in [
      "", "1700000000000000000", "1 2 3", claim.text + "0", "-" + claim.text, claim.text.replacing(" ", with: "0"),
    ] {
      #expect(read(text) == nil, "\(text)")
    }
    let long = LeaseClaim(end: Instant(nanoseconds: 1), duration: LeaseExclusion.longest + .nanoseconds(1))
    #expect(read(long.text) == nil)
  }

  // MARK: A backup of the folder, with the store of today

  @Test func aFolderThatWasPutBackGoesOnWithItsStore() throws {
    typealias H = ArchiveHarness
    let disk = MemoryDisk(seed: 1)
    try Helpers.live(disk, .zero) { storage in
      let (engine, _) = try await H.open(storage)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<30)
      try await engine.checkpoint()
      try await engine.close()
    }
    let backup = disk.paths.filter { !$0.hasPrefix("objects/") }.map { ($0, disk.read($0) ?? []) }
    for life in 0..<5 {
      try Helpers.live(disk, .zero, seed: 2 + UInt64(life)) { storage in
        let (engine, _) = try await H.open(storage)
        try await H.produce(engine, 30 + 10 * life..<40 + 10 * life)
        try await engine.checkpoint()
        try await engine.close()
      }
    }
    let objects = disk.paths.filter { $0.hasPrefix("objects/") }.map { ($0, disk.read($0) ?? []) }
    let restored = MemoryDisk(seed: 9)
    try Helpers.live(restored, .zero) { storage in
      for (path, bytes) in backup + objects { try await Self.put(bytes, at: path, storage) }
    }
    for life in 0..<3 as Range<UInt64> {
      try Helpers.live(restored, .zero, seed: 20 + life) { storage in
        let (engine, recovery) = try await H.open(storage)
        #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
        if life == 0 {
          try await H.produce(engine, 100..<130)
          try await engine.checkpoint()
        }
        #expect(try await H.numbers(engine) == Array(0..<30) + Array(100..<130))
        try await engine.close()
      }
    }
  }

  static func put(_ bytes: [UInt8], at path: String, _ storage: any Storage) async throws(StorageError) {
    if let end = path.lastIndex(of: "/") { try await storage.makeDirectory(String(path[..<end])) }
    let file = try await storage.open(path, [.write, .create])
    let buffer = storage.makeBuffer(capacity: max(1, bytes.count))
    buffer.mutableBytes(0..<bytes.count).copyBytes(from: bytes)
    if !bytes.isEmpty { try await storage.writeWhole(file, path, at: 0, from: buffer, 0..<bytes.count) }
    await storage.close(file)
  }

  // MARK: Descriptors

  /// Sixty partitions of four files each are read: the files that stay open for the next reader are few.
  @Test func readingManyPartitionsTakesFewDescriptors() throws {
    let disk = MemoryDisk(seed: 1)
    let loop = EventLoop(simulatedWithSeed: 1)
    let storage = CountingStorage(MemoryStorage(disk: disk, loop: loop, latency: .zero))
    let (ending, result) = loop.run(limit: .seconds(3600)) { () async -> Result<Void, any Error> in
      do {
        var configuration = EngineTests.configuration
        configuration.log.segmentBytes = 16 << 10
        let (engine, _) = try await PartitionEngine.open(storage, configuration)
        try await engine.createTopic("orders", partitions: 60)
        for p in 0..<60 {
          for n in 0..<20 {
            _ = try await EngineTests.produce(
              engine, "orders", PartitionID(p), String(repeating: "x", count: 3000) + "\(n)")
          }
          #expect(try engine.segmentBases("orders", PartitionID(p)).count > 3)
        }
        for p in 0..<60 { #expect(try await EngineTests.texts(engine, "orders", PartitionID(p)).count == 20) }
        #expect(
          storage.readers <= 40 && storage.mostReaders <= 40, "\(storage.readers), \(storage.mostReaders) at the most")
        try await engine.close()
        #expect(storage.readers == 0 && storage.all == 0)
        return .success(())
      } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try result?.get()
  }

  /// Counts open handles.
  final class CountingStorage: StorageWrapper, @unchecked Sendable {
    private var modes: [FileID: OpenMode] = [:]
    private(set) var mostReaders = 0
    var all: Int { modes.count }
    var readers: Int { modes.values.count { !$0.contains(.write) } }

    override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
      let file = try await super.open(path, mode)
      modes[file] = mode
      mostReaders = max(mostReaders, readers)
      return file
    }

    override func close(_ file: FileID) async {
      modes[file] = nil
      await super.close(file)
    }
  }

  // MARK: A fetch that meets a deletion

  /// The file that a fetch is about to read is removed for a deletion: the offset lies below the log's start now, and
  /// that is the answer, in every format.
  @Test(arguments: [LogSystem.tornlog, .airunner, .chronik, .chronikV1, .replayBuffer]) func aFetchThatMeetsADeletion(
    _ system: LogSystem
  ) throws {
    let disk = MemoryDisk(seed: 1)
    var configuration = EngineTests.configuration
    configuration.system = system
    configuration.log.segmentBytes = 16 << 10
    try Helpers.live(disk, .zero) { [configuration] storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<40 {
        _ = try await EngineTests.produce(engine, "orders", 0, String(repeating: "x", count: 2000) + "\(n)")
      }
      #expect(try engine.segmentBases("orders", 0).count > 3)
      let last = try #require(try engine.segmentBases("orders", 0).last)
      let met = Outcome()
      storage.before = { call throws(StorageError) in
        guard call.kind == .open, call.flags == 0, call.path.hasPrefix("topics/"), !met.isDone else { return }
        met.isDone = true
        do throws(EngineError) { try await engine.deleteRecords("orders", 0, before: last) } catch {
          Issue.record("\(error)")
        }
      }
      let response = FetchResponse()
      do throws(EngineError) {
        try await engine.fetch("orders", 0, from: 0, maxBytes: 100, into: response)
        Issue.record("it was served \(response.nextOffset)")
      } catch {
        guard case .log(_, .offsetOutOfRange(0, let start, _)) = error else { throw error }
        #expect(start == last)
      }
      #expect(met.isDone)
      storage.before = nil
      try await engine.close()
    }
  }

  // MARK: Kinds of directory entries

  /// A file system that does not say of what kind an entry is: without its metadata the engine does not open as an
  /// empty one.
  @Test(arguments: [StorageChoice.posix, .ring]) func entriesOfAnUnknownKind(_ choice: StorageChoice) throws {
    let machine = try Machine(choice)
    defer { machine.remove() }
    guard (try? machine.boot { _ in true }) == true else { return }  // no io_uring here
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      try await engine.createTopic("orders", partitions: 2)
      _ = try await EngineTests.produce(engine, "orders", 1, "m0")
      try await engine.close()
    }
    try machine.boot { storage in
      let files = try #require(storage as? FileStorage)
      files.kindOfEntry = { _ in UInt8(DT_UNKNOWN) }
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      #expect(try await EngineTests.texts(engine, "orders", 1) == ["m0"])
      try await engine.close()
    }
    for copy in MetadataLog.directories { try FileManager.default.removeItem(atPath: "\(machine.folder)/\(copy)") }
    try machine.boot { storage in
      let files = try #require(storage as? FileStorage)
      files.kindOfEntry = { _ in UInt8(DT_UNKNOWN) }
      do throws(EngineError) {
        _ = try await PartitionEngine.open(storage, EngineTests.configuration)
        Issue.record("it opened as an empty engine")
      } catch {
        guard case .damagedMetadata = error else { throw error }
      }
    }
  }

  // MARK: A boot that nobody knows

  final class UnknownBoot: StorageWrapper, @unchecked Sendable {
    override var properties: StorageProperties {
      var properties = base.properties
      properties.bootID = 0
      return properties
    }
  }

  /// Without a boot's number a power cut looks like a kill. What it has torn among messages that were not yet synced is
  /// no damage; what it cannot have torn still is.
  @Test func aTornTailIsNoDamageWhereNobodyKnowsTheBoot() throws {
    let torn = Helpers.Counter()
    for seed in 0..<120 as Range<UInt64> {
      let disk = MemoryDisk(seed: seed)
      let configuration = Helpers.configuration(.interval(.seconds(10)))
      try Self.live(disk, seed: seed) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, configuration)
        try await engine.createTopic("orders", partitions: 1)
        _ = try await EngineTests.produce(engine, "orders", 0, "m0")
        await storage.loop.sleep(until: storage.loop.now + .seconds(10))
        for n in 1..<9 {
          _ = try await EngineTests.produce(engine, "orders", 0, "m\(n)-" + String(repeating: "x", count: 700))
        }
        _ = disk.powerLoss(seed: seed, profile: .posixMinimal)
      }
      try Self.live(disk, seed: seed) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        #expect(recovery.partitions[0].damage.isEmpty, "seed \(seed)")
        let texts = try await EngineTests.texts(engine, "orders", 0)
        #expect(texts.first == "m0", "seed \(seed)")
        if texts.count < 9 { torn.value += 1 }
        try await engine.close()
      }
      // Closed in order, all of it is on the medium: what is damaged now was promised.
      guard seed % 10 == 0 else { continue }
      #expect(Helpers.flip("m0", on: disk), "seed \(seed)")
      try Self.live(disk, seed: seed) { storage in
        let (_, recovery) = try await PartitionEngine.open(storage, configuration)
        #expect(!recovery.partitions[0].damage.isEmpty, "seed \(seed)")
      }
    }
    #expect(torn.value > 10)
  }

  private static func live(
    _ disk: MemoryDisk, seed: UInt64, _ body: @escaping @Sendable (any Storage) async throws -> Void
  ) throws {
    let loop = EventLoop(simulatedWithSeed: seed)
    let storage = UnknownBoot(MemoryStorage(disk: disk, loop: loop, latency: .zero))
    let (ending, result) = loop.run(limit: .seconds(3600)) { () async -> Result<Void, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try result?.get()
  }
}
