import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import WriteAheadLog

/// What damage at rest costs: the batches it touches, no fetch beside them, and always a report.
@Suite struct DamageTests {
  /// One bit of the payload of message `n`, found by its content.
  static func flipPayload(of n: Int, size: Int, on disk: MemoryDisk) -> Bool {
    let needle = LogHarness.payload(n, size: size)
    for path in disk.paths {
      guard let bytes = disk.read(path), bytes.count >= size else { continue }
      for at in 0...(bytes.count - size) where bytes[at] == needle[0] && bytes[at..<(at + size)].elementsEqual(needle) {
        return disk.flipBit(path, byte: Int64(at + size - 1), bit: 3)
      }
    }
    return false
  }

  /// A healthy batch is served whatever stands before or behind it, with every size of fetch and from every offset.
  @Test(arguments: [1, 5000, 256 << 10])
  func aFetchServesWhatIsHealthyAroundDamage(_ maxBytes: Int) throws {
    let harness = LogHarness()
    let count = 100
    try harness.live { log, _, _ in for n in 0..<count { _ = try await log.append(message: n) } }
    _ = harness.disk.processKill(seed: 1)
    for victim in [0, 17, 50, 51] { #expect(Self.flipPayload(of: victim, size: 200, on: harness.disk)) }
    let victims: Set<Int> = [0, 17, 50, 51]
    try harness.live { log, report, _ in
      #expect(report.damage.map { [$0.from, $0.to] } == [[0, 1], [17, 18], [50, 52]])
      let response = FetchResponse()
      for n in 0..<count {
        do throws(LogError) {
          try await log.fetch(from: Offset(n), maxBytes: maxBytes, into: response)
          var first: Offset?
          response.forEachRecord { record in first = first ?? record.offset }
          #expect(
            !victims.contains(n) && first == Offset(n), "fetch from \(n) begins with \(String(describing: first))")
        } catch {
          #expect(victims.contains(n), "fetch from \(n): \(error)")
        }
      }
      let found = try await log.consume()
      #expect(found.count == count - victims.count)
    }
  }

  /// Damage that comes while the log is open is met by the first fetch that reads it: never served, and told with the
  /// offsets that it touches.
  @Test func damageSinceRecoveryIsToldByTheFetchThatMeetsIt() throws {
    let harness = LogHarness()
    try harness.live { log, _, _ in
      for n in 0..<100 { _ = try await log.append(message: n) }
      #expect(Self.flipPayload(of: 50, size: 200, on: harness.disk))
      let response = FetchResponse()
      do throws(LogError) {
        try await log.fetch(from: 50, maxBytes: 1, into: response)
        Issue.record("offset 50 was served")
      } catch {
        guard case .damaged(let range) = error else {
          Issue.record("\(error)")
          return
        }
        #expect(range.from == 50 && range.to == 51)
      }
      #expect(try await log.consume().count == 99)
    }
  }

  /// Both copies of a segment's head are gone: nothing of it can be checked any more, so nothing of it is served, and
  /// all of it is reported; what stands before and behind is healthy.
  @Test(arguments: [0, 1, 2], [CrashKind.none, .processKill])
  func aSegmentWithoutAHeadIsReportedWhole(_ segment: Int, _ ending: CrashKind) throws {
    let harness = LogHarness()
    let count = 24
    let bases = try harness.live { log, _, _ in
      for n in 0..<count { _ = try await log.append(message: n, size: 6000) }
      let bases = log.segmentBases
      if ending == .none { try await log.close() }
      return bases
    }
    #expect(bases.count == 3)
    _ = harness.disk.processKill(seed: 1)
    let path = harness.disk.paths[segment]
    for copy in SegmentHeader.copyPositions { #expect(harness.disk.flipBit(path, byte: Int64(copy + 20), bit: 1)) }
    let end = segment + 1 < bases.count ? bases[segment + 1] : Offset(count)
    for life in 0..<3 {
      try harness.live(startingAt: Instant(nanoseconds: Int64(life + 1) << 40)) { log, report, _ in
        #expect(report.damage.map { [$0.from, $0.to] } == [[bases[segment], end]], "life \(life)")
        let healthy = (0..<count).filter { Offset($0) < bases[segment] || Offset($0) >= end }
        #expect(try await log.consume().map(\.message) == healthy + (0..<life).map { 100 + $0 }, "life \(life)")
        #expect(try await log.append(message: 100 + life) == Offset(count + life), "an offset is never given twice")
        try await log.close()
      }
    }
  }

  /// Under `truncate-at-corruption` what follows damage is set aside, file by file, the newest last: a recovery that is
  /// cut off in between leaves what says how far the log had gone, and the next one reports all of it.
  @Test func aCutThatACrashInterruptsIsReportedWhole() throws {
    let count = 60
    var interrupted = 0
    for m in 1... {
      let harness = LogHarness(recovery: .truncateAtCorruption)
      let disk = harness.disk
      try harness.live { log, _, _ in
        for n in 0..<count { _ = try await log.append(message: n, size: 6000) }
        try await log.close()
      }
      _ = disk.processKill(seed: 1)
      #expect(Self.flipPayload(of: 2, size: 6000, on: disk))
      let before = disk.paths.count { $0.hasSuffix(".log") }
      do {
        try harness.live(
          startingAt: Instant(nanoseconds: 1 << 38),
          arm: { storage in
            storage.arm(CrashTrigger([.rename], .occurrence(m), .completion)) { _ throws(StorageError) in
              _ = disk.processKill(seed: 1)
            }
          }
        ) { _, _, _ in }
      } catch is LogHarness.Hung {
        Issue.record("recovery hangs when it is cut at \(m)")
      } catch {}
      let left = disk.paths.count { $0.hasSuffix(".log") }
      // Only the damaged file is left, or nothing was cut off at all.
      guard left > 1 else { break }
      if left < before { interrupted += 1 }
      try harness.live(startingAt: Instant(nanoseconds: 1 << 39)) { _, report, _ in
        #expect(
          report.damage.map { [$0.from, $0.to] } == [[2, Offset(count)]],
          "cut at rename \(m), \(left) of \(before) files left")
      }
    }
    #expect(interrupted > 2)
  }

  /// A scan changes nothing: a file that cannot be read as a segment is still there, byte for byte, after recovery.
  @Test func whatCannotBeServedIsKept() throws {
    let harness = LogHarness()
    try harness.live { log, _, _ in
      for n in 0..<24 { _ = try await log.append(message: n, size: 6000) }
    }
    _ = harness.disk.processKill(seed: 1)
    let path = harness.disk.paths[2]
    for copy in SegmentHeader.copyPositions { _ = harness.disk.flipBit(path, byte: Int64(copy + 20), bit: 1) }
    let before = harness.disk.read(path)
    try harness.live { log, _, _ in try await log.close() }
    #expect(harness.disk.paths.contains { harness.disk.read($0) == before })
  }

  /// A writer has taken over at offset 20, and its file is gone: what the older one wrote from there on was refused,
  /// and does not come back in its place.
  @Test(arguments: RecoveryPolicy.allCases)
  func whatAFencedWriterWroteDoesNotComeBack(_ policy: RecoveryPolicy) throws {
    let harness = LogHarness(recovery: policy)
    try harness.live { log, _, _ in
      for n in 0..<60 { _ = try await log.append(message: n, size: n < 25 ? 200 : 4000) }
      #expect(log.segmentBases.count > 1)
    }
    _ = harness.disk.processKill(seed: 1)
    let newest = SegmentRecord(baseOffset: 20, epoch: Epoch(7), previousBase: 0, end: 26)
    try harness.live(startingAt: Instant(nanoseconds: 1 << 40), hints: RecoveryHints(newest: newest)) {
      log, report, _ in
      #expect(report.damage.map { [$0.from, $0.to] } == [[20, 26]])
      #expect(report.damage.first?.path == "log/00000000000000000020-0000000007.log")
      let found = try await log.consume().map(\.message)
      #expect(found == Array(0..<20))
      let next = try await log.append(message: 99)
      #expect(next == (policy == .skipCorrupted ? 26 : 20))
    }
  }
}
