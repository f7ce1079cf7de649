import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Two engines on one directory.
@Suite struct WriterTests {
  /// What a producer was told: text by offset, and which answers were uncertain.
  final class Answers: @unchecked Sendable {
    // Touched on one loop.
    var acknowledged: [(offset: Offset, text: String)] = []
    var uncertain: Set<String> = []
    var refused = 0
  }

  static func refusal(_ body: () async throws(EngineError) -> Void) async -> EngineError? {
    do throws(EngineError) {
      try await body()
      return nil
    } catch { return error }
  }

  static func open(_ storage: any Storage, _ exclusion: any WriterExclusion = DirectoryExclusion())
    async throws(EngineError) -> PartitionEngine
  {
    try await PartitionEngine.open(storage, EngineTests.configuration, parts: EngineParts(exclusion: exclusion)).engine
  }

  @Test(arguments: [StorageChoice.memory, .posix, .ring])
  func aSecondEngineIsRefusedWhileTheFirstIsOpen(_ choice: StorageChoice) throws {
    let machine = try Machine(choice)
    defer { machine.remove() }
    try machine.boot { storage in
      let first = try await Self.open(storage)
      try await first.createTopic("orders", partitions: 1)
      let error = await Self.refusal { () async throws(EngineError) in _ = try await Self.open(storage) }
      guard case .inUse = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      _ = try await EngineTests.produce(first, "orders", 0, "a")
      try await first.close()
      let second = try await Self.open(storage)
      #expect(try await EngineTests.texts(second, "orders", 0) == ["a"])
      try await second.close()
    }
  }

  /// A process that died holds nothing any more.
  @Test func aCrashFreesTheLock() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in _ = try await Self.open(storage) }
    _ = machine.disk.processKill(seed: 1)
    try machine.boot { storage in try await Self.open(storage).close() }
  }

  enum Intrusion { case lockRemoved, leaseExpired, clockAhead, noLock }

  /// The second engine gets in, in one way or another, while the first goes on writing. Nothing that either of them
  /// acknowledged is lost, moved or doubled; the first is told that it has been replaced. 120 interleavings of each
  /// kind; 400 with `TORNLOG_EXHAUSTIVE`.
  @Test(arguments: [Intrusion.lockRemoved, .leaseExpired, .clockAhead], 0..<8)
  func aReplacedWriterAcknowledgesNothingMore(_ intrusion: Intrusion, _ block: UInt64) throws {
    for seed in block * 50..<block * 50 + (getenv("TORNLOG_EXHAUSTIVE") == nil ? 15 : 50) {
      let result = try Self.intrude(intrusion, seed: seed, sound: true)
      #expect(result.flaws == [], "\(intrusion) \(seed)")
      #expect(result.wasFenced, "\(intrusion) \(seed)")
    }
  }

  /// The control: without the check after the write, or without any protection, the same interleavings lose or double
  /// what was acknowledged.
  @Test(arguments: [Intrusion.lockRemoved, .noLock])
  func withoutFencingTwoWritersDoHarm(_ intrusion: Intrusion) throws {
    let harmed = try (0..<60).filter { try !Self.intrude(intrusion, seed: $0, sound: false).flaws.isEmpty }.count
    #expect(harmed == 60, "\(harmed) of 60 interleavings did harm")
  }

  /// A writer that has been replaced, and is told EIO when it asks whether it has been: it must not take that for a no.
  @Test(arguments: [true, false])
  func aFenceThatCannotBeReadAcknowledgesNothing(_ isSound: Bool) throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let unreadable = FaultyStorage(
        storage, plan: FaultPlan([PlannedFault(.ioError, FaultTrigger([.linkCount], phase: "replaced"), .sticky)]))
      var parts = EngineParts()
      if !isSound { parts.log.fencing = Credulous() }
      let (first, _) = try await PartitionEngine.open(unreadable, EngineTests.configuration, parts: parts)
      try await first.createTopic("orders", partitions: 1)
      _ = try await EngineTests.produce(first, "orders", 0, "a")
      try await storage.unlink(DirectoryExclusion.lockPath)
      let (second, _) = try await PartitionEngine.open(storage, EngineTests.configuration)
      unreadable.note(.phase("replaced"))
      let error = await Self.refusal { () async throws(EngineError) in
        _ = try await first.produce(to: "orders", 0, recordCount: 1, payloadBytes: 1) { writer in
          [UInt8(ascii: "b")].withUnsafeBytes { writer.append(value: $0) }
        }
      }
      #expect(unreadable.unfired == [])
      if isSound {
        #expect(error.map { !$0.isCertainFailure } == true, "\(String(describing: error))")
      } else {
        #expect(error == nil, "the control acknowledges what the second never sees")
      }
      #expect(try await EngineTests.texts(second, "orders", 0) == ["a"])
      try await second.close()
    }
  }

  /// Takes an error for consent.
  struct Credulous: CommitFencing {
    func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool {
      do throws(StorageError) { return try await fence.isCurrent() } catch { return true }
    }
  }

  struct Unfenced: CommitFencing {
    func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool { true }
  }

  static func intrude(_ intrusion: Intrusion, seed: UInt64, sound: Bool) throws -> (flaws: [String], wasFenced: Bool) {
    let machine = try Machine(.memory, seed: seed)
    let answers = Answers()
    let fenced = Answers()
    try machine.boot(seed: seed) { storage in
      var random = SeededGenerator(seed: seed, stream: "intrusion")
      var parts = EngineParts()
      var later = LeaseExclusion(clock: .following(storage.loop))
      if !sound { parts.log.fencing = Unfenced() }
      let lease = Duration.milliseconds(10)
      switch intrusion {
      case .lockRemoved: break
      case .leaseExpired, .clockAhead:
        parts.exclusion = LeaseExclusion(duration: lease, clock: .following(storage.loop))
        // The holder's renewals stand still for once, as in a process that is paused, or the taker's clock is wrong.
        let skew = intrusion == .clockAhead ? Duration.seconds(3600) : lease + .milliseconds(1)
        later = LeaseExclusion(duration: lease, clock: .following(storage.loop, ahead: skew))
      case .noLock: parts.exclusion = NoExclusion()
      }
      let (firstParts, laterExclusion) = (parts, later)
      let (first, _) = try await PartitionEngine.open(storage, EngineTests.configuration, parts: firstParts)
      try await first.createTopic("orders", partitions: 2)
      let stop = Int.random(in: 1...40, using: &random)
      await withTaskGroup(of: Void.self) { group in
        for producer in 0..<3 {
          group.addTask(executorPreference: storage.loop) {
            await produce(first, "first-\(producer)", 60, answers, fenced)
          }
        }
        group.addTask(executorPreference: storage.loop) {
          while answers.acknowledged.count < stop {
            await storage.loop.sleep(until: storage.loop.now + .microseconds(20))
          }
          do {
            var parts = firstParts
            switch intrusion {
            case .lockRemoved: try await storage.unlink(DirectoryExclusion.lockPath)
            case .leaseExpired, .clockAhead: parts.exclusion = laterExclusion
            case .noLock: break
            }
            let (second, _) = try await PartitionEngine.open(storage, EngineTests.configuration, parts: parts)
            await produce(second, "second", 20, answers, Answers())
            try await second.close()
          } catch { Issue.record("\(intrusion) \(seed): \(error)") }
        }
      }
      do throws(EngineError) { try await first.close() } catch {}  // it has been replaced: its last records are refused
    }
    _ = machine.disk.processKill(seed: seed)
    var flaws: [String] = []
    for life in 0..<2 as Range<UInt64> {
      flaws += try machine.boot(seed: seed &+ life) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, EngineTests.configuration)
        var flaws = recovery.partitions.flatMap(\.damage).map { "damage at \($0.from) ..< \($0.to)" }
        let texts = try await EngineTests.texts(engine, "orders", 0)
        for (offset, text) in answers.acknowledged
        where !texts.indices.contains(Int(offset.rawValue)) || texts[Int(offset.rawValue)] != text {
          flaws.append("\(text), acknowledged at \(offset), is not there")
        }
        if Set(texts).count != texts.count { flaws.append("something is served twice") }
        let told = Set(answers.acknowledged.map(\.text)).union(answers.uncertain)
        flaws += texts.filter { !told.contains($0) && !$0.hasPrefix("later") }.map { "\($0) was refused" }
        _ = try await EngineTests.produce(engine, "orders", 0, "later-\(life)")
        try await engine.close()
        return flaws
      }
    }
    return (flaws, fenced.refused > 0)
  }

  private static func produce(
    _ engine: PartitionEngine, _ name: String, _ count: Int, _ answers: Answers, _ fenced: Answers
  ) async {
    for n in 0..<count {
      let text = "\(name)-\(n)-" + String(repeating: "x", count: 500)
      let bytes = Array(text.utf8)
      do throws(EngineError) {
        let receipt = try await engine.produce(to: "orders", 0, recordCount: 1, payloadBytes: bytes.count) { writer in
          bytes.withUnsafeBytes { writer.append(value: $0) }
        }
        answers.acknowledged.append((receipt.baseOffset, text))
      } catch {
        if !error.isCertainFailure { answers.uncertain.insert(text) }
        if case .log(_, .fenced) = error { fenced.refused += 1 }
        if case .log(_, .fencedInCommit) = error { fenced.refused += 1 }
      }
    }
  }
}
