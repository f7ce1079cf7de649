import Foundation
import LogModel
import LogTools
import RecordLogs
import SampleLogs
import Testing

@Suite struct CheckTests {
  private func check(
    _ bytes: [UInt8], _ name: String = "orders-0.wal", format: LogSystem? = nil, acceptsGaps: Bool = false
  ) throws -> LogCheck {
    let folder = try ScratchFolder()
    let path = try folder.write(name, bytes)
    return try LogCheck(LogFiles(name: path, paths: [path]), format: format, acceptsGaps: acceptsGaps)
  }

  @Test(arguments: LogSystem.allCases) func aSoundLogIsSound(system: LogSystem) throws {
    let check = try check(SampleLog.bytes(of: system, SampleLog.values(6)))
    #expect(check.verdict == .sound && check.findingCount == 0, "\(check.findings)")
    #expect(check.messages == 6 && check.system == system)
    if system != .replayBuffer { #expect(check.offsets == 0..<6) }
  }

  @Test(arguments: LogSystem.allCases) func aTornTailIsNoDamage(system: LogSystem) throws {
    let bytes = SampleLog.bytes(of: system, SampleLog.values(6, size: 40))
    let cut = system == .tornlog ? bytes.count - 512 + 70 : bytes.count - 5
    let check = try check(Array(bytes[..<cut]))
    #expect(check.verdict == .sound && check.findings.map(\.kind) == [.tornTail], "\(check.findings)")
  }

  /// The last record, all of it there, with a changed byte: nothing that a crash leaves.
  @Test(arguments: LogSystem.allCases) func aChangedLastRecordIsDamage(system: LogSystem) throws {
    var bytes = SampleLog.bytes(of: system, SampleLog.values(6, size: 40))
    let at = system == .tornlog ? bytes.count - 512 + 90 : bytes.count - 14
    bytes[at] ^= 0x5A
    let check = try check(bytes)
    #expect(check.verdict == .damaged && check.findings.first?.kind == .damaged, "\(check.findings)")
  }

  @Test(arguments: [LogSystem.chronik, .chronikV1, .airunner, .tornlog]) func missingOffsetsAreFound(system: LogSystem)
    throws
  {
    let values = SampleLog.values(6)
    var bytes: [UInt8]
    switch system {
    case .chronik: bytes = [0, 1, 4, 5].flatMap { SampleLog.chronik2($0, nil, [values[Int($0)]]) }
    case .chronikV1: bytes = [0, 1, 4, 5].flatMap { SampleLog.chronik1($0, nil, values[Int($0)]) }
    case .airunner:
      bytes = AirunnerCodec.fileHeader + [1, 2, 5, 6].flatMap { SampleLog.airunner($0, .pending, values[0]) }
    default:
      bytes = SampleLog.segment(values)
      for index in 4096 + 1024..<4096 + 2048 { bytes[index] = 0 }
    }
    let check = try check(bytes)
    #expect(check.verdict == .damaged)
    #expect(check.findings.map(\.kind) == [.gap] && check.findings[0].offsets == 2..<4, "\(check.findings)")
    #expect(try self.check(bytes, acceptsGaps: true).verdict == .sound)
  }

  @Test func duplicatesAreFound() throws {
    let value = SampleLog.values(1)[0]
    let bytes = [0, 1, 1, 2].flatMap { SampleLog.chronik1($0, nil, value) }
    let check = try check(bytes)
    #expect(check.findings.map(\.kind) == [.duplicate] && check.findings[0].offsets == 1..<2, "\(check.findings)")
  }

  /// Numbers behind which none comes: `verify` and `convert` ended in a trap.
  @Test func theLastNumbersThereAreAreRead() throws {
    let value = SampleLog.values(1)[0]
    let logs: [[UInt8]] = [
      [0, .max, .max, -5].flatMap { SampleLog.chronik1($0, nil, value) },
      SampleLog.replay(.max, .startBuffer, []) + SampleLog.replay(.max, .addMeasurement, value),
      AirunnerCodec.fileHeader + [1, .min, .max].flatMap { SampleLog.airunner($0, .pending, value) },
    ]
    for bytes in logs {
      let folder = try ScratchFolder()
      let path = try folder.write("a.wal", bytes)
      #expect(try LogCheck(LogFiles(name: path, paths: [path])).damagedEntries == 0)
      #expect(throws: LogToolError.self) {
        try LogConvert(LogFiles(name: path, paths: [path]), to: .airunner, output: folder.path("b.wal"))
      }
    }
  }

  @Test func epochsOutOfOrderAreFound() throws {
    let values = SampleLog.values(2)
    var bytes = SampleLog.segment([values[0]], epoch: 5)
    bytes += SampleLog.batch(at: Int64(bytes.count), base: 1, [values[1]], epoch: 4)
    let check = try check(bytes)
    #expect(check.findings.map(\.kind) == [.epoch], "\(check.findings)")
  }

  /// What damage cost is told by what comes behind it.
  @Test func damageNamesTheOffsetsThatItCost() throws {
    var bytes = SampleLog.bytes(of: .chronikV1, SampleLog.values(6, size: 40))
    for at in [200, 201] { bytes[at] ^= 0x77 }
    let check = try check(bytes)
    #expect(check.findings.map(\.kind) == [.damaged], "\(check.findings)")
    #expect(check.findings[0].offsets == 2..<3, "\(check.findings)")
  }

  /// Three damaged records beside each other: each with its own offset and its own sums.
  @Test(arguments: [LogSystem.chronik, .chronikV1, .streamhouse, .airunner])
  func adjacentDamageNamesEachOffset(system: LogSystem) throws {
    var bytes = SampleLog.bytes(of: system, SampleLog.values(8, size: 40))
    var places: [Range<Int64>] = []
    let folder = try ScratchFolder()
    let file = try LogFile(try folder.write("a.wal", bytes))
    while case .entry(let entry) = try file.reader.next() { places.append(entry.value) }
    for place in places[2..<5] { for byte in 1...3 { bytes[Int(place.lowerBound) + 8 + 5 * byte] ^= 0x5A } }
    let check = try check(bytes)
    #expect(check.findings.map(\.offsets) == [2..<3, 3..<4, 4..<5], "\(check.findings)")
    #expect(Set(check.findings.map(\.text)).count == 3, "\(check.findings)")
  }

  @Test func aMissingFileOfALogIsFound() throws {
    let folder = try ScratchFolder()
    let values = SampleLog.values(4)
    _ = try folder.write("o-0.wal", SampleLog.chronik1(0, nil, values[0]))
    _ = try folder.write("o-0.wal.1", SampleLog.chronik1(1, nil, values[1]))
    _ = try folder.write("o-0.wal.3", SampleLog.chronik1(2, nil, values[3]))
    let logs = try LogFolder(folder.root).logs
    #expect(logs.count == 1 && logs[0].paths.count == 3)
    #expect(try LogCheck(logs[0]).findings.map(\.kind) == [.missingFile])
  }

  /// Of two segments the newer one's base ends the older one; a segment of a replaced writer does not count.
  @Test func segmentsOfReplacedWritersDoNotCount() throws {
    let folder = try ScratchFolder()
    let values = SampleLog.values(8)
    func name(_ base: Int64, _ epoch: UInt64) -> String {
      String(format: "%020lld-%010llu.log", base, epoch)
    }
    _ = try folder.write(name(0, 1), SampleLog.segment(Array(values[0..<4]), epoch: 1))
    // The first writer went on, not knowing that the second had read up to offset 3.
    _ = try folder.write(name(4, 1), SampleLog.segment(Array(values[4..<6]), base: 4, epoch: 1, previous: 0))
    _ = try folder.write(name(3, 2), SampleLog.segment(Array(values[3..<8]), base: 3, epoch: 2, previous: 0))
    let check = try LogCheck(try LogFolder(folder.root).logs[0])
    #expect(check.findings.map(\.kind) == [.void], "\(check.findings)")
    #expect(check.verdict == .sound && check.offsets == 0..<8 && check.messages == 8)
  }

  /// A writer with two writes under way has finished the later one first.
  @Test func aLogThatIsBeingWrittenIsCheckedAgain() throws {
    let folder = try ScratchFolder()
    let whole = SampleLog.segment(SampleLog.values(6))
    var half = whole
    for index in 4096 + 1024..<4096 + 1536 { half[index] = 0 }
    let path = try folder.write("x.log", half)
    #expect(try LogCheck(LogFiles(name: path, paths: [path])).verdict == .damaged)
    // A thread of its own: the check holds one of the tests' few.
    Thread.detachNewThread {
      usleep(100_000)
      try? Data(whole).write(to: URL(fileURLWithPath: path))
    }
    #expect(try LogCheck.settled(LogFiles(name: path, paths: [path])).verdict == .sound)
    // One that nobody writes to is damaged at once.
    _ = try folder.write("y.log", half)
    var times = [timespec(tv_sec: time(nil) - 60, tv_nsec: 0), timespec(tv_sec: time(nil) - 60, tv_nsec: 0)]
    utimensat(AT_FDCWD, folder.path("y.log"), &times, 0)
    let begun = ContinuousClock.now
    #expect(try LogCheck.settled(LogFiles(name: path, paths: [folder.path("y.log")])).verdict == .damaged)
    #expect(ContinuousClock.now - begun < .milliseconds(250))
  }

  // MARK: What is no log

  @Test func whatIsNoLogGetsAClearAnswer() throws {
    let folder = try ScratchFolder()
    #expect(throws: LogToolError.emptyFile(path: folder.path("empty"))) {
      try LogFile(try folder.write("empty", []))
    }
    let noise = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 &+ 200) }
    #expect(throws: LogToolError.unknownFormat(path: folder.path("noise"))) {
      try LogFile(try folder.write("noise", noise))
    }
    mkfifo(folder.path("pipe"), 0o600)
    #expect(throws: LogToolError.notAFile(path: folder.path("pipe"), kind: "a pipe")) {
      try LogFile(folder.path("pipe"))
    }
    #expect(throws: LogToolError.notAFile(path: folder.root, kind: "a folder")) { try LogFile(folder.root) }
    symlink("loop", folder.path("loop"))
    #expect(throws: LogToolError.system(what: "open", path: folder.path("loop"), errno: ELOOP)) {
      try LogFile(folder.path("loop"))
    }
    #expect(throws: LogToolError.system(what: "open", path: folder.path("none"), errno: ENOENT)) {
      try LogFolder(folder.path("none"))
    }
    #expect(throws: LogToolError.notAFile(path: "/dev/zero", kind: "a device")) { try LogFile("/dev/zero") }
  }

  /// A folder that links to itself is gone through once.
  @Test func linksToFoldersAreNotFollowed() throws {
    let folder = try ScratchFolder()
    _ = try folder.write("a.wal", SampleLog.bytes(of: .chronikV1, SampleLog.values(2)))
    symlink(folder.root, folder.path("again"))
    #expect(try LogFolder(folder.root).logs.count == 1)
    #expect(throws: LogToolError.noLogs(path: "/proc/self/fdinfo")) { try LogFolder("/proc/self/fdinfo") }
  }

  /// Bytes that are taken away, or added, while they are read.
  private final class Changing: ByteSource {
    let bytes: [UInt8]
    var size: Int64
    var reads = 0
    let change: (Changing) -> Void
    var unreadable: [Range<Int64>] { [] }

    init(_ bytes: [UInt8], size: Int64, _ change: @escaping (Changing) -> Void) {
      (self.bytes, self.size, self.change) = (bytes, size, change)
    }

    func currentSize() -> Int64 { size }

    func read(at position: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
      reads += 1
      change(self)
      let count = Int(max(0, min(Int64(buffer.count), size - position)))
      for index in 0..<count { buffer[index] = bytes[Int(position) + index] }
      return count
    }
  }

  @Test func aFileThatShrinksIsNotMended() throws {
    let bytes = SampleLog.bytes(of: .chronikV1, SampleLog.values(20000, size: 60))
    let source = Changing(bytes, size: Int64(bytes.count)) { if $0.reads == 2 { $0.size = 700_000 } }
    #expect(throws: LogToolError.self) { try LogMend.mend(source, of: .chronikV1, into: MemorySink()) }
  }

  @Test func whatIsAddedWhileItIsReadIsNotLookedAt() throws {
    let bytes = SampleLog.bytes(of: .chronikV1, SampleLog.values(20000, size: 60))
    let half = Int64(bytes.count / 2)
    let source = Changing(bytes, size: half) { $0.size = min(Int64($0.bytes.count), $0.size + 1000) }
    let mend = try LogMend.mend(source, of: .chronikV1, into: MemorySink())
    #expect(mend.records > 9000 && mend.records <= 10000)
  }
}
