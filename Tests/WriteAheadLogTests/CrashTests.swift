import FaultInjection
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import WriteAheadLog

/// Crashes at every operation, of the workload and of the recovery after it.
@Suite struct CrashTests {
  /// What producers were told, in the order of the answers. Touched on one loop.
  final class Answers: @unchecked Sendable {
    var acknowledged: [Int: Offset] = [:]
    var attempted = 0
  }

  static let messages = 60

  /// Three producers, twenty messages each, over several segments.
  static func workload(_ log: PartitionLog, _ storage: any Storage, _ answers: Answers, from first: Int) async {
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<3 {
        group.addTask(executorPreference: storage.loop) {
          for n in stride(from: producer, to: messages, by: 3) {
            answers.attempted += 1
            do throws(LogError) {
              answers.acknowledged[first + n] = try await log.append(message: first + n, size: 3000)
            } catch { return }
          }
        }
      }
    }
  }

  /// Runs the workload with a crash at operation `n` of the machine; false where it ended before.
  private static func crash(
    _ harness: LogHarness, at n: Int, _ kind: CrashKind, _ profile: PersistenceProfile, seed: UInt64, _ answers: Answers
  ) throws -> Bool {
    let fired = Answers()
    let disk = harness.disk
    do {
      try harness.live(
        seed: seed,
        arm: { storage in
          storage.arm(CrashTrigger([], .occurrence(n), .submission)) { _ throws(StorageError) in
            fired.attempted = 1
            _ = kind == .powerLoss ? disk.powerLoss(seed: seed, profile: profile) : disk.processKill(seed: seed)
          }
        }
      ) { log, _, storage in
        await workload(log, storage, answers, from: 0)
        try await log.close()
      }
    } catch is LogHarness.Hung {
      throw LogHarness.Hung(ending: .stalled)
    } catch {}  // the machine died while the log was being opened
    return fired.attempted == 1
  }

  struct Case: Sendable, CustomStringConvertible {
    var policy: SyncPolicy
    var kind: CrashKind
    var description: String { "\(policy), \(kind.rawValue)" }
  }

  static let cases: [Case] = [SyncPolicy.always, .interval(.milliseconds(5)), .never].flatMap { policy in
    [CrashKind.processKill, .powerLoss].map { Case(policy: policy, kind: $0) }
  }

  @Test(arguments: cases)
  func acknowledgedMessagesSurviveACrashAtEveryOperation(_ c: Case) throws {
    var points = 0
    for n in 1... {
      let seed = UInt64(n)
      let harness = LogHarness(seed: seed, policy: c.policy)
      let answers = Answers()
      let profile: PersistenceProfile = n % 2 == 0 ? .dropUnsynced : .posixMinimal
      guard try Self.crash(harness, at: n, c.kind, profile, seed: seed, answers) else { break }
      points += 1
      let first = try Self.check(harness, c, answers, seed: seed, "crash at \(n)")
      // A second life that appends and closes; a third that finds it all.
      let later = Answers()
      try harness.live(seed: seed + 1, startingAt: Instant(nanoseconds: 1 << 40)) { log, _, storage in
        await Self.workload(log, storage, later, from: 1000)
        try await log.close()
      }
      #expect(later.acknowledged.count == Self.messages, "crash at \(n): the log takes no appends after it")
      let found = try harness.live(seed: seed + 2, startingAt: Instant(nanoseconds: 1 << 41)) { log, _, _ in
        let found = try await log.consume().map(\.message)
        try await log.close()
        return found
      }
      #expect(
        found.count == first.count + Self.messages && found.prefix(first.count).elementsEqual(first), "crash at \(n)")
    }
    #expect(points > 30)
    print("\(c): \(points) crash points")
  }

  /// What the log holds after the crash, checked against what had been promised.
  private static func check(
    _ harness: LogHarness, _ c: Case, _ answers: Answers, seed: UInt64, _ title: String
  ) throws -> [Int] {
    let found = try harness.live(seed: seed + 100, startingAt: Instant(nanoseconds: 1 << 39)) { log, report, _ in
      #expect(report.damage.isEmpty, "\(title): a crash is not damage: \(report.damage)")
      #expect(log.highWatermark == log.logEndOffset)
      let found = try await log.consume()
      try await log.close()
      return found.map { ($0.offset, $0.message) }
    }
    for (index, entry) in found.enumerated() {
      #expect(entry.0 == Offset(index) && entry.1 >= 0, "\(title): offset \(index)")
    }
    let there = Set(found.map(\.1))
    #expect(there.count == found.count, "\(title): duplicates")
    for (message, offset) in answers.acknowledged {
      if there.contains(message) {
        #expect(found[Int(offset.rawValue)].1 == message, "\(title): message \(message) moved")
      } else if c.policy == .always || c.kind == .processKill {
        Issue.record("\(title): message \(message), acknowledged at \(offset), is lost")
      } else {
        #expect(offset.rawValue >= Int64(found.count), "\(title): \(message) is lost and later ones are not")
      }
    }
    return found.map(\.1)
  }

  /// A crash at any operation of recovery, and recovery again, ends where the first would have ended.
  @Test(arguments: cases)
  func recoveryIsRepeatable(_ c: Case) throws {
    var nested = 0
    for n in stride(from: 5, through: 200, by: 5) {
      let seed = UInt64(n)
      func crashed() throws -> LogHarness? {
        let harness = LogHarness(seed: seed, policy: c.policy)
        return try Self.crash(harness, at: n, c.kind, .posixMinimal, seed: seed, Answers()) ? harness : nil
      }
      func contents(_ harness: LogHarness) throws -> [Int] {
        try harness.live(seed: 7, startingAt: Instant(nanoseconds: 1 << 39)) { log, _, _ in
          let found = try await log.consume().map(\.message)
          try await log.close()
          return found
        }
      }
      guard let reference = try crashed().map(contents) else { break }
      for m in 1... {
        guard let harness = try crashed() else { break }
        let disk = harness.disk
        let fired = Answers()
        do {
          try harness.live(
            seed: 7, startingAt: Instant(nanoseconds: 1 << 38),
            arm: { storage in
              storage.arm(CrashTrigger([], .occurrence(m), .submission)) { _ throws(StorageError) in
                fired.attempted = 1
                // The same kind of crash again: a power loss after a process kill may take what was never synced.
                _ =
                  c.kind == .powerLoss
                  ? disk.powerLoss(seed: seed, profile: .posixMinimal) : disk.processKill(seed: seed)
              }
            }
          ) { _, _, _ in }
        } catch is LogHarness.Hung {
          Issue.record("recovery hangs when it is cut at \(m)")
        } catch {}
        guard fired.attempted == 1 else { break }
        nested += 1
        #expect(try contents(harness) == reference, "crash at \(n), then at \(m) of recovery")
      }
    }
    #expect(nested > 60)
    print("\(c): \(nested) nested crash points")
  }
}
