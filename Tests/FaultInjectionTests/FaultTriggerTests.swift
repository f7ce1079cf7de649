import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

/// Each trigger with what it must meet and what it must not.
@Suite struct FaultTriggerTests {
  static let files = [
    "topics/orders/0/00000000000000000000.log", "topics/orders/1/00000000000000000000.log", "topics/orders/1/notes.txt",
    "metadata/00000000000000000000.log", "elsewhere/1/x.log",
  ]

  /// Writes at 0 and at 4096, a read at 0 and a sync of each file, a sync of its directory.
  /// - Returns: of each firing, the kind, the file and the offset.
  private func fired(
    _ trigger: FaultTrigger, _ lasting: FaultLasting = .sticky, files: [String] = Self.files
  ) throws -> [String] {
    let rig = try Rig(.memoryInPlace)
    return try rig.run {
      for path in files {
        try await rig.storage.makeDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
      }
      let s = FaultyStorage(rig.storage, plan: FaultPlan([PlannedFault(.stall(.nanoseconds(1)), trigger, lasting)]))
      for path in files {
        let f = try await s.open(path, [.write, .create])
        try await s.write(f, bytes(100, 1), at: 0)
        try await s.write(f, bytes(100, 1), at: 4096)
        _ = try await s.read(f, 100, at: 0)
        try await s.sync(f, .data)
        try await s.syncDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
      }
      return s.receipts.map { "\($0.operation.rawValue) \($0.path) \($0.offset)" }
    }
  }

  @Test func aTargetIsAPlaceOfTheLogAndNothingElse() throws {
    let f = Self.files
    func transfers(_ list: [(String, Int64)]) -> [String] { list.map { "write \($0.0) \($0.1)" } }
    #expect(
      try fired(FaultTrigger([.write], target: .segment))
        == transfers([(f[0], 0), (f[0], 4096), (f[1], 0), (f[1], 4096)]))
    #expect(
      try fired(FaultTrigger([.write], target: .segmentHead))
        == transfers([(f[0], 0), (f[1], 0), (f[3], 0), (f[4], 0)]))
    #expect(try fired(FaultTrigger([.write], target: .batch)) == transfers([(f[0], 4096), (f[1], 4096)]))
    #expect(try fired(FaultTrigger([.write], target: .metadata)) == transfers([(f[3], 0), (f[3], 4096)]))
    #expect(try fired(FaultTrigger([.sync], target: .segmentHead)) == [])
    #expect(try fired(FaultTrigger([.sync], target: .metadata)) == ["sync \(f[3]) 0"])
    #expect(try fired(FaultTrigger(target: .directory)).count == 5)
    #expect(try fired(FaultTrigger(target: .directory)).allSatisfy { $0.hasPrefix("syncDirectory") })
    #expect(try fired(FaultTrigger([.write])).count == 10)
    #expect(try fired(FaultTrigger([.unlink])) == [])
  }

  @Test func rotationIsTheMakingOfALaterSegment() throws {
    let (first, later) = (
      "topics/o/0/00000000000000000000-0000000001.log", "topics/o/0/00000000000000000040-0000000001.log"
    )
    let hits = try fired(
      FaultTrigger(target: .rotation), files: [first, later, "metadata/00000000000000000009-0000000001.log"])
    #expect(hits == ["open \(later) 0", "write \(later) 0", "sync \(later) 0"])
  }

  @Test func aPartitionIsPartOfThePath() throws {
    #expect(try fired(FaultTrigger([.sync], partition: 1)) == ["sync \(Self.files[1]) 0", "sync \(Self.files[2]) 0"])
    #expect(try fired(FaultTrigger([.syncDirectory], partition: 0)) == ["syncDirectory topics/orders/0 0"])
    #expect(try fired(FaultTrigger([.sync], partition: 2)) == [])
    #expect(try fired(FaultTrigger([.sync], pathContains: "elsewhere", partition: 1)) == [])
  }

  /// Indices, from 1, of ten writes of 100 bytes that are hit.
  private func hits(
    _ trigger: FaultTrigger, _ lasting: FaultLasting = .once, pause: Duration = .zero
  ) throws -> [Int] {
    let rig = try Rig(.memoryInPlace)
    return try rig.run {
      let s = FaultyStorage(rig.storage, plan: FaultPlan([PlannedFault(.ioError, trigger, lasting)]))
      let f = try await s.open("f", [.write, .create])
      var hits: [Int] = []
      for i in 1...10 {
        if i == 4 { s.note(.phase("append")) }
        if i == 6 { s.note(.phase("close")) }
        s.progress = Double(i) * 10
        await s.loop.sleep(until: s.loop.now + pause)
        let told = await told { () async throws(StorageError) -> Int in try await s.write(f, bytes(100, 1), at: 0) }
        if told == .error(EIO) { hits.append(i) }
        // Other kinds count for nothing.
        _ = try await s.size(of: f)
      }
      #expect(s.unfired == (hits.isEmpty ? [0] : []))
      #expect(s.receipts.count == hits.count)
      return hits
    }
  }

  @Test func conditionsAndHowLongTheyLast() throws {
    func on(_ condition: FaultTrigger.Condition, phase: String? = nil) -> FaultTrigger {
      FaultTrigger([.write], phase: phase, condition)
    }
    #expect(try hits(on(.occurrence(3))) == [3])
    #expect(try hits(on(.occurrence(3)), .times(2)) == [3, 4])
    #expect(try hits(on(.occurrence(8)), .sticky) == [8, 9, 10])
    #expect(try hits(on(.occurrence(11))) == [])
    #expect(try hits(on(.every(3, from: 2)), .sticky) == [2, 5, 8])
    #expect(try hits(on(.every(3, from: 2)), .times(2)) == [2, 5])
    #expect(try hits(on(.bytes(301))) == [4])
    #expect(try hits(on(.bytes(300))) == [3])
    #expect(try hits(on(.bytes(1001))) == [])
    #expect(try hits(on(.share(percent: 50))) == [5])
    #expect(try hits(on(.share(percent: 101))) == [])
    #expect(try hits(on(.elapsed(.milliseconds(7))), pause: .milliseconds(1)) == [7])
    #expect(try hits(on(.elapsed(.milliseconds(70))), pause: .milliseconds(1)) == [])
    #expect(try hits(on(.occurrence(1), phase: "append"), .sticky) == [4, 5])
    #expect(try hits(on(.occurrence(2), phase: "append")) == [5])
    #expect(try hits(on(.occurrence(1), phase: "verify")) == [])
    #expect(try hits(on(.occurrence(2)), .duration(.milliseconds(3)), pause: .milliseconds(1)) == [2, 3, 4])
    #expect(try hits(on(.chance(perMillion: 0, seed: 1)), .sticky) == [])
    #expect(try hits(on(.chance(perMillion: 1_000_000, seed: 1)), .sticky) == Array(1...10))
    let some = try hits(on(.chance(perMillion: 400_000, seed: 5)), .sticky)
    #expect(some == (try hits(on(.chance(perMillion: 400_000, seed: 5)), .sticky)))
    #expect((1...9).contains(some.count))
    #expect(some != (try hits(on(.chance(perMillion: 400_000, seed: 6)), .sticky)))
    #expect(try hits(FaultTrigger([.read])) == [])
    #expect(try hits(FaultTrigger([.write], pathContains: "g")) == [])
  }

  /// A log is filled ahead with zeros: that carries no batch, whatever its place.
  @Test func aWriteOfZerosIsNoBatch() throws {
    try simulate { loop in
      let plan = FaultPlan([PlannedFault(.lostWrite, FaultTrigger(target: .batch))])
      let s = FaultyStorage(MemoryStorage(disk: MemoryDisk(), loop: loop, latency: .zero), plan: plan)
      try await s.makeDirectory("topics/t/3")
      let f = try await s.open("topics/t/3/0.log", [.write, .create])
      try await s.write(f, bytes(8192, 0), at: 4096)
      #expect(s.receipts.isEmpty)
      try await s.write(f, bytes(511, 0) + [1], at: 4096)
      #expect(s.receipts.map(\.length) == [512])
    }
  }

  /// What a fence and a lock ask can fail like everything else.
  @Test func aLockAndALinkCountCanFail() throws {
    try simulate { loop in
      let plan = FaultPlan([
        PlannedFault(.ioError, FaultTrigger([.lock])),
        PlannedFault(.ioError, FaultTrigger([.linkCount], .occurrence(2))),
      ])
      let s = FaultyStorage(MemoryStorage(disk: MemoryDisk(), loop: loop, latency: .zero), plan: plan)
      let f = try await s.open("f", [.write, .create])
      #expect(await toldOf { () async throws(StorageError) in try await s.lock(f) } == .error(EIO))
      #expect(await told { () async throws(StorageError) in try await s.linkCount(of: f) } == .bytes(1))
      #expect(await told { () async throws(StorageError) in try await s.linkCount(of: f) } == .error(EIO))
      #expect(await toldOf { () async throws(StorageError) in try await s.lock(f) } == .bytes(0))
      #expect(s.unfired == [])
    }
  }

  @Test func aCrashCanWaitForAShareOfTheWorkload() throws {
    try simulate { loop in
      let s = TriggeredStorage(MemoryStorage(disk: MemoryDisk(), loop: loop, latency: .zero))
      let fired = Shared<[Int64]>([])
      s.arm(FaultTrigger([.write], target: .batch, partition: 3, .share(percent: 50))) { fired.value.append($0.offset) }
      try await s.makeDirectory("topics/t/3")
      let f = try await s.open("topics/t/3/0.log", [.write, .create])
      for i in 0..<8 {
        s.progress = Double(i) * 10
        try await s.write(f, [1], at: Int64(i * 1000))
      }
      #expect(fired.value == [5000])
    }
  }
}
