import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

/// Faults of reads, of names, and those that stay.
@Suite struct FaultyReadTests {
  static let old = bytes(8192, 0x11)

  /// Runs `body` with the fault on and off on a file `f` of 8192 bytes 0x11.
  private func onAndOff(
    _ base: Base, _ faults: [PlannedFault], seed: UInt64 = 1,
    _ body: @escaping @Sendable (Rig, FaultyStorage, _ isOn: Bool) async throws -> Void
  ) throws {
    for isOn in [true, false] {
      let rig = try Rig(base, seed: seed)
      try rig.run {
        try await rig.fill("f", Self.old)
        let s = FaultyStorage(rig.storage, plan: FaultPlan(isOn ? faults : [], seed: seed))
        try await body(rig, s, isOn)
        if isOn { #expect(s.unfired == []) } else { #expect(s.receipts.isEmpty) }
      }
    }
  }

  private func toldRead(_ s: FaultyStorage, _ file: FileID, _ range: Range<Int64>) async -> Told {
    await told { () async throws(StorageError) -> Int in try await s.read(file, range.count, at: range.lowerBound).count
    }
  }

  @Test(arguments: Base.available) func aShortReadBringsTheFirstBytesAndLeavesTheRestOfTheBuffer(_ base: Base) throws {
    let short = PlannedFault(.shortRead(bringing: 1000), FaultTrigger(pathContains: "f"))
    try onAndOff(base, [short]) { rig, s, isOn in
      let f = try await s.open("f", [.write])
      let buffer = s.makeBuffer(capacity: 4096)
      buffer.mutableBytes(0..<4096).initializeMemory(as: UInt8.self, repeating: 0)
      let got = try await s.read(f, at: 0, into: buffer, 0..<4096)
      #expect(got == (isOn ? 1000 : 4096))
      #expect(buffer[0..<4096].count { $0 == 0x11 } == got)
      if isOn { #expect(s.receipts.map(\.answer) == [.short(1000)]) }
    }
  }

  @Test func aReadThatTheEndOfTheFileMakesShortIsNoFiring() throws {
    let short = PlannedFault(.shortRead(bringing: 1000), FaultTrigger(pathContains: "f"))
    let rig = try Rig(Base.available[0], seed: 1)
    try rig.run {
      try await rig.fill("f", bytes(500, 0x11))
      let s = FaultyStorage(rig.storage, plan: FaultPlan([short], seed: 1))
      let f = try await s.open("f", [.write])
      let buffer = s.makeBuffer(capacity: 4096)
      #expect(try await s.read(f, at: 0, into: buffer, 0..<4096) == 500)
      #expect(s.unfired == [0])
    }
  }

  @Test(arguments: Base.available) func aStaleReadBringsWhatWasThereBeforeTheLastWrite(_ base: Base) throws {
    let stale = PlannedFault(.staleRead, FaultTrigger(pathContains: "f"))
    try onAndOff(base, [stale]) { rig, s, isOn in
      let f = try await s.open("f", [.write])
      // Nothing is known of older bytes yet: not a firing.
      #expect(try await s.read(f, 8192, at: 0) == Self.old)
      try await s.write(f, bytes(1000, 0x22), at: 0)
      try await s.write(f, bytes(500, 0x33), at: 700)
      try await s.write(f, bytes(1000, 0x44), at: 8192)
      let now = Self.old.with(0..<700, 0x22).with(700..<1200, 0x33).with(8192..<9192, 0x44)
      let before = Self.old.with(700..<1000, 0x22).with(8192..<9192, 0)
      #expect(try await s.read(f, 10_000, at: 0) == (isOn ? before : now))
      #expect(try await s.read(f, 10_000, at: 0) == now)
      #expect(rig.content("f") == now)
      guard isOn, let receipt = s.receipts.first else { return }
      #expect(receipt.destroyed.isEmpty)
      #expect(receipt.misread.reduce(0) { $0 + $1.range.count } == 2200)
      #expect(receipt.detection == .hidden)
      #expect(receipt.answer == .falseSuccess)
      #expect(s.receipts.count == 1)
    }
  }

  @Test(arguments: Base.available) func bitsOfAReadAreFlippedAndTheFileIsUnharmed(_ base: Base) throws {
    let flip = PlannedFault(.bitFlip(bits: 2), FaultTrigger([.read], .occurrence(2)))
    try onAndOff(base, [flip]) { rig, s, isOn in
      let f = try await s.open("f", [])
      #expect(try await s.read(f, 4096, at: 4096) == bytes(4096, 0x11))
      let second = try await s.read(f, 4096, at: 4096)
      #expect(second.reduce(0) { $0 + ($1 ^ 0x11).nonzeroBitCount } == (isOn ? 2 : 0))
      let wrong = second.indices.filter { second[$0] != 0x11 }.map {
        FileRange("f", Int64($0 + 4096)..<Int64($0 + 4097))
      }
      #expect(s.receipts.flatMap(\.misread) == wrong)
      #expect(s.receipts.allSatisfy { $0.destroyed.isEmpty && $0.isDetectable })
      #expect(rig.content("f") == Self.old)
    }
  }

  @Test(arguments: Base.available, [OperationKind.read, .write])
  func aLatentSectorErrorStaysUntilTheSectorIsRewritten(_ base: Base, _ kind: OperationKind) throws {
    let bad = PlannedFault(.latentSectorError(.range(600..<601)), FaultTrigger([kind]))
    try onAndOff(base, [bad]) { rig, s, isOn in
      let f = try await s.open("f", [.write])
      let refused: Told = isOn ? .error(EIO) : .bytes(512)
      if kind == .write {
        try await s.write(f, bytes(2048, 0x22), at: 512)
        #expect(s.receipts.map(\.answer) == (isOn ? [.falseSuccess] : []))
      } else {
        #expect(await toldRead(s, f, 512..<2560) == (isOn ? .error(EIO) : .bytes(2048)))
      }
      #expect(s.receipts.flatMap(\.destroyed) == (isOn ? ranges("f", 1024..<1536) : []))
      #expect(await toldRead(s, f, 512..<1024) == .bytes(512))
      #expect(await toldRead(s, f, 1024..<1536) == refused)
      #expect(await toldRead(s, f, 1536..<2048) == .bytes(512))
      // A part of the sector is not the sector; under another name it is as bad.
      try await s.write(f, bytes(100, 0x33), at: 1024)
      try await s.rename("f", to: "g")
      #expect(await toldRead(s, f, 1535..<2047) == refused)
      if isOn {
        #expect(s.unreadableSectors == ["g": [2]])
        #expect(s.receipts.dropFirst().allSatisfy { $0.follows == 0 && $0.answer == .error(EIO) && $0.planned == 0 })
        let next = FaultyStorage(rig.storage, plan: FaultPlan(), unreadable: s.unreadableSectors)
        let g = try await next.open("g", [])
        #expect(await toldRead(next, g, 0..<8192) == .error(EIO))
      }
      try await s.write(f, bytes(512, 0x44), at: 1024)
      #expect(await toldRead(s, f, 1024..<1536) == .bytes(512))
      #expect(rig.content("g")?[1024..<1536] == bytes(512, 0x44)[...])
    }
  }

  @Test(arguments: Base.available) func aSectorThatIsCutOffIsForgotten(_ base: Base) throws {
    try onAndOff(base, [PlannedFault(.latentSectorError(), FaultTrigger([.read]))]) { _, s, isOn in
      let f = try await s.open("f", [.write])
      #expect(await toldRead(s, f, 4096..<8192) == (isOn ? .error(EIO) : .bytes(4096)))
      #expect(await toldRead(s, f, 4096..<8192) == (isOn ? .error(EIO) : .bytes(4096)))
      try await s.truncate(f, to: 4096)
      try await s.truncate(f, to: 8192)
      #expect(await toldRead(s, f, 4096..<8192) == .bytes(4096))
    }
  }

  private static func create(_ s: FaultyStorage, _ path: String, _ mode: OpenMode) async throws(StorageError) {
    let file = try await s.open(path, mode)
    await s.close(file)
  }

  private static func changeEverything(_ s: FaultyStorage, _ f: FileID) async -> [Told] {
    var told: [Told] = []
    told.append(await toldOf { () async throws(StorageError) in try await s.write(f, [2], at: 1) })
    told.append(await toldOf { () async throws(StorageError) in try await s.truncate(f, to: 9000) })
    told.append(await toldOf { () async throws(StorageError) in try await s.makeDirectory("d") })
    told.append(await toldOf { () async throws(StorageError) in try await create(s, "new", [.write, .create]) })
    told.append(await toldOf { () async throws(StorageError) in try await create(s, "f", [.write]) })
    told.append(await toldOf { () async throws(StorageError) in try await s.rename("new", to: "newer") })
    told.append(await toldOf { () async throws(StorageError) in try await s.unlink("newer") })
    return told
  }

  @Test(arguments: Base.available) func aReadOnlyRemountRefusesEveryChangeAndReadsGoOn(_ base: Base) throws {
    try onAndOff(base, [PlannedFault(.readOnly, FaultTrigger([.sync]))]) { rig, s, isOn in
      let f = try await s.open("f", [.write])
      #expect(await told { () async throws(StorageError) -> Int in try await s.write(f, [1], at: 0) } == .bytes(1))
      #expect(await toldOf { () async throws(StorageError) in try await s.sync(f, .data) } == .bytes(0))
      let changes = await Self.changeEverything(s, f)
      #expect(changes == Array(repeating: isOn ? .error(EROFS) : .bytes(0), count: 7))
      #expect(try await s.read(f, 2, at: 0) == (isOn ? [1, 0x11] : [1, 2]))
      await s.close(try await s.open("f", []))
      #expect(try await s.list("").map(\.name).filter { $0 != "d" } == ["f"])
      try await s.sync(f, .data)
      if isOn {
        #expect(rig.content("f") == Self.old.with(0..<1, 1))
        #expect(s.receipts.count == 8)
        #expect(s.receipts[0].answer == .asUsual)
        #expect(s.receipts.dropFirst().allSatisfy { $0.follows == 0 && $0.answer == .error(EROFS) })
      }
    }
  }

  @Test(arguments: Base.available) func openingIsDenied(_ base: Base) throws {
    try onAndOff(base, [PlannedFault(.permissionDenied, FaultTrigger(pathContains: "f"))]) { _, s, isOn in
      let allowed: Told = isOn ? .error(EACCES) : .bytes(0)
      #expect(
        await toldOf { () async throws(StorageError) in _ = try await s.open("g", [.write, .create]) } == .bytes(0))
      #expect(await toldOf { () async throws(StorageError) in _ = try await s.open("f", []) } == allowed)
      #expect(await toldOf { () async throws(StorageError) in _ = try await s.open("f", []) } == .bytes(0))
    }
  }

  @Test(arguments: Base.available, [OperationKind.open, .makeDirectory, .rename])
  func namesNeedSpaceToo(_ base: Base, _ kind: OperationKind) throws {
    try onAndOff(base, [PlannedFault(.quotaExceeded, FaultTrigger([kind]))]) { _, s, isOn in
      // An open that creates nothing needs none.
      await s.close(try await s.open("f", [.write]))
      var answers: [Told] = []
      answers.append(await toldOf { () async throws(StorageError) in _ = try await s.open("g", [.write, .create]) })
      answers.append(await toldOf { () async throws(StorageError) in try await s.makeDirectory("d") })
      answers.append(await toldOf { () async throws(StorageError) in try await s.rename("f", to: "h") })
      let hit = [OperationKind.open, .makeDirectory, .rename].firstIndex(of: kind)
      #expect(answers == (0..<3).map { $0 == hit && isOn ? .error(EDQUOT) : .bytes(0) })
    }
  }

  @Test(arguments: Base.available) func aStallWithoutEndEndsWithTheMachine(_ base: Base) throws {
    try onAndOff(base, [PlannedFault(.stall(nil), FaultTrigger([.write]))]) { rig, s, isOn in
      let f = try await s.open("f", [.write])
      let answer = Shared<Told?>(nil)
      s.loop.spawn {
        answer.value = await told { () async throws(StorageError) -> Int in
          try await s.write(f, bytes(100, 0x22), at: 0)
        }
      }
      await s.loop.sleep(until: s.loop.now + .milliseconds(30))
      #expect(answer.value == (isOn ? nil : .bytes(100)))
      #expect(try await s.read(f, 1, at: 0) == [isOn ? 0x11 : 0x22])
      s.cut()
      await s.loop.sleep(until: s.loop.now + .milliseconds(1))
      #expect(answer.value == (isOn ? .powerLost : .bytes(100)))
      #expect(rig.content("f") == (isOn ? Self.old : Self.old.with(0..<100, 0x22)))
      #expect(s.receipts.map(\.answer) == (isOn ? [.none] : []))
    }
  }

  @Test(arguments: Base.available) func aStallAtCompletionDelaysTheAnswerAndNotTheDeed(_ base: Base) throws {
    let late = PlannedFault(.stall(.milliseconds(40)), FaultTrigger([.write], .occurrence(1), .completion))
    try onAndOff(base, [late]) { rig, s, isOn in
      let f = try await s.open("f", [.write])
      let answer = Shared<Told?>(nil)
      s.loop.spawn {
        answer.value = await told { () async throws(StorageError) -> Int in
          try await s.write(f, bytes(100, 0x22), at: 0)
        }
      }
      await s.loop.sleep(until: s.loop.now + .milliseconds(20))
      #expect(answer.value == (isOn ? nil : .bytes(100)))
      #expect(rig.content("f") == Self.old.with(0..<100, 0x22))
      await s.loop.sleep(until: s.loop.now + .milliseconds(40))
      #expect(answer.value == .bytes(100))
    }
  }

  @Test(arguments: Base.available, FaultTrigger.Moment.allCases)
  func aCrashIsCalledAtItsMoment(_ base: Base, _ moment: FaultTrigger.Moment) throws {
    let rig = try Rig(base)
    let crashes = Shared<[StorageFaultReceipt]>([])
    try rig.run {
      try await rig.fill("f", Self.old)
      let plan = FaultPlan([PlannedFault(.crash, FaultTrigger([.write], .occurrence(2), moment))])
      let s = FaultyStorage(rig.storage, plan: plan, onCrash: { crashes.value.append($0) })
      let f = try await s.open("f", [.write])
      try await s.write(f, bytes(10, 0x22), at: 0)
      #expect(crashes.value.isEmpty)
      let answer = await told { () async throws(StorageError) -> Int in
        try await s.write(f, bytes(10, 0x33), at: 0, .durable)
      }
      // A base that completes in place has answered before anybody can be in the middle of it.
      if moment == .inFlight { for _ in 0..<4 { await s.loop.nextIdleTurn() } } else { #expect(answer == .powerLost) }
      #expect(crashes.value.count == 1)
      #expect(crashes.value == s.receipts)
      #expect(rig.content("f")?[0] == (moment == .submission ? 0x22 : 0x33))
      #expect(await toldRead(s, f, 0..<1) == .powerLost)
      let late = await told { () async throws(StorageError) -> Int in try await s.write(f, bytes(10, 0x44), at: 0) }
      #expect(late == .powerLost)
      #expect(rig.content("f")?[0] == (moment == .submission ? 0x22 : 0x33), "a write after the crash was stored")
    }
  }
}
