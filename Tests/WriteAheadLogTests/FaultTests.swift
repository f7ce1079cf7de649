import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import WriteAheadLog

@Suite struct FaultTests {
  /// Damage at rest: one bit of each byte of a small log of several segments, one after the other. Never a wrong byte,
  /// never more lost than the touched message, and always reported.
  @Test(arguments: [CrashKind.none, .processKill])
  func aFlippedBitCostsTheBatchItTouchesAndIsReported(_ ending: CrashKind) throws {
    let harness = LogHarness()
    let count = 24
    try harness.live { log, _, _ in
      for n in 0..<count { _ = try await log.append(message: n, size: 6000) }
      if ending == .none { try await log.close() }
    }
    _ = harness.disk.processKill(seed: 1)
    var cases = 0
    var random = SeededGenerator(seed: 3)
    let paths = harness.disk.paths
    #expect(paths.count >= 3)
    for path in paths {
      let size = harness.disk.read(path)?.count ?? 0
      for byte in stride(from: 0, to: size, by: 61) {
        let flipped = LogHarness(copying: harness, disk: harness.disk.snapshot())
        _ = flipped.disk.processKill(seed: 1)
        let bit = Int.random(in: 0..<8, using: &random)
        guard flipped.disk.flipBit(path, byte: Int64(byte), bit: bit) else { continue }
        cases += 1
        try flipped.live(latency: .zero) { log, report, _ in
          let found = try await log.consume()
          let missing = Set(0..<count).subtracting(found.map(\.message))
          #expect(found.allSatisfy { $0.offset == Offset($0.message) }, "\(path) byte \(byte): a wrong byte or place")
          #expect(missing.count <= 1, "\(path) byte \(byte): \(missing) lost")
          for message in missing where message != count - 1 {
            // The very last batch has no witness: a torn tail looks the same.
            #expect(
              report.damage.contains { $0.from <= Offset(message) && Offset(message) < $0.to }, "\(path) byte \(byte)")
          }
          let next = try await log.append(message: 100)
          #expect(next >= Offset(count - 1))
          try await log.close()
        }
      }
    }
    print("\(cases) flipped bits, \(ending.rawValue)")
    #expect(cases > 2000)
  }

  /// Found by the error matrix: under `never` the cut itself was not durable, and after a power loss what a consumer
  /// had missed was there again.
  @Test func whatRecoveryHasCutStaysCutUnderNeverToo() throws {
    let harness = LogHarness(policy: .never)
    try harness.live { log, _, _ in
      for n in 0..<40 { _ = try await log.append(message: n, size: 3000) }
    }
    // Everything has been written back by itself before the power goes: several segments.
    _ = harness.disk.processKill(seed: 1)
    let paths = harness.disk.paths.filter { $0.hasSuffix(".log") }.sorted()
    #expect(paths.count > 1)
    for path in paths { try harness.disk.putAtRest(path, harness.disk.read(path) ?? [], at: 0) }
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    #expect(harness.disk.flipBit(paths[0], byte: 4096 + 5 * 3080, bit: 2))
    let found = try harness.live { log, _, _ in try await log.consume().map(\.message) }
    #expect(found == [0, 1, 2, 3, 4])
    _ = harness.disk.powerLoss(seed: 2, profile: .dropUnsynced)
    let again = try harness.live { log, _, _ in try await log.consume().map(\.message) }
    #expect(again == found)
  }

  /// Every write, sync and open fails once, with every errno: nothing that was acknowledged is lost, and the log goes
  /// on.
  @Test(arguments: [OperationKind.write, .sync, .open, .syncDirectory], [EIO, ENOSPC, EINTR, EAGAIN])
  func aFailedOperationLosesNothingAcknowledged(_ kind: OperationKind, _ code: Int32) throws {
    var fired = 0
    for n in 1...40 {
      let harness = LogHarness(seed: UInt64(n))
      let hits = CrashTests.Answers()
      let answers = CrashTests.Answers()
      let refused = CrashTests.Answers()
      do {
        try harness.live(
          seed: UInt64(n),
          arm: { storage in
            storage.arm(CrashTrigger([kind], pathContains: "log", .occurrence(n), .submission)) {
              pass throws(StorageError) in
              hits.attempted += 1
              throw StorageError(errno: code, pass.kind, pass.path)
            }
          }
        ) { log, _, _ in
          for m in 0..<30 {
            do throws(LogError) {
              answers.acknowledged[m] = try await log.append(message: m, size: 3000)
            } catch {
              refused.attempted += 1  // refused or indeterminate: either is an answer
            }
          }
          try await log.close()
        }
      } catch let error as StorageError {
        #expect(hits.attempted == 1 && error.isErrno(code))  // it was the opening that failed
      }
      guard hits.attempted == 1 else { break }
      fired += 1
      #expect(refused.attempted <= 1, "\(kind) \(n): one fault, \(refused.attempted) appends refused")
      _ = harness.disk.powerLoss(seed: UInt64(n), profile: .posixMinimal)
      let found = try harness.live(seed: 99, startingAt: Instant(nanoseconds: 1 << 40)) { log, _, _ in
        let found = try await log.consume()
        try await log.close()
        return found.map { ($0.offset, $0.message) }
      }
      for (message, offset) in answers.acknowledged {
        #expect(found.contains { $0.1 == message && $0.0 == offset }, "\(kind) \(n): message \(message) is lost")
      }
      #expect(found.indices.allSatisfy { found[$0].0 == Offset($0) }, "\(kind) \(n): a hole")
    }
    #expect(fired > 0)
  }

  /// H12: an idle tail is synced too. Nothing is appended after the first message; d later the power goes.
  @Test func anIdleTailIsSyncedWithinTheInterval() throws {
    let harness = LogHarness(policy: .interval(.milliseconds(100)))
    let offset = try harness.live { log, _, storage in
      let offset = try await log.append(message: 0)
      #expect(log.durableOffset == 0, "acknowledged before it is durable: that is what the policy is for")
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(100))
      return offset
    }
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    let found = try harness.live { log, _, _ in try await log.consume().map(\.offset) }
    #expect(found == [offset])
  }

  /// The control of the one above: without the wait the message is gone, so the wait is what saves it.
  @Test func anIdleTailIsNotSyncedAtOnce() throws {
    let harness = LogHarness(policy: .interval(.milliseconds(100)))
    try harness.live { log, _, _ in _ = try await log.append(message: 0) }
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    #expect(try harness.live { log, _, _ in try await log.consume().count } == 0)
  }

  /// P6: what is appended while a commit is in flight is not acknowledged by it.
  @Test func aCommitAcknowledgesWhatItCarriesAndNothingElse() throws {
    let harness = LogHarness()
    try harness.live { log, _, storage in
      let first = CrashTests.Answers()
      storage.loop.spawn {
        _ = try? await log.append(message: 0); first.attempted = 1
      }
      while log.logEndOffset == 0 { await storage.loop.sleep(until: storage.loop.now + .microseconds(1)) }
      #expect(log.highWatermark == 0)
      let second = try await log.append(message: 1)
      #expect(second == 1 && first.attempted == 1 && log.durableOffset == 2)
    }
  }

  @Test func limitsAreRefusedForCertain() async throws {
    try LogHarness().live { log, _, _ in
      do throws(LogError) {
        _ = try await log.append(recordCount: 0, payloadBytes: 0) { _ in }
        Issue.record("an empty batch was taken")
      } catch { #expect(error == .emptyBatch && error.isCertainFailure) }
      do throws(LogError) {
        _ = try await log.append(message: 0, size: 20_000)
        Issue.record("a batch over the limit was taken")
      } catch { #expect(error.isCertainFailure) }
      #expect(log.logEndOffset == 0)
      try await log.close()
      do throws(LogError) {
        _ = try await log.append(message: 0)
        Issue.record("a closed log took a batch")
      } catch { #expect(error == .closed) }
    }
  }
}
