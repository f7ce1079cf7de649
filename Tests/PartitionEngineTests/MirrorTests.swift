import Glibc
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// The metadata log is kept twice: what damages one copy closes nothing and loses nothing.
@Suite struct MirrorTests {
  static let copies = ["metadata/", "metadata-mirror/"]
  static let configuration = EngineTests.configuration

  enum Damage: CaseIterable { case headsLost, payloadsFlipped, filesDeleted, filesEmptied, secondHalfCut }

  /// What the metadata says: topics with partitions, and what group `g` has committed.
  struct Known: Equatable {
    var topics: [Topic] = []
    var offset: Offset?
  }

  static func known(_ engine: PartitionEngine) throws -> Known {
    Known(
      topics: engine.topics, offset: engine.topics.isEmpty ? nil : try engine.committedOffset(group: "g", "orders", 0))
  }

  /// Two lives that leave two topics, ten messages and a committed offset of 5.
  static func furnished() throws -> (machine: Machine, known: Known) {
    let machine = try Machine(.memory)
    for life in 0..<2 {
      try machine.boot(seed: UInt64(life)) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, configuration)
        try await engine.createTopic(life == 0 ? "orders" : "bills", partitions: life + 1)
        for n in 0..<5 { _ = try await EngineTests.produce(engine, "orders", 0, "\(life * 5 + n)") }
        try await engine.commitOffset(group: "g", "orders", 0, Offset(life == 0 ? 3 : 5))
        if life == 0 { try await engine.close() }
      }
      _ = machine.disk.processKill(seed: UInt64(life))
    }
    return (
      machine, Known(topics: [Topic(name: "orders", partitions: 1), Topic(name: "bills", partitions: 2)], offset: 5)
    )
  }

  static func files(_ copy: String, on disk: MemoryDisk) -> [String] {
    disk.paths.filter { $0.hasPrefix(copy) && $0.hasSuffix(".log") }
  }

  static func harm(_ copy: String, _ damage: Damage, on disk: MemoryDisk) throws {
    for path in files(copy, on: disk) {
      switch damage {
      case .headsLost: for at in [0, 2048] as [Int64] { _ = disk.flipBit(path, byte: at + 20, bit: 1) }
      case .payloadsFlipped:
        let size = disk.read(path)?.count ?? 0
        for at in stride(from: 4096 + 70, to: size, by: 512) { _ = disk.flipBit(path, byte: Int64(at), bit: 1) }
      case .filesDeleted: try disk.removeAtRest(path)
      case .filesEmptied: try disk.truncateAtRest(path, to: 0)
      case .secondHalfCut: try disk.truncateAtRest(path, to: 4096 + 512)
      }
    }
  }

  /// One copy after the other is damaged, with an opening between: each time the engine opens and knows everything.
  @Test(arguments: Damage.allCases, [false, true])
  func aDamagedCopyIsRebuiltFromTheOther(_ damage: Damage, _ mirrorFirst: Bool) throws {
    let (machine, known) = try Self.furnished()
    for (life, copy) in (mirrorFirst ? Self.copies.reversed() : Self.copies).enumerated() {
      try Self.harm(copy, damage, on: machine.disk)
      try machine.boot(seed: UInt64(life + 10)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration)
        #expect(try Self.known(engine) == known, "\(copy) \(damage)")
        // The copy that has been rebuilt is one batch, shorter than what the cut leaves.
        #expect(recovery.metadata.isRebuilt || damage == .secondHalfCut && life == 1)
        #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
        #expect(try await EngineTests.texts(engine, "orders", 0) == (0..<10).map { "\($0)" })
      }
      _ = machine.disk.powerLoss(seed: UInt64(life), profile: .dropUnsynced)
    }
    try machine.boot(seed: 20) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.commitOffset(group: "g", "orders", 0, 7)
      try await engine.close()
    }
    try machine.boot(seed: 21) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      #expect(try engine.committedOffset(group: "g", "orders", 0) == 7)
    }
  }

  /// Damage at different records: each copy has what the other lacks.
  @Test func copiesDamagedAtDifferentRecordsCompleteEachOther() throws {
    let (machine, known) = try Self.furnished()
    // The first segment of one copy, the second of the other.
    for (k, copy) in Self.copies.enumerated() {
      let paths = Self.files(copy, on: machine.disk)
      try #require(paths.count == 2)
      for at in [0, 2048] as [Int64] { #expect(machine.disk.flipBit(paths[k], byte: at + 20, bit: 1)) }
    }
    for life in 0..<3 as Range<UInt64> {
      try machine.boot(seed: life) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        #expect(try Self.known(engine) == known)
      }
      _ = machine.disk.powerLoss(seed: life, profile: .dropUnsynced)
    }
  }

  enum Beginning: CaseIterable { case healthy, firstDamaged, mirrorDamaged, long }

  /// What callers have been told, and what may be so beside it.
  private final class Told: @unchecked Sendable {
    // Touched on one loop.
    var known: Known
    var maybe: Known
    var operations = 0
    init(_ known: Known) { (self.known, maybe) = (known, known) }

    func permits(_ found: Known) -> Bool { found == known || found == maybe }
  }

  private static func prepare(_ beginning: Beginning, _ original: Machine) throws {
    switch beginning {
    case .healthy: break
    case .firstDamaged: try Self.harm(Self.copies[0], .payloadsFlipped, on: original.disk)
    case .mirrorDamaged: try Self.harm(Self.copies[1], .payloadsFlipped, on: original.disk)
    case .long:
      for life in 0..<MetadataLog.mostSegments - 1 {
        try original.boot(seed: UInt64(life)) { storage in
          let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
          try await engine.commitOffset(group: "g", "orders", 0, 5)
        }
        _ = original.disk.processKill(seed: 1)
      }
    }
  }

  /// A life that ends at operation `n` on either copy.
  /// - Returns: whether it had ended before.
  private static func live(_ machine: Machine, _ told: Told, crashAt n: Int, power: Bool) throws -> Bool {
    try machine.boot(seed: UInt64(n)) { storage in
      let hooked = HookedStorage(storage)
      hooked.before = { call throws(StorageError) in
        guard call.path.hasPrefix("metadata") else { return }
        told.operations += 1
        guard told.operations == n else { return }
        if power {
          _ = machine.disk.powerLoss(seed: UInt64(n), profile: .posixMinimal)
        } else {
          _ = machine.disk.processKill(seed: UInt64(n))
        }
        throw StorageError(.powerLost, call.kind, call.path)
      }
      do {
        let (engine, _) = try await PartitionEngine.open(hooked, Self.configuration)
        told.maybe.offset = 6
        try await engine.commitOffset(group: "g", "orders", 0, 6)
        told.known.offset = 6
        let topic = Topic(name: "late", partitions: 1)
        told.maybe.topics.append(topic)
        try await engine.createTopic("late", partitions: 1)
        told.known.topics.append(topic)
        try await engine.close()
        return true
      } catch { return false }
    }
  }

  /// Opens a copy of the machine after `harm` and says what it knows.
  private static func known(
    of machine: Machine, seed: UInt64, after harm: (MemoryDisk) throws -> Void = { _ in }
  ) throws -> (machine: Machine, known: Known) {
    let later = try Machine(.memory, disk: machine.disk.snapshot())
    _ = later.disk.processKill(seed: 1)
    try harm(later.disk)
    let found = try later.boot(seed: seed) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      return try Self.known(engine)
    }
    return (later, found)
  }

  /// A crash in the middle of it: at every operation on either copy, while metadata is written, while a damaged copy is
  /// rebuilt, and while a long log is compacted. What was acknowledged is known afterwards, whichever copy is damaged
  /// then.
  @Test(arguments: [false, true], Beginning.allCases)
  func aCrashAtAnyOperationLosesNothing(_ power: Bool, _ beginning: Beginning) throws {
    let (original, known) = try Self.furnished()
    try Self.prepare(beginning, original)
    var crashes = 0
    // Of the many operations of a long log's opening every seventh.
    for n in stride(from: 1, to: 10_000, by: beginning == .long ? 7 : 1) {
      let machine = try Machine(.memory, disk: original.disk.snapshot())
      let told = Told(known)
      if try Self.live(machine, told, crashAt: n, power: power) { break }
      crashes += 1
      // Where both copies were whole, one of them may go even now.
      for copy in Self.copies where beginning == .healthy || beginning == .long {
        let found = try Self.known(of: machine, seed: 49) { try Self.harm(copy, .filesDeleted, on: $0) }.known
        #expect(told.permits(found), "operation \(n), then \(copy) is gone: \(found)")
      }
      for copy in Self.copies {
        let (later, first) = try Self.known(of: machine, seed: 50)
        #expect(told.permits(first), "operation \(n): \(first)")
        // What has been told once stays, by either copy alone.
        let second = try Self.known(of: later, seed: 51) { try Self.harm(copy, .headsLost, on: $0) }.known
        #expect(second == first, "operation \(n), then \(copy) damaged")
      }
    }
    print("\(crashes) crashes, \(power ? "power" : "kill"), \(beginning)")
    #expect(crashes > 20)
  }

  /// Writes that fail in one copy, two of them in a row: the change is not acknowledged, one of the next is, and the
  /// copies agree again, though the second failure has come while they were being made the same.
  @Test(arguments: ["metadata/", "metadata-mirror/"], [1, 2])
  func writesThatFailInOneCopy(_ copy: String, _ times: Int) throws {
    for (kind, code) in [
      (OperationKind.write, ENOSPC), (.write, EIO), (.sync, EIO), (.syncDirectory, EIO), (.open, ENOSPC), (.open, EIO),
    ] {
      for n in 1...4 {
        let (machine, _) = try Self.furnished()
        let known = try machine.boot(seed: 3) { storage in
          let hooked = HookedStorage(storage)
          let (engine, _) = try await PartitionEngine.open(hooked, Self.configuration)
          var left = n
          hooked.before = { call throws(StorageError) in
            guard call.kind == kind, (call.path + "/").hasPrefix(copy) else { return }
            left -= 1
            if left <= 0, left > -times { throw StorageError(errno: code, call.kind, call.path) }
          }
          var acknowledged: Offset?
          var failures = 0
          for k in 0..<6 {
            do throws(EngineError) {
              try await engine.commitOffset(group: "g", "orders", 0, Offset(k + 1))
              acknowledged = Offset(k + 1)
            } catch {
              failures += 1
              // The second comes before the change has been written anywhere: that is certain.
              #expect(failures > 1 || !error.isCertainFailure || kind != .write, "\(error)")
            }
          }
          #expect(failures <= times, "\(kind) \(n)")
          #expect(try engine.committedOffset(group: "g", "orders", 0) == acknowledged)
          return try Self.known(engine)
        }
        _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
        for harmed in Self.copies {
          let later = try Machine(.memory, disk: machine.disk.snapshot())
          _ = later.disk.processKill(seed: 1)
          try Self.harm(harmed, .headsLost, on: later.disk)
          try later.boot(seed: 4) { storage in
            let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
            #expect(try Self.known(engine) == known, "\(kind) \(n) fails in \(copy), then \(harmed) is damaged")
          }
        }
      }
    }
  }

  /// A copy that cannot be read at all, neither its directory nor its files: the other one serves, and what cannot be
  /// read is set aside.
  @Test(arguments: ["metadata/", "metadata-mirror/"], [OperationKind.list, .open, .read, .size])
  func anUnreadableCopyClosesNothing(_ copy: String, _ kind: OperationKind) throws {
    let (machine, known) = try Self.furnished()
    let files = Self.files(copy, on: machine.disk).compactMap { machine.disk.read($0) }
    for life in 0..<2 as Range<UInt64> {
      try machine.boot(seed: life) { storage in
        let hooked = HookedStorage(storage)
        var bad = Set(machine.disk.paths.filter { $0.hasPrefix(copy) } + [String(copy.dropLast())])
        hooked.before = { call throws(StorageError) in
          if call.kind == .rename { bad.remove(call.path) }  // under that name there is another directory now
          if life == 0, call.kind == kind, bad.contains(call.path) { throw StorageError(errno: EIO, kind, call.path) }
        }
        let (engine, _) = try await PartitionEngine.open(hooked, Self.configuration)
        #expect(try Self.known(engine) == known, "\(copy), life \(life)")
      }
      _ = machine.disk.powerLoss(seed: life, profile: .dropUnsynced)
    }
    let kept = machine.disk.paths.compactMap { machine.disk.read($0) }
    #expect(files.allSatisfy { kept.contains($0) }, "what could not be read is gone")
  }

  /// All of the metadata is gone, and the logs are there: that is no new engine.
  @Test func lostMetadataIsNotAnEmptyEngine() throws {
    let (machine, _) = try Self.furnished()
    for copy in Self.copies { try Self.harm(copy, .filesDeleted, on: machine.disk) }
    try machine.boot(seed: 2) { storage in
      do throws(EngineError) {
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        Issue.record("opened with the topics \(engine.topics)")
      } catch {
        guard case .damagedMetadata(let why) = error else { throw error }
        #expect(why.contains("topics/orders"))
      }
    }
  }

  /// A snapshot that no batch can hold is written in several: the log is compacted all the same.
  @Test func aLargeSnapshotIsCompactedToo() throws {
    let machine = try Machine(.memory)
    var configuration = Self.configuration
    configuration.log.commitBytes = 8 << 10
    let own = configuration
    let lives = MetadataLog.mostSegments + 2
    var filesOfOneLife = 0
    for life in 0..<lives {
      try machine.boot(seed: UInt64(life)) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, own)
        if life == 0 { try await engine.createTopic("orders", partitions: 300) }
        for p in 0..<300 { _ = try await EngineTests.produce(engine, "orders", PartitionID(p), "\(life)") }
        try await engine.close()
      }
      if life == 0 { filesOfOneLife = Self.files(Self.copies[0], on: machine.disk).count }
    }
    let most = MetadataLog.mostSegments + filesOfOneLife
    #expect(most < lives * filesOfOneLife, "as many as there would be without")
    for copy in Self.copies {
      #expect(Self.files(copy, on: machine.disk).count <= most)
      let later = try Machine(.memory, disk: machine.disk.snapshot())
      _ = later.disk.processKill(seed: 1)
      try Self.harm(copy, .filesDeleted, on: later.disk)
      try later.boot(seed: 99) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, own)
        #expect(recovery.partitions.count == 300 && recovery.partitions.allSatisfy { $0.damage.isEmpty })
        #expect(try engine.watermarks("orders", 299).logEndOffset == Offset(lives))
      }
    }
  }
}
