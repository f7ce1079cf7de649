import FaultInjection
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Nothing in a log testifies to its newest file. The metadata does.
@Suite struct NewestSegmentTests {
  enum Harm: CaseIterable { case removed, emptied, cutInItsHead, headOnly, flipped }

  private static func inflict(_ harm: Harm, _ path: String, _ disk: MemoryDisk) throws {
    switch harm {
    case .removed: try disk.removeAtRest(path)
    case .emptied: try disk.truncateAtRest(path, to: 0)
    case .cutInItsHead: try disk.truncateAtRest(path, to: 100)
    case .headOnly: try disk.truncateAtRest(path, to: 4096)
    case .flipped: #expect(disk.flipBit(path, byte: 4096 + 70, bit: 1))
    }
  }

  /// All that is served; what is damaged is passed over.
  private static func texts(_ engine: PartitionEngine) async throws -> [String] {
    let response = FetchResponse()
    var texts: [String] = []
    var at: Offset = 0
    while at < (try engine.watermarks("orders", 0).highWatermark) {
      do throws(EngineError) {
        try await engine.fetch("orders", 0, from: at, maxBytes: 4096, into: response)
        response.forEachRecord { texts.append(String(decoding: $0.value, as: UTF8.self)) }
        at = response.nextOffset
      } catch {
        guard case .log(_, .damaged(let range)) = error else { throw error }
        at = range.to
      }
    }
    return texts
  }

  private static func newest(_ disk: MemoryDisk) throws -> String {
    try #require(disk.paths.filter { $0.hasPrefix("topics/orders/0/") && $0.hasSuffix(".log") }.max())
  }

  /// The first message of a writer is missed and reported, by every opening until something is appended. Without the
  /// record none of these was.
  @Test(arguments: Harm.allCases, RecoveryPolicy.allCases)
  func whatAWriterBeganWithIsMissed(_ harm: Harm, _ policy: RecoveryPolicy) throws {
    for earlier in [0, 3] {
      let machine = try Machine(.memory)
      let configuration = EngineDamageTests.configuration(policy)
      try machine.boot { storage in
        let (engine, _) = try await PartitionEngine.open(storage, configuration)
        try await engine.createTopic("orders", partitions: 1)
        for n in 0..<earlier { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)") }
        try await engine.close()
      }
      try machine.boot(seed: 2) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, configuration)
        _ = try await EngineTests.produce(engine, "orders", 0, "message-\(earlier)")
      }
      _ = machine.disk.powerLoss(seed: 3, profile: .dropUnsynced)
      try Self.inflict(harm, Self.newest(machine.disk), machine.disk)
      let kept = (0..<earlier).map { "message-\($0)" }
      let next = policy == .skipCorrupted ? earlier + 1 : earlier
      for life in 0..<2 {
        try machine.boot(seed: UInt64(4 + life)) { storage in
          let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
          let damage = recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] }
          #expect(damage == [[Offset(earlier), Offset(earlier + 1)]], "life \(life)")
          #expect(try await Self.texts(engine) == kept)
          #expect(try engine.watermarks("orders", 0).logEndOffset == Offset(next))
          if life == 1 { #expect(try await EngineTests.produce(engine, "orders", 0, "new") == Offset(next)) }
        }
        _ = machine.disk.powerLoss(seed: UInt64(life), profile: .dropUnsynced)
      }
      try machine.boot(seed: 9) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        #expect(try await Self.texts(engine) == kept + ["new"])
        let expected: [[Offset]] = policy == .skipCorrupted ? [[Offset(earlier), Offset(earlier + 1)]] : []
        #expect(recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] } == expected)
        try await engine.close()
      }
    }
  }

  /// What `never` has left in the page cache is durable once `always` has opened it. Its batches still say that nobody
  /// synced them, and then its head is destroyed: only the metadata knows what stood there.
  @Test(arguments: RecoveryPolicy.allCases) func whatWasAdoptedIsMissed(_ policy: RecoveryPolicy) throws {
    let machine = try Machine(.memory)
    var configuration = EngineDamageTests.configuration(policy)
    configuration.log.syncPolicy = .never
    try machine.boot { [configuration] storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<3 { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)") }
    }
    _ = machine.disk.processKill(seed: 2)
    configuration.log.syncPolicy = .always
    try machine.boot(seed: 2) { [configuration] storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      #expect(try await Self.texts(engine).count == 3)
    }
    _ = machine.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    let newest = try Self.newest(machine.disk)
    for byte in [100, 2148] { #expect(machine.disk.flipBit(newest, byte: Int64(byte), bit: 1)) }
    try machine.boot(seed: 4) { [configuration] storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] } == [[0, 3]])
      #expect(try await Self.texts(engine) == [])
    }
  }

  /// A power loss took the head of a segment that `never` had written, and left a batch behind it. Nobody was promised
  /// it: the recovery reports nothing and gives its offsets again, whatever its own policy is.
  @Test(arguments: [SyncPolicy.never, .always]) func aHeadThatWasNeverSyncedIsNoDamage(_ later: SyncPolicy) throws {
    let machine = try Machine(.memory)
    var configuration = EngineDamageTests.configuration(.skipCorrupted)
    configuration.log.syncPolicy = .never
    try machine.boot { [configuration] storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<3 { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)") }
      // As if the kernel had written it back.
      try await storage.sync(try await storage.open(Self.newest(machine.disk), []), .all)
      for folder in ["topics/orders/0", "topics/orders", "topics"] { try await storage.syncDirectory(folder) }
    }
    _ = machine.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    let newest = try Self.newest(machine.disk)
    for byte in [100, 2148] { #expect(machine.disk.flipBit(newest, byte: Int64(byte), bit: 1)) }
    configuration.log.syncPolicy = later
    try machine.boot(seed: 4) { [configuration] storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      #expect(try await EngineTests.produce(engine, "orders", 0, "new") == 0)
    }
  }

  /// Its head and its first commit cannot be read: the metadata says what stood there, and the log goes on behind it.
  /// Nothing is destroyed: all is back once it can be read again.
  @Test(arguments: [1, 3]) func whatCannotBeReadIsKnownOf(_ messages: Int) throws {
    let machine = try Machine(.memory)
    let configuration = EngineDamageTests.configuration(.skipCorrupted)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<messages { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)") }
    }
    _ = machine.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    let newest = try Self.newest(machine.disk)
    // Both copies of the head, and the first batch, which lies in one sector.
    let sectors = [newest: Array(Int64(0)...8)]
    try machine.boot(seed: 2) { storage in
      let faulty = FaultyStorage(storage, plan: FaultPlan(), unreadable: sectors)
      let (engine, recovery) = try await PartitionEngine.open(faulty, configuration)
      #expect(recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] } == [[0, Offset(messages)]])
      #expect(try await EngineTests.produce(engine, "orders", 0, "new") == Offset(messages))
    }
    _ = machine.disk.powerLoss(seed: 4, profile: .dropUnsynced)
    try machine.boot(seed: 5) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      #expect(try await Self.texts(engine) == (0..<messages).map { "message-\($0)" } + ["new"])
    }
  }

  /// Not one byte of it can be read: more may have been promised than what is known of, and the engine says so.
  @Test func whatIsAltogetherUnreadableIsRefused() throws {
    let machine = try Machine(.memory)
    let configuration = EngineDamageTests.configuration(.skipCorrupted)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      _ = try await EngineTests.produce(engine, "orders", 0, "message-0")
    }
    _ = machine.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    let newest = try Self.newest(machine.disk)
    let size = Int64(machine.disk.read(newest)?.count ?? 0)
    let sectors = [newest: Array(0...size / 512)]
    let refusal = try machine.boot(seed: 2) { storage in
      do throws(EngineError) {
        _ = try await PartitionEngine.open(
          FaultyStorage(storage, plan: FaultPlan(), unreadable: sectors), configuration)
        return "opened"
      } catch { return "\(error)" }
    }
    #expect(refusal.contains(newest), "\(refusal)")
  }

  /// Under `interval` a log that was cut, and appended to, has not been recorded again when it is killed: what was cut
  /// is reported once more, as long as nothing stands in its place, and then no more.
  @Test func aCutLowersTheRecord() throws {
    let machine = try Machine(.memory)
    var base = EngineDamageTests.configuration(.truncateAtCorruption)
    base.log.syncPolicy = .interval(.milliseconds(20))
    let configuration = base
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<10 { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)") }
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
    }
    _ = machine.disk.processKill(seed: 1)
    try machine.disk.truncateAtRest(Self.newest(machine.disk), to: 4096 + 40)
    for life in 0..<3 {
      try machine.boot(seed: UInt64(2 + life)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        let damage = recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] }
        #expect(damage == (life == 0 ? [[0, 10]] : []), "life \(life)")
        #expect(try await Self.texts(engine) == Array(repeating: "new", count: life))
        #expect(try await EngineTests.produce(engine, "orders", 0, "new") == Offset(life))
      }
      _ = machine.disk.processKill(seed: UInt64(life))
    }
  }

  /// Deleted on request, or never promised: neither is missed.
  @Test func whatNobodyLostIsNotMissed() throws {
    let machine = try Machine(.memory)
    let configuration = EngineDamageTests.configuration(.skipCorrupted)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<3 { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)") }
      try await engine.deleteRecords("orders", 0, before: 3)
    }
    _ = machine.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    try machine.disk.removeAtRest(Self.newest(machine.disk))
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(recovery.partitions.flatMap(\.damage) == [])
      #expect(try await EngineTests.produce(engine, "orders", 0, "new") == 3)
      try await engine.close()
    }
    // What `never` leaves behind may go with the power, and nobody is told of it.
    var never = configuration
    never.log.syncPolicy = .never
    let bare = try Machine(.memory)
    for life in 0..<2 {
      let isFirst = life == 0
      let unsynced = never
      try bare.boot(seed: UInt64(life + 1)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, unsynced)
        #expect(recovery.partitions.flatMap(\.damage) == [])
        if isFirst { try await engine.createTopic("orders", partitions: 1) }
        _ = try await EngineTests.produce(engine, "orders", 0, "message")
      }
      _ = bare.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    }
  }
}
