import FaultInjection
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import WriteAheadLog

/// A segment's head is kept twice. A copy that is damaged is reported, and written again from the other one.
@Suite struct HeadRepairTests {
  static let bytes = [100, 2048 + 100]

  /// Three segments: of two lives, and one that the third finds.
  private static func harness(_ policy: SyncPolicy) throws -> LogHarness {
    let harness = LogHarness(policy: policy)
    for life in 0..<2 {
      try harness.live(seed: UInt64(1 + life)) { log, _, _ in
        for n in life * 20..<life * 20 + 20 { _ = try await log.append(message: n) }
        try await log.close()
      }
    }
    return harness
  }

  private static func segments(_ harness: LogHarness) -> [String] {
    harness.disk.paths.filter { $0.hasSuffix(".log") }.sorted()
  }

  @Test(arguments: bytes, [SyncPolicy.always, .interval(.milliseconds(10)), .never])
  func aSecondFlipDoesNotCostTheSegment(_ first: Int, _ policy: SyncPolicy) throws {
    let harness = try Self.harness(policy)
    let second = Self.bytes.first { $0 != first }!
    let path = try #require(Self.segments(harness).first)
    #expect(harness.disk.flipBit(path, byte: Int64(first), bit: 3))
    try harness.live(seed: 3) { log, report, _ in
      #expect(
        report.damagedHeads.map(\.path) == [path] && report.damagedHeads.allSatisfy(\.isRepaired),
        "\(report.damagedHeads)")
      let range = try #require(report.damagedHeads.first)
      #expect(range.byteFrom <= Int64(first) && Int64(first) < range.byteTo && range.byteTo - range.byteFrom == 512)
      #expect(report.damage.isEmpty && report.batchesSkipped == 0, "no message is lost")
      try await log.close()
    }
    if policy != .never { _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced) }
    #expect(harness.disk.flipBit(path, byte: Int64(second), bit: 5))
    try harness.live(seed: 4) { log, report, _ in
      #expect(report.damagedHeads.count == 1 && report.damage.isEmpty)
      let messages = try await log.consume().map(\.message)
      #expect(messages == Array(0..<40))
    }
    try harness.live(seed: 5) { _, report, _ in #expect(report.damagedHeads.isEmpty, "it is told once") }
  }

  /// The repair is cut off at each of its operations, with any of the sectors written.
  @Test(arguments: bytes, 1...40) func aRepairThatIsCutOffLeavesOneSoundCopy(_ byte: Int, _ operation: Int) throws {
    let harness = try Self.harness(.always)
    let path = try #require(Self.segments(harness).first)
    #expect(harness.disk.flipBit(path, byte: Int64(byte), bit: 3))
    let disk = harness.disk
    do {
      try harness.live(
        seed: 3,
        arm: { storage in
          storage.arm(CrashTrigger([], .occurrence(operation), .submission)) { _ throws(StorageError) in
            _ = disk.powerLoss(seed: UInt64(operation), profile: .posixMinimal)
          }
        }
      ) { _, _, _ in }
    } catch {}
    _ = disk.powerLoss(seed: 9, profile: .posixMinimal)
    try harness.live(seed: 4) { log, report, _ in
      #expect(report.damage.isEmpty, "\(report.damage)")
      let messages = try await log.consume().map(\.message)
      #expect(messages == Array(0..<40))
    }
  }

  /// A device that takes no write keeps nobody from reading.
  @Test func aCopyThatCannotBeWrittenIsReported() throws {
    let harness = try Self.harness(.always)
    let path = try #require(Self.segments(harness).first)
    #expect(harness.disk.flipBit(path, byte: 100, bit: 3))
    let plan = FaultPlan([PlannedFault(.ioError, FaultTrigger([.write], pathContains: path), .times(3))])
    try harness.live(seed: 3, plan: plan) { log, report, _ in
      #expect(report.damagedHeads.map(\.isRepaired) == [false])
      let messages = try await log.consume().map(\.message)
      #expect(messages == Array(0..<40))
    }
    try harness.live(seed: 4) { _, report, _ in #expect(report.damagedHeads.map(\.isRepaired) == [true]) }
  }

  /// A crash in the creation of the newest segment leaves a head of which one copy may be missing: nobody was harmed.
  @Test func aTornCreationIsNoDamage() throws {
    let harness = try Self.harness(.always)
    try harness.live(seed: 3) { log, _, _ in _ = try await log.append(message: 40) }
    let path = try #require(Self.segments(harness).last)
    let head = try #require(harness.disk.read(path)).prefix(4096)
    _ = harness.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    // As it stood before the first batch, with one sector missing.
    try harness.disk.putAtRest(path, Array(head.prefix(512)) + [UInt8](repeating: 0, count: 4096 - 512), at: 0)
    let loop = EventLoop(simulatedWithSeed: 1)
    let machine = MemoryStorage(disk: harness.disk, loop: loop)
    _ = loop.run {
      do {
        let file = try await machine.open(path, [.write])
        try await machine.truncate(file, to: 4096)
        try await machine.sync(file, .all)
      } catch {}
    }
    try harness.live(seed: 4) { log, report, _ in
      #expect(report.damagedHeads.isEmpty)
      let messages = try await log.consume().map(\.message)
      #expect(messages == Array(0..<40))
    }
  }
}
