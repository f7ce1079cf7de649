import Glibc
import LogModel
import Storage
import Testing

@Suite struct MemoryStorageTests {
  @Test func errorsAreThoseOfLinux() throws {
    try simulate { loop in
      let s = MemoryStorage(disk: MemoryDisk(), loop: loop)
      func errno(_ body: () async throws -> Void) async -> Int32? {
        do { try await body() } catch {
          if case .errno(let n)? = (error as? StorageError)?.code { return n }
        }
        return nil
      }
      try await s.makeDirectory("a/b")
      let f = try await s.open("a/f", [.write, .create])
      #expect(await errno { _ = try await s.open("a/x", []) } == ENOENT)
      #expect(await errno { _ = try await s.open("z/x", [.write, .create]) } == ENOENT)
      #expect(await errno { _ = try await s.open("a/f/x", [.write, .create]) } == ENOTDIR)
      #expect(await errno { _ = try await s.open("a/f", [.write, .create, .exclusive]) } == EEXIST)
      #expect(await errno { _ = try await s.open("a/b", []) } == EISDIR)
      #expect(await errno { try await s.makeDirectory("a/f") } == EEXIST)
      #expect(await errno { try await s.makeDirectory("a/f/x") } == ENOTDIR)
      #expect(await errno { try await s.unlink("a/b") } == EISDIR)
      #expect(await errno { try await s.unlink("a/x") } == ENOENT)
      #expect(await errno { try await s.rename("a/x", to: "a/y") } == ENOENT)
      #expect(await errno { try await s.rename("a/f", to: "a/b") } == EISDIR)
      #expect(await errno { try await s.rename("a/b", to: "a/f") } == ENOTDIR)
      #expect(await errno { try await s.rename("a", to: "a/b/c") } == EINVAL)
      #expect(await errno { _ = try await s.list("a/f") } == ENOTDIR)
      let reader = try await s.open("a/f", [])
      #expect(await errno { try await s.write(reader, [1], at: 0) } == EBADF)
      #expect(await errno { try await s.truncate(reader, to: 0) } == EINVAL)
      let direct = try await s.open("a/f", [.write, .direct])
      #expect(await errno { try await s.write(direct, bytes(511, 1), at: 0) } == EINVAL)
      #expect(await errno { try await s.write(direct, bytes(512, 1), at: 100) } == EINVAL)
      #expect(try await s.write(direct, bytes(512, 1), at: 512) == 512)
      await s.close(f)
      #expect(await errno { _ = try await s.size(of: f) } == EBADF)
      #expect(try await s.list("a").map(\.name) == ["b", "f"])
      #expect(try await s.read(reader, 2000, at: 0) == bytes(512, 0) + bytes(512, 1))
      #expect(try await s.read(reader, 10, at: 1024) == [])
    }
  }

  @Test func aFullDiskTakesWhatFitsAndThenRefuses() throws {
    try simulate { loop in
      let disk = MemoryDisk(capacity: 8192)
      let s = MemoryStorage(disk: disk, loop: loop)
      let f = try await s.open("f", [.write, .create])
      #expect(try await s.write(f, bytes(5000, 1), at: 0) == 5000)
      #expect(try await s.write(f, bytes(5000, 2), at: 5000) == 3192)
      await #expect(throws: StorageError(errno: ENOSPC, .write, "f", offset: 8192)) {
        try await s.write(f, [1], at: 8192)
      }
      #expect(disk.usedBytes == 8192)
      #expect(try await s.write(f, [9], at: 0) == 1)
      let g = try await s.open("g", [.write, .create])
      try await s.truncate(f, to: 4096)
      #expect(try await s.write(g, [1], at: 0) == 1)
      await s.close(f)
      try await s.unlink("f")
      #expect(disk.usedBytes == 4096)
    }
  }

  @Test func aSyncCoversOnlyWhatHadCompletedWhenItWasSubmitted() throws {
    for seed in UInt64(1)...40 {
      try simulate(seed: seed) { loop in
        let disk = MemoryDisk(seed: seed)
        let s = MemoryStorage(
          disk: disk, loop: loop,
          latency: MemoryLatency(
            read: 0...0, write: 1000...1000, durableWrite: 0...0, sync: 5000...5000, names: 0...0))
        let f = try await s.open("f", [.write, .create])
        try await s.syncDirectory("")
        try await s.write(f, bytes(512, 1), at: 0)
        loop.spawn {
          do { try await s.write(f, bytes(512, 2), at: 512) } catch { Issue.record(error) }
        }
        await loop.sleep(until: loop.now + .nanoseconds(500))
        try await s.sync(f, .data)
        #expect(disk.read("f") == bytes(512, 1) + bytes(512, 2))
        #expect(disk.readDurable("f") == bytes(512, 1))
        let receipt = disk.powerLoss(seed: seed, profile: .dropUnsynced)
        #expect(disk.read("f") == bytes(512, 1))
        #expect(receipt.losses == [.size(path: "f", seen: 1024, kept: 512), .bytes(path: "f", 512..<1024)])
      }
    }
  }

  /// The bytes are taken at the submission or at the completion, by the seed; of a buffer that is left alone nobody can
  /// tell.
  @Test func aBufferThatChangesInFlightIsWrittenAsItWasOrAsItIs() throws {
    var found: Set<[UInt8]> = []
    for seed in UInt64(1)...40 {
      let content = try simulate(seed: seed) { loop in
        let disk = MemoryDisk(seed: seed)
        let s = MemoryStorage(disk: disk, loop: loop)
        let f = try await s.open("f", [.write, .create])
        let buffer = s.makeBuffer(capacity: 512)
        memset(buffer.base, 1, 512)
        loop.spawn {
          do { _ = try await s.write(f, at: 0, from: buffer, 0..<512, .durable) } catch { Issue.record(error) }
        }
        await loop.sleep(until: loop.now + .nanoseconds(1))
        memset(buffer.base, 2, 512)
        await loop.sleep(until: loop.now + .milliseconds(10))
        return disk.readDurable("f") ?? []
      }
      found.insert(content)
    }
    #expect(found == [bytes(512, 1), bytes(512, 2)])
  }

  @Test func anEarlierSyncThatCompletesLaterUndoesNothing() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      for k in 0..<200 {
        let s = MemoryStorage(disk: disk, loop: loop)
        let f = try await s.open("f\(k)", [.write, .create])
        try await s.write(f, bytes(100, 1), at: 0)
        let left = Shared(3)
        loop.spawn {
          do { try await s.sync(f, .all) } catch { Issue.record(error) }
          left.value -= 1
        }
        await loop.sleep(until: loop.now + .nanoseconds(1))
        try await s.write(f, bytes(200, 2), at: 50)
        loop.spawn {
          do { try await s.sync(f, .all) } catch { Issue.record(error) }
          left.value -= 1
        }
        loop.spawn {
          do { try await s.write(f, bytes(10, 3), at: 0, .durable) } catch { Issue.record(error) }
          left.value -= 1
        }
        while left.value > 0 { await loop.sleep(until: loop.now + .microseconds(10)) }
        #expect(disk.readDurable("f\(k)") == bytes(10, 3) + bytes(40, 1) + bytes(200, 2))
      }
    }
  }

  @Test func aFileWhoseEntryWasNotSyncedIsGone() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      let s = MemoryStorage(disk: disk, loop: loop)
      try await s.makeDirectory("d")
      try await s.syncDirectory("")
      for name in ["kept", "lost"] {
        let f = try await s.open("d/\(name)", [.write, .create])
        try await s.write(f, bytes(10, 1), at: 0, .durable)
        try await s.sync(f, .all)
        if name == "kept" { try await s.syncDirectory("d") }
      }
      try await s.makeDirectory("e")
      let receipt = disk.powerLoss(seed: 1, profile: .dropUnsynced)
      #expect(disk.paths == ["d/kept"])
      #expect(receipt.losses == [.entry(path: "e", .created), .entry(path: "d/lost", .created)])
      #expect(disk.powerLoss(seed: 1, profile: .dropUnsynced).dropped == 0)
      #expect(disk.powerLoss(seed: 1, profile: .posixMinimal).volatile == 0)
    }
  }

  @Test func renamesAndRemovalsAreUndoneUntilTheDirectoryIsSynced() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      var s = MemoryStorage(disk: disk, loop: loop)
      for (name, value) in [("a", UInt8(1)), ("b", 2), ("c", 3)] {
        let f = try await s.open(name, [.write, .create])
        try await s.write(f, bytes(8, value), at: 0, .durable)
        await s.close(f)
      }
      try await s.syncDirectory("")
      try await s.rename("a", to: "b")
      try await s.unlink("c")
      #expect(disk.paths == ["b"])
      #expect(disk.read("b") == bytes(8, 1))
      let receipt = disk.powerLoss(seed: 1, profile: .dropUnsynced)
      #expect(disk.paths == ["a", "b", "c"])
      #expect(disk.read("b") == bytes(8, 2))
      #expect(
        receipt.losses == [
          .entry(path: "a", .removed), .entry(path: "b", .replaced), .entry(path: "c", .removed),
        ])
      s = MemoryStorage(disk: disk, loop: loop)
      #expect(s.properties.bootID == 2)
      try await s.rename("a", to: "b")
      try await s.unlink("c")
      try await s.syncDirectory("")
      disk.powerLoss(seed: 1, profile: .dropUnsynced)
      #expect(disk.paths == ["b"])
      #expect(disk.read("b") == bytes(8, 1))
    }
  }

  @Test func posixMinimalReachesEveryFate() throws {
    let seen = Shared<Set<String>>([])
    for seed in UInt64(0)..<600 {
      try simulate { loop in
        let disk = MemoryDisk()
        let s = MemoryStorage(disk: disk, loop: loop)
        let f = try await s.open("f", [.write, .create])
        try await s.write(f, bytes(1024, 1), at: 0, .durable)
        try await s.syncDirectory("")
        try await s.write(f, bytes(2048, 2), at: 0)
        _ = try await s.open("g", [.write, .create])
        disk.powerLoss(seed: seed, profile: .posixMinimal)
        let content = try #require(disk.read("f"))
        for start in stride(from: 0, to: content.count, by: 512) {
          #expect(Set(content[start..<start + 512]).count == 1)
        }
        let values = stride(from: 0, to: content.count, by: 512).map { content[$0] }
        seen.value.insert("\(values) \(disk.paths.count)")
      }
    }
    // 2 sectors at the old size, 4 at the new one, each old or new, and the entry kept or not.
    #expect(seen.value.count == (4 + 16) * 2)
  }

  @Test func aSnapshotLivesItsOwnLife() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      let s = MemoryStorage(disk: disk, loop: loop)
      let f = try await s.open("f", [.write, .create])
      try await s.write(f, bytes(9000, 1), at: 0, .durable)
      try await s.syncDirectory("")
      try await s.write(f, bytes(10, 2), at: 5000)
      let copy = disk.snapshot()
      try await s.write(f, bytes(9000, 3), at: 0)
      try await s.unlink("f")
      #expect(copy.paths == ["f"])
      #expect(copy.read("f") == bytes(5000, 1) + bytes(10, 2) + bytes(3990, 1))
      copy.powerLoss(seed: 1, profile: .dropUnsynced)
      #expect(copy.read("f") == bytes(9000, 1))
      let other = MemoryStorage(disk: copy, loop: loop)
      let g = try await other.open("f", [.write])
      try await other.write(g, bytes(9000, 4), at: 0, .durable)
      #expect(disk.paths == [])
      disk.powerLoss(seed: 1, profile: .dropUnsynced)
      #expect(disk.read("f") == bytes(9000, 1))
      #expect(copy.read("f") == bytes(9000, 4))
    }
  }

  @Test func aDeadMachineLeavesNoTaskSuspended() throws {
    for seed in UInt64(1)...50 {
      let loop = EventLoop(simulatedWithSeed: seed)
      try simulate(on: loop) {
        let disk = MemoryDisk(seed: seed)
        let s = MemoryStorage(disk: disk, loop: loop)
        let f = try await s.open("f", [.write, .create])
        let left = Shared(0)
        let refused = Shared(0)
        for i in 0..<10 {
          left.value += 1
          loop.spawn {
            do throws(StorageError) {
              for k in 0..<1000 {
                let durability: WriteDurability = k % 3 == 0 ? .durable : .volatile
                try await s.write(f, bytes(100, UInt8(i)), at: Int64(k * 1000 + i * 100), durability)
                if k % 5 == i { try await s.sync(f, .data) }
              }
            } catch {
              #expect(error.isPowerLost)
              refused.value += 1
            }
            left.value -= 1
          }
        }
        await loop.sleep(until: loop.now + .milliseconds(3))
        if seed % 2 == 0 { disk.powerLoss(seed: seed, profile: .posixMinimal) } else { disk.processKill(seed: seed) }
        await #expect(throws: StorageError.self) { _ = try await s.list("") }
        await loop.sleep(until: loop.now + .milliseconds(3))
        #expect(left.value == 0)
        #expect(refused.value == 10)
        #expect(MemoryStorage(disk: disk, loop: loop).properties.bootID == (seed % 2 == 0 ? 2 : 1))
      }
    }
  }

  @Test func theSameSeedGivesTheSameTrace() throws {
    func trace(_ seed: UInt64) throws -> (text: String, receipt: String, bytes: [UInt8]?) {
      try simulate(seed: seed) { loop in
        let disk = MemoryDisk(seed: seed)
        let trace = Trace()
        let s = TracingStorage(MemoryStorage(disk: disk, loop: loop), trace: trace)
        try await s.makeDirectory("p/q")
        for i in 0..<5 {
          loop.spawn {
            do throws(StorageError) {
              let f = try await s.open("p/q/\(i % 3)", [.write, .create])
              for k in 0..<40 {
                try await s.write(f, bytes(700, UInt8(k)), at: Int64(k * 700), k % 7 == i ? .durable : .volatile)
                if k % 4 == 0 { try await s.sync(f, .data) }
                if k % 9 == 0 { try await s.syncDirectory("p/q") }
                _ = try await s.read(f, 900, at: Int64(k * 300))
              }
              s.note(.phase("task \(i)"))
            } catch { #expect(error.isPowerLost) }
          }
        }
        await loop.sleep(until: loop.now + .milliseconds(9))
        let receipt = disk.powerLoss(seed: seed, profile: .posixMinimal)
        await loop.sleep(until: loop.now + .milliseconds(9))
        return (trace.entries.map(\.description).joined(separator: "\n"), "\(receipt)", disk.read("p/q/1"))
      }
    }
    for seed in UInt64(1)...5 {
      let (a, b) = (try trace(seed), try trace(seed))
      #expect(a == b)
      #expect(a.text.count > 1000)
    }
    #expect(try trace(1).text != trace(2).text)
  }

  @Test func aFlippedBitIsOnTheMediumToo() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      let s = MemoryStorage(disk: disk, loop: loop)
      let f = try await s.open("f", [.write, .create])
      try await s.write(f, bytes(5000, 0), at: 0, .durable)
      try await s.syncDirectory("")
      #expect(disk.flipBit("f", byte: 4500, bit: 3))
      #expect(!disk.flipBit("f", byte: 5000, bit: 3))
      #expect(try await s.read(f, 1, at: 4500) == [8])
      #expect(disk.powerLoss(seed: 1, profile: .dropUnsynced).dropped == 0)
      #expect(disk.read("f")?[4500] == 8)
    }
  }
}
