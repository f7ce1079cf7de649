@testable import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

/// Failed syncs, and what a power loss makes of them. `man 2 fsync`; Rebello et al., ATC 2020.
@Suite struct FaultySyncTests {
  static let old = bytes(8192, 0x11)
  static let first = old.with(0..<5000, 0x22)

  struct Outcome: Equatable {
    var told: [Told] = []
    /// Before and after the power loss.
    var seen: [UInt8]?
    var left: [UInt8]?
  }

  /// 5000 bytes are written; three syncs follow, the last after one more byte in the page from 4096 on, if `redirties`.
  private func run(
    _ base: Base, _ failure: SyncFailure?, redirties: Bool = false, profile: PersistenceProfile = .dropUnsynced,
    seed: UInt64 = 1
  ) throws -> (Outcome, [StorageFaultReceipt]) {
    let rig = try Rig(base, seed: seed)
    return try rig.run {
      try await rig.fill("f", Self.old)
      let plan = FaultPlan(failure.map { [PlannedFault(.syncFailure($0))] } ?? [])
      let s = FaultyStorage(rig.storage, plan: plan)
      let f = try await s.open("f", [.write])
      var outcome = Outcome()
      try await s.write(f, bytes(5000, 0x22), at: 0)
      for i in 0..<3 {
        if i == 2, redirties { try await s.write(f, [0x33], at: 8191) }
        outcome.told.append(await toldOf { () async throws(StorageError) in try await s.sync(f, .data) })
      }
      outcome.seen = try await s.read(f, 9000, at: 0)
      try await rig.losePower(profile, seed: seed)
      outcome.left = rig.content("f")
      return (outcome, s.receipts)
    }
  }

  @Test(arguments: Base.losingPower) func aControlRunLosesNothing(_ base: Base) throws {
    let (outcome, receipts) = try run(base, nil)
    #expect(outcome == Outcome(told: [.bytes(0), .bytes(0), .bytes(0)], seen: Self.first, left: Self.first))
    #expect(receipts.isEmpty)
  }

  @Test(arguments: Base.losingPower) func pagesLeftDirtyAreMadeDurableByALaterSync(_ base: Base) throws {
    let (outcome, receipts) = try run(base, .leavesDirty)
    #expect(outcome == Outcome(told: [.error(EIO), .bytes(0), .bytes(0)], seen: Self.first, left: Self.first))
    #expect(receipts.map(\.destroyed) == [[]])
    #expect(receipts.map(\.detection) == [.reported])
  }

  /// Fsyncgate: "PostgreSQL's fsync() surprise", LWN 752063, 2018.
  @Test(arguments: Base.losingPower, [PersistenceProfile.dropUnsynced, .posixMinimal])
  func pagesMarkedCleanAreNotMadeDurableByALaterSyncThatSucceeds(
    _ base: Base, _ profile: PersistenceProfile
  ) throws {
    for seed in UInt64(1)...(profile == .posixMinimal ? 8 : 1) {
      let (outcome, receipts) = try run(base, .marksClean, profile: profile, seed: seed)
      #expect(outcome == Outcome(told: [.error(EIO), .bytes(0), .bytes(0)], seen: Self.first, left: Self.old))
      #expect(receipts.map(\.destroyed) == [ranges("f", 0..<5000)])
      #expect(receipts.map(\.answer) == [.error(EIO)])
    }
  }

  @Test(arguments: Base.losingPower) func aPageThatIsWrittenAgainIsCoveredAgain(_ base: Base) throws {
    let (outcome, _) = try run(base, .marksClean, redirties: true)
    #expect(outcome.seen == Self.first.with(8191..<8192, 0x33))
    #expect(outcome.left == Self.old.with(4096..<5000, 0x22).with(8191..<8192, 0x33))
  }

  @Test(arguments: Base.losingPower) func aLateReportComesWithTheNextSync(_ base: Base) throws {
    let (outcome, receipts) = try run(base, .reportedLate)
    #expect(outcome == Outcome(told: [.bytes(0), .error(EIO), .bytes(0)], seen: Self.first, left: Self.old))
    #expect(receipts.map(\.destroyed) == [ranges("f", 0..<5000), []])
    #expect(receipts.map(\.detection) == [.hidden, .reported])
    #expect(receipts.map(\.follows) == [nil, 0])
    #expect(receipts.map(\.planned) == [0, 0])
  }

  /// An append: the size is covered by a later sync, the bytes are not, and zeros stand in their place.
  @Test(arguments: Base.losingPower, [true, false]) func anAppendMarkedCleanLeavesZeros(_ base: Base, _ isOn: Bool)
    throws
  {
    let rig = try Rig(base)
    try rig.run {
      try await rig.fill("f", bytes(100, 0x11))
      let plan = FaultPlan(isOn ? [PlannedFault(.syncFailure(.marksClean), FaultTrigger([.sync], .occurrence(2)))] : [])
      let s = FaultyStorage(rig.storage, plan: plan)
      let f = try await s.open("f", [.write])
      try await s.write(f, bytes(4000, 0x22), at: 100)
      try await s.sync(f, .data)
      try await s.write(f, bytes(4000, 0x33), at: 8192)
      #expect(
        await toldOf { () async throws(StorageError) in try await s.sync(f, .data) } == (isOn ? .error(EIO) : .bytes(0))
      )
      try await s.write(f, bytes(4000, 0x44), at: 16_384)
      try await s.sync(f, .data)
      try await rig.losePower()
      let kept = bytes(100, 0x11).with(100..<4100, 0x22).with(16_384..<20_384, 0x44)
      #expect(rig.content("f") == (isOn ? kept : kept.with(8192..<12_192, 0x33)))
      #expect(s.receipts.map(\.destroyed) == (isOn ? [ranges("f", 8192..<12_192)] : []))
    }
  }

  @Test(arguments: Base.losingPower, SyncFailure.allCases.map { Optional($0) } + [nil])
  func theSyncWithinADurableWriteFails(_ base: Base, _ failure: SyncFailure?) throws {
    let rig = try Rig(base)
    try rig.run {
      try await rig.fill("f", Self.old)
      let plan = FaultPlan(failure.map { [PlannedFault(.syncFailure($0), FaultTrigger([.write]))] } ?? [])
      let s = FaultyStorage(rig.storage, plan: plan)
      let f = try await s.open("f", [.write])
      // Volatile writes have no sync in them.
      try await s.write(f, bytes(10, 0x33), at: 8100)
      let told = await told { () async throws(StorageError) -> Int in
        try await s.write(f, bytes(5000, 0x22), at: 0, .durable)
      }
      #expect(told == (failure == nil || failure == .reportedLate ? .bytes(5000) : .error(EIO)))
      let later = await toldOf { () async throws(StorageError) in try await s.sync(f, .data) }
      #expect(later == (failure == .reportedLate ? .error(EIO) : .bytes(0)))
      #expect(rig.content("f") == Self.first.with(8100..<8110, 0x33))
      // All of the pages' volatile bytes are lost, and no more.
      let isLost = failure == .marksClean || failure == .reportedLate
      #expect(s.receipts.first?.destroyed == failure.map { _ in isLost ? ranges("f", 0..<5000, 8100..<8110) : [] })
      try await s.sync(f, .data)
      try await rig.losePower()
      #expect(rig.content("f") == (isLost ? Self.old : Self.first.with(8100..<8110, 0x33)))
    }
  }

  @Test(arguments: Base.losingPower, SyncFailure.allCases.map { Optional($0) } + [nil])
  func aDirectorysSyncFails(_ base: Base, _ failure: SyncFailure?) throws {
    for changesAgain in [false, true] {
      let rig = try Rig(base)
      try rig.run {
        try await rig.fill("old", [1])
        let plan = FaultPlan(failure.map { [PlannedFault(.syncFailure($0), FaultTrigger([.syncDirectory]))] } ?? [])
        let s = FaultyStorage(rig.storage, plan: plan)
        await s.close(try await s.open("new", [.write, .create]))
        try await s.unlink("old")
        var told: [Told] = []
        for i in 0..<3 {
          if i == 2, changesAgain { try await s.rename("new", to: "newer") }
          told.append(await toldOf { () async throws(StorageError) in try await s.syncDirectory("") })
        }
        let isLate = failure == .reportedLate
        #expect(
          told == [failure == nil || isLate ? .bytes(0) : .error(EIO), isLate ? .error(EIO) : .bytes(0), .bytes(0)])
        let isLost = failure == .marksClean || isLate
        if isLost { #expect(s.receipts.first?.entries == ["new", "old"]) }
        try await rig.losePower()
        let left = try rig.medium.files().filter { !$0.hasPrefix(PowerLossStorage.undoFolder) }
        switch (isLost, changesAgain) {
        case (true, false): #expect(left == ["old"])
        case (true, true): #expect(left == ["newer", "old"])
        case (false, _): #expect(left == [changesAgain ? "newer" : "new"])
        }
      }
    }
  }

  /// On files that lose no power the answers are the same, and the bytes stay.
  @Test(arguments: Base.available, SyncFailure.allCases) func theAnswersAreTheSameOnEveryBase(
    _ base: Base, _ failure: SyncFailure
  ) throws {
    let rig = try Rig(base)
    try rig.run {
      try await rig.fill("f", Self.old)
      let s = FaultyStorage(rig.storage, plan: FaultPlan([PlannedFault(.syncFailure(failure))]))
      let f = try await s.open("f", [.write])
      try await s.write(f, bytes(5000, 0x22), at: 0)
      var told: [Told] = []
      for _ in 0..<3 { told.append(await toldOf { () async throws(StorageError) in try await s.sync(f, .all) }) }
      #expect(
        told == (failure == .reportedLate ? [.bytes(0), .error(EIO), .bytes(0)] : [.error(EIO), .bytes(0), .bytes(0)]))
      #expect(s.receipts.first?.destroyed == (failure == .leavesDirty ? [] : ranges("f", 0..<5000)))
      #expect(rig.content("f") == Self.first)
    }
  }

  /// Random operations on the model and on `PowerLossStorage`, which keep account of the same thing in different ways.
  @Test(arguments: 1...200) func theModelAndRealFilesAgreeOnWhatIsLeft(seed: Int) throws {
    var left: [[UInt8]?] = []
    for base in [Base.memoryInPlace, .powerLossOverMemory] {
      let rig = try Rig(base, seed: UInt64(seed))
      try rig.run {
        var random = SeededGenerator(seed: UInt64(seed))
        try await rig.fill("f", bytes(20_000, 0x11))
        let s = FaultyStorage(
          rig.storage,
          plan: FaultPlan([PlannedFault(.syncFailure(.marksClean), FaultTrigger([.sync], .every(3, from: 2)), .sticky)])
        )
        let f = try await s.open("f", [.write])
        for step in 1...40 {
          let (at, n) = (Int64.random(in: 0...24_000, using: &random), Int.random(in: 1...6000, using: &random))
          switch Int.random(in: 0..<8, using: &random) {
          case 0: try await s.truncate(f, to: at)
          case 1, 2, 3: _ = await toldOf { () async throws(StorageError) in try await s.sync(f, .data) }
          case 4: try await s.write(f, bytes(n, UInt8(step)), at: at, .durable)
          default: try await s.write(f, bytes(n, UInt8(step)), at: at)
          }
        }
        try await rig.losePower()
      }
      left.append(rig.content("f"))
    }
    let (a, b) = (left[0] ?? [], left[1] ?? [])
    #expect(a.count == b.count)
    #expect(zip(a, b).enumerated().first { $0.element.0 != $0.element.1 }.map { "\($0)" } == nil)
  }
}
