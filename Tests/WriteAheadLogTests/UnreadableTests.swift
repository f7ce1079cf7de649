import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

@testable import WriteAheadLog

/// Sectors that cannot be read, met by recovery.
@Suite struct UnreadableTests {
  static let count = 24
  static let size = 6000

  /// A log of three segments with a message a batch, and the byte range of each message's batch.
  static func written(
    _ recovery: RecoveryPolicy, closes: Bool = true
  ) throws -> (harness: LogHarness, batches: [(path: String, bytes: Range<Int64>)]) {
    let harness = LogHarness(recovery: recovery)
    try harness.live { log, _, _ in
      for n in 0..<count { _ = try await log.append(message: n, size: size) }
      if closes { try await log.close() }
    }
    _ = harness.disk.processKill(seed: 1)
    var batches: [(String, Range<Int64>)] = []
    for n in 0..<count {
      let needle = LogHarness.payload(n, size: size)
      for path in harness.disk.paths {
        let bytes = harness.disk.read(path) ?? []
        guard bytes.count >= size else { continue }
        for at in stride(from: 4096 + 72, through: bytes.count - size, by: 8)
        where bytes[at] == needle[0] && bytes[at..<at + size].elementsEqual(needle) {
          batches.append((path, Int64(at - 72)..<Int64(at + size)))
        }
      }
    }
    try #require(batches.count == count)
    return (harness, batches)
  }

  /// Opens the log with sectors that cannot be read.
  @discardableResult
  static func live<Value: Sendable>(
    _ harness: LogHarness, at start: Int64, _ sectors: [String: [Int64]], plan: FaultPlan = FaultPlan(),
    hints: RecoveryHints = RecoveryHints(),
    _ body: @escaping @Sendable (PartitionLog, RecoveryReport, FaultyStorage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: 1, startingAt: Instant(nanoseconds: start << 40))
    let storage = FaultyStorage(MemoryStorage(disk: harness.disk, loop: loop), plan: plan, unreadable: sectors)
    let configuration = harness.configuration
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<Value, any Error> in
      do {
        let (log, report) = try await PartitionLog.open(
          LogHarness.source, in: "log", of: storage, configuration, hints: hints)
        return .success(try await body(log, report, storage))
      } catch { return .failure(error) }
    }
    return try #require(result.value).get()
  }

  static func ranges(_ report: RecoveryReport) -> [[Int64]] {
    report.damage.map { [$0.from.rawValue, $0.to.rawValue] }
  }

  /// Every sector in turn that holds a part of a batch which something testifies to: under skip-corrupted the batches
  /// in it are reported with their offsets, all others served, the next append survives; and once the sector can be
  /// read again, so can they.
  @Test func aBadSectorCostsItsBatchesAndNoOthers() throws {
    let (harness, batches) = try Self.written(.skipCorrupted)
    var cases = 0
    for path in harness.disk.paths {
      let last = batches.last { $0.path == path }!.bytes.upperBound
      for sector in stride(from: 8, through: (last - 1) / 512, by: 3) {
        let bytes = sector * 512..<(sector + 1) * 512
        let lost = batches.indices.filter { batches[$0].path == path && batches[$0].bytes.overlaps(bytes) }
        if lost.isEmpty { continue }
        cases += 1
        let copy = LogHarness(copying: harness, disk: harness.disk.snapshot())
        _ = copy.disk.processKill(seed: 1)
        let before = copy.disk.read(path) ?? []
        let hints = RecoveryHints(cleanEnd: Offset(Self.count))
        for life in 0..<2 {
          try Self.live(copy, at: Int64(life + 1), [path: [sector]], hints: hints) { log, report, _ in
            #expect(Self.ranges(report) == [[Int64(lost[0]), Int64(lost.last! + 1)]], "\(path) \(sector)")
            #expect(report.unreadable == [UnreadableBytes(path: path, from: bytes.lowerBound, to: bytes.upperBound)])
            let found = try await log.consume().map(\.message)
            #expect(found == (0..<Self.count).filter { !lost.contains($0) } + (0..<life).map { 100 + $0 })
            let v1 = try await log.append(message: 100 + life)
            #expect(v1 == Offset(Self.count + life))
            try await log.close()
          }
        }
        // Zeros behind the last batch may be cut, where they could be read.
        let after = copy.disk.read(path) ?? []
        #expect(after.count >= last && before.starts(with: after), "changed on the strength of a read error")
        try Self.live(copy, at: 4, [:], hints: hints) { log, report, _ in
          #expect(report.damage.isEmpty)
          let v2 = try await log.consume().map(\.message)
          #expect(v2 == Array(0..<Self.count) + [100, 101])
        }
      }
    }
    print("\(cases) unreadable sectors")
    #expect(cases > 80)
  }

  /// Under truncate-at-corruption the log ends there; nothing that could be read again one day is destroyed.
  @Test(arguments: [2, 9, 17, 23])
  func truncationEndsTheLogAndDestroysNothing(_ victim: Int) throws {
    let (harness, batches) = try Self.written(.truncateAtCorruption)
    let (path, bytes) = batches[victim]
    let before = harness.disk.paths.compactMap { harness.disk.read($0) }
    let sector = bytes.lowerBound / 512 + 3
    let hints = RecoveryHints(cleanEnd: Offset(Self.count))
    let lost = [[Int64(victim), Int64(Self.count)]]
    // A crash before anything is appended: the same again.
    for life in 1...2 as ClosedRange<Int64> {
      try Self.live(harness, at: life, [path: [sector]], hints: hints) { log, report, _ in
        #expect(Self.ranges(report) == lost)
        let v3 = try await log.consume().map(\.message)
        #expect(v3 == Array(0..<victim))
      }
      _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    }
    let kept = harness.disk.paths.compactMap { harness.disk.read($0) }
    #expect(before.allSatisfy { kept.contains($0) }, "bytes are gone")
    try Self.live(harness, at: 5, [path: [sector]], hints: hints) { log, _, _ in
      let v4 = try await log.append(message: 100)
      #expect(v4 == Offset(victim))
      try await log.close()
    }
    // Whether it can be read or not: what stands behind the cut is void now.
    for sectors in [[path: [sector]], [:]] {
      try Self.live(harness, at: 6, sectors, hints: RecoveryHints(cleanEnd: Offset(victim + 1))) { log, report, _ in
        #expect(report.damage.isEmpty)
        let v5 = try await log.consume().map(\.message)
        #expect(v5 == Array(0..<victim) + [100])
      }
      _ = harness.disk.processKill(seed: 1)
    }
  }

  /// Nothing testifies to the last commit before a crash: it may be a torn write, so it is not served; but it is not
  /// cut.
  @Test(arguments: RecoveryPolicy.allCases)
  func anUnreadableTailIsNotCut(_ policy: RecoveryPolicy) throws {
    let (harness, batches) = try Self.written(policy, closes: false)
    let (path, bytes) = batches[Self.count - 1]
    try Self.live(harness, at: 1, [path: [bytes.lowerBound / 512 + 2]]) { log, report, _ in
      #expect(report.unreadable.count == 1)
      let v6 = try await log.consume().map(\.message)
      #expect(v6 == Array(0..<(Self.count - 1)))
    }
    _ = harness.disk.processKill(seed: 2)
    try Self.live(harness, at: 2, [:]) { log, report, _ in
      #expect(report.damage.isEmpty && report.unreadable.isEmpty)
      let v7 = try await log.consume().map(\.message)
      #expect(v7 == Array(0..<Self.count))
    }
  }

  /// A read that fails once, or a few times, costs nothing: every read of a recovery in turn.
  @Test(arguments: [1, 4])
  func aPassingErrorCostsNothing(_ times: Int) throws {
    var fired = 0
    for n in 1... {
      let (harness, _) = try Self.written(.truncateAtCorruption)
      let plan = FaultPlan([PlannedFault(.ioError, FaultTrigger([.read], .occurrence(n)), .times(times))])
      let receipts = try Self.live(harness, at: 1, [:], plan: plan) { log, report, storage in
        #expect(report.damage.isEmpty && report.unreadable.isEmpty, "read \(n)")
        let v8 = try await log.consume().count
        #expect(v8 == Self.count)
        return storage.receipts.count
      }
      if receipts == 0 { break }
      fired += 1
      guard n < 60 else { break }
    }
    #expect(fired > 5)
  }

  /// Found by exploring `raw-512-eio`: the power goes while the first head is written, and one sector of it cannot be
  /// read afterwards. The engine did not open any more, though nothing had been promised.
  @Test(arguments: [[0], [4], [7], [0, 4], Array(0..<8)] as [[Int64]])
  func aHeadThatAPowerCutCameIntoIsACreationCutShort(_ sectors: [Int64]) throws {
    for size in [4096, 8192] {
      let harness = LogHarness()
      try harness.live { log, _, _ in try await log.close() }
      let path = "log/00000000000000000000-0000000001.log"
      try harness.live { _, _, storage in
        let file = try await storage.open(path, [.write, .create])
        try await storage.truncate(file, to: Int64(size))
        try await storage.sync(file, .all)
      }
      _ = harness.disk.processKill(seed: 1)
      try Self.live(harness, at: 1, [path: sectors]) { log, report, _ in
        #expect(report.damage.isEmpty && !report.unreadable.isEmpty)
        #expect(report.quarantined.count == 1, "never removed: somebody may read it one day")
        let first = try await log.append(message: 0)
        #expect(first == 0)
        try await log.close()
      }
      try Self.live(harness, at: 2, [:]) { log, _, _ in
        let served = try await log.consume().map(\.message)
        #expect(served == [0])
      }
    }
  }

  /// The same with something behind the head that means nothing: that may have been a batch, and recovery refuses.
  @Test func anUnreadableHeadWithSomethingBehindItIsRefused() throws {
    let harness = LogHarness()
    let path = "log/00000000000000000000-0000000001.log"
    try harness.live { log, _, storage in
      try await log.close()
      let file = try await storage.open(path, [.write, .create])
      try await storage.truncate(file, to: 8192)
      let buffer = storage.makeBuffer(capacity: 4096)
      buffer.mutableBytes(0..<4096)[100] = 1
      _ = try await storage.write(file, at: 4096, from: buffer, 0..<4096, .durable)
    }
    _ = harness.disk.processKill(seed: 1)
    #expect(throws: StorageError(errno: EIO, .read, path, offset: 0)) {
      try Self.live(harness, at: 1, [path: [0]]) { _, _, _ in Issue.record("opened") }
    }
  }

  /// Half of the head: the other copy stands. All of it, with batches behind: as any lost head. And nothing at all that
  /// can be read: refused, untouched.
  @Test func anUnreadableHead() throws {
    let (harness, batches) = try Self.written(.skipCorrupted)
    let path = harness.disk.paths[1]
    let own = batches.indices.filter { batches[$0].path == path }
    try Self.live(harness, at: 1, [path: [0]]) { log, report, _ in
      #expect(report.damage.isEmpty && report.unreadable.map(\.to) == [512])
      let v9 = try await log.consume().count
      #expect(v9 == Self.count)
    }
    _ = harness.disk.processKill(seed: 1)
    let before = harness.disk.paths.compactMap { harness.disk.read($0) }
    try Self.live(harness, at: 2, [path: [0, 4]]) { log, report, _ in
      #expect(Self.ranges(report) == [[Int64(own[0]), Int64(own.last! + 1)]])
      let v10 = try await log.consume().count
      #expect(v10 == Self.count - own.count)
    }
    _ = harness.disk.processKill(seed: 1)
    do {
      try Self.live(harness, at: 3, [path: Array(0..<200)]) { _, _, _ in Issue.record("opened") }
    } catch let error as StorageError {
      #expect(error.isErrno(EIO) && error.path == path)
    }
    _ = harness.disk.processKill(seed: 1)
    let after = harness.disk.paths.compactMap { harness.disk.read($0) }
    #expect(before.allSatisfy { after.contains($0) })
    try Self.live(harness, at: 4, [:]) { log, report, _ in
      #expect(report.damage.isEmpty)
      let v11 = try await log.consume().count
      #expect(v11 == Self.count)
    }
  }
}
