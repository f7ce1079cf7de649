import Foundation
import Glibc
import LogModel
import ObjectStore
import RecordLogs
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Faults that a review of the engine found by running it; each of these failed before.
@Suite struct ReviewedFaultsTests {
  // MARK: One unlink that fails

  /// The first sync of a new segment fails, and the removal of its file too. The device is well again: the partition
  /// takes appends.
  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(100))]) func aRemovalThatFailsDoesNotCloseALog(
    _ policy: SyncPolicy
  ) throws {
    let disk = MemoryDisk(seed: 1)
    let configuration = CommittedOffsetTests.configuration(policy)
    try CommittedOffsetTests.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      storage.before = { call throws(StorageError) in
        guard call.path.hasPrefix("topics/orders/0/") else { return }
        let isHeadSync = call.kind == .sync && call.flags == SyncScope.all.rawValue
        if isHeadSync || call.kind == .unlink { throw StorageError(errno: EIO, call.kind, call.path) }
      }
      do {
        _ = try await EngineTests.produce(engine, "orders", 0, "m0")
        Issue.record("it was taken, and its segment had no durable head")
      } catch {}
      storage.before = nil
      for n in 0..<3 { #expect(try await EngineTests.produce(engine, "orders", 0, "m\(n)") == Offset(n)) }
      try await engine.close()
    }
    try CommittedOffsetTests.live(disk, .disk, seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(
        try await EngineTests.texts(engine, "orders", 0) == ["m0", "m1", "m2"] && recovery.partitions[0].damage.isEmpty)
    }
  }

  // MARK: interval, then always

  /// What a failed sync has left in the page cache is made durable before it is served, whatever the policy is now.
  @Test(arguments: [SyncPolicy.interval(.milliseconds(100)), .always]) func whatIsServedHasBeenSynced(
    _ later: SyncPolicy
  ) throws {
    let disk = MemoryDisk(seed: 1)
    try CommittedOffsetTests.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(
        storage, CommittedOffsetTests.configuration(.interval(.milliseconds(100))))
      try await engine.createTopic("orders", partitions: 1)
      _ = try await EngineTests.produce(engine, "orders", 0, "m0")
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      storage.before = { call throws(StorageError) in
        if call.kind == .sync, call.flags == SyncScope.data.rawValue, call.path.hasPrefix("topics/") {
          throw StorageError(errno: EIO, .sync, call.path)
        }
      }
      _ = try await EngineTests.produce(engine, "orders", 0, "m1")
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      storage.before = nil
      _ = try await EngineTests.produce(engine, "orders", 0, "m2")
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      _ = disk.processKill(seed: 1)
    }
    let configuration = CommittedOffsetTests.configuration(later)
    try CommittedOffsetTests.live(disk, .disk, seed: 2) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      #expect(try await EngineTests.texts(engine, "orders", 0) == ["m0", "m1", "m2"])
      _ = disk.powerLoss(seed: 3, profile: .dropUnsynced)
    }
    try CommittedOffsetTests.live(disk, .disk, seed: 3) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(
        try await EngineTests.texts(engine, "orders", 0) == ["m0", "m1", "m2"] && recovery.partitions[0].damage.isEmpty)
    }
  }

  // MARK: Names and numbers that nobody gave

  /// Where an opening cannot go on it says so; it never ends the process.
  @Test(arguments: [
    "writers/18446744073709551615", "writers/9223372036854775807",
    "topics/orders/0/00000000000000000009-18446744073709551615.log",
    "topics/orders/0/09223372036854775807-0000000009.log", "metadata/00000000000000000009-18446744073709551615.log",
    "topics/orders/4294967296", "topics/orders/-1", "writers/-1", "writers/99999999999999999999999",
  ]) func aStrayNameEndsNoProcess(_ name: String) throws {
    let disk = MemoryDisk(seed: 1)
    try CommittedOffsetTests.live(disk, .disk) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      try await engine.createTopic("orders", partitions: 1)
      _ = try await EngineTests.produce(engine, "orders", 0, "m0")
      try await engine.close()
      await storage.close(try await storage.open(name, [.write, .create]))
    }
    for life in 0..<3 as Range<UInt64> {
      try CommittedOffsetTests.live(disk, .disk, seed: 2 + life) { storage in
        do throws(EngineError) {
          let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
          #expect(try! await EngineTests.texts(engine, "orders", 0) == ["m0"])
          try await engine.close()
        } catch {
          #expect(!"\(error)".isEmpty)
        }
      }
    }
  }

  /// Heads and batches whose checksums are right and whose numbers are not.
  @Test(arguments: [Int64.max, Int64.max - 1, Int64.min, -1, Int64(1 << 62) + 1] as [Int64])
  func anImpossibleNumberEndsNoProcess(_ number: Int64) throws {
    for field in [16, 24, 40, 308, 316] {
      let disk = MemoryDisk(seed: 1)
      try CommittedOffsetTests.live(disk, .disk) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
        try await engine.createTopic("orders", partitions: 1)
        _ = try await EngineTests.produce(engine, "orders", 0, "m0")
        try await engine.close()
      }
      let path = try #require(disk.paths.first { $0.hasPrefix("topics/orders/0/") && $0.hasSuffix(".log") })
      var bytes = try #require(disk.read(path)) as [UInt8]
      for copy in SegmentHeads.positions { SegmentHeads.put(number, at: field, ofCopy: copy, in: &bytes) }
      try disk.putAtRest(path, bytes, at: 0)
      try CommittedOffsetTests.live(disk, .disk, seed: 2) { storage in
        do throws(EngineError) { _ = try await PartitionEngine.open(storage, EngineTests.configuration) } catch {}
      }
    }
  }

  // MARK: Links

  /// A partition's folder that lies elsewhere is a folder all the same: without its metadata the engine does not open
  /// as an empty one.
  @Test(arguments: [StorageChoice.posix, .ring]) func aLinkedFolderIsNoEmptyEngine(_ choice: StorageChoice) throws {
    for isLinked in [false, true] {
      let machine = try Machine(choice)
      defer { machine.remove() }
      guard (try? machine.boot { _ in true }) == true else { return }  // no io_uring here
      try machine.boot { storage in
        let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
        try await engine.createTopic("orders", partitions: 1)
        _ = try await EngineTests.produce(engine, "orders", 0, "m0")
        try await engine.close()
      }
      let files = FileManager.default
      for copy in MetadataLog.directories { try files.removeItem(atPath: "\(machine.folder)/\(copy)") }
      if isLinked {
        try files.moveItem(atPath: "\(machine.folder)/topics/orders", toPath: "\(machine.folder)/elsewhere")
        try files.createSymbolicLink(
          atPath: "\(machine.folder)/topics/orders", withDestinationPath: "\(machine.folder)/elsewhere")
      }
      try machine.boot { storage in
        do throws(EngineError) {
          _ = try await PartitionEngine.open(storage, EngineTests.configuration)
          Issue.record("it opened, linked: \(isLinked)")
        } catch {
          guard case .damagedMetadata = error else { throw error }
        }
      }
    }
  }

  // MARK: Deleted before they were archived

  /// The store is down, and what waits for it is deleted: nothing is damaged by that, and nothing stays for ever.
  @Test func whatWasDeletedIsNoGap() throws {
    let disk = MemoryDisk(seed: 1)
    try CommittedOffsetTests.live(disk, .disk) { storage in
      let (engine, _) = try await ArchiveHarness.open(storage)
      try await engine.createTopic("orders", partitions: 1)
      try await ArchiveHarness.produce(engine, 0..<30)
      try await engine.checkpoint()
      storage.before = { call throws(StorageError) in
        if call.path.hasPrefix("objects/") { throw StorageError(errno: EIO, call.kind, call.path) }
      }
      try await ArchiveHarness.produce(engine, 30..<60)
      try await engine.deleteRecords("orders", 0, before: 43)
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      storage.before = nil
      await storage.loop.sleep(until: storage.loop.now + .seconds(60))
      try await engine.checkpoint()
      try await ArchiveHarness.produce(engine, 60..<100)
      try await engine.checkpoint()
      #expect(disk.paths.filter { $0.contains(".damaged") } == [])
      try await engine.deleteRecords("orders", 0, before: 95)
      try await ArchiveHarness.produce(engine, 100..<130)
      try await engine.checkpoint()
      let early = ArchiveHarness.objects(disk).filter { path in
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        return ObjectName(fileName: name, of: TopicPartition("orders", 0)).map { $0.end <= 95 } ?? false
      }
      #expect(early == [], "what holds nothing that is needed goes")
      #expect(try await ArchiveHarness.numbers(engine) == Array(95..<130))
      try await engine.close()
    }
  }

  // MARK: The metadata while the engine runs

  /// 30 000 commits of one offset are one live record.
  @Test func theMetadataStaysBounded() throws {
    let disk = MemoryDisk(seed: 1)
    try CommittedOffsetTests.live(disk, .zero) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      try await engine.createTopic("orders", partitions: 1)
      _ = try await EngineTests.produce(engine, "orders", 0, "m0")
      var most: Int64 = 0
      for n in 0..<30_000 {
        try await engine.commitOffset(group: "g", "orders", 0, 1)
        if n % 500 == 0 {
          for copy in MetadataLog.directories {
            let size = disk.paths.filter { $0.hasPrefix(copy + "/") }.reduce(Int64(0)) {
              $0 + Int64(disk.read($1)?.count ?? 0)
            }
            most = max(most, size)
          }
        }
      }
      // Four times the few bytes of the live record are of no account.
      #expect(most <= 4 << 20, "\(most)")
      #expect(most > 1 << 20, "it came to a compaction")
      try await engine.close()
    }
    try CommittedOffsetTests.live(disk, .disk, seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, EngineTests.configuration)
      #expect(try CommittedOffsetTests.committed(engine, "g") == 1 && recovery.metadata.damage.isEmpty)
    }
  }

  /// The power goes at each operation of a compaction.
  @Test(arguments: 0..<24) func aCompactionIsCutOffAnywhere(_ cut: Int) throws {
    let disk = MemoryDisk(seed: 1)
    let last = CommittedOffsetTests.Counter()
    try CommittedOffsetTests.live(disk, .zero) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<20 { _ = try await EngineTests.produce(engine, "orders", 0, "m\(n)") }
      let passed = CommittedOffsetTests.Counter()
      storage.before = { call throws(StorageError) in
        guard call.path.hasPrefix("metadata") else { return }
        // From the creation of the first new segment on.
        if passed.value > 0 || call.kind == .open && call.flags & OpenMode.exclusive.rawValue != 0 { passed.value += 1 }
        guard passed.value == cut + 1 else { return }
        _ = disk.powerLoss(seed: UInt64(cut), profile: .posixMinimal)
        throw StorageError(.powerLost, call.kind, call.path)
      }
      do {
        for n in 0..<12_000 {
          try await engine.commitOffset(group: "g", "orders", 0, Offset(n % 20))
          last.value = n % 20
        }
        Issue.record("there was no compaction, or it has fewer operations than \(cut)")
      } catch {}
    }
    try CommittedOffsetTests.live(disk, .disk, seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, EngineTests.configuration)
      let committed = try CommittedOffsetTests.committed(engine, "g")
      #expect(
        committed == Offset(last.value) || committed == Offset((last.value + 1) % 20),
        "\(String(describing: committed)), \(last.value)")
      #expect(recovery.metadata.damage.isEmpty)
      #expect(try await EngineTests.texts(engine, "orders", 0).count == 20)
    }
  }
}

/// Heads of segments, with other numbers and right checksums.
enum SegmentHeads {
  static let positions = [0, 2048]

  static func put(_ number: Int64, at field: Int, ofCopy start: Int, in bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { bytes.replaceSubrange(start + field..<start + field + 8, with: $0) }
    let checksum = crc32(bytes[start + 12..<start + 512])
    withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(start + 8..<start + 12, with: $0) }
  }

  private static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
  }
}
