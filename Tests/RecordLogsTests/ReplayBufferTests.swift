import FaultInjection
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import RecordLogs

@Suite struct ReplayBufferTests {
  static func measurement(_ transaction: UInt64, _ n: Int) -> [UInt8] { Array("\(transaction):\(n)".utf8) }

  static let small: RecordLogPolicy = {
    var policy = RecordLogPolicy.replayBuffer
    policy.rotation = RecordLogPolicy.Rotation(bytes: 1 << 10)
    return policy
  }()

  static func open(
    _ storage: any Storage, _ clock: WallClock, _ policy: RecordLogPolicy = small
  ) async throws -> (buffer: ReplayBuffer, report: ReplayBufferReport) {
    try await ReplayBuffer.open(in: "wal", of: storage, policy: policy, clock: clock)
  }

  /// What is left of each stage: all that is not finished is replayed, once, with what was added to it.
  @Test func unfinishedTransactionsAreReplayedAndOnlyOnce() throws {
    let worker = Worker()
    try worker.live { storage, clock in
      let (buffer, _) = try await Self.open(storage, clock)
      // Left filling, ended, replaying, committed, rolled back; two that fill at the same time.
      for last in 0..<5 {
        let number = try await buffer.start(user: "user \(last)")
        for n in 0..<3 { try await buffer.add(Self.measurement(number, n), to: number) }
        if last >= 1 { try await buffer.end(number) }
        if last >= 2 { try await buffer.checkpoint(number) }
        if last == 3 { try await buffer.commit(number) }
        if last == 4 { try await buffer.rollback(number) }
      }
    }
    _ = worker.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try worker.live(startingAt: Instant(nanoseconds: 1 << 40)) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock)
      #expect(
        report.unfinished == 3 && report.committed == 1 && report.rolledBack == 1 && report.recovery.damageCount == 0)
      do throws(ReplayBufferError) {
        _ = try await buffer.start(user: "new")
        Issue.record("started before the recovery")
      } catch { #expect(error == .recoveryPending) }
      let seen = Box<[ReplayTransaction]>([])
      let counts = try await buffer.recover { transaction in
        seen.value.append(transaction)
        return transaction.number != 2
      }
      #expect(counts == (committed: 2, rolledBack: 1))
      #expect(seen.value.map(\.number) == [1, 2, 3] && seen.value.map(\.stage) == [.filling, .ended, .replaying])
      for (index, transaction) in seen.value.enumerated() {
        #expect(transaction.measurements == (0..<3).map { Self.measurement(transaction.number, $0) })
        #expect(transaction.user == "user \(index)" && transaction.missing == 0)
      }
      #expect(try await Self.numberOfNext(buffer) == 6)
    }
    // R2, R4: neither the replayed ones nor the one whose replay failed come back.
    _ = worker.disk.powerLoss(seed: 2, profile: .dropUnsynced)
    let again = try worker.live(startingAt: Instant(nanoseconds: 1 << 41)) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock)
      try await buffer.close()
      return report
    }
    #expect(again.unfinished == 1 && again.committed == 3 && again.rolledBack == 2, "only the one just started")
  }

  private static func numberOfNext(_ buffer: ReplayBuffer) async throws -> UInt64 {
    try await buffer.start(user: "new")
  }

  /// R1: nobody is answered before the sync: a power cut at any moment of the 100 ms loses nothing that was answered.
  @Test func theAnswerWaitsForTheSync() throws {
    for milliseconds in stride(from: 0, through: 320, by: 10) {
      let worker = Worker()
      let answered = Box<[Int]>([])
      try worker.live { storage, clock in
        let (buffer, _) = try await Self.open(storage, clock)
        storage.loop.spawn {
          guard let number = try? await buffer.start(user: "u") else { return }
          for n in 0..<20 {
            do throws(ReplayBufferError) { try await buffer.add(Self.measurement(1, n), to: number) } catch { return }
            answered.value.append(n)
          }
        }
        await storage.loop.sleep(until: storage.loop.now + .milliseconds(milliseconds))
      }
      _ = worker.disk.powerLoss(seed: 1, profile: .dropUnsynced)
      let found = try worker.live(startingAt: Instant(nanoseconds: 1 << 40)) { storage, clock in
        let (buffer, _) = try await Self.open(storage, clock)
        let found = Box<[[UInt8]]>([])
        try await buffer.recover {
          found.value = $0.measurements; return true
        }
        try await buffer.close()
        return found.value
      }
      #expect(
        found.prefix(answered.value.count).elementsEqual(answered.value.map { Self.measurement(1, $0) }),
        "\(milliseconds) ms")
    }
  }

  /// What a workload of interleaved transactions was answered until the power went.
  private final class Answered: @unchecked Sendable {
    // Touched on one loop.
    var added: [UInt64: Int] = [:]
    var finished: Set<UInt64> = []
    var finishing: Set<UInt64> = []
    var compressed = 0
  }

  /// Interleaved transactions with rotation and compression.
  private static func interleave(_ buffer: ReplayBuffer, _ answered: Answered) async throws {
    var previous: UInt64?
    for round in 0..<4 {
      let pair = [try await buffer.start(user: "a"), try await buffer.start(user: "b")]
      for number in pair { answered.added[number] = 0 }
      for m in 0..<3 {
        for number in pair {
          try await buffer.add(Self.measurement(number, m), to: number)
          answered.added[number] = m + 1
        }
      }
      try await buffer.end(pair[0])
      try await buffer.checkpoint(pair[0])
      answered.finishing.insert(pair[0])
      if round % 2 == 0 { try await buffer.commit(pair[0]) } else { try await buffer.rollback(pair[0]) }
      answered.finished.insert(pair[0])
      // The other one of the round before: files get free of unfinished transactions.
      if let previous {
        try await buffer.end(previous)
        try await buffer.checkpoint(previous)
        answered.finishing.insert(previous)
        try await buffer.commit(previous)
        answered.finished.insert(previous)
      }
      previous = pair[1]
      answered.compressed += try await buffer.maintain().compressed.count
    }
    try await buffer.close()
  }

  /// The power goes at every operation of a workload of interleaved transactions with rotation, compression and
  /// recovery; what was answered is there after it, and what was finished does not come back.
  @Test(arguments: [PersistenceProfile.dropUnsynced, .posixMinimal])
  func powerLossAtEveryOperation(_ profile: PersistenceProfile) throws {
    var points = 0
    for n in 1... {
      let worker = Worker(seed: UInt64(n))
      let (disk, hits) = (worker.disk, Box(0))
      let answered = Answered()
      do {
        try worker.live(
          seed: UInt64(n),
          wrap: { base in
            let storage = TriggeredStorage(base)
            storage.arm(FaultTrigger([], .occurrence(n), .submission)) { _ throws(StorageError) in
              hits.value = 1
              _ = disk.powerLoss(seed: UInt64(n), profile: profile)
            }
            return storage
          }
        ) { storage, clock in
          try await Self.interleave(try await Self.open(storage, clock).0, answered)
        }
      } catch let hung as Worker.Hung { throw hung } catch {}  // the machine died
      guard hits.value == 1 else {
        #expect(answered.compressed > 0, "nothing was compressed")
        break
      }
      points += 1
      try Self.expect(answered, on: worker, cutAt: n)
    }
    #expect(points > 80)
    print("\(profile.name): \(points) power cuts")
  }

  /// What was answered is there after the power has gone, and is replayed once.
  private static func expect(_ answered: Answered, on worker: Worker, cutAt n: Int) throws {
    let unfinished = try worker.live(seed: 70, startingAt: Instant(nanoseconds: 1 << 41)) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock)
      #expect(report.recovery.damageCount == 0, "cut at \(n): \(report.recovery.damage)")
      let unfinished = Box<[ReplayTransaction]>([])
      try await buffer.recover {
        unfinished.value.append($0); return true
      }
      // R3: what is old goes only now; a day more than the retention.
      await storage.loop.sleep(until: storage.loop.now + .seconds(8 * 86_400))
      _ = try await buffer.maintain()
      try await buffer.close()
      return unfinished.value
    }
    let found = Dictionary(uniqueKeysWithValues: unfinished.map { ($0.number, $0) })
    #expect(answered.finished.isDisjoint(with: found.keys), "cut at \(n): a finished transaction is back")
    for (number, count) in answered.added where !answered.finishing.contains(number) {
      let measurements = found[number]?.measurements ?? []
      #expect(measurements.count >= count && measurements.count <= count + 1, "cut at \(n): transaction \(number)")
      #expect(measurements == measurements.indices.map { Self.measurement(number, $0) }, "cut at \(n): \(number)")
    }
    let again = try worker.live(seed: 71, startingAt: Instant(nanoseconds: 1 << 60)) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock)
      try await buffer.close()
      return report
    }
    #expect(again.unfinished == 0 && again.recovery.damageCount == 0, "cut at \(n): replayed twice")
  }

  /// Completed files are compressed and read as they are; those past the retention go, but none that an unfinished
  /// transaction begins in, and none before the recovery.
  @Test func completedFilesAreCompressedAndRemovedAfterTheRetention() throws {
    let worker = Worker()
    try worker.live { storage, clock in
      let (buffer, _) = try await Self.open(storage, clock)
      let held = try await buffer.start(user: "held")
      for _ in 0..<6 {
        let number = try await buffer.start(user: "u")
        for n in 0..<10 { try await buffer.add(Self.measurement(number, n), to: number) }
        try await buffer.end(number)
        try await buffer.checkpoint(number)
        try await buffer.commit(number)
      }
      let maintenance = try await buffer.maintain()
      #expect(
        maintenance.compressed.isEmpty && maintenance.kept.count >= 3, "in all of them may be something of the first")
      try await buffer.add(Self.measurement(held, 0), to: held)
      try await buffer.close()
    }
    _ = worker.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try worker.live(startingAt: Instant(nanoseconds: 1 << 40)) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock)
      #expect(report.committed == 6 && report.unfinished == 1 && report.recovery.damageCount == 0)
      let before = worker.disk.paths
      do throws(ReplayBufferError) {
        _ = try await buffer.maintain()
        Issue.record("touched before the recovery (R3)")
      } catch { #expect(error == .recoveryPending) }
      #expect(worker.disk.paths == before)
      try await buffer.recover { $0.measurements == [Self.measurement(1, 0)] }
      let first = try await buffer.maintain()
      #expect(first.compressed.count >= 3 && first.removed.isEmpty && first.kept.isEmpty)
      #expect(worker.disk.paths.count { $0.hasSuffix(".gz") } == first.compressed.count)
      await storage.loop.sleep(until: storage.loop.now + .seconds(7 * 86_400 - 60))
      let early = try await buffer.maintain()
      #expect(early == ReplayBuffer.Maintenance())
      await storage.loop.sleep(until: storage.loop.now + .seconds(120))
      let late = try await buffer.maintain()
      #expect(late.removed == first.compressed && worker.disk.paths.count { $0.hasSuffix(".gz") } == 0)
      try await buffer.close()
    }
  }

  /// The entries of the highest number may be in files that are gone while an older transaction went on.
  @Test func theNumbersOfWhatIsGoneAreNotUsedAgain() throws {
    let worker = Worker()
    try worker.live { storage, clock in
      let (buffer, _) = try await Self.open(storage, clock)
      let (old, new) = (try await buffer.start(user: "old"), try await buffer.start(user: "new"))
      try await buffer.rollback(new)
      for _ in 0..<4 { try await buffer.add([UInt8](repeating: 7, count: 600), to: old) }
      try await buffer.rollback(old)
      _ = try await buffer.maintain()
      await storage.loop.sleep(until: storage.loop.now + .seconds(8 * 86_400))
      let maintenance = try await buffer.maintain()
      #expect(maintenance.removed.count >= 2)
      try await buffer.close()
    }
    _ = worker.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    try worker.live(startingAt: Instant(nanoseconds: 1 << 60)) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock)
      let number = try await buffer.start(user: "u")
      #expect(number == 3 && report.unfinished == 0)
      try await buffer.close()
    }
  }

  /// Every byte of a compressed file, damaged: none of its entries is taken, for a flipped bit can bring entries a
  /// second time, whole. Or the bit was one of those that mean nothing.
  @Test func damageInACompressedFile() throws {
    let worker = Worker()
    try worker.live(latency: .zero) { storage, clock in
      let (buffer, _) = try await Self.open(storage, clock)
      let old = try await buffer.start(user: "u")
      for n in 0..<30 { try await buffer.add(Self.measurement(old, n), to: old) }
      try await buffer.end(old)
      try await buffer.checkpoint(old)
      try await buffer.commit(old)
      let new = try await buffer.start(user: "u")
      for n in 0..<5 { try await buffer.add(Self.measurement(new, n), to: new) }
      let maintenance = try await buffer.maintain()
      #expect(maintenance.compressed == [0] && maintenance.kept.isEmpty)
      try await buffer.close()
    }
    _ = worker.disk.processKill(seed: 1)
    let path = "wal/replay.wal.gz"
    let size = worker.disk.read(path)?.count ?? 0
    var reported = 0
    for byte in 0..<size {
      let damaged = Worker(disk: worker.disk.snapshot())
      _ = damaged.disk.processKill(seed: 1)
      #expect(damaged.disk.flipBit(path, byte: Int64(byte), bit: byte % 8))
      let report = try damaged.live(latency: .zero) { storage, clock in
        let (buffer, report) = try await Self.open(storage, clock)
        let seen = Box<[ReplayTransaction]>([])
        try await buffer.recover {
          seen.value.append($0); return true
        }
        #expect(seen.value.map(\.number) == [2], "byte \(byte)")
        #expect(seen.value.first?.measurements == (0..<5).map { Self.measurement(2, $0) }, "byte \(byte)")
        try await buffer.close()
        return report
      }
      // START, 30 ADD, END, CHECKPOINT, COMMIT; START, 5 ADD.
      let isWhole = report.recovery.damageCount == 0 && report.recovery.records == 40
      #expect(
        isWhole || report.recovery.damage.map(\.fault) == [.damagedCompression], "byte \(byte): \(report.recovery)")
      if !isWhole { reported += 1 }
    }
    #expect(size > 100 && reported > size - 3)
  }

  /// A damaged entry costs itself: its transaction is replayed without it, and says that it is missing.
  @Test func aDamagedEntryIsMissedInItsTransaction() throws {
    let worker = Worker()
    try worker.live(latency: .zero) { storage, clock in
      let (buffer, _) = try await Self.open(storage, clock, .replayBuffer)
      let number = try await buffer.start(user: "u")
      for n in 0..<5 { try await buffer.add(Self.measurement(number, n), to: number) }
      try await buffer.end(number)
      try await buffer.close()
    }
    _ = worker.disk.processKill(seed: 1)
    // START has 40 bytes, each ADD 43: a byte of the third ADD.
    #expect(worker.disk.flipBit("wal/replay.wal", byte: 40 + 2 * 43 + 25, bit: 3))
    try worker.live(latency: .zero) { storage, clock in
      let (buffer, report) = try await Self.open(storage, clock, .replayBuffer)
      #expect(report.recovery.damageCount == 1)
      try await buffer.recover { transaction in
        #expect(transaction.measurements == [0, 1, 3, 4].map { Self.measurement(1, $0) } && transaction.missing == 1)
        return true
      }
      try await buffer.close()
    }
  }

  @Test func operationsComeInTheirOrder() throws {
    try Worker().live(latency: .zero) { storage, clock in
      let (buffer, _) = try await Self.open(storage, clock)
      let number = try await buffer.start(user: "u")
      await Self.refuses(.outOfOrder(number, .checkpoint, after: .filling)) { try await buffer.checkpoint(number) }
      await Self.refuses(.outOfOrder(number, .commit, after: .filling)) { try await buffer.commit(number) }
      await Self.refuses(.unknownTransaction(9)) { try await buffer.add([], to: 9) }
      await Self.refuses(.badUser(bytes: 0)) { _ = try await buffer.start(user: "") }
      try await buffer.end(number)
      await Self.refuses(.outOfOrder(number, .addMeasurement, after: .ended)) { try await buffer.add([], to: number) }
      try await buffer.checkpoint(number)
      try await buffer.commit(number)
      await Self.refuses(.unknownTransaction(number)) { try await buffer.rollback(number) }
      try await buffer.close()
    }
  }

  private static func refuses(_ expected: ReplayBufferError, _ body: () async throws -> Void) async {
    do {
      try await body()
      Issue.record("not refused: \(expected)")
    } catch { #expect(error as? ReplayBufferError == expected) }
  }
}
