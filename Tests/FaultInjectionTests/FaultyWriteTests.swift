import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

/// One write of 4096 bytes 0x22 at byte 2048 of a file of 8192 bytes 0x11, with each fault of writes.
@Suite struct FaultyWriteTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var fault: StorageFault
    var trigger = FaultTrigger([.write])
    var told: Told
    /// Of the file afterwards.
    var stored: [UInt8]
    var destroyed: [FileRange]
    var detection: StorageFaultReceipt.Detection
    var testDescription: String { name }
  }

  static let old = bytes(8192, 0x11)
  static let new = old.with(2048..<6144, 0x22)

  static func torn(_ kept: TornWrite.Kept, _ rest: TornWrite.Rest, _ answer: TornWrite.Answer) -> StorageFault {
    .tornWrite(TornWrite(kept: kept, rest: rest, answer: answer))
  }

  static let cases: [Case] = [
    Case(
      name: "torn: a prefix is kept, the rest is old, success", fault: torn(.prefix(1000), .old, .success),
      told: .bytes(4096), stored: old.with(2048..<3048, 0x22), destroyed: ranges("f", 3048..<6144),
      detection: .evident),
    Case(
      name: "torn: a suffix is kept, the rest is zero, EIO", fault: torn(.suffix(512), .zero, .error),
      told: .error(EIO),
      stored: new.with(2048..<5632, 0), destroyed: ranges("f", 2048..<5632), detection: .reported),
    Case(
      name: "torn: a prefix is kept, the rest is old, EIO", fault: torn(.prefix(1000), .old, .error), told: .error(EIO),
      stored: old.with(2048..<3048, 0x22), destroyed: [], detection: .reported),
    Case(
      name: "torn: three sectors are kept", fault: torn(.sectors([0, 2, 3]), .old, .success), told: .bytes(4096),
      stored: old.with(2048..<2560, 0x22).with(3072..<4096, 0x22),
      destroyed: ranges("f", 2560..<3072, 4096..<6144), detection: .evident),
    Case(
      name: "torn: never all of it is kept", fault: torn(.prefix(9999), .old, .success), told: .bytes(4096),
      stored: new.with(6143..<6144, 0x11), destroyed: ranges("f", 6143..<6144), detection: .evident),
    Case(
      name: "torn: at the 1001st byte", fault: torn(.upToTriggerByte, .zero, .error),
      trigger: FaultTrigger([.write], .bytes(1001)), told: .error(EIO), stored: new.with(3048..<6144, 0),
      destroyed: ranges("f", 3048..<6144), detection: .reported),
    Case(
      name: "torn: nothing is kept", fault: torn(.prefix(0), .old, .success), told: .bytes(4096), stored: old,
      destroyed: ranges("f", 2048..<6144), detection: .hidden),
    Case(
      name: "short write", fault: .shortWrite(taking: 1000), told: .bytes(1000), stored: old.with(2048..<3048, 0x22),
      destroyed: [], detection: .reported),
    Case(
      name: "EINTR", fault: .interrupted, told: .error(EINTR), stored: old, destroyed: [], detection: .reported),
    Case(name: "EAGAIN", fault: .tryAgain, told: .error(EAGAIN), stored: old, destroyed: [], detection: .reported),
    Case(name: "EIO", fault: .ioError, told: .error(EIO), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "EIO after it was done", fault: .ioError, trigger: FaultTrigger([.write], .occurrence(1), .completion),
      told: .error(EIO), stored: new, destroyed: [], detection: .reported),
    Case(
      name: "EACCES", fault: .permissionDenied, told: .error(EACCES), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "EMFILE", fault: .tooManyOpenFiles, told: .error(EMFILE), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "ENFILE", fault: .fileTableFull, told: .error(ENFILE), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "ENOMEM", fault: .outOfKernelMemory, told: .error(ENOMEM), stored: old, destroyed: [],
      detection: .reported),
    Case(
      name: "ESTALE", fault: .staleHandle, told: .error(ESTALE), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "ETIMEDOUT", fault: .timedOut, told: .error(ETIMEDOUT), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "ENOTCONN", fault: .notConnected, told: .error(ENOTCONN), stored: old, destroyed: [], detection: .reported),
    Case(name: "ENOSPC", fault: .noSpace, told: .error(ENOSPC), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "ENOSPC at byte 1001", fault: .noSpace, trigger: FaultTrigger([.write], .bytes(1001)), told: .bytes(1000),
      stored: old.with(2048..<3048, 0x22), destroyed: [], detection: .reported),
    Case(name: "EDQUOT", fault: .quotaExceeded, told: .error(EDQUOT), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "silent ENOSPC", fault: .silentNoSpace, told: .bytes(4096), stored: old,
      destroyed: ranges("f", 2048..<6144), detection: .hidden),
    Case(
      name: "silent ENOSPC at byte 1001", fault: .silentNoSpace, trigger: FaultTrigger([.write], .bytes(1001)),
      told: .bytes(4096), stored: old.with(2048..<3048, 0x22), destroyed: ranges("f", 3048..<6144),
      detection: .evident),
    Case(
      name: "lost", fault: .lostWrite, told: .bytes(4096), stored: old, destroyed: ranges("f", 2048..<6144),
      detection: .hidden),
    Case(
      name: "misdirected in the same file", fault: .misdirectedWrite(.sameFile(by: -1500)), told: .bytes(4096),
      stored: old.with(548..<4644, 0x22), destroyed: ranges("f", 2048..<6144, 548..<4644), detection: .hidden),
    Case(
      name: "misdirected to another file", fault: .misdirectedWrite(.otherFile("other", at: 100)), told: .bytes(4096),
      stored: old, destroyed: ranges("f", 2048..<6144) + ranges("other", 100..<4196), detection: .hidden),
    Case(
      name: "misdirected to a file that is not there", fault: .misdirectedWrite(.otherFile("none", at: 0)),
      told: .bytes(4096), stored: old, destroyed: ranges("f", 2048..<6144), detection: .hidden),
    Case(name: "EROFS", fault: .readOnly, told: .error(EROFS), stored: old, destroyed: [], detection: .reported),
    Case(
      name: "a stall", fault: .stall(.milliseconds(20)), told: .bytes(4096), stored: new, destroyed: [],
      detection: .reported),
  ]

  /// - Returns: what the writer was told, and whether its buffer is as it was.
  static func write(
    _ s: FaultyStorage, _ offset: Int64, _ mode: OpenMode = [.write], count: Int = 4096, _ value: UInt8 = 0x22,
    _ durability: WriteDurability = .volatile
  ) async throws(StorageError) -> Told {
    let file = try await s.open("f", mode)
    let buffer = s.makeBuffer(capacity: count)
    buffer.mutableBytes(0..<count).copyBytes(from: bytes(count, value))
    let told = await told { () async throws(StorageError) -> Int in
      try await s.write(file, at: offset, from: buffer, 0..<count, durability)
    }
    #expect(Array(buffer[0..<count]) == bytes(count, value), "the caller's buffer was changed")
    await s.close(file)
    return told
  }

  @Test(arguments: Base.available, cases)
  func theFaultIsWhatIsStoredAndToldAndReceipted(_ base: Base, _ c: Case) throws {
    for isOn in [true, false] {
      let rig = try Rig(base)
      try rig.run {
        try await rig.fill("f", Self.old)
        try await rig.fill("other", Self.old)
        let s = FaultyStorage(rig.storage, plan: FaultPlan(isOn ? [PlannedFault(c.fault, c.trigger)] : []))
        let before = s.loop.now
        let told = try await Self.write(s, 2048)
        #expect(told == (isOn ? c.told : .bytes(4096)))
        #expect(rig.content("f") == (isOn ? c.stored : Self.new))
        let landed = c.destroyed.contains { $0.path == "other" } && isOn
        #expect(rig.content("other") == (landed ? Self.old.with(100..<4196, 0x22) : Self.old))
        #expect(s.receipts.count == (isOn ? 1 : 0))
        #expect(s.unfired == [])
        guard isOn, let receipt = s.receipts.first else { return }
        #expect(receipt.kind == c.fault.kind)
        #expect(receipt.destroyed == c.destroyed)
        #expect(receipt.detection == c.detection)
        #expect((receipt.path, receipt.offset, receipt.length, receipt.operation) == ("f", 2048, 4096, .write))
        #expect(receipt.operationNumber == 2)
        #expect(receipt.planned == 0)
        switch told {
        case .error(let number): #expect(receipt.answer == .error(number))
        case .bytes(let n) where n < 4096: #expect(receipt.answer == .short(n))
        default: #expect(receipt.answer == (c.fault.kind == .stall ? .asUsual : .falseSuccess))
        }
        if c.fault.kind == .stall { #expect(s.loop.now - before >= .milliseconds(20)) }
        // Once is once.
        if c.name != "EROFS", c.name != "ENOSPC at byte 1001" {
          #expect(try await Self.write(s, 2048) == .bytes(4096))
          #expect(rig.content("f") == Self.new.with(548..<2048, c.stored[548]))
        }
      }
    }
  }

  @Test(arguments: Base.available, TearUnit.allCases)
  func aTearOfTheSeedsChoiceIsWhatItsReceiptSays(_ base: Base, _ unit: TearUnit) throws {
    var seen: Set<[FileRange]> = []
    for seed in UInt64(0)..<4 {
      for kept in [TornWrite.Kept.prefixTo(unit), .suffixFrom(unit), .anyOf(unit)] {
        for rest in TornWrite.Rest.allCases {
          let receipt = try tear(base, TornWrite(kept: kept, rest: rest, answer: .success), at: 1536, seed: seed)
          seen.insert(receipt.destroyed)
          for place in receipt.destroyed {
            let ends = [place.range.lowerBound, place.range.upperBound].filter { $0 != 1536 && $0 != 1536 + 10_240 }
            #expect(ends.allSatisfy { $0 % Int64(unit.rawValue) == 0 })
          }
        }
      }
    }
    #expect(seen.count > 3)
  }

  private func tear(_ base: Base, _ torn: TornWrite, at offset: Int64, seed: UInt64) throws -> StorageFaultReceipt {
    let rig = try Rig(base)
    return try rig.run {
      try await rig.fill("f", Self.old)
      let s = FaultyStorage(rig.storage, plan: FaultPlan([PlannedFault(.tornWrite(torn))], seed: seed))
      #expect(try await Self.write(s, offset, count: 10_240) == .bytes(10_240))
      let receipt = try #require(s.receipts.first)
      var expected = Self.old.with(Int(offset)..<Int(offset) + 10_240, 0x22)
      let stored = try #require(rig.content("f"))
      var end = Self.old.count
      for place in receipt.destroyed {
        let range = Int(place.range.lowerBound)..<Int(place.range.upperBound)
        switch torn.rest {
        case .zero: expected = expected.with(range, 0)
        case .old: for i in range { expected[i] = i < Self.old.count ? Self.old[i] : 0 }
        case .garbage: for i in range { expected[i] = i < stored.count ? stored[i] : 0 }
        }
      }
      // With the old bytes, the file ends with the last sector that was kept.
      let lastLost = receipt.destroyed.last.map { Int($0.range.upperBound) } == Int(offset) + 10_240
      let lastEnd = lastLost ? Int(receipt.destroyed.last?.range.lowerBound ?? 0) : Int(offset) + 10_240
      end = torn.rest == .old ? max(end, lastEnd) : expected.count
      #expect(stored == Array(expected[..<end]), "\(receipt)")
      if torn.rest == .garbage, let place = receipt.destroyed.first, place.range.count > 64 {
        #expect(Set(stored[Int(place.range.lowerBound)..<Int(place.range.upperBound)]).count > 8)
      }
      return receipt
    }
  }

  @Test(arguments: Base.available) func bitsAreFlippedInFlightAndTheCallersBufferIsNot(_ base: Base) throws {
    for count in [1, 3, 40, 80] {
      let rig = try Rig(base)
      try rig.run {
        try await rig.fill("f", Self.old)
        let plan = FaultPlan([PlannedFault(.bitFlip(bits: count, .range(10..<20)))], seed: UInt64(count))
        let s = FaultyStorage(rig.storage, plan: plan)
        #expect(try await Self.write(s, 2048) == .bytes(4096))
        let stored = try #require(rig.content("f"))
        let wrong = stored.indices.filter { stored[$0] != Self.new[$0] }
        #expect(wrong.allSatisfy { 2058..<2068 ~= $0 })
        #expect(wrong.reduce(0) { $0 + (stored[$1] ^ Self.new[$1]).nonzeroBitCount } == count)
        let receipt = try #require(s.receipts.first)
        #expect(receipt.destroyed == wrong.map { FileRange("f", Int64($0)..<Int64($0) + 1) })
        #expect(receipt.isDetectable)
      }
    }
  }

  /// Offsets and lengths that direct I/O refuses: whole blocks are written, and the file is no longer than it should
  /// be.
  @Test(arguments: Base.available, [0, 8192 - 512])
  func directWritesAreTornAtAnyByte(_ base: Base, _ offset: Int) throws {
    for isOn in [true, false] {
      let rig = try Rig(base)
      try rig.run {
        try await rig.fill("f", Self.old)
        let tear = Self.torn(.prefix(700), .old, .success)
        let s = FaultyStorage(rig.storage, plan: FaultPlan(isOn ? [PlannedFault(tear)] : []))
        // 8192 - 512 is a block of 512 bytes only.
        if s.properties.directIO, offset % s.properties.blockSize != 0 { return }
        #expect(try await Self.write(s, Int64(offset), [.write, .direct], count: 4096) == .bytes(4096))
        #expect(rig.content("f") == Self.old.with(offset..<offset + (isOn ? 700 : 4096), 0x22))
      }
    }
  }

  @Test(arguments: Base.available) func aFullDiskIsShortThenRefusesUntilSpaceIsFreed(_ base: Base) throws {
    let lastings: [FaultLasting] = [.once, .times(2), .untilSpaceFreed, .sticky]
    for (lasting, freeing) in lastings.flatMap({ l in (0..<4).map { (l, $0) } }) {
      let rig = try Rig(base)
      try rig.run {
        try await rig.fill("f", [])
        try await rig.fill("big", Self.old)
        let full = PlannedFault(.noSpace, FaultTrigger([.write], pathContains: "f", .bytes(2501)), lasting)
        let s = FaultyStorage(rig.storage, plan: FaultPlan([full]))
        var answers: [Told] = []
        for i in 0..<3 { answers.append(try await Self.write(s, Int64(i) * 1000, count: 1000)) }
        #expect(answers == [.bytes(1000), .bytes(1000), .bytes(500)])
        #expect(try await Self.write(s, 2500, count: 500) == .error(ENOSPC))
        #expect(s.receipts.map(\.answer) == [.short(500), .error(ENOSPC)])
        #expect(rig.content("f")?.count == 2500)
        let file = try await s.open("big", [.write])
        switch freeing {
        case 0: try await s.unlink("big")
        case 1: try await s.truncate(file, to: 100)
        case 2: s.freeSpace()
        default: try await s.truncate(file, to: 9000)  // frees nothing
        }
        let isFree = lasting == .once || lasting == .untilSpaceFreed && freeing < 3
        #expect(try await Self.write(s, 2500, count: 500) == (isFree ? .bytes(500) : .error(ENOSPC)))
        let isFreeAtLast = isFree || lasting == .times(2)
        #expect(try await Self.write(s, 3000, count: 500) == (isFreeAtLast ? .bytes(500) : .error(ENOSPC)))
      }
    }
  }

  @Test(arguments: Base.available) func spaceThatIsFreedAfterTheShortWriteIsThere(_ base: Base) throws {
    for isFreed in [true, false] {
      let rig = try Rig(base)
      try rig.run {
        try await rig.fill("f", [])
        let s = FaultyStorage(
          rig.storage, plan: FaultPlan([PlannedFault(.noSpace, FaultTrigger([.write], .bytes(501)), .untilSpaceFreed)]))
        #expect(try await Self.write(s, 0, count: 1000) == .bytes(500))
        if isFreed { s.freeSpace() }
        #expect(try await Self.write(s, 500, count: 500) == (isFreed ? .bytes(500) : .error(ENOSPC)))
      }
    }
  }

  @Test(arguments: Base.losingPower) func aTornWriteCutsThePowerAtThatPoint(_ base: Base) throws {
    for isOn in [true, false] {
      let rig = try Rig(base)
      let cuts = Shared<[StorageFaultReceipt]>([])
      try rig.run {
        try await rig.fill("f", Self.old)
        let tear = PlannedFault(
          Self.torn(.sectors([1]), .old, .crash), FaultTrigger([.write], .occurrence(isOn ? 2 : 3)))
        let t = FaultyStorage(rig.storage, plan: FaultPlan([tear]), onCrash: { cuts.value.append($0) })
        #expect(try await Self.write(t, 6144, count: 512) == .bytes(512))
        #expect(try await Self.write(t, 2048) == (isOn ? .powerLost : .bytes(4096)))
        #expect(t.isCut == isOn)
        #expect(cuts.value == t.receipts)
        #expect(cuts.value.map(\.answer) == (isOn ? [.none] : []))
        if isOn {
          #expect(await toldOf { () async throws(StorageError) in _ = try await t.open("f", []) } == .powerLost)
        }
        try await rig.losePower()
        // The torn sector is on the medium; the write before, which nobody synced, is not.
        #expect(rig.content("f") == (isOn ? Self.old.with(2560..<3072, 0x22) : Self.old))
      }
    }
  }
}
