import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Damage, restarts and appends in turn, on a whole engine.
@Suite struct EngineDamageTests {
  static func configuration(_ policy: RecoveryPolicy) -> EngineConfiguration {
    var configuration = EngineTests.configuration
    configuration.log.recoveryPolicy = policy
    return configuration
  }

  static func flip(_ text: String, on disk: MemoryDisk) -> Bool {
    let needle = Array(text.utf8)
    for path in disk.paths {
      guard let bytes = disk.read(path), bytes.count >= needle.count else { continue }
      for at in 0...(bytes.count - needle.count) where bytes[at..<(at + needle.count)].elementsEqual(needle) {
        return disk.flipBit(path, byte: Int64(at), bit: 0)
      }
    }
    return false
  }

  /// `message-0-end` to `message-9-end` in partition 0 of `orders`, closed in order.
  private static func tenMessages(_ configuration: EngineConfiguration) throws -> Machine {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<10 { _ = try await EngineTests.produce(engine, "orders", 0, "message-\(n)-end") }
      try await engine.close()
    }
    return machine
  }

  /// Under `truncate-at-corruption` the log ends where the damage begins, also at the tail; the offsets from there on
  /// are given again, and what stands there then is not cut by the next recovery, nor is a hole believed in.
  @Test(arguments: [5, 9], [true, false])
  func aTruncatedLogGoesOnFromTheCut(_ victim: Int, _ closes: Bool) throws {
    let configuration = Self.configuration(.truncateAtCorruption)
    let machine = try Self.tenMessages(configuration)
    #expect(Self.flip("message-\(victim)-end", on: machine.disk))
    var expected = (0..<victim).map { "message-\($0)-end" }
    for life in 0..<3 {
      let before = expected
      expected += try machine.boot(seed: UInt64(life + 2)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        let damage = recovery.partitions.flatMap(\.damage)
        #expect(damage.map { [$0.from, $0.to] } == (life == 0 ? [[Offset(victim), 10]] : []), "life \(life)")
        let marks = try engine.watermarks("orders", 0)
        #expect(
          marks.highWatermark == Offset(before.count) && marks.logEndOffset == Offset(before.count), "life \(life)")
        #expect(try await EngineTests.texts(engine, "orders", 0) == before)
        let text = "life-\(life)"
        #expect(try await EngineTests.produce(engine, "orders", 0, text) == Offset(before.count))
        if closes { try await engine.close() }
        return [text]
      }
      if !closes { _ = machine.disk.powerLoss(seed: UInt64(life), profile: .dropUnsynced) }
    }
  }

  /// The report of a cut may have reached nobody: each opening repeats it, over a compaction of the metadata too, until
  /// something stands in the place of what was lost.
  @Test(arguments: [false, true]) func aCutIsReportedUntilSomethingIsAppended(_ rebuilds: Bool) throws {
    let configuration = Self.configuration(.truncateAtCorruption)
    let machine = try Self.tenMessages(configuration)
    #expect(Self.flip("message-5-end", on: machine.disk))
    for life in 0..<4 {
      if rebuilds, life > 0 { try MirrorTests.harm(MirrorTests.copies[life % 2], .filesDeleted, on: machine.disk) }
      try machine.boot(seed: UInt64(life + 2)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        let damage = recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] }
        #expect(damage == (life < 3 ? [[5, 10]] : []), "life \(life)")
        if life == 2 { #expect(try await EngineTests.produce(engine, "orders", 0, "new") == 5) }
        if life == 1 { try await engine.close() }
      }
      _ = machine.disk.powerLoss(seed: UInt64(life), profile: .dropUnsynced)
    }
  }

  /// Under `skip-corrupted` the damaged offsets stay reserved, in every later life.
  @Test(arguments: [5, 9], [true, false])
  func aSkippedMessageStaysReserved(_ victim: Int, _ closes: Bool) throws {
    let configuration = Self.configuration(.skipCorrupted)
    let machine = try Self.tenMessages(configuration)
    #expect(Self.flip("message-\(victim)-end", on: machine.disk))
    for life in 0..<3 {
      try machine.boot(seed: UInt64(life + 2)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
        #expect(
          recovery.partitions.flatMap(\.damage).map { [$0.from, $0.to] } == [[Offset(victim), Offset(victim + 1)]])
        #expect(try await EngineTests.produce(engine, "orders", 0, "life-\(life)") == Offset(10 + life))
        if closes { try await engine.close() }
      }
      if !closes { _ = machine.disk.powerLoss(seed: UInt64(life), profile: .dropUnsynced) }
    }
  }

  /// Two calls for one name at once: one registers it, the other is told so.
  @Test func aTopicIsCreatedOnce() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      let counts = await withTaskGroup(of: Int.self) { group in
        for partitions in [1, 2, 3] {
          group.addTask(executorPreference: storage.loop) {
            do throws(EngineError) {
              try await engine.createTopic("orders", partitions: partitions)
              return partitions
            } catch { return 0 }
          }
        }
        var counts: [Int] = []
        for await count in group where count > 0 { counts.append(count) }
        return counts
      }
      #expect(counts.count == 1)
      #expect(engine.topics == [Topic(name: "orders", partitions: counts[0])])
      for p in 0..<counts[0] { _ = try await EngineTests.produce(engine, "orders", PartitionID(p), "x") }
      try await engine.close()
    }
  }

  /// Files that go while they are read: the fetch is served, or told that its offset is gone.
  @Test(arguments: [StorageChoice.memory, .posix, .ring])
  func recordsAreDeletedUnderAFetch(_ choice: StorageChoice) throws {
    let machine = try Machine(choice)
    defer { machine.remove() }
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<100 {
        _ = try await EngineTests.produce(engine, "orders", 0, String(repeating: "x", count: 2000) + "\(n)")
      }
      for round in 0..<90 {
        await withTaskGroup(of: Void.self) { group in
          group.addTask(executorPreference: storage.loop) {
            let response = FetchResponse()
            do throws(EngineError) {
              try await engine.fetch("orders", 0, from: Offset(round), maxBytes: 1, into: response)
              var first: Offset?
              response.forEachRecord { record in first = first ?? record.offset }
              #expect(first == Offset(round))
            } catch {
              guard case .log(_, .offsetOutOfRange) = error else {
                Issue.record("fetch from \(round): \(error)")
                return
              }
            }
          }
          group.addTask(executorPreference: storage.loop) {
            for _ in 0..<(round % 7) { await storage.loop.nextTurn() }
            do { try await engine.deleteRecords("orders", 0, before: Offset(round + 1)) } catch {
              Issue.record("\(error)")
            }
          }
        }
      }
      try await engine.close()
    }
  }
}
