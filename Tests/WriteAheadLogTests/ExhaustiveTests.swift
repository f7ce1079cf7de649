import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

@testable import WriteAheadLog

/// Every bit, every length, every byte: small logs, and all that can be done to them of one kind. `make exhaustive`
/// does all of it; an ordinary test run one case in `step`, and says so.
@Suite struct ExhaustiveTests {
  static let isWhole = getenv("TORNLOG_EXHAUSTIVE") != nil
  static let step = isWhole ? 1 : 163
  static let scope = isWhole ? "all" : "one in \(step)"

  static let count = 9
  static let size = 120

  /// Three segments of three commits; with `closing`, as a clean shutdown leaves them, whose end is known.
  static func makeLog(_ recovery: RecoveryPolicy) throws -> LogHarness {
    var harness = LogHarness(recovery: recovery)
    // Of the zeros ahead a little is enough: each byte of them is as good as another.
    (harness.configuration.firstPreallocation, harness.configuration.largestPreallocation) = (1024, 1024)
    try harness.live(latency: .zero) { log, _, _ in
      for n in 0..<count {
        if n > 0, n % 3 == 0 { try await log.beginSegment(at: log.logEndOffset) }
        _ = try await log.append(message: n, size: size)
      }
      try await log.close()
    }
    return harness
  }

  struct Outcome {
    var found: [(offset: Offset, message: Int)]
    var damage: [DamagedRange]
    var next: Offset
    var later: [(offset: Offset, message: Int)]
  }

  /// Recovers the damaged log, appends to it, and recovers it again.
  static func recover(_ harness: LogHarness, _ disk: MemoryDisk) throws -> Outcome {
    let damaged = LogHarness(copying: harness, disk: disk)
    let hints = RecoveryHints(cleanEnd: Offset(count))
    let (found, damage, next) = try damaged.live(latency: .zero, hints: hints) { log, report, _ in
      let found = try await log.consume()
      let next = try await log.append(message: 100, size: size)
      let end = log.logEndOffset
      try await log.close()
      return (found, report.damage, (next, end))
    }
    // What an engine records then.
    let later = try damaged.live(latency: .zero, hints: RecoveryHints(cleanEnd: next.1)) { log, _, _ in
      let found = try await log.consume()
      try await log.close()
      return found
    }
    return Outcome(found: found, damage: damage, next: next.0, later: later)
  }

  /// - Parameter excused: messages that may be gone, if reported.
  static func check(_ outcome: Outcome, _ recovery: RecoveryPolicy, excused: Set<Int>, _ title: String) {
    let messages = outcome.found.map(\.message)
    for (offset, message) in outcome.found where Offset(message) != offset {
      Issue.record("\(title): message \(message) at \(offset)")
    }
    let lost = Set(0..<count).subtracting(messages)
    for message in lost where !outcome.damage.contains(where: { $0.from <= Offset(message) && Offset(message) < $0.to })
    {
      Issue.record("\(title): message \(message) is gone and not reported: \(outcome.damage)")
    }
    let allowed = recovery == .skipCorrupted ? excused : excused.min().map { Set($0..<count) } ?? []
    if !lost.isSubset(of: allowed) { Issue.record("\(title): \(lost) are gone, \(allowed) may be") }
    for range in outcome.damage where !lost.contains(Int(range.from.rawValue)) {
      Issue.record("\(title): \(range) is reported, and served")
    }
    let expected = recovery == .skipCorrupted ? Offset(count) : Offset(messages.count)
    if outcome.next != expected { Issue.record("\(title): the next append got \(outcome.next), expected \(expected)") }
    if outcome.later.map(\.message) != messages + [100] {
      Issue.record("\(title): after another restart \(outcome.later)")
    }
  }

  /// Which segment a path is, and the messages in it.
  static func messages(of path: String, _ paths: [String]) -> Set<Int> {
    let segment = paths.firstIndex(of: path)!
    return Set(segment * 3..<segment * 3 + 3)
  }

  /// Of a log that is cut at the byte, the message whose batch holds it, with the padding behind it; all of the
  /// segment's for its head.
  static func touched(_ byte: Int, of path: String, _ paths: [String]) -> Set<Int> {
    let all = messages(of: path, paths)
    guard byte >= SegmentHeader.size else { return all }
    let block = (byte - SegmentHeader.size) / 512
    return [all.min()! + min(block, 2)]
  }

  /// The message that a wrong bit may cost: none for one in the head, which stands there twice, or in the padding
  /// behind a batch, which is nobody's.
  static func destroyed(byBitOf byte: Int, of path: String, _ paths: [String]) -> Set<Int> {
    let batch = (BatchHeader.size + RecordFormat.headerSize + size + 7) / 8 * 8
    guard byte >= SegmentHeader.size, (byte - SegmentHeader.size) % 512 < batch else { return [] }
    return touched(byte, of: path, paths)
  }

  @Test(arguments: RecoveryPolicy.allCases, 0..<2)
  func everyBit(_ recovery: RecoveryPolicy, _ shard: Int) throws {
    let harness = try Self.makeLog(recovery)
    let paths = harness.disk.paths.filter { $0.hasSuffix(".log") }
    #expect(paths.count == 3)
    var cases = 0
    for path in paths {
      let size = harness.disk.read(path)!.count
      for byte in 0..<size {
        for bit in 0..<8 where (byte * 8 + bit) % (2 * Self.step) == shard {
          let disk = harness.disk.snapshot()
          #expect(disk.flipBit(path, byte: Int64(byte), bit: bit))
          let outcome = try Self.recover(harness, disk)
          Self.check(
            outcome, recovery, excused: Self.destroyed(byBitOf: byte, of: path, paths),
            "\(path) byte \(byte) bit \(bit)")
          cases += 1
        }
      }
    }
    print("every bit, \(recovery.rawValue), part \(shard + 1) of 2, \(Self.scope): \(cases) cases")
  }

  @Test(arguments: RecoveryPolicy.allCases)
  func everyLength(_ recovery: RecoveryPolicy) throws {
    let harness = try Self.makeLog(recovery)
    let paths = harness.disk.paths.filter { $0.hasSuffix(".log") }
    var cases = 0
    for path in paths {
      for length in stride(from: 0, to: harness.disk.read(path)!.count, by: Self.isWhole ? 1 : 61) {
        let disk = harness.disk.snapshot()
        try disk.truncate(path, to: Int64(length))
        let gone = Self.touched(length, of: path, paths).union(
          Self.messages(of: path, paths).filter { $0 >= Self.touched(length, of: path, paths).min()! })
        Self.check(try Self.recover(harness, disk), recovery, excused: gone, "\(path) cut to \(length)")
        cases += 1
      }
      let disk = harness.disk.snapshot()
      try disk.remove(path)
      Self.check(try Self.recover(harness, disk), recovery, excused: Self.messages(of: path, paths), "\(path) deleted")
      cases += 1
    }
    print("every length, \(recovery.rawValue), \(Self.isWhole ? "all" : "one in 61"): \(cases) cases")
  }

  /// The disk is full at byte n of a commit, for every n, and room is made after some refusals: nothing that was
  /// acknowledged is lost, no garbage is served, appends are acknowledged again and survive (C16, A2).
  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(5)), .never])
  func noSpaceAtEveryByte(_ policy: SyncPolicy) throws {
    var cases = 0
    for byte in stride(from: 1, through: 1200, by: Self.isWhole ? 1 : 13) {
      let harness = LogHarness(seed: UInt64(byte), policy: policy)
      let plan = FaultPlan([
        PlannedFault(
          .noSpace, FaultTrigger([.write], pathContains: ".log", .bytes(Int64(SegmentHeader.size + byte))), .times(3))
      ])
      let acknowledged = try harness.live(latency: .zero, plan: plan) { log, _, storage in
        var acknowledged: [Int: Offset] = [:]
        for n in 0..<12 {
          do throws(LogError) { acknowledged[n] = try await log.append(message: n, size: 300) } catch {}
        }
        #expect(acknowledged[11] != nil, "\(policy), byte \(byte): no append is taken after the space came back")
        await storage.loop.sleep(until: storage.loop.now + .milliseconds(20))
        let served = try await log.consume()
        for (message, offset) in acknowledged {
          #expect(
            served.contains { $0.message == message && $0.offset == offset },
            "\(policy), byte \(byte): \(message) is not served")
        }
        return acknowledged
      }
      if policy == .never {
        _ = harness.disk.processKill(seed: 1)
      } else {
        _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
      }
      for life in 1...2 as ClosedRange<Int64> {
        try harness.live(startingAt: Instant(nanoseconds: life << 40)) { log, report, _ in
          let found = try await log.consume()
          #expect(
            report.damage.isEmpty
              && found.indices.allSatisfy { found[$0].offset == Offset($0) && found[$0].message >= 0 })
          for (message, offset) in acknowledged {
            #expect(
              found.contains { $0.message == message && $0.offset == offset },
              "\(policy), byte \(byte): \(message) is lost")
          }
          _ = try await log.append(message: 100 + Int(life), size: 300)
          try await log.close()
        }
      }
      cases += 1
    }
    print("no space at every byte, \(policy), \(Self.isWhole ? "all" : "one in 13"): \(cases) cases")
  }
}
