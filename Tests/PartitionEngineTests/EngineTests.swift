import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

@Suite struct EngineTests {
  static let configuration = EngineConfiguration(
    log: LogConfiguration(
      segmentBytes: 64 << 10, commitBytes: 16 << 10, recentBatches: 4, recentBytes: 8 << 10,
      firstPreallocation: 8 << 10,
      largestPreallocation: 16 << 10))

  static func produce(_ engine: PartitionEngine, _ topic: String, _ partition: PartitionID, _ text: String) async throws
    -> Offset
  {
    let bytes = Array(text.utf8)
    return try await engine.produce(to: topic, partition, recordCount: 1, payloadBytes: bytes.count) { writer in
      bytes.withUnsafeBytes { writer.append(value: $0) }
    }.baseOffset
  }

  static func texts(_ engine: PartitionEngine, _ topic: String, _ partition: PartitionID) async throws -> [String] {
    try await consumeAll(engine, topic, partition).map { String(decoding: $0, as: UTF8.self) }
  }

  /// H9: names that collide when they are joined with a number do not collide here.
  @Test func topicsWhoseNamesCouldCollideKeepTheirOwnMessages() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 6)
      try await engine.createTopic("orders-0", partitions: 6)
      _ = try await Self.produce(engine, "orders", 0, "a")
      _ = try await Self.produce(engine, "orders-0", 5, "b")
      _ = try await Self.produce(engine, "orders", 5, "c")
    }
    _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try machine.boot(seed: 2) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      #expect(engine.topics.map(\.name) == ["orders", "orders-0"])
      #expect(try await Self.texts(engine, "orders", 0) == ["a"])
      #expect(try await Self.texts(engine, "orders-0", 5) == ["b"])
      #expect(try await Self.texts(engine, "orders", 5) == ["c"])
      #expect(try await Self.texts(engine, "orders-0", 0) == [])
      try await engine.close()
    }
  }

  /// Requests wait for the window and share a commit; the engine's own records and an orderly close wait for nobody.
  @Test func aCommitWindowDelaysMessagesOnly() throws {
    var configuration = Self.configuration
    configuration.log.commitWindow = .seconds(5)
    let window = configuration
    try Machine(.memory).boot { storage in
      let start = storage.loop.now
      let (engine, _) = try await PartitionEngine.open(storage, window)
      try await engine.createTopic("orders", partitions: 1)
      #expect(storage.loop.now - start < .seconds(1))
      let sent = storage.loop.now
      async let first = Self.produce(engine, "orders", 0, "a")
      async let second = Self.produce(engine, "orders", 0, "b")
      #expect(try await [first, second].sorted() == [0, 1])
      #expect(storage.loop.now - sent >= .seconds(5))
      let later = storage.loop.now
      try await engine.commitOffset(group: "g", "orders", 0, 2)
      #expect(storage.loop.now - later < .seconds(1))
      async let third = Self.produce(engine, "orders", 0, "c")
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(100))
      try await engine.close()
      #expect(try await third == 2)
      #expect(storage.loop.now - later < .milliseconds(500))
    }
  }

  @Test func mistakesAreRefusedForCertain() throws {
    try Machine(.memory).boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 2)
      func refusal(_ body: () async throws(EngineError) -> Void) async -> EngineError? {
        do throws(EngineError) {
          try await body()
          return nil
        } catch {
          #expect(error.isCertainFailure)
          return error
        }
      }
      #expect(
        await refusal { () async throws(EngineError) in try await engine.createTopic("orders", partitions: 1) }
          == .topicExists("orders", partitions: 2))
      #expect(
        await refusal { () async throws(EngineError) in try await engine.createTopic("..", partitions: 1) }
          == .invalidName("..", NameProblem(.topic, .reserved)))
      #expect(
        await refusal { () async throws(EngineError) in try await engine.createTopic("a/b", partitions: 1) }
          == .invalidName("a/b", NameProblem(.topic, .character("/"))))
      #expect(
        await refusal { () async throws(EngineError) in try await engine.createTopic("x", partitions: 0) }
          == .invalidPartitionCount(0))
      #expect(
        await refusal { () async throws(EngineError) in _ = try engine.watermarks("nope", 0) } == .unknownTopic("nope"))
      #expect(
        await refusal { () async throws(EngineError) in _ = try engine.watermarks("orders", 2) }
          == .unknownPartition(TopicPartition("orders", 2), count: 2))
      let response = FetchResponse()
      #expect(
        await refusal { () async throws(EngineError) in
          try await engine.fetch("orders", 0, from: 1, maxBytes: 10, into: response)
        } == .log(TopicPartition("orders", 0), .offsetOutOfRange(1, start: 0, end: 0)))
      try await engine.close()
    }
  }

  @Test func everyOffsetIsServedAcrossSegmentsAndTheBuffersEdge() throws {
    try Machine(.memory).boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<200 {
        #expect(
          try await Self.produce(engine, "orders", 0, "message-\(n)-" + String(repeating: "x", count: n * 7))
            == Offset(n))
      }
      #expect(try engine.segmentBases("orders", 0).count >= 3)
      let response = FetchResponse()
      for n in 0..<200 {
        try await engine.fetch("orders", 0, from: Offset(n), maxBytes: 1, into: response)
        var first: String?
        response.forEachRecord { record in
          if first == nil { first = String(decoding: record.value, as: UTF8.self) }
        }
        #expect(first?.hasPrefix("message-\(n)-") ?? false, "offset \(n)")
      }
      try await engine.close()
    }
  }

  /// Deleted records stay deleted, and the files that held nothing else are gone.
  @Test func theLogStartOffsetIsBackAfterARestart() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<100 { _ = try await Self.produce(engine, "orders", 0, String(repeating: "x", count: 2000) + "\(n)") }
      let files = try engine.segmentBases("orders", 0).count
      try await engine.deleteRecords("orders", 0, before: 70)
      #expect(try engine.segmentBases("orders", 0).count < files)
    }
    _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration)
      let marks = try engine.watermarks("orders", 0)
      #expect(marks.logStartOffset == 70 && marks.highWatermark == 100)
      #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
      #expect(try await consumeAll(engine, "orders", 0).count == 30)
      try await engine.close()
    }
  }

  /// Whoever calls `close` second may rely on it as well: when it returns, the directory is free.
  @Test func aSecondCloseWaitsForTheFirst() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 3)
      for p in 0..<3 { _ = try await Self.produce(engine, "orders", PartitionID(p), "x") }
      let first = AsyncEvent()
      storage.loop.spawn {
        do throws(EngineError) { try await engine.close() } catch { Issue.record("\(error)") }
        first.open()
      }
      await storage.loop.sleep(until: storage.loop.now + .microseconds(10))
      #expect(!first.isOpen)
      try await engine.close()
      let (next, _) = try await PartitionEngine.open(storage, Self.configuration)
      #expect(try await Self.texts(next, "orders", 2) == ["x"])
      try await next.close()
      await first.wait()
    }
  }

  /// As if the log were not compacted while the engine runs.
  private struct AtOpeningOnly: MetadataCompacting {
    func limit(live: Int64) -> Int64 { .max }
  }

  /// The metadata log is compacted when replay has read much more than it needed, and says the same afterwards.
  @Test func manyOffsetCommitsAreCompacted() throws {
    let machine = try Machine(.memory)
    let commits = MetadataLog.tolerance + 200
    try machine.boot { storage in
      let parts = EngineParts(compaction: AtOpeningOnly())
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration, parts: parts)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<3 { _ = try await Self.produce(engine, "orders", 0, "\(n)") }
      for n in 0..<commits { try await engine.commitOffset(group: "g", "orders", 0, Offset(n % 3)) }
      try await engine.commitOffset(group: "g", "orders", 0, 2)
    }
    _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    let before = machine.disk.paths.filter { $0.hasPrefix("metadata/") }.count
    for life in 0..<3 as Range<UInt64> {
      try machine.boot(seed: life) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration)
        #expect(try engine.committedOffset(group: "g", "orders", 0) == 2)
        #expect(engine.topics == [Topic(name: "orders", partitions: 1)])
        #expect(recovery.metadata.damage.isEmpty)
        #expect(try await Self.texts(engine, "orders", 0) == ["0", "1", "2"])
      }
      _ = machine.disk.powerLoss(seed: life, profile: .dropUnsynced)
    }
    #expect(machine.disk.paths.filter { $0.hasPrefix("metadata/") }.count < before)
  }

  @Test func keysChooseTheirPartitionAlways() throws {
    try Machine(.memory).boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 5)
      var used: Set<PartitionID> = []
      for n in 0..<50 {
        let key = Array("customer-\(n % 10)".utf8)
        let value = Array("\(n)".utf8)
        let chosen = try key.withUnsafeBytes { (bytes) throws(EngineError) in
          try engine.partition(of: "orders", forKey: bytes)
        }
        used.insert(chosen)
        let memory = IOBuffer(capacity: 64)
        memory.mutableBytes(0..<key.count).copyBytes(from: key)
        memory.mutableBytes(32..<(32 + value.count)).copyBytes(from: value)
        let receipt = try await engine.produce(
          to: "orders", key: memory[0..<key.count], value: memory[32..<(32 + value.count)])
        #expect(receipt.partition == chosen)
      }
      #expect(used.count > 1)
      try await engine.close()
    }
  }
}
