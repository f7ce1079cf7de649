import FaultInjection
import LogModel
import ObjectStore
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Option 3 of the Streamhouse runbook: the log is gone, the store has what was archived. And what is no such case.
@Suite struct RebuildTests {
  private typealias H = ArchiveHarness

  /// Two topics; of `orders` 45 messages are there, the first `archived` of them in the store.
  private static func machine() throws -> (machine: Machine, archived: Int) {
    let machine = try Machine(.memory)
    let archived = try machine.boot { storage in
      let (engine, _) = try await H.open(storage)
      try await engine.createTopic("orders", partitions: 3)
      try await engine.createTopic("payments", partitions: 2)
      try await H.produce(engine, 0..<40)
      for n in 0..<5 { _ = try await EngineTests.produce(engine, "orders", 2, "other-\(n)") }
      _ = try await EngineTests.produce(engine, "payments", 1, "paid")
      try await engine.checkpoint()
      try await H.produce(engine, 40..<45)
      try await engine.close()
      return try #require(try engine.archivedEnd("orders", 0)).rawValue
    }
    try #require((40..<45).contains(archived))
    return (machine, Int(archived))
  }

  private static func remove(_ disk: MemoryDisk, _ isGone: (String) -> Bool) throws {
    for path in disk.paths.sorted() where isGone(path) { try disk.removeAtRest(path) }
  }

  private static func damage(_ recovery: EngineRecovery) -> [String] {
    recovery.partitions.flatMap { report in report.damage.map { "\(report.source): \($0.from)-\($0.to)" } }
  }

  /// Nothing is left but the store: the topics are back, with their partitions, and everything that was archived. The
  /// producer goes on where the store ends, and the new messages last.
  @Test func everythingButTheStoreIsGone() throws {
    let (machine, archived) = try Self.machine()
    try Self.remove(machine.disk) { !$0.hasPrefix("objects/") }
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(
        recovery.archive?.rebuilt == [
          TopicPartition("orders", 0), TopicPartition("orders", 2), TopicPartition("payments", 1),
        ])
      #expect(Self.damage(recovery) == [])
      #expect(engine.topics == [Topic(name: "orders", partitions: 3), Topic(name: "payments", partitions: 2)])
      #expect(await H.flawsOfEveryOffset(engine, count: archived) == [])
      #expect(
        try engine.watermarks("orders", 0)
          == Watermarks(logStartOffset: 0, highWatermark: Offset(archived), logEndOffset: Offset(archived)))
      #expect(try await EngineTests.texts(engine, "orders", 2) == (0..<5).map { "other-\($0)" })
      #expect(try await EngineTests.texts(engine, "payments", 1) == ["paid"])
      try await H.produce(engine, archived..<60)
      try await engine.checkpoint()
      try await H.produce(engine, 60..<62)
      #expect(await H.flawsOfEveryOffset(engine, count: 62) == [])
    }
    _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try machine.boot(seed: 3) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(recovery.archive?.rebuilt == [])
      #expect(Self.damage(recovery) == [])
      #expect(await H.flawsOfEveryOffset(engine, count: 62) == [])
      try await engine.close()
    }
  }

  /// The same without the manifests, and with one that says nonsense: the objects themselves are enough.
  @Test func theManifestsAreNotNeeded() throws {
    let (machine, archived) = try Self.machine()
    try Self.remove(machine.disk) { !$0.hasPrefix("objects/") || $0.hasSuffix("orders/0/manifest") }
    #expect(machine.disk.flipBit("objects/orders/2/manifest", byte: 70, bit: 3))
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(Self.damage(recovery) == [])
      #expect(await H.flawsOfEveryOffset(engine, count: archived) == [])
      #expect(try await EngineTests.texts(engine, "orders", 2) == (0..<5).map { "other-\($0)" })
      try await engine.close()
    }
  }

  /// The partition's folder was moved away, the metadata is there. What was archived is served; what was not is missed,
  /// and reported, for the metadata knows how far the log had come.
  @Test(arguments: RecoveryPolicy.allCases)
  func thePartitionsFilesAreGone(_ policy: RecoveryPolicy) throws {
    let (machine, archived) = try Self.machine()
    try Self.remove(machine.disk) { $0.hasPrefix("topics/orders/0/") }
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage, H.configured { $0.log.recoveryPolicy = policy })
      #expect(Self.damage(recovery) == ["orders/0: \(archived)-45"])
      #expect(try await H.numbers(engine) == Array(0..<archived))
      let next = policy == .skipCorrupted ? 45 : archived
      #expect(try await EngineTests.produce(engine, "orders", 0, H.message(next)) == Offset(next))
      try await engine.checkpoint()
      #expect(try await H.numbers(engine) == Array(0..<archived) + [next])
      try await engine.close()
    }
    try machine.boot(seed: 3) { storage in
      let (engine, recovery) = try await H.open(storage, H.configured { $0.log.recoveryPolicy = policy })
      // What is lost stays reported as long as offsets are reserved for it, also once what stands behind it is
      // archived.
      #expect(Self.damage(recovery) == (policy == .skipCorrupted ? ["orders/0: \(archived)-45"] : []))
      try await engine.close()
    }
  }

  /// An object that was put and not recorded: without files it is taken up, with files it gives way to the log.
  @Test(arguments: [true, false])
  func anObjectThatNobodyRecorded(_ hasFiles: Bool) throws {
    let machine = try Machine(.memory)
    let disk = machine.disk
    try machine.boot { base in
      // The metadata takes nothing once the object is there.
      let storage = HookedStorage(base)
      let (engine, _) = try await H.open(storage)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<3)
      storage.before = { call throws(StorageError) in
        if call.kind == .write, call.path.hasPrefix("metadata"), !H.objects(disk).isEmpty {
          throw StorageError(errno: 5, .write, call.path)
        }
      }
      let error = await H.failure { () async throws(EngineError) in try await engine.checkpoint() }
      #expect(error != nil)
      #expect(try engine.archivedEnd("orders", 0) == 0)
    }
    _ = disk.powerLoss(seed: 1, profile: .dropUnsynced)
    #expect(H.objects(disk).count == 1)
    if !hasFiles { try Self.remove(disk) { $0.hasPrefix("topics/orders/0/") } }
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(Self.damage(recovery) == [])
      #expect(recovery.archive?.rebuilt == (hasFiles ? [] : [TopicPartition("orders", 0)]))
      #expect(try engine.archivedEnd("orders", 0) == (hasFiles ? 0 : 3))
      #expect(await H.flawsOfEveryOffset(engine, count: 3) == [])
      try await H.produce(engine, 3..<6)
      try await engine.checkpoint()
      #expect(await H.flawsOfEveryOffset(engine, count: 6) == [])
      // The one that gave way is gone.
      let names = H.objects(disk)
      #expect(names.contains { $0.contains("-00000000000000000003-0000000001.tlo") } == !hasFiles, "\(names)")
      try await engine.close()
    }
  }

  /// Removed because it is archived, or lost: an object that is gone, or damaged, is reported, and what stands around
  /// it is served. A segment file above what is archived is missed as it always was.
  @Test func whatIsLostIsToldFromWhatIsArchived() throws {
    let (machine, _) = try Self.machine()
    let disk = machine.disk
    let objects = H.objects(disk).filter { $0.hasPrefix("objects/orders/0/") }
    try #require(objects.count > 4)
    try disk.removeAtRest(objects[1])
    #expect(disk.flipBit(objects[3], byte: 200, bit: 1))
    func range(_ path: String) -> Range<Int> {
      let fields = path.split(separator: "/").last?.split(separator: "-") ?? []
      return (Int(fields[0]) ?? 0)..<(Int(fields[1]) ?? 0)
    }
    let (missing, damaged) = (range(objects[1]), range(objects[3]))
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(Self.damage(recovery) == ["orders/0: \(missing.lowerBound)-\(missing.upperBound)"])
      let expected = (0..<45).filter { !missing.contains($0) && !damaged.contains($0) }
      #expect(try await H.numbers(engine) == expected)
      for (range, path) in [(missing, "objects of orders/0"), (damaged, String(objects[3].dropFirst(8)))] {
        let error = await H.failure { () async throws(EngineError) in
          try await engine.fetch("orders", 0, from: Offset(range.lowerBound), maxBytes: 1, into: FetchResponse())
        }
        guard case .log(_, .damaged(let told)) = error else {
          Issue.record("\(String(describing: error))")
          continue
        }
        #expect(told.from == Offset(range.lowerBound) && told.to == Offset(range.upperBound) && told.path == path)
      }
      // Nothing of the store is removed while something of it is missing.
      try await engine.deleteRecords("orders", 0, before: 2)
      try await engine.checkpoint()
      #expect(H.objects(disk).contains(objects[2]))
      try await engine.close()
    }
  }

  /// Files that should have been removed are still there, and the store has lost an object: the file that holds what
  /// that held is set aside, the others go.
  @Test func aFileThatHoldsWhatTheStoreHasLostIsNotRemoved() throws {
    let machine = try Machine(.memory)
    let disk = machine.disk
    try machine.boot { storage in
      let (engine, _) = try await H.open(storage, H.configured { $0.checkpoints.retention = LocalRetention() })
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<50)
      try await engine.checkpoint()
      try await engine.close()
    }
    let files = H.logFiles(disk)
    try #require(files.count >= 4)
    try disk.removeAtRest(try #require(H.objects(disk).first))
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(recovery.partitions.flatMap(\.damage).map(\.from) == [0])
      try await H.produce(engine, 50..<52)
      try await engine.checkpoint()
      #expect(H.logFiles(disk).count == 1)
      let kept = disk.paths.filter { $0.contains(".log.damaged-") }
      #expect(kept.count == 1 && kept[0].hasPrefix(files[0]), "\(kept)")
      try await engine.close()
    }
  }

  /// Damage in the log does not keep the rest from being archived, and is not archived as if it were whole. The file
  /// that it stands in is set aside, not removed.
  @Test func damageInTheLogIsPassedOver() throws {
    let machine = try Machine(.memory)
    let disk = machine.disk
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, H.configuration)
      try await engine.createTopic("orders", partitions: 1)
      try await H.produce(engine, 0..<30)
      try await engine.close()
    }
    #expect(disk.flipBit(H.logFiles(disk)[0], byte: 4096 + 1500, bit: 1))
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await H.open(storage)
      let damage = try #require(recovery.partitions.flatMap(\.damage).first)
      let lost = Int(damage.from.rawValue)..<Int(damage.to.rawValue)
      #expect(lost.count == 1)
      try await H.produce(engine, 30..<32)
      try await engine.checkpoint()
      #expect(try engine.archivedEnd("orders", 0) == 32)
      #expect(try await H.numbers(engine) == (0..<32).filter { !lost.contains($0) })
      let error = await H.failure { () async throws(EngineError) in
        try await engine.fetch("orders", 0, from: damage.from, maxBytes: 1, into: FetchResponse())
      }
      guard case .log(_, .damaged(let told)) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(told.from == damage.from && told.to == damage.to)
      #expect(disk.paths.contains { $0.hasPrefix("topics/orders/0/") && $0.contains(".damaged-") })
      try await engine.close()
    }
  }

  /// What the device cannot read is not passed over: the checkpoint stands still there, says so, and does not hold up
  /// the other partition. Once the device reads it again nothing is missing.
  ///
  /// Found by `tornlog explore --errors --case 'checkpoint-damage/read EIO sticky/22'`: nine acknowledged messages were
  /// set aside for good because of a device that had failed for a while.
  @Test func whatCannotBeReadNowIsNotGivenUp() throws {
    let machine = try Machine(.memory)
    let disk = machine.disk
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, H.configuration)
      try await engine.createTopic("orders", partitions: 2)
      try await H.produce(engine, 0..<30)
      for n in 0..<5 { _ = try await EngineTests.produce(engine, "orders", 1, "other-\(n)") }
      try await engine.close()
    }
    let file = H.logFiles(disk)[0]
    try machine.boot(seed: 2) { base in
      let storage = FaultyStorage(base, plan: FaultPlan([], seed: 1), unreadable: [file: Array(12..<14)])
      let (engine, recovery) = try await H.open(storage)
      #expect(recovery.partitions.contains { !$0.unreadable.isEmpty })
      let error = await H.failure { () async throws(EngineError) in try await engine.checkpoint() }
      guard case .log(TopicPartition("orders", 0), .storage(let failure)) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(failure.path == file && failure.isErrno(5))
      #expect(try engine.archivedEnd("orders", 0).map { $0 < 30 } == true)
      #expect(try engine.archivedEnd("orders", 1) == 5)
      try await engine.close()
    }
    #expect(H.logFiles(disk).contains(file))
    try machine.boot(seed: 3) { storage in
      let (engine, recovery) = try await H.open(storage)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      try await engine.checkpoint()
      #expect(try engine.archivedEnd("orders", 0) == 30)
      #expect(await H.flawsOfEveryOffset(engine, count: 30) == [])
      try await engine.close()
    }
  }
}
