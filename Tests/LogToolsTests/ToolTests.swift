import Foundation
import LogModel
import LogTools
import ObjectStore
import RecordLogs
import SampleLogs
import Testing

@Suite struct ToolTests {
  private func check(_ path: String, acceptsGaps: Bool = false) throws -> LogCheck {
    try LogCheck(LogFiles(name: path, paths: [path]), acceptsGaps: acceptsGaps)
  }

  /// The values that a log holds, by its dump.
  private func contents(_ path: String) throws -> [String] {
    let folder = try ScratchFolder()
    let descriptor = open(folder.path("out"), O_WRONLY | O_CREAT, 0o600)
    let out = LineBuffer(descriptor)
    var dump = LogDump(to: out)
    (dump.style, dump.showsBytes) = (.json, true)
    var ordinal: Int64 = 0
    try dump.print(try LogFile(path), ordinal: &ordinal, isStopped: { false })
    out.flush()
    close(descriptor)
    return try String(decoding: folder.read("out"), as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private func field(_ name: String, _ lines: [String]) throws -> [String] {
    try lines.compactMap { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return object?[name].map { "\($0)" }
    }
  }

  // MARK: Repair

  @Test func aRepairNeverTouchesWhatIsThere() throws {
    let folder = try ScratchFolder()
    let bytes = SampleLog.bytes(of: .chronikV1, SampleLog.values(4))
    let input = try folder.write("a.wal", bytes)
    let other = try folder.write("b.wal", [1, 2, 3])
    func repair(_ output: String) throws -> LogRepair {
      try LogRepair(input, into: output, policy: .skipCorrupted, fixingBits: false)
    }
    #expect(throws: LogToolError.exists(path: other)) { try repair(other) }
    #expect(throws: LogToolError.sameFile(path: input)) { try repair(input) }
    symlink(input, folder.path("link.wal"))
    #expect(throws: LogToolError.sameFile(path: folder.path("link.wal"))) { try repair(folder.path("link.wal")) }
    let done = try repair(folder.path("c.wal"))
    #expect(done.isSound && done.mend.records == 4)
    #expect(try folder.read("a.wal") == bytes && folder.read("b.wal") == [1, 2, 3] && folder.read("c.wal") == bytes)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.root).sorted() == [
        "a.wal", "b.wal", "c.wal", "link.wal",
      ])
  }

  @Test func aRepairOfNothingWritesNothing() throws {
    let folder = try ScratchFolder()
    var bytes = SampleLog.bytes(of: .replayBuffer, SampleLog.values(1))
    for at in stride(from: 10, to: bytes.count, by: 12) { bytes[at] ^= 0x3C }
    let input = try folder.write("a.wal", bytes)
    #expect(throws: LogToolError.self) {
      try LogRepair(input, into: folder.path("b.wal"), format: .replayBuffer, policy: .skipCorrupted, fixingBits: false)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.root) == ["a.wal"])
  }

  /// What is missing behind a loss is named, and the output is sound but for it.
  @Test func aRepairNamesTheOffsetsThatAreGone() throws {
    let folder = try ScratchFolder()
    var bytes = SampleLog.bytes(of: .chronikV1, SampleLog.values(6, size: 40))
    for at in [200, 201] { bytes[at] ^= 0x77 }
    let done = try LogRepair(
      try folder.write("a.wal", bytes), into: folder.path("b.wal"), policy: .skipCorrupted, fixingBits: false)
    #expect(done.isSound && done.missing == [2..<3] && !done.mend.movesOffsets)
  }

  // MARK: Archive

  @Test func anArchiveIsReadByZstdAndRestored() throws {
    let folder = try ScratchFolder()
    let bytes =
      AirunnerCodec.fileHeader
      + (1...50).flatMap { SampleLog.airunner($0, .pending, SampleLog.values(1, size: 300)[0]) }
      + (1...50).flatMap { SampleLog.airunner($0, .sent, []) }
    let log = try folder.write("job-1.wal", bytes)
    for level in LogArchive.Level.allCases {
      let made = try LogArchive(log, into: folder.path(level.rawValue), level: level)
      #expect(made.bytes == Int64(bytes.count) && made.packedBytes < made.bytes)
      #expect(try check(made.archive).entries == 100)
    }
    let archived = try LogArchive(log, into: folder.path("archive"), removing: true)
    #expect(!FileManager.default.fileExists(atPath: log))
    let restored = try LogRestore(archived.archive, into: folder.path("back"))
    #expect(try folder.read("back/job-1.wal") == bytes && restored.path == folder.path("back/job-1.wal"))
    // Nothing is written over, and of a damaged one nothing is made.
    #expect(throws: LogToolError.exists(path: restored.path)) {
      try LogRestore(archived.archive, into: folder.path("back"))
    }
    let packed = try folder.read("archive/job-1.wal.zst")
    for cut in [packed.count - 1, packed.count / 2] {
      let path = try folder.write("cut.wal.zst", Array(packed[..<cut]))
      #expect(throws: LogToolError.damagedArchive(path: path)) { try LogRestore(path, into: folder.path("other")) }
      #expect(throws: LogToolError.damagedArchive(path: path)) { try LogFile(path) }
    }
    var flipped = packed
    flipped[packed.count / 2] ^= 4
    let path = try folder.write("flipped.wal.zst", flipped)
    #expect(throws: LogToolError.damagedArchive(path: path)) { try LogRestore(path, into: folder.path("other")) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("other")).isEmpty)
  }

  @Test func whatWasNotSentIsNotArchived() throws {
    let folder = try ScratchFolder()
    let bytes =
      AirunnerCodec.fileHeader + SampleLog.airunner(1, .pending, [1]) + SampleLog.airunner(2, .pending, [2])
      + SampleLog.airunner(1, .sent, [])
    let log = try folder.write("job.wal", bytes)
    #expect(throws: LogToolError.self) { try LogArchive(log, into: folder.path("archive"), removing: true) }
    #expect(try folder.read("job.wal") == bytes)
    _ = try LogArchive(log, into: folder.path("archive"), isForced: true)
  }

  @Test func aLogThatIsInUseIsLeftAlone() throws {
    let folder = try ScratchFolder()
    let log = try folder.write("job.wal", SampleLog.bytes(of: .chronikV1, SampleLog.values(2)))
    let lock = try folder.write("job.lock", [])
    let held = open(lock, O_RDWR)
    defer { close(held) }
    var whole = flock()
    (whole.l_type, whole.l_whence) = (Int16(F_WRLCK), Int16(SEEK_SET))
    #expect(fcntl(held, 37, &whole) == 0)
    #expect(throws: LogToolError.inUse(path: log)) { try LogArchive(log, into: folder.path("archive")) }
    #expect(throws: LogToolError.inUse(path: log)) { try LogCompact(log, into: folder.path("c.wal")) }
    #expect(throws: LogToolError.inUse(path: log)) {
      try LogRepair(log, into: folder.path("c.wal"), policy: .skipCorrupted, fixingBits: false)
    }
    #expect(throws: LogToolError.inUse(path: log)) { try LogMigrate(folder.root, to: folder.root + "-2") }
    #expect(try check(log).isSound)
  }

  // MARK: Cleanup

  @Test(arguments: [false, true]) func onlyOldArchivesThatNobodyNeedsGo(isDryRun: Bool) throws {
    let folder = try ScratchFolder()
    func archive(_ name: String, _ bytes: [UInt8]) throws {
      let log = try folder.write(name, bytes)
      _ = try LogArchive(log, into: folder.path("archive"), removing: true, isForced: true)
    }
    let head = AirunnerCodec.fileHeader
    try archive("old.wal", head + SampleLog.airunner(1, .pending, [1]) + SampleLog.airunner(1, .sent, []))
    try archive("unsent.wal", head + SampleLog.airunner(1, .pending, [1]))
    try archive("young.wal", head + SampleLog.airunner(1, .pending, [1]) + SampleLog.airunner(1, .sent, []))
    _ = try folder.write("archive/broken.wal.zst", [0x28, 0xB5, 0x2F, 0xFD, 1, 2, 3])
    _ = try folder.write("archive/active.wal", head)
    let now = Int64(Date().timeIntervalSince1970)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path("archive"))
    where name != "young.wal.zst" {
      var times = [
        timespec(tv_sec: Int(now) - 40 * 86_400, tv_nsec: 0), timespec(tv_sec: Int(now) - 40 * 86_400, tv_nsec: 0),
      ]
      utimensat(AT_FDCWD, folder.path("archive/" + name), &times, 0)
    }
    let done = try LogCleanup(folder.path("archive"), olderThan: 30 * 86_400, now: now, isDryRun: isDryRun)
    #expect(done.removed == [folder.path("archive/old.wal.zst")] && done.young == 1)
    #expect(
      done.kept.map { ($0.path as NSString).lastPathComponent }.sorted() == [
        "active.wal", "broken.wal.zst", "unsent.wal.zst",
      ])
    #expect(FileManager.default.fileExists(atPath: folder.path("archive/old.wal.zst")) == isDryRun)
  }

  @Test func aTransactionThatMustBeReplayedStays() throws {
    let folder = try ScratchFolder()
    let log = try folder.write(
      "b.wal",
      SampleLog.replay(1, .startBuffer, []) + SampleLog.replay(1, .endBuffer, []) + SampleLog.replay(1, .commit, [])
        + SampleLog.replay(2, .startBuffer, []))
    _ = try LogArchive(log, into: folder.path("archive"), removing: true)
    let done = try LogCleanup(folder.path("archive"), olderThan: -10, now: Int64(time(nil)), isDryRun: false)
    #expect(done.removed.isEmpty && done.kept.count == 1)
  }

  // MARK: Migrate

  @Test func aFolderMovesAndALinkStays() throws {
    let folder = try ScratchFolder()
    try FileManager.default.createDirectory(atPath: folder.path("wal/sub"), withIntermediateDirectories: true)
    let bytes = SampleLog.bytes(of: .streamhouse, SampleLog.values(9))
    _ = try folder.write("wal/o-0.wal", bytes)
    _ = try folder.write("wal/sub/o-1.wal", bytes)
    let target = folder.path("ssd/wal")
    let done = try LogMigrate(folder.path("wal"), to: target)
    #expect(done.files == 2 && done.bytes == Int64(2 * bytes.count))
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.path("wal")) == target)
    #expect(try folder.read("wal/sub/o-1.wal") == bytes && folder.read("wal.before-migration/o-0.wal") == bytes)
    #expect(throws: LogToolError.self) { try LogMigrate(folder.path("wal"), to: folder.path("again")) }
    #expect(throws: LogToolError.self) { try LogMigrate(folder.path("ssd"), to: folder.path("ssd/wal/inside")) }
    #expect(throws: LogToolError.exists(path: target)) {
      try LogMigrate(folder.path("wal.before-migration"), to: target)
    }
  }

  // MARK: Compact

  @Test func compactionKeepsWhatIsNeeded() throws {
    let folder = try ScratchFolder()
    let head = AirunnerCodec.fileHeader
    let events =
      head + (1...5).flatMap { SampleLog.airunner($0, .pending, [UInt8($0)]) }
      + SampleLog.airunner(2, .sent, []) + SampleLog.airunner(4, .failed, [])
    let done = try LogCompact(try folder.write("a.wal", events), into: folder.path("a2.wal"))
    #expect(done.kept == 3 && done.dropped == 4)
    #expect(
      try folder.read("a2.wal") == head + [1, 3, 5].flatMap { SampleLog.airunner(Int64($0), .pending, [UInt8($0)]) })

    func one(_ number: UInt64, _ last: ReplayCodec.Operation?) -> [UInt8] {
      SampleLog.replay(number, .startBuffer, []) + SampleLog.replay(number, .addMeasurement, [1])
        + (last.map { SampleLog.replay(number, $0, []) } ?? [])
    }
    let buffer = one(1, .commit) + one(2, nil) + one(3, .rollback) + one(4, .endBuffer)
    _ = try LogCompact(try folder.write("b.wal", buffer), into: folder.path("b2.wal"))
    #expect(try folder.read("b2.wal") == one(2, nil) + one(4, .endBuffer))

    // What ends something that an earlier file has begun stays.
    let ends = SampleLog.replay(8, .commit, []) + one(9, .commit)
    _ = try LogCompact(try folder.write("e.wal", ends), into: folder.path("e2.wal"))
    #expect(try folder.read("e2.wal") == SampleLog.replay(8, .commit, []))
    let sent = head + SampleLog.airunner(3, .sent, []) + SampleLog.airunner(7, .pending, [1])
    _ = try LogCompact(try folder.write("f.wal", sent), into: folder.path("f2.wal"))
    #expect(try folder.read("f2.wal") == sent)

    let keyed = ["a", "b", "a", "", "b", ""].enumerated().flatMap {
      SampleLog.streamhouse($0, Array($1.utf8), [UInt8($0)])
    }
    let compacted = try LogCompact(try folder.write("c.wal", keyed), into: folder.path("c2.wal"))
    #expect(compacted.movesOffsets)
    #expect(try field("value", contents(folder.path("c2.wal"))) == ["02", "03", "04", "05"])
    #expect(throws: LogToolError.self) {
      try LogCompact(try folder.write("d.log", SampleLog.segment(SampleLog.values(3))), into: folder.path("d2.log"))
    }
  }

  // MARK: Convert

  static let pairs = LogSystem.allCases.flatMap { from in LogSystem.allCases.map { (from, $0) } }

  @Test(arguments: pairs) func everyFormatBecomesEveryOther(from: LogSystem, to: LogSystem) throws {
    let folder = try ScratchFolder()
    let values = SampleLog.values(7)
    let input = try folder.write("in.wal", SampleLog.bytes(of: from, values, key: Array("key".utf8)))
    let done = try LogConvert(LogFiles(name: input, paths: [input]), to: to, output: folder.path("out"))
    #expect(done.messages == 7 && done.damaged == 0 && done.from == from)
    let lines = try contents(folder.path("out")).filter { !$0.contains("_BUFFER") }
    let expected = values.map { $0.map { String(format: "%02x", $0) }.joined() }
    #expect(try field("value", lines) == expected)
    #expect(try field("offset", lines) == (0..<7).map { "\($0)" })
    let hasKeys: Set<LogSystem> = [.tornlog, .streamhouse, .chronik, .chronikV1]
    if hasKeys.contains(from), hasKeys.contains(to) {
      #expect(try field("key", lines) == Array(repeating: "key", count: 7))
    }
  }

  // MARK: Object store

  @Test func objectsBecomeSegments() throws {
    let folder = try ScratchFolder()
    let source = TopicPartition("orders", 3)
    let values = SampleLog.values(9)
    func put(_ range: Range<Int>, _ epoch: UInt64) throws {
      let batches = range.flatMap { SampleLog.batch(at: 4096, base: Int64($0), [values[$0]], epoch: epoch) }
      let name = ObjectName(source, base: Offset(range.lowerBound), end: Offset(range.upperBound), epoch: Epoch(epoch))
      let object = SegmentObject(name: name, partitionCount: 4, batchCount: range.count, batches: batches)
      let path = "store/orders/3"
      try FileManager.default.createDirectory(atPath: folder.path(path), withIntermediateDirectories: true)
      _ = try folder.write("\(path)/\(name.fileName)", object.encoded())
    }
    try put(0..<3, 1)
    try put(0..<4, 2)
    try put(6..<9, 2)
    let done = try ObjectRestore(folder.path("store/orders/3"), into: folder.path("back"))
    #expect(done.files.count == 2 && done.gaps == [4..<6] && done.offsets == 0..<9 && done.messages == 7)
    let logs = try LogFolder(folder.path("back")).logs
    let check = try LogCheck(logs[0], acceptsGaps: true)
    #expect(
      check.isSound && check.messages == 7 && check.findings.compactMap(\.offsets) == [4..<6], "\(check.findings)")
    var packed = try folder.read("store/orders/3/" + ObjectName(source, base: 6, end: 9, epoch: Epoch(2)).fileName)
    packed[100] ^= 1
    _ = try folder.write("store/orders/3/" + ObjectName(source, base: 6, end: 9, epoch: Epoch(2)).fileName, packed)
    #expect(throws: LogToolError.self) { try ObjectRestore(folder.path("store/orders/3"), into: folder.path("other")) }
  }
}
