import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

/// The phases that nobody announces: they begin and end where it is said, and nothing beside them is hit.
@Suite struct PassPhasesTests {
  static let log = "topics/o/0"
  static let first = "\(log)/00000000000000000000-0000000001.log"
  static let later = "\(log)/00000000000000000040-0000000001.log"
  static let other = "topics/o/1/00000000000000000000-0000000001.log"

  /// What a fault of `phase` hits, as `kind path`.
  private func hits(
    _ phase: String, more: [PlannedFault] = [], partition: Int? = nil,
    _ body: @escaping @Sendable (FaultyStorage) async throws(StorageError) -> Void
  ) throws -> [String] {
    let rig = try Rig(.memoryInPlace)
    return try rig.run {
      let s = FaultyStorage(
        rig.storage,
        plan: FaultPlan(
          [PlannedFault(.stall(.nanoseconds(1)), FaultTrigger(partition: partition, phase: phase), .sticky)] + more))
      for path in ["topics", "topics/o", Self.log, "topics/o/1", "metadata", "metadata-mirror"] {
        try await s.makeDirectory(path)
      }
      try await body(s)
      return s.receipts.filter { $0.planned == 0 }.map { "\($0.operation.rawValue) \($0.path)" }
    }
  }

  private static func make(
    _ s: FaultyStorage, _ path: String, syncs: Bool = true
  ) async throws(StorageError) -> FileID {
    let file = try await s.open(path, [.write, .create])
    try await s.write(file, bytes(100, 1), at: 0)
    if syncs {
      try await s.sync(file, .all)
      try await s.syncDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
    }
    return file
  }

  @Test func rotationLastsFromTheNewFileToTheSyncOfItsFolder() throws {
    let found = try hits("rotate") { (s) async throws(StorageError) in
      let old = try await Self.make(s, Self.first)
      let beside = try await Self.make(s, Self.other)
      try await s.write(old, bytes(100, 1), at: 4096)
      let new = try await s.open(Self.later, [.write, .create])
      try await s.write(beside, bytes(100, 1), at: 4096)
      try await s.write(new, bytes(100, 1), at: 0)
      try await s.sync(new, .all)
      try await s.syncDirectory("topics/o/1")
      try await s.syncDirectory(Self.log)
      try await s.write(new, bytes(100, 1), at: 4096)
      try await s.sync(new, .all)
      try await s.syncDirectory(Self.log)
    }
    #expect(found == ["open \(Self.later)", "write \(Self.later)", "sync \(Self.later)", "syncDirectory \(Self.log)"])
  }

  @Test func theOldFileOfTheSameLogIsInItToo() throws {
    let found = try hits("rotate", partition: 0) { (s) async throws(StorageError) in
      let old = try await Self.make(s, Self.first)
      _ = try await s.open(Self.later, [.write, .create])
      _ = try await s.read(old, 100, at: 0)
    }
    #expect(found == ["open \(Self.later)", "read \(Self.first)"])
    #expect(
      try hits("rotate", partition: 1) { (s) async throws(StorageError) in _ = try await Self.make(s, Self.later) }
        == [])
  }

  @Test func withoutASyncItEndsBeforeTheFirstBatch() throws {
    let found = try hits("rotate") { (s) async throws(StorageError) in
      let new = try await Self.make(s, Self.later, syncs: false)
      try await s.write(new, bytes(100, 1), at: 4096)
      try await s.write(new, bytes(100, 1), at: 0)
    }
    #expect(found == ["open \(Self.later)", "write \(Self.later)"])
  }

  @Test func anAttemptThatFailedIsOver() throws {
    let refused = PlannedFault(.ioError, FaultTrigger([.open], pathContains: "0040"))
    let found = try hits("rotate", more: [refused]) { (s) async throws(StorageError) in
      let old = try await Self.make(s, Self.first)
      _ = await toldOf { () async throws(StorageError) in _ = try await s.open(Self.later, [.write, .create]) }
      try await s.write(old, bytes(100, 1), at: 4096)
    }
    #expect(found == ["open \(Self.later)"])
  }

  /// The folder's sync failed, and the file goes: until then it was being made.
  @Test func aFileThatIsRemovedAgainIsNotMadeAnyMore() throws {
    let failing = PlannedFault(.ioError, FaultTrigger([.syncDirectory], phase: "rotate"))
    let found = try hits("rotate", more: [failing]) { (s) async throws(StorageError) in
      let old = try await Self.make(s, Self.first)
      _ = await toldOf { () async throws(StorageError) in _ = try await Self.make(s, Self.later) }
      try await s.unlink(Self.later)
      try await s.write(old, bytes(100, 1), at: 4096)
    }
    #expect(
      found == [
        "open \(Self.later)", "write \(Self.later)", "sync \(Self.later)", "syncDirectory \(Self.log)",
        "unlink \(Self.later)",
      ])
  }

  // MARK: Checkpoints

  static let copy = "metadata/00000000000000000000-0000000001.log"

  @Test func checkpointsChangeTheMetadataWhileOffsetsAreCommittedOrTheEngineCloses() throws {
    let found = try hits("checkpoint") { (s) async throws(StorageError) in
      for phase in ["open", "create", "produce", "commit", "verify", "close"] {
        s.note(.phase(phase))
        let file = try await s.open(Self.copy, phase == "open" ? [.write, .create] : [.write])
        try await s.write(file, bytes(100, 1), at: 4096)
        _ = try await s.read(file, 100, at: 0)
        let log = try await s.open(Self.first, [.write, .create])
        try await s.write(log, bytes(100, 1), at: 4096)
        await s.close(file)
      }
    }
    #expect(found == ["open \(Self.copy)", "write \(Self.copy)", "open \(Self.copy)", "write \(Self.copy)"])
  }

  @Test func inRecoveryTheyBeginWithANewSegmentOfTheCopy() throws {
    let (snapshot, mirror) = (
      "metadata/00000000000000000007-0000000002.log", "metadata-mirror/00000000000000000000-0000000001.log"
    )
    let found = try hits("checkpoint") { (s) async throws(StorageError) in
      s.note(.phase("recover"))
      let old = try await Self.make(s, Self.copy)
      let unready = try await Self.make(s, mirror)
      try await s.truncate(old, to: 50)
      let new = try await Self.make(s, snapshot)
      try await s.write(unready, bytes(100, 1), at: 4096)
      _ = try await s.read(new, 100, at: 0)
      try await s.unlink(Self.copy)
      s.note(.phase("append"))
      try await s.write(new, bytes(100, 1), at: 4096)
    }
    #expect(
      found == [
        "open \(snapshot)", "write \(snapshot)", "sync \(snapshot)", "syncDirectory metadata", "unlink \(Self.copy)",
      ])
  }

  @Test func aCrashCanComeInEither() throws {
    let rig = try Rig(.memoryInPlace)
    let fired = try rig.run {
      let s = TriggeredStorage(rig.storage)
      for path in ["topics", "topics/o", Self.log] { try await s.makeDirectory(path) }
      let seen = Shared<[String]>([])
      s.arm(FaultTrigger(phase: "rotate", .occurrence(4))) { (pass) throws(StorageError) in
        seen.value.append("\(pass.kind)")
      }
      s.arm(FaultTrigger(phase: "checkpoint")) { (pass) throws(StorageError) in seen.value.append("\(pass.kind)") }
      for path in [Self.first, Self.later] {
        let file = try await s.open(path, [.write, .create])
        try await s.write(file, bytes(100, 1), at: 0)
        try await s.sync(file, .all)
        try await s.syncDirectory(Self.log)
      }
      return seen.value
    }
    #expect(fired == ["syncDirectory"])
  }
}
