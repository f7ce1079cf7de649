import Glibc
import LogModel
import Storage
import Testing

@testable import WriteAheadLog

/// Calls a hook before every operation but `close`.
final class HookedStorage: StorageWrapper, @unchecked Sendable {
  var hook: ((StorageCall) async throws(StorageError) -> Void)?
  /// After the operation took effect.
  var afterHook: ((StorageCall) async throws(StorageError) -> Void)?
  private(set) var open = 0

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if let hook { try await hook(call) }
    let value = try await operation()
    if call.kind == .open { open += 1 }
    if let afterHook { try await afterHook(call) }
    return value
  }

  override func passClose(_ call: StorageCall, _ operation: () async -> Void) async {
    open -= 1
    await operation()
  }
}

/// Touched on one loop.
private final class Count: @unchecked Sendable { var opens = 0 }

/// Findings of the adversarial review: every test here fails on the code of 69f0f92.
@Suite struct AttackLogTests {
  static func live<Value: Sendable>(
    _ harness: LogHarness, at start: Int64 = 0, latency: MemoryLatency = .disk, hints: RecoveryHints = RecoveryHints(),
    arm: (HookedStorage) -> Void = { _ in }, beforeCut: BeforeCut? = nil,
    _ body: @escaping @Sendable (PartitionLog, RecoveryReport, HookedStorage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: 1, startingAt: Instant(nanoseconds: start))
    let storage = HookedStorage(MemoryStorage(disk: harness.disk, loop: loop, latency: latency))
    arm(storage)
    let configuration = harness.configuration
    let result = loop.run(limit: .seconds(600)) { () async -> Result<Value, any Error> in
      do {
        try await storage.makeDirectory("log")
        try await storage.syncDirectory("")
        let (log, report) = try await PartitionLog.open(
          LogHarness.source, in: "log", of: storage, configuration, hints: hints, beforeCut: beforeCut)
        return .success(try await body(log, report, storage))
      } catch {
        return .failure(error)
      }
    }
    guard result.ending == .finished, let value = result.value else { throw LogHarness.Hung(ending: result.ending) }
    return try value.get()
  }

  static func append(_ log: PartitionLog, messages: Range<Int>, size: Int = 200) async throws -> Offset {
    let bytes = messages.map { LogHarness.payload($0, size: size) }
    return try await log.append(recordCount: bytes.count, payloadBytes: bytes.count * size) { writer in
      for one in bytes { one.withUnsafeBytes { writer.append(value: $0) } }
    }
  }

  /// 1. The log start offset may stand inside a batch: what follows it in the batch is acknowledged and must survive.
  @Test(arguments: [0, 10])
  func aLogStartInsideABatchKeepsTheRestOfIt(_ later: Int) throws {
    let harness = LogHarness()
    try Self.live(harness) { log, _, _ in
      _ = try await Self.append(log, messages: 0..<10)
      for n in 10..<(10 + later) { _ = try await log.append(message: n) }
      try await log.removeSegments(before: 4)
      let v1 = try await log.consume().map(\.message)
      #expect(v1 == Array(4..<(10 + later)))
      try await log.close()
    }
    try Self.live(harness, at: 1 << 40, hints: RecoveryHints(logStartOffset: 4)) { log, report, _ in
      #expect(report.damage.isEmpty)
      #expect(log.logEndOffset == Offset(10 + later))
      let v2 = try await log.consume().map(\.message)
      #expect(v2 == Array(4..<(10 + later)))
    }
  }

  /// 3. The leisure copy of a commit that failed comes after the commit that took its offsets.
  @Test func aFailedCommitNeverReachesTheNewestBatches() throws {
    for policy in [SyncPolicy.always, .interval(.milliseconds(100)), .never] {
      let harness = LogHarness(policy: policy)
      try Self.live(harness, latency: .zero) { log, _, storage in
        let v3 = try await log.append(message: 0)
        #expect(v3 == 0)
        // The loop comes to rest: what it has put off is done.
        await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
        storage.hook = { call throws(StorageError) in
          if call.kind == .write, call.length > 0 {
            storage.hook = nil
            throw StorageError(errno: EIO, .write, call.path)
          }
        }
        do {
          _ = try await log.append(message: 666)
          Issue.record("acknowledged")
        } catch {}
        let v4 = try await log.append(message: 1)
        #expect(v4 == 1)
        await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
        let v5 = try await log.consume().map(\.message)
        #expect(v5 == [0, 1], "\(policy)")
      }
    }
  }

  /// 4. Under truncate-at-corruption the offsets after the cut are given again: what is appended there can be fetched.
  @Test func whatIsAppendedAfterACutIsServedInTheSameLife() throws {
    let harness = LogHarness(recovery: .truncateAtCorruption)
    try Self.live(harness) { log, _, _ in
      for n in 0..<10 { _ = try await log.append(message: n) }
      try await log.close()
    }
    #expect(DamageTests.flipPayload(of: 5, size: 200, on: harness.disk))
    try Self.live(harness, at: 1 << 40) { log, report, _ in
      #expect(report.damage.map { [$0.from, $0.to] } == [[5, 10]])
      for n in 0..<10 {
        let offset = try await log.append(message: 100 + n)
        #expect(offset == Offset(5 + n))
      }
      let v6 = try await log.consume().map(\.message)
      #expect(v6 == Array(0..<5) + (0..<10).map { 100 + $0 })
    }
  }

  /// 6. The idle commit loop rolls a poisoned segment; close() meanwhile wakes nobody.
  @Test func closingWhileAPoisonedSegmentIsReplacedEnds() throws {
    for wait in stride(from: 0, through: 3000, by: 100) as StrideThrough<Int64> {
      let harness = LogHarness(policy: .interval(.milliseconds(100)))
      do {
        try Self.live(harness) { log, _, storage in
          _ = try await log.append(message: 0)
          storage.hook = { call throws(StorageError) in
            if call.kind == .sync {
              storage.hook = nil
              throw StorageError(errno: EIO, .sync, call.path)
            }
          }
          while log.atRisk.isEmpty { await storage.loop.sleep(until: storage.loop.now + .microseconds(5)) }
          await storage.loop.sleep(until: storage.loop.now + .microseconds(wait))
          do throws(StorageError) { try await log.close() } catch {}
        }
      } catch is LogHarness.Hung {
        Issue.record("close() \(wait) us after the failed sync never returns")
      }
    }
  }

  /// 9. A recovery that truncates is cut off (an I/O error or a kill): the next one must still report the damage.
  @Test func damageIsReportedByTheRecoveryThatFinishesTheCut() throws {
    var silent: [Int] = []
    for n in 1... {
      let harness = LogHarness(recovery: .truncateAtCorruption)
      let bases = try Self.live(harness) { log, _, _ in
        for n in 0..<24 { _ = try await log.append(message: n, size: 6000) }
        return log.segmentBases
      }
      _ = harness.disk.processKill(seed: 1)
      let victim = Int(bases[1].rawValue) - 1
      #expect(DamageTests.flipPayload(of: victim, size: 6000, on: harness.disk))
      // What an engine keeps in its metadata.
      let proven = Count()
      var first: [[Offset]]?
      do {
        first = try Self.live(
          harness, at: 1 << 40,
          arm: { storage in
            var count = 0
            storage.hook = { call throws(StorageError) in
              switch call.kind {
              case .rename, .truncate, .unlink, .sync, .syncDirectory, .write:
                count += 1
                if count == n + 1 { throw StorageError(errno: EIO, call.kind, call.path) }
              default: break
              }
            }
          }, beforeCut: { proven.opens = Int($0.rawValue) }
        ) { log, report, storage in
          storage.hook = nil
          return report.damage.map { [$0.from, $0.to] }
        }
      } catch is StorageError {}
      if first != nil { break }
      _ = harness.disk.processKill(seed: 2)
      let end = proven.opens > 0 ? Offset(proven.opens) : nil
      let second = try Self.live(harness, at: 2 << 40, hints: RecoveryHints(cleanEnd: end)) { log, report, _ in
        #expect(log.logEndOffset == Offset(victim))
        return report.damage.map { [$0.from, $0.to] }
      }
      if second != [[Offset(victim), 24]] { silent.append(n) }
      guard n < 40 else { break }
    }
    #expect(silent == [], "cut off at these changes, the damage is not reported (in full) by the next recovery")
  }

  /// 11. Files that `never` made have no durable entry: a recovery under a policy that syncs must give them one before
  /// it serves them and calls them durable.
  @Test func aPolicyThatSyncsMakesTheNamesDurableToo() throws {
    var harness = LogHarness(policy: .never)
    try Self.live(harness) { log, _, _ in
      for n in 0..<50 { _ = try await log.append(message: n) }
      try await log.close()
    }
    _ = harness.disk.processKill(seed: 1)
    harness.configuration.syncPolicy = .always
    try Self.live(harness, at: 1 << 40) { log, _, _ in
      #expect(log.durableOffset == 50)
      let v7 = try await log.consume().count
      #expect(v7 == 50)
      try await log.close()
    }
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try Self.live(harness, at: 2 << 40) { log, _, _ in
      let v8 = try await log.consume().count
      #expect(v8 == 50)
    }
  }

  /// 12. A sync that failed in recovery is tried again on the same pages by the next recovery of the same boot, which
  /// then calls them durable.
  @Test func aSyncThatFailedInRecoveryIsNotRepeated() throws {
    let harness = LogHarness(policy: .interval(.seconds(10)))
    try Self.live(harness) { log, _, _ in for n in 0..<20 { _ = try await log.append(message: n) } }
    _ = harness.disk.processKill(seed: 1)
    let loop = EventLoop(simulatedWithSeed: 1, startingAt: Instant(nanoseconds: 1 << 40))
    let storage = UnreliableStorage(MemoryStorage(disk: harness.disk, loop: loop, latency: .disk))
    storage.failingSyncs = [1]
    let configuration = harness.configuration
    _ = loop.run(limit: .seconds(600)) {
      do {
        let (log, _) = try await PartitionLog.open(LogHarness.source, in: "log", of: storage, configuration)
        try await log.close()
      } catch { Issue.record("one failed sync, and the log does not open: \(error)") }
      #expect(storage.syncs > 1, "the sync did not fail")
      do {
        let (log, _) = try await PartitionLog.open(LogHarness.source, in: "log", of: storage, configuration)
        #expect(
          storage.retries == [],
          "durable up to \(log.durableOffset), by a sync of pages that a failed sync has left clean")
      } catch {}
    }
  }

  /// 15. Two fetches open one file; it is retired, the second open fails: the first one's handle stays open.
  @Test func aFetchThatFailsToOpenLeaksNoHandle() throws {
    let harness = LogHarness()
    try Self.live(harness) { log, _, storage in
      for n in 0..<24 { _ = try await log.append(message: n, size: 6000) }
      #expect(log.segmentBases.count == 3)
      let path = log.segments[0].path
      let before = storage.open
      let gate = AsyncEvent()
      let count = Count()
      storage.hook = { call throws(StorageError) in
        guard call.kind == .open, call.path == path else { return }
        count.opens += 1
        if count.opens == 2 { await gate.wait() }
      }
      await withTaskGroup(of: Void.self) { group in
        for k in 0..<2 {
          group.addTask(executorPreference: storage.loop) {
            let response = FetchResponse()
            do { try await log.fetch(from: Offset(k), maxBytes: 1, into: response) } catch {}
          }
        }
        group.addTask(executorPreference: storage.loop) {
          while count.opens < 2 || log.segments.first?.readers != 1 {
            await storage.loop.sleep(until: storage.loop.now + .microseconds(5))
          }
          do { try await log.removeSegments(before: log.segmentBases[1]) } catch {}
          gate.open()
        }
      }
      storage.hook = nil
      #expect(storage.open - log.openReaders == before, "open before \(before)")
      try await log.close()
      #expect(storage.open == 0, "handles are open after close()")
    }
  }

  /// 17. A zero-fill whose sync fails goes unnoticed: the segment takes more commits.
  @Test func aFailedSyncOfAZeroFillEndsItsSegment() throws {
    for n in 2...6 {
      let harness = LogHarness()
      try SyncFailureTests.live(harness) { log, storage in
        storage.failingSyncs = [n]
        for m in 0..<30 {
          do throws(LogError) { _ = try await log.append(message: m, size: 3000) } catch {}
        }
        #expect(storage.retries == [], "sync \(n) failed")
      }
    }
  }

  /// 21. interval, never, always, with kills between: what the first wrote and had not synced is synced by no one.
  @Test func whatAnEarlierPolicyLeftUnsyncedIsSynced() throws {
    var harness = LogHarness(policy: .interval(.seconds(10)))
    try Self.live(harness) { log, _, _ in for n in 0..<20 { _ = try await log.append(message: n) } }
    _ = harness.disk.processKill(seed: 1)
    harness.configuration.syncPolicy = .never
    try Self.live(harness, at: 1 << 40) { log, _, _ in for n in 20..<25 { _ = try await log.append(message: n) } }
    _ = harness.disk.processKill(seed: 2)
    harness.configuration.syncPolicy = .always
    try Self.live(harness, at: 2 << 40) { log, _, _ in
      #expect(log.durableOffset == 25)
      _ = try await log.append(message: 25)
      try await log.close()
    }
    _ = harness.disk.powerLoss(seed: 3, profile: .dropUnsynced)
    try Self.live(harness, at: 3 << 40) { log, report, _ in
      let found = try await log.consume().map(\.message)
      #expect(report.damage.isEmpty)
      #expect(found == Array(0..<26))
    }
  }
}
