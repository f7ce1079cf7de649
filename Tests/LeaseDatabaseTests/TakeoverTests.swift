import Glibc
import LogModel
import PartitionEngine
import Storage
import Testing
import WriteAheadLog

@testable import LeaseDatabase

/// Two engines on one directory, a lease in a database between them.
@Suite struct TakeoverTests {
  static let configuration = EngineConfiguration(
    log: LogConfiguration(
      segmentBytes: 64 << 10, commitBytes: 16 << 10, recentBatches: 4, recentBytes: 8 << 10,
      firstPreallocation: 8 << 10,
      largestPreallocation: 16 << 10))

  static func simulate<Value: Sendable>(seed: UInt64, _ body: @escaping @Sendable (any Storage) async throws -> Value)
    throws -> Value
  {
    let loop = EventLoop(simulatedWithSeed: seed)
    let storage = MemoryStorage(disk: MemoryDisk(seed: seed), loop: loop)
    let result = loop.run(limit: .seconds(600)) { () async -> Result<Value, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    try #require(result.ending == .finished)
    return try result.value!.get()
  }

  /// What a producer was told. Touched on one loop.
  final class Answers: @unchecked Sendable {
    var acknowledged: [(offset: Offset, text: String)] = []
    var uncertain: Set<String> = []
    var wasFenced = false
  }

  static func produce(_ engine: PartitionEngine, _ name: String, _ count: Int, _ answers: Answers) async {
    for n in 0..<count {
      let text = "\(name)-\(n)"
      do throws(EngineError) {
        let receipt = try await engine.produce(to: "orders", 0, recordCount: 1, payloadBytes: text.utf8.count) {
          writer in
          Array(text.utf8).withUnsafeBytes { writer.append(value: $0) }
        }
        answers.acknowledged.append((receipt.baseOffset, text))
      } catch {
        if !error.isCertainFailure { answers.uncertain.insert(text) }
        if case .log(_, .fenced) = error { answers.wasFenced = true }
        if case .log(_, .fencedInCommit) = error { answers.wasFenced = true }
      }
    }
  }

  static func texts(_ engine: PartitionEngine) async throws -> [String] {
    let response = FetchResponse()
    var texts: [String] = []
    var at: Offset = 0
    while at < (try engine.watermarks("orders", 0).highWatermark) {
      try await engine.fetch("orders", 0, from: at, maxBytes: 64 << 10, into: response)
      response.forEachRecord { texts.append(String(decoding: $0.value, as: UTF8.self)) }
      at = response.nextOffset
    }
    return texts
  }

  static func refusal(_ body: () async throws(EngineError) -> Void) async -> EngineError? {
    do throws(EngineError) {
      try await body()
      return nil
    } catch { return error }
  }

  @Test func aSecondEngineWaitsUntilTheFirstIsClosed() throws {
    try Self.simulate(seed: 1) { storage in
      let database = try LeaseDatabase(path: nil)
      func open(_ holder: String) async throws(EngineError) -> PartitionEngine {
        let lease = DatabaseLease(database, holder: holder, clock: .following(storage.loop))
        return try await PartitionEngine.open(storage, Self.configuration, parts: EngineParts(exclusion: lease)).engine
      }
      let first = try await open("a")
      try await first.createTopic("orders", partitions: 1)
      // Renewed, it never runs out.
      for _ in 0..<5 {
        await storage.loop.sleep(until: storage.loop.now + .seconds(9))
        let error = await Self.refusal { () async throws(EngineError) in _ = try await open("b") }
        guard case .inUse(let how)? = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        #expect(how.contains("the lease of a, epoch 1"))
      }
      try await first.close()
      try await open("b").close()
    }
  }

  enum Intrusion: String, CaseIterable, Sendable {
    /// The holder stands still until its lease has run out, and then goes on.
    case paused
    /// The taker's clock is an hour ahead.
    case clockAhead
  }

  struct Unfenced: CommitFencing {
    func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool { true }
  }

  /// A second engine takes over while the first one's producers go on.
  /// - Returns: what is wrong with what the second one, and a third one, hold.
  static func takeOver(_ intrusion: Intrusion, seed: UInt64, isSound: Bool) throws -> (flaws: [String], wasFenced: Bool)
  {
    try simulate(seed: seed) { storage in
      let loop = storage.loop
      let database = try LeaseDatabase(path: nil)
      var random = SeededGenerator(seed: seed, stream: "takeover")
      let stop = Int.random(in: 1...40, using: &random)
      let duration = Duration.milliseconds(10)
      // A process that is paused renews nothing, and its clock says so when it goes on.
      let skew = intrusion == .clockAhead ? Duration.seconds(3600) : duration + .milliseconds(1)
      @Sendable func parts(_ holder: String, _ clock: WallClock, _ duration: Duration) -> EngineParts {
        var parts = EngineParts(exclusion: DatabaseLease(database, holder: holder, duration: duration, clock: clock))
        if !isSound { parts.log.fencing = Unfenced() }
        return parts
      }
      let (first, _) = try await PartitionEngine.open(
        storage, configuration, parts: parts("a", .following(loop), duration))
      try await first.createTopic("orders", partitions: 1)
      let (early, late) = (Answers(), Answers())
      let taken = AsyncEvent()
      loop.spawn {
        while early.acknowledged.count < stop { await loop.sleep(until: loop.now + .microseconds(20)) }
        do {
          let (second, _) = try await PartitionEngine.open(
            storage, configuration, parts: parts("b", .following(loop, ahead: skew), .seconds(3600)))
          await produce(second, "second", 20, late)
          try await second.close()
        } catch { Issue.record("\(intrusion) \(seed): \(error)") }
        taken.open()
      }
      await withTaskGroup(of: Void.self) { group in
        for producer in 0..<3 {
          group.addTask(executorPreference: loop) { await produce(first, "first-\(producer)", 60, early) }
        }
      }
      await taken.wait()
      // What it records it records in vain.
      let record = await refusal { () async throws(EngineError) in
        try await first.commitOffset(group: "g", "orders", 0, 1)
      }
      let creation = await refusal { () async throws(EngineError) in try await first.createTopic("late", partitions: 1)
      }
      _ = await refusal { () async throws(EngineError) in try await first.close() }
      let (third, recovery) = try await PartitionEngine.open(
        storage, configuration, parts: parts("c", .following(loop, ahead: .seconds(7300)), .seconds(1)))
      let found = try await texts(third)
      var flaws = recovery.partitions.flatMap(\.damage).map { "\($0)" }
      if Set(found).count != found.count { flaws.append("doubled") }
      for (offset, text) in early.acknowledged + late.acknowledged
      where offset.rawValue >= found.count || found[Int(offset.rawValue)] != text {
        flaws.append("\(text) is not at \(offset)")
      }
      if late.acknowledged.count != 20 { flaws.append("the second one got \(late.acknowledged.count) through") }
      if record == nil || creation == nil || third.topics.contains(where: { $0.name == "late" }) {
        flaws.append("the first one's metadata counts")
      }
      try await third.close()
      return (flaws, early.wasFenced)
    }
  }

  /// Nothing that either of them acknowledged is lost, moved or doubled; the first is told, at append, at commit and at
  /// metadata.
  @Test(arguments: Intrusion.allCases, 0..<4)
  func aReplacedWriterAcknowledgesNothingMore(_ intrusion: Intrusion, _ block: UInt64) throws {
    for seed in block * 40..<block * 40 + 40 {
      let result = try Self.takeOver(intrusion, seed: seed, isSound: true)
      #expect(result.flaws == [], "\(intrusion) \(seed)")
      #expect(result.wasFenced, "\(intrusion) \(seed)")
    }
  }

  /// The control: without the question after the write the same interleavings do harm.
  @Test(arguments: Intrusion.allCases)
  func withoutFencingTheyDoHarm(_ intrusion: Intrusion) throws {
    let harmed = try (0..<40).filter { try !Self.takeOver(intrusion, seed: $0, isSound: false).flaws.isEmpty }.count
    #expect(harmed > 30, "\(harmed) of 40 interleavings did harm")
    print("without fencing, \(intrusion.rawValue): \(harmed) of 40 interleavings do harm")
  }

  /// On files: what cannot be asked acknowledges nothing, and a database that is put back mends nothing.
  @Test func aDatabaseThatIsGoneAcknowledgesNothing() throws {
    try LeaseDatabaseTests.inFolder { path in
      try Self.simulate(seed: 3) { storage in
        let database = try LeaseDatabase(path: path)
        let lease = DatabaseLease(database, holder: "a", clock: .following(storage.loop))
        let (engine, _) = try await PartitionEngine.open(
          storage, Self.configuration, parts: EngineParts(exclusion: lease))
        try await engine.createTopic("orders", partitions: 1)
        let answers = Answers()
        await Self.produce(engine, "with", 3, answers)
        #expect(answers.acknowledged.count == 3)
        #expect(unlink(path) == 0)
        await Self.produce(engine, "without", 3, answers)
        #expect(answers.acknowledged.count == 3)
        _ = await Self.refusal { () async throws(EngineError) in try await engine.close() }
        let other = DatabaseLease(try LeaseDatabase(path: path), holder: "b", clock: .following(storage.loop))
        let (next, _) = try await PartitionEngine.open(
          storage, Self.configuration, parts: EngineParts(exclusion: other))
        #expect(try await Array(Self.texts(next).prefix(3)) == ["with-0", "with-1", "with-2"])
        await Self.produce(next, "next", 3, answers)
        #expect(answers.acknowledged.count == 6)
        try await next.close()
      }
    }
  }
}
