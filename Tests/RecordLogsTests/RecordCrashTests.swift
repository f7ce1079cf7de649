import FaultInjection
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import RecordLogs

/// Crashes at every operation, of the workload and of the recovery after it.
@Suite struct RecordCrashTests {
  final class Answers: @unchecked Sendable {
    // Touched on one loop.
    var acknowledged: [Int: RecordPosition] = [:]
    var hits = 0
  }

  static let messages = 45

  struct Case: Sendable, CustomStringConvertible {
    var sync: SyncPolicy
    var recovery: RecoveryPolicy
    var kind: CrashKind
    var description: String { "\(sync), \(recovery.rawValue), \(kind.rawValue)" }
  }

  static let cases: [Case] = [
    Case(sync: .always, recovery: .skipCorrupted, kind: .powerLoss),
    Case(sync: .always, recovery: .skipCorrupted, kind: .processKill),
    Case(sync: .always, recovery: .truncateAtCorruption, kind: .powerLoss),
    Case(sync: .interval(.milliseconds(5)), recovery: .truncateAtCorruption, kind: .powerLoss),
    Case(sync: .interval(.milliseconds(5)), recovery: .skipCorrupted, kind: .processKill),
    Case(sync: .never, recovery: .truncateAtCorruption, kind: .powerLoss),
  ]

  /// Three producers, fifteen messages each, over several files.
  static func workload<F: TestFormat>(_ log: RecordLog<F>, _ storage: any Storage, _ answers: Answers, from first: Int)
    async
  {
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<3 {
        group.addTask(executorPreference: storage.loop) {
          for n in stride(from: producer, to: messages, by: 3) {
            do throws(RecordLogError) {
              answers.acknowledged[first + n] = try await log.append(message: first + n, size: 700)
            } catch { return }
          }
        }
      }
    }
  }

  static func harness<F: TestFormat>(_ format: F.Type, _ c: Case, seed: UInt64) -> RecordHarness<F> {
    RecordHarness<F>(
      seed: seed, sync: c.sync, recovery: c.recovery, rotation: RecordLogPolicy.Rotation(bytes: 12 << 10))
  }

  /// Runs the workload with a crash at operation `n` of the machine; false where it ended before.
  static func crash<F: TestFormat>(
    _ harness: RecordHarness<F>, at n: Int, _ kind: CrashKind, _ profile: PersistenceProfile, seed: UInt64,
    _ answers: Answers
  ) throws -> Bool {
    let disk = harness.disk
    do {
      try harness.live(
        seed: seed,
        arm: { storage in
          storage.arm(FaultTrigger([], .occurrence(n), .submission)) { _ throws(StorageError) in
            answers.hits = 1
            _ = kind == .powerLoss ? disk.powerLoss(seed: seed, profile: profile) : disk.processKill(seed: seed)
          }
        }
      ) { log, _, storage in
        await workload(log, storage, answers, from: 0)
        try await log.close()
      }
    } catch let hung as RecordHarness<F>.Hung { throw hung } catch {}  // it died while the log was being opened
    return answers.hits == 1
  }

  @Test(arguments: cases) func streamhouse(_ c: Case) throws { try survives(StreamhouseCodec.self, c) }
  @Test(arguments: cases) func airunner(_ c: Case) throws { try survives(AirunnerCodec.self, c) }

  private func survives<F: TestFormat>(_ format: F.Type, _ c: Case) throws {
    var points = 0
    for n in 1... {
      let seed = UInt64(n)
      let harness = Self.harness(format, c, seed: seed)
      let answers = Answers()
      let profile: PersistenceProfile = n % 2 == 0 ? .dropUnsynced : .posixMinimal
      guard try Self.crash(harness, at: n, c.kind, profile, seed: seed, answers) else { break }
      points += 1
      let first = try harness.readback(seed: seed + 100, startingAt: Instant(nanoseconds: 1 << 39))
      Self.check(first, c, answers, "\(c): crash at \(n)")
      // A second life that appends and closes; a third that finds it all.
      let later = Answers()
      let second = try harness.live(seed: seed + 1, startingAt: Instant(nanoseconds: 1 << 40)) { log, found, storage in
        await Self.workload(log, storage, later, from: 1000)
        try await log.close()
        return found
      }
      #expect(
        second.messages == first.messages && second.positions == first.positions, "\(c): crash at \(n): not repeatable")
      #expect(later.acknowledged.count == Self.messages, "\(c): crash at \(n): the log takes no appends after it")
      _ = harness.disk.powerLoss(seed: seed, profile: .dropUnsynced)
      let third = try harness.readback(seed: seed + 2, startingAt: Instant(nanoseconds: 1 << 41))
      #expect(
        third.messages.count == first.messages.count + Self.messages
          && third.messages.prefix(first.messages.count).elementsEqual(first.messages), "\(c): crash at \(n)")
    }
    #expect(points > 30)
    print("\(format), \(c): \(points) crash points")
  }

  /// What the log holds after the crash, against what had been promised.
  private static func check<F: TestFormat>(
    _ found: RecordHarness<F>.Found, _ c: Case, _ answers: Answers, _ title: String
  ) {
    #expect(!found.messages.contains(-1), "\(title): wrong bytes")
    #expect(Set(found.messages).count == found.messages.count, "\(title): twice")
    #expect(found.positions == found.positions.sorted(), "\(title): order")
    let places = Dictionary(zip(found.messages, found.positions)) { a, _ in a }
    var firstLost: RecordPosition?
    for (message, position) in answers.acknowledged {
      if let place = places[message] {
        #expect(place == position, "\(title): message \(message) moved")
      } else if c.sync == .always || c.kind == .processKill {
        Issue.record("\(title): message \(message), acknowledged at \(position), is lost")
      } else {
        firstLost = min(firstLost ?? position, position)
      }
    }
    if let firstLost {
      #expect(found.positions.allSatisfy { $0 < firstLost }, "\(title): one is lost and later ones are not")
    }
  }

  /// A crash at any operation of recovery, and recovery again, ends where the first would have ended.
  @Test(arguments: [cases[0], cases[2], cases[3]])
  func recoveryIsRepeatable(_ c: Case) throws {
    var nested = 0
    for n in stride(from: 7, through: 210, by: 7) {
      let seed = UInt64(n)
      func crashed() throws -> RecordHarness<AirunnerCodec>? {
        let harness = Self.harness(AirunnerCodec.self, c, seed: seed)
        return try Self.crash(harness, at: n, c.kind, .posixMinimal, seed: seed, Answers()) ? harness : nil
      }
      guard let reference = try crashed()?.readback(seed: 7, startingAt: Instant(nanoseconds: 1 << 39)) else { break }
      for m in 1... {
        guard let harness = try crashed() else { break }
        let disk = harness.disk
        let fired = Answers()
        do {
          try harness.live(
            seed: 7, startingAt: Instant(nanoseconds: 1 << 38),
            arm: { storage in
              storage.arm(FaultTrigger([], .occurrence(m), .submission)) { _ throws(StorageError) in
                fired.hits = 1
                _ = disk.powerLoss(seed: seed, profile: .posixMinimal)
              }
            }
          ) { _, _, _ in }
        } catch is RecordHarness<AirunnerCodec>.Hung {
          Issue.record("recovery hangs when it is cut at \(m)")
        } catch {}
        guard fired.hits == 1 else { break }
        nested += 1
        let found = try harness.readback(seed: 7, startingAt: Instant(nanoseconds: 1 << 39))
        #expect(found.messages == reference.messages, "\(c): crash at \(n), then at \(m) of recovery")
      }
    }
    #expect(nested > 60)
    print("\(c): \(nested) nested crash points")
  }
}
