import Glibc
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Findings of the adversarial review: every test here fails on the code of 69f0f92.
@Suite struct AttackEngineTests {
  static let configuration = EngineTests.configuration

  static func batch(_ engine: PartitionEngine, _ texts: [String]) async throws -> Offset {
    let bytes = texts.map { Array($0.utf8) }
    return try await engine.produce(
      to: "orders", 0, recordCount: texts.count, payloadBytes: bytes.reduce(0) { $0 + $1.count }
    ) { writer in for one in bytes { one.withUnsafeBytes { writer.append(value: $0) } } }.baseOffset
  }

  /// 1. As `aLogStartInsideABatchKeepsTheRestOfIt`, through the engine, over a power loss.
  @Test func deletingRecordsUpToTheMiddleOfABatchLosesNothingElse() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 1)
      _ = try await Self.batch(engine, (0..<10).map { "m\($0)" })
      try await engine.deleteRecords("orders", 0, before: 4)
    }
    _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration)
      let marks = try engine.watermarks("orders", 0)
      #expect(marks.logStartOffset == 4 && marks.logEndOffset == 10)
      #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
      #expect(try await EngineTests.texts(engine, "orders", 0) == (4..<10).map { "m\($0)" })
    }
  }

  /// 2. Compaction is cut off after it has removed some of the old segments: the snapshot is durable and the engine
  ///    must open again.
  @Test(arguments: 1...17)
  func aCompactionThatIsCutOffLeavesAnEngineThatOpens(_ n: Int) throws {
    let machine = try Machine(.memory)
    for life in 0..<(MetadataLog.mostSegments + 1) as Range<Int> {
      try machine.boot(seed: UInt64(life)) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        if life == 0 { try await engine.createTopic("orders", partitions: 1) }
        _ = try await EngineTests.produce(engine, "orders", 0, "\(life)")
        try await engine.close()
      }
    }
    let cut = try machine.boot(seed: 100) { storage in
      let hooked = HookedStorage(storage)
      var unlinks = 0
      hooked.before = { call throws(StorageError) in
        guard call.kind == .unlink, call.path.hasPrefix("metadata/") else { return }
        unlinks += 1
        if unlinks == n + 1 {
          _ = machine.disk.processKill(seed: 1)
          throw StorageError(.powerLost, .unlink, call.path)
        }
      }
      do {
        _ = try await PartitionEngine.open(hooked, Self.configuration)
        return false
      } catch { return true }
    }
    guard cut else { return }
    for life in 0..<2 as Range<UInt64> {
      try machine.boot(seed: 101 + life) { storage in
        do throws(EngineError) {
          let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
          #expect(engine.topics == [Topic(name: "orders", partitions: 1)])
          try await engine.close()
        } catch { Issue.record("killed after \(n) removals, the engine does not open any more: \(error)") }
      }
    }
  }

  /// 5. An engine that has been replaced while it was still recovering must not change what its successor writes.
  @Test func aReplacedEngineThatIsStillRecoveringDestroysNothing() throws {
    var harmed = 0
    for seed in 0..<40 as Range<UInt64> {
      let machine = try Machine(.memory, seed: seed)
      let answers = WriterTests.Answers()
      try machine.boot(seed: seed) { storage in
        let lease = LeaseExclusion(duration: .milliseconds(10), clock: .following(storage.loop))
        let parts = EngineParts(exclusion: lease)
        let (zero, _) = try await PartitionEngine.open(storage, Self.configuration, parts: parts)
        try await zero.createTopic("orders", partitions: 1)
        _ = try await EngineTests.produce(zero, "orders", 0, "zero")
        answers.acknowledged.append((0, "zero"))
        try await zero.close()
        let slow = HookedStorage(storage)
        let gate = AsyncEvent()
        // The first of the two stands still once it has claimed its epoch (a paused process, whose lease runs out).
        slow.before = { call throws(StorageError) in
          if call.kind == .makeDirectory, call.path == "metadata" { await gate.wait() }
        }
        await withTaskGroup(of: Void.self) { group in
          group.addTask(executorPreference: storage.loop) {
            do { _ = try await PartitionEngine.open(slow, Self.configuration, parts: parts) } catch {}
          }
          group.addTask(executorPreference: storage.loop) {
            await storage.loop.sleep(until: storage.loop.now + .milliseconds(5))
            let later = LeaseExclusion(
              duration: .milliseconds(10), clock: .following(storage.loop, ahead: .milliseconds(100)))
            do {
              let (second, _) = try await PartitionEngine.open(
                storage, Self.configuration, parts: EngineParts(exclusion: later))
              for n in 0..<200 {
                if n == Int(seed) { gate.open() }
                let text = "second-\(n)-" + String(repeating: "x", count: 500)
                do {
                  let offset = try await EngineTests.produce(second, "orders", 0, text)
                  answers.acknowledged.append((offset, text))
                } catch { answers.uncertain.insert(text) }
              }
            } catch { Issue.record("\(error)") }
          }
        }
      }
      _ = machine.disk.processKill(seed: seed)
      harmed += try machine.boot(seed: seed) { storage in
        let later = LeaseExclusion(duration: .milliseconds(10), clock: .following(storage.loop, ahead: .seconds(100)))
        let (engine, _) = try await PartitionEngine.open(
          storage, Self.configuration, parts: EngineParts(exclusion: later))
        let marks = try engine.watermarks("orders", 0)
        let response = FetchResponse()
        for (offset, text) in answers.acknowledged {
          var found = false
          if offset < marks.highWatermark {
            do {
              try await engine.fetch("orders", 0, from: offset, maxBytes: 1, into: response)
              response.forEachRecord {
                if $0.offset == offset, $0.value.elementsEqual(Array(text.utf8)) { found = true }
              }
            } catch {}
          }
          if !found { return 1 }
        }
        return 0
      }
    }
    #expect(harmed == 0, "\(harmed) of 40 interleavings lost what the newer engine had acknowledged")
  }

  /// 7. The only metadata segment has lost both copies of its head, in both copies of the log: the topics cannot be
  ///    known.
  @Test func metadataWithoutAHeadIsNotAnEmptyEngine() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<10 { _ = try await EngineTests.produce(engine, "orders", 0, "\(n)") }
      try await engine.commitOffset(group: "g", "orders", 0, 5)
      try await engine.close()
    }
    for log in MirrorTests.copies {
      let path = machine.disk.paths.first { $0.hasPrefix(log) }!
      for copy in [0, 2048] as [Int64] { #expect(machine.disk.flipBit(path, byte: copy + 20, bit: 1)) }
    }
    try machine.boot(seed: 2) { storage in
      do throws(EngineError) {
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        Issue.record("opened with the topics \(engine.topics)")
      } catch {
        guard case .damagedMetadata = error else {
          Issue.record("\(error)")
          return
        }
      }
    }
  }

  /// 8. Of two metadata segments the first has lost its head, in both copies: opening refuses, and must leave the files
  ///    for whoever can still read them.
  @Test func damagedMetadataIsKept() throws {
    let machine = try Machine(.memory)
    for life in 0..<2 {
      try machine.boot(seed: UInt64(life)) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        if life == 0 { try await engine.createTopic("orders", partitions: 1) }
        _ = try await EngineTests.produce(engine, "orders", 0, "\(life)")
        try await engine.close()
      }
    }
    var before: [[UInt8]?] = []
    for log in MirrorTests.copies {
      let paths = machine.disk.paths.filter { $0.hasPrefix(log) }
      #expect(paths.count >= 2)
      for copy in [0, 2048] as [Int64] { #expect(machine.disk.flipBit(paths[0], byte: copy + 20, bit: 1)) }
      before.append(machine.disk.read(paths[0]))
    }
    try machine.boot(seed: 9) { storage in
      do throws(EngineError) {
        _ = try await PartitionEngine.open(storage, Self.configuration)
        Issue.record("opened")
      } catch {
        guard case .damagedMetadata = error else { throw error }
      }
    }
    for bytes in before {
      #expect(
        machine.disk.paths.contains { machine.disk.read($0) == bytes }, "a file that registers the topics is gone")
    }
  }

  /// 10. The logs know of higher epochs than the claims do (an engine without exclusion wrote here, or `writers` was
  ///     not restored): two claims then share one epoch in the logs, and one removes the other's file.
  @Test func twoClaimsNeverShareAnEpochInTheLogs() throws {
    let machine = try Machine(.memory)
    for life in 0..<4 as Range<UInt64> {
      try machine.boot(seed: life) { storage in
        let (engine, _) = try await PartitionEngine.open(
          storage, Self.configuration, parts: EngineParts(exclusion: NoExclusion()))
        if life == 0 { try await engine.createTopic("orders", partitions: 1) }
        _ = try await EngineTests.produce(engine, "orders", 0, "\(life)")
        try await engine.close()
      }
    }
    try machine.boot(seed: 10) { storage in
      let first = try await WriterTests.open(storage)
      try await storage.unlink(DirectoryExclusion.lockPath)
      let second = try await WriterTests.open(storage)
      #expect(try await EngineTests.produce(second, "orders", 0, "4") == 4)
      do {
        _ = try await EngineTests.produce(first, "orders", 0, "fenced")
        Issue.record("both acknowledge")
      } catch {}
    }
    _ = machine.disk.processKill(seed: 1)
    try machine.boot(seed: 11) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
      #expect(try await EngineTests.texts(engine, "orders", 0) == ["0", "1", "2", "3", "4"])
    }
  }

  /// 14. A clean shutdown writes 500 ends in one batch, whatever a commit can carry.
  @Test func manyPartitionsCloseWithSmallCommits() throws {
    let machine = try Machine(.memory)
    var configuration = Self.configuration
    configuration.log.commitBytes = 8 << 10
    let own = configuration
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, own)
      try await engine.createTopic("orders", partitions: 300)
      for p in 0..<300 { _ = try await EngineTests.produce(engine, "orders", PartitionID(p), "x") }
      do throws(EngineError) { try await engine.close() } catch { Issue.record("close: \(error)") }
    }
  }

  /// 16. Two commits of one group at once: what the engine says now is what it says after a restart.
  @Test func consumerOffsetsAreTheSameAfterARestart() throws {
    var different = 0
    for seed in 0..<40 as Range<UInt64> {
      let machine = try Machine(.memory, seed: seed)
      let now = try machine.boot(seed: seed) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        try await engine.createTopic("orders", partitions: 1)
        for n in 0..<10 { _ = try await EngineTests.produce(engine, "orders", 0, "\(n)") }
        await withTaskGroup(of: Void.self) { group in
          for n in 1..<8 {
            group.addTask(executorPreference: storage.loop) {
              do { try await engine.commitOffset(group: "g", "orders", 0, Offset(n)) } catch {
                Issue.record("\(error)")
              }
            }
          }
        }
        return try engine.committedOffset(group: "g", "orders", 0)
      }
      _ = machine.disk.powerLoss(seed: seed, profile: .dropUnsynced)
      different += try machine.boot(seed: seed) { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration)
        return try engine.committedOffset(group: "g", "orders", 0) == now ? 0 : 1
      }
    }
    #expect(different == 0, "\(different) of 40")
  }

  /// 18. A topic whose creation failed after its registration can be used once the device is well again, or created
  ///     again.
  @Test func aTopicThatWasRegisteredCanBeUsed() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let hooked = HookedStorage(storage)
      let (engine, _) = try await PartitionEngine.open(hooked, Self.configuration)
      hooked.before = { call throws(StorageError) in
        if call.kind == .list, call.path == "topics/orders/1" {
          hooked.before = nil
          throw StorageError(errno: EIO, .list, call.path)
        }
      }
      do {
        try await engine.createTopic("orders", partitions: 2)
        Issue.record("created")
      } catch {}
      do throws(EngineError) { try await engine.createTopic("orders", partitions: 2) } catch {
        guard case .topicExists = error else { throw error }
      }
      do { _ = try await EngineTests.produce(engine, "orders", 1, "x") } catch { Issue.record("\(error)") }
    }
  }

  /// 3. On real files: a write that fails once, and the message that takes its offset.
  @Test(arguments: [StorageChoice.posix, .ring], [true, false])
  func aRefusedMessageIsNotServedFromRealFiles(_ choice: StorageChoice, _ isBusy: Bool) throws {
    let machine = try Machine(choice)
    defer { machine.remove() }
    try machine.boot { storage in
      let hooked = HookedStorage(storage)
      let (engine, _) = try await PartitionEngine.open(hooked, Self.configuration)
      try await engine.createTopic("orders", partitions: 2)
      // Another partition has something to do all the time.
      let busy = Task(executorPreference: storage.loop) {
        while isBusy, !Task.isCancelled { await storage.loop.nextTurn() }
      }
      for n in 0..<20 {
        _ = try await EngineTests.produce(engine, "orders", 0, "good-\(n)-a")
        hooked.before = { call throws(StorageError) in
          guard call.kind == .write, call.flags == WriteDurability.durable.rawValue,
            call.path.hasPrefix("topics/orders/0/")
          else { return }
          hooked.before = nil
          throw StorageError(errno: EIO, .write, call.path)
        }
        do {
          _ = try await EngineTests.produce(engine, "orders", 0, "refused-\(n)")
          Issue.record("acknowledged")
        } catch {}
        _ = try await EngineTests.produce(engine, "orders", 0, "good-\(n)-b")
      }
      busy.cancel()
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(5))
      let texts = try await EngineTests.texts(engine, "orders", 0)
      #expect(texts.filter { $0.hasPrefix("refused") } == [])
      try await engine.close()
    }
  }

  /// 19. A renewal that meets the release writes its term over the released one.
  @Test func aReleasedLeaseIsFreeAtOnce() throws {
    var refused = 0
    for k in 0..<200 {
      let machine = try Machine(.memory, seed: UInt64(k))
      refused += try machine.boot(seed: UInt64(k)) { storage in
        let lease = LeaseExclusion(duration: .milliseconds(30), clock: .following(storage.loop))
        let claim = try await lease.claim(storage, above: Epoch(0))
        await storage.loop.sleep(until: storage.loop.now + .microseconds(9_700 + Int64(k) * 2))
        await claim.release()
        do throws(EngineError) {
          let next = try await lease.claim(storage, above: Epoch(0))
          await next.release()
          return 0
        } catch { return 1 }
      }
    }
    #expect(refused == 0, "\(refused) of 200 releases left a lease that runs")
  }

  /// 20. A group's committed offset is synced, what it has consumed is not: after a power loss it stands above the log,
  /// and what is appended there is never consumed.
  @Test func aCommittedOffsetDoesNotStandAboveTheLog() throws {
    let machine = try Machine(.memory)
    var configuration = Self.configuration
    configuration.log.syncPolicy = .interval(.seconds(10))
    let own = configuration
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, own)
      try await engine.createTopic("orders", partitions: 1)
      for n in 0..<10 { _ = try await EngineTests.produce(engine, "orders", 0, "\(n)") }
      try await engine.commitOffset(group: "g", "orders", 0, 10)
    }
    _ = machine.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try machine.boot(seed: 2) { storage in
      let (engine, _) = try await PartitionEngine.open(storage, own)
      let end = try engine.watermarks("orders", 0).logEndOffset
      let committed = try engine.committedOffset(group: "g", "orders", 0) ?? 0
      #expect(committed <= end)
    }
  }
}
