import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import RecordLogs

@Suite struct RecordFaultTests {
  /// A2, C16: the disk is full at every byte of the log, three times over, and then not any more. Whatever was
  /// acknowledged is there after a restart, and nothing stands behind garbage.
  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(100))])
  func noSpaceAtEveryByte(_ policy: SyncPolicy) throws {
    let count = 8
    var refusals = 0
    for byte in stride(from: 1, through: 1072, by: RecordDamageTests.isWhole ? 1 : 5) {
      let harness = RecordHarness<AirunnerCodec>(sync: policy, recovery: .truncateAtCorruption)
      let plan = FaultPlan([
        PlannedFault(.noSpace, FaultTrigger([.write], pathContains: ".wal", .bytes(Int64(byte))), .times(3))
      ])
      let acknowledged = Box<[Int]>([])
      let refused = Box(0)
      do {
        try harness.live(latency: .zero, plan: plan) { log, _, _ in
          for n in 0..<count {
            do throws(RecordLogError) {
              try await log.append(message: n)
              acknowledged.value.append(n)
            } catch {
              refused.value += 1
              #expect(!error.isCertainFailure, "a write was made")
            }
          }
          try await log.close()
        }
      } catch RecordLogError.storage(let error) {
        #expect(byte <= 16 && error.isNoSpace, "byte \(byte): \(error)")
        refused.value += 1
      }
      refusals += refused.value
      #expect(refused.value > 0, "byte \(byte): the fault did not fire")
      _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
      let found = try harness.readback(latency: .zero)
      #expect(found.messages == acknowledged.value, "byte \(byte): \(found.messages)")
      #expect(found.report.damageCount == 0, "byte \(byte)")
    }
    print("\(policy): \(refusals) appends refused")
  }

  /// A commit of two records is there in full, and its writer is told that it failed. The next commit covers the first
  /// of them only: the second must not come back behind it.
  @Test func aFailedCommitLeavesNothingBehindTheNext() throws {
    let harness = RecordHarness<AirunnerCodec>(recovery: .truncateAtCorruption)
    let fault = PlannedFault(.ioError, FaultTrigger([.write], pathContains: ".wal", .occurrence(2), .completion))
    try harness.live(latency: .zero, plan: FaultPlan([fault])) { log, _, storage in
      let refused = Box(0)
      await withTaskGroup(of: Void.self) { group in
        for n in 0..<2 {
          group.addTask(executorPreference: storage.loop) {
            do throws(RecordLogError) { try await log.append(message: n) } catch { refused.value += 1 }
          }
        }
      }
      #expect(refused.value == 2, "not one commit")
      try await log.append(message: 2)
    }
    _ = harness.disk.processKill(seed: 1)
    #expect(try harness.readback(latency: .zero).messages == [2])
  }

  /// Every operation of a kind fails once, with every errno: nothing acknowledged is lost, and whoever closes the log
  /// and opens it again goes on.
  @Test(
    arguments: [OperationKind.write, .sync, .open, .syncDirectory, .truncate, .list, .size, .read],
    [EIO, ENOSPC, EINTR, EAGAIN])
  func aFailedOperationLosesNothingAcknowledged(_ kind: OperationKind, _ code: Int32) throws {
    var fired = 0
    for n in 1...60 {
      let harness = RecordHarness<AirunnerCodec>(
        seed: UInt64(n), recovery: .truncateAtCorruption, rotation: RecordLogPolicy.Rotation(bytes: 4 << 10))
      // A log that is there, so that recovery has something to read, to cut and to write again.
      try harness.live(latency: .zero) { log, _, _ in
        for m in 0..<3 { try await log.append(message: m, size: 900) }
        try await log.close()
      }
      _ = harness.disk.processKill(seed: 1)
      let last = harness.disk.paths.last { $0.contains(".wal") }!
      try harness.disk.putAtRest(last, [60, 0, 0, 0, 9], at: Int64(harness.disk.read(last)?.count ?? 0))
      let hits = Box(0)
      let acknowledged = Box<[Int]>([0, 1, 2])
      do {
        try harness.live(
          seed: UInt64(n),
          arm: { storage in
            storage.arm(FaultTrigger([kind], pathContains: "log", .occurrence(n), .submission)) {
              pass throws(StorageError) in
              hits.value += 1
              throw StorageError(errno: code, pass.kind, pass.path)
            }
          }
        ) { log, _, _ in
          for m in 3..<20 {
            do throws(RecordLogError) {
              try await log.append(message: m, size: 900)
              acknowledged.value.append(m)
            } catch {}  // refused or indeterminate: either is an answer
          }
          try await log.close()
        }
      } catch is RecordLogError {}  // the opening failed, or the closing says that a sync has
      guard hits.value == 1 else { break }
      fired += 1
      // In the same boot: what recovery shows now must be there after a power cut, too.
      _ = harness.disk.processKill(seed: UInt64(n))
      let shown = try harness.readback(seed: 98, startingAt: Instant(nanoseconds: 1 << 39))
      _ = harness.disk.powerLoss(seed: UInt64(n), profile: .posixMinimal)
      let found = try harness.readback(seed: 99, startingAt: Instant(nanoseconds: 1 << 40))
      #expect(
        Set(acknowledged.value).isSubset(of: found.messages), "\(kind) \(n): \(acknowledged.value), \(found.messages)")
      #expect(found.messages == shown.messages, "\(kind) \(n): what was shown after the restart is gone")
      #expect(found.messages == found.messages.sorted() && found.report.damageCount == 0, "\(kind) \(n)")
    }
    #expect(fired > 0, "no \(kind) was made")
  }

  /// A failed sync that leaves its pages clean ("fsyncgate"): nothing more is acknowledged; the next opening writes the
  /// tail again, so that what it shows is durable.
  @Test func aFailedSyncPoisonsTheLogAndItsTailIsWrittenAgain() throws {
    let harness = RecordHarness<StreamhouseCodec>()
    // The third sync: one of the file that is made, one of the first record, one of the second.
    let plan = FaultPlan([PlannedFault(.syncFailure(.marksClean), FaultTrigger([.sync], .occurrence(3)))])
    try harness.live(latency: .zero, plan: plan) { log, _, _ in
      try await log.append(message: 0)
      do throws(RecordLogError) {
        try await log.append(message: 1)
        Issue.record("acknowledged without a sync")
      } catch { #expect(!error.isCertainFailure) }
      do throws(RecordLogError) {
        try await log.append(message: 2)
        Issue.record("acknowledged by a poisoned log")
      } catch { #expect(error.isCertainFailure) }
      do throws(RecordLogError) {
        try await log.close()
        Issue.record("closed as if all were well")
      } catch {}
    }
    _ = harness.disk.processKill(seed: 1)
    let shown = try harness.readback(latency: .zero).messages
    #expect(shown == [0, 1])
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    #expect(try harness.readback(latency: .zero).messages == shown)
  }

  /// H12: an idle tail is synced too; and, as a control, not at once.
  @Test func anIdleTailIsSyncedWithinTheInterval() throws {
    for waits in [true, false] {
      let harness = RecordHarness<StreamhouseCodec>(sync: .interval(.milliseconds(100)))
      try harness.live { log, _, storage in
        try await log.append(message: 0)
        #expect(log.durableEnd == 0, "acknowledged before it is durable: that is what the policy is for")
        if waits { await storage.loop.sleep(until: storage.loop.now + .milliseconds(100)) }
      }
      _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
      #expect(try harness.readback().messages == (waits ? [0] : []))
    }
  }

  /// Records that come while the first waits go with it, in one commit with one sync.
  @Test func aLingeringCommitTakesWhatComes() throws {
    var harness = RecordHarness<ReplayCodec>()
    harness.policy.linger = .milliseconds(100)
    harness.policy.lingerBytes = 4000
    try harness.live(latency: .zero) { log, _, storage in
      let loop = storage.loop
      let answered = Box<[Int: Instant]>([:])
      for n in 0..<3 {
        loop.spawn {
          await loop.sleep(until: Instant(nanoseconds: Int64(n) * 30_000_000))
          if (try? await log.append(message: n)) != nil { answered.value[n] = loop.now }
        }
      }
      await loop.sleep(until: Instant(nanoseconds: 99_000_000))
      #expect(answered.value.isEmpty)
      await loop.sleep(until: Instant(nanoseconds: 101_000_000))
      #expect(answered.value.count == 3)
      // Enough bytes end the wait.
      let before = loop.now
      await withTaskGroup(of: Void.self) { group in
        for n in 3..<8 { group.addTask(executorPreference: loop) { _ = try? await log.append(message: n, size: 1000) } }
      }
      #expect(loop.now == before)
      try await log.close()
    }
    #expect(try harness.readback(latency: .zero).messages.sorted() == Array(0..<8))
  }

  /// Two writers: the second is refused as long as the first is there.
  @Test func aSecondWriterIsRefused() throws {
    let harness = RecordHarness<StreamhouseCodec>()
    try harness.live(latency: .zero) { log, _, storage in
      do throws(RecordLogError) {
        _ = try await RecordLog<StreamhouseCodec>.open("jobs", in: "log", of: storage, log.policy)
        Issue.record("two writers")
      } catch { #expect(error == .inUse(path: "log/jobs.wal")) }
      try await log.close()
      let (again, _) = try await RecordLog<StreamhouseCodec>.open("jobs", in: "log", of: storage, log.policy)
      try await again.close()
    }
  }

  /// H9: `orders-0` is no file of `orders`, nor the other way round.
  @Test func namesAreReadExactly() {
    let files = RecordFiles(directory: "log", name: "orders")
    for number in [0, 1, 17] {
      let (plain, gzip) = (files.path(number).dropFirst(4), files.compressedPath(number).dropFirst(4))
      #expect(files.entry(String(plain)) == RecordFiles.Entry(number: number, isCompressed: false))
      #expect(files.entry(String(gzip)) == RecordFiles.Entry(number: number, isCompressed: true))
    }
    for other in [
      "orders-0.wal", "orders.wal.01", "orders.wal.0", "orders.wal.-1", "orders.wal.1.cut", "orders.wal.cut-16",
      "orders.lock",
      "orders.wal.1.gz.tmp", "order.wal", "orders.wal1", "orders.wal.", "orders.wal.+1",
    ] { #expect(files.entry(other) == nil, "\(other)") }
  }

  @Test func limitsAreRefusedForCertain() throws {
    let harness = RecordHarness<AirunnerCodec>()
    try harness.live(latency: .zero) { log, _, _ in
      try await log.append(message: 0, size: (16 << 10) - 32)
      do throws(RecordLogError) {
        try await log.append(message: 1, size: (16 << 10) - 31)
        Issue.record("a record over the limit was taken (A5)")
      } catch { #expect(error == .recordTooLarge(bytes: (16 << 10) + 1, limit: 16 << 10) && error.isCertainFailure) }
      try await log.append(message: 2)
      try await log.close()
      do throws(RecordLogError) {
        try await log.append(message: 3)
        Issue.record("a closed log took a record")
      } catch { #expect(error == .closed) }
    }
    #expect(try harness.readback(latency: .zero).messages == [0, 2])
  }
}
