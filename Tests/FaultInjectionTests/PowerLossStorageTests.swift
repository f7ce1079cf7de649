@testable import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

@Suite struct PowerLossStorageTests {
  /// The real thing's part is played by a model disk; only what a reader sees of it counts.
  private func put(_ bytes: [UInt8], at: Int, into image: inout [UInt8]) {
    if image.count < at + bytes.count { image += [UInt8](repeating: 0, count: at + bytes.count - image.count) }
    image.replaceSubrange(at..<at + bytes.count, with: bytes)
  }

  @Test(arguments: 1...60) func whatWasNotSyncedIsTakenBack(seed: Int) throws {
    try simulate(seed: UInt64(seed)) { loop in
      var random = SeededGenerator(seed: UInt64(seed))
      let disk = MemoryDisk(seed: UInt64(seed))
      let base = MemoryStorage(disk: disk, loop: loop, latency: seed % 2 == 0 ? .zero : .disk)
      var s = PowerLossStorage(base, tearsDurableWrites: seed % 3 == 0)
      var settled: [UInt8] = []
      var durable: [UInt8] = []
      for life in 0..<4 {
        #expect(s.properties.bootID == base.properties.bootID + UInt32(life))
        let f = try await s.open("f", [.write, .create])
        try await s.syncDirectory("")
        for _ in 1...25 {
          switch Int.random(in: 0..<10, using: &random) {
          case 0:
            let size = Int.random(in: 0...20_000, using: &random)
            try await s.truncate(f, to: Int64(size))
            if size < settled.count {
              settled.removeSubrange(size...)
            } else {
              settled += bytes(size - settled.count, 0)
            }
          case 1, 2:
            try await s.sync(f, .data)
            durable = settled
          default:
            let at = Int.random(in: 0...20_000, using: &random)
            let n = [1, 512, 700, 4096, 9000][Int.random(in: 0..<5, using: &random)]
            let data = bytes(n, UInt8.random(in: 0...255, using: &random))
            let isDurable = random.chance(1, in: 3)
            try await s.write(f, data, at: Int64(at), isDurable ? .durable : .volatile)
            put(data, at: at, into: &settled)
            if isDurable { put(data, at: at, into: &durable) }
          }
        }
        #expect(disk.read("f") == settled)
        let receipt = try await s.cutPower(seed: random.next(), profile: .dropUnsynced)
        #expect(disk.read("f") == durable)
        #expect(receipt.dropped > 0 || settled == durable)
        await #expect(throws: StorageError(.powerLost, .size, "f")) { _ = try await s.size(of: f) }
        settled = durable
        s = s.restarted()
      }
    }
  }

  /// One writer in each 16 KiB, two syncers, a cut at a random moment: each sector is one that it may be.
  @Test(arguments: 1...80) func aCutWithMuchInFlight(seed: Int) throws {
    try simulate(seed: UInt64(seed)) { loop in
      let disk = MemoryDisk(seed: UInt64(seed))
      let s = PowerLossStorage(MemoryStorage(disk: disk, loop: loop), tearsDurableWrites: seed % 2 == 0)
      let f = try await s.open("f", [.write, .create])
      try await s.syncDirectory("")
      let settled = Shared<[UInt8]>([])
      let history = Shared<[(durable: Bool, at: Int, bytes: [UInt8])]>([])
      let durable = Shared<[UInt8]>([])
      let writing = Shared<[(durable: Bool, at: Int, bytes: [UInt8])?]>(Array(repeating: nil, count: 4))
      let syncing = Shared<[(image: [UInt8], before: Int)?]>(Array(repeating: nil, count: 2))
      let syncs = Shared((submitted: 0, last: 0))
      let ended = Shared(0)
      for w in 0..<4 {
        loop.spawn {
          var random = SeededGenerator(seed: UInt64(seed * 4 + w))
          do throws(StorageError) {
            while true {
              let at = w * 16_384 + Int.random(in: 0...24, using: &random) * 512
              let n = [512, 1024, 4096][Int.random(in: 0..<3, using: &random)]
              let write = (random.chance(1, in: 3), at, bytes(n, UInt8.random(in: 1...255, using: &random)))
              writing.value[w] = write
              try await s.write(f, write.2, at: Int64(at), write.0 ? .durable : .volatile)
              writing.value[w] = nil
              history.value.append(write)
              put(write.2, at: at, into: &settled.value)
              if write.0 { put(write.2, at: at, into: &durable.value) }
            }
          } catch { #expect(error.isPowerLost) }
          ended.value += 1
        }
      }
      for k in 0..<2 {
        loop.spawn {
          do throws(StorageError) {
            while true {
              syncs.value.submitted += 1
              let (number, image, before) = (syncs.value.submitted, settled.value, history.value.count)
              syncing.value[k] = (image, before)
              try await s.sync(f, .data)
              syncing.value[k] = nil
              guard number > syncs.value.last else { continue }
              syncs.value.last = number
              durable.value = image
              for write in history.value[before...] where write.durable {
                put(write.bytes, at: write.at, into: &durable.value)
              }
            }
          } catch { #expect(error.isPowerLost) }
          ended.value += 1
        }
      }
      await loop.sleep(until: loop.now + .microseconds(Int64(300 + seed * 57 % 5000)))
      let profile: PersistenceProfile = seed % 4 < 2 ? .dropUnsynced : .posixMinimal
      let receipt = try await s.cutPower(seed: UInt64(seed), profile: profile)
      await loop.sleep(until: loop.now + .milliseconds(5))
      #expect(ended.value == 6)
      #expect(receipt.fired)

      let captured = syncing.value.compactMap { $0 }
      var images = [durable.value] + captured.map(\.image)
      for (image, before) in captured {
        var new = image
        for write in history.value[before...] where write.durable { put(write.bytes, at: write.at, into: &new) }
        images.append(new)
      }
      if profile == .posixMinimal { images.append(settled.value) }
      for image in images {
        for write in writing.value.compactMap({ $0 }) where write.durable || profile == .posixMinimal {
          var new = image
          put(write.bytes, at: write.at, into: &new)
          images.append(new)
        }
      }
      let result = try #require(disk.read("f"))
      for start in stride(from: 0, to: result.count, by: 512) {
        let end = min(start + 512, result.count)
        #expect(
          images.contains { image in
            (start..<end).allSatisfy { result[$0] == ($0 < image.count ? image[$0] : 0) }
          }, "sector \(start / 512)")
      }
      #expect(images.contains { $0.count == result.count })
    }
  }

  @Test func namesThatWereNotSyncedAreTakenBack() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      let base = MemoryStorage(disk: disk, loop: loop)
      func make(_ s: any Storage, _ name: String, _ value: UInt8) async throws(StorageError) {
        let f = try await s.open(name, [.write, .create])
        try await s.write(f, bytes(8, value), at: 0, .durable)
        await s.close(f)
      }
      try await make(base, "a", 1)
      try await make(base, "b", 2)
      try await make(base, "c", 3)
      let s = PowerLossStorage(base)
      try await s.rename("a", to: "b")
      try await s.unlink("c")
      try await make(s, "c", 4)
      try await s.makeDirectory("d/e")
      try await make(s, "d/e/x", 5)
      try await s.syncDirectory("d/e")
      #expect(try await s.list("").map(\.name) == ["b", "c", "d"])
      let receipt = try await s.cutPower(seed: 1, profile: .dropUnsynced)
      let after = s.restarted()
      #expect(try await after.list("").map(\.name) == ["a", "b", "c"])
      #expect(disk.read("a") == bytes(8, 1))
      #expect(disk.read("b") == bytes(8, 2))
      #expect(disk.read("c") == bytes(8, 3))
      #expect(receipt.losses.contains(.entry(path: "d", .created)))
      #expect(receipt.losses.contains(.entry(path: "c", .removed)))
      #expect(receipt.losses.contains(.entry(path: "b", .replaced)))

      try await after.rename("a", to: "b")
      try await after.unlink("c")
      try await make(after, "new", 6)
      try await after.syncDirectory("")
      try await make(after, "newer", 7)
      let second = try await after.cutPower(seed: 1, profile: .dropUnsynced)
      #expect(second.losses == [.entry(path: "newer", .created)])
      let last = after.restarted()
      #expect(try await last.list("").map(\.name) == ["b", "new"])
      #expect(disk.read("b") == bytes(8, 1))
      let nothing = try await last.cutPower(seed: 1, profile: .posixMinimal)
      #expect(nothing.dropped == 0)
      #expect(nothing.volatile == 0)
      #expect("\(nothing)".contains("nothing was volatile"))
    }
  }

  @Test func posixMinimalLeavesNamesThatStandOnEachOther() throws {
    for seed in UInt64(0)..<100 {
      try simulate(seed: seed) { loop in
        let disk = MemoryDisk()
        let s = PowerLossStorage(MemoryStorage(disk: disk, loop: loop, latency: .zero))
        try await s.makeDirectory("d")
        for name in ["x", "y", "z"] { await s.close(try await s.open("d/\(name)", [.write, .create])) }
        try await s.rename("d/x", to: "d/y")
        try await s.unlink("d/z")
        try await s.rename("d/y", to: "w")
        _ = try await s.cutPower(seed: seed, profile: .posixMinimal)
        let left = disk.paths.filter { !$0.hasPrefix(PowerLossStorage.undoFolder) }
        #expect(Set(left).isSubset(of: ["d/x", "d/y", "d/z", "w"]))
        #expect(disk.paths.count == left.count)
      }
    }
  }

  @Test func appendsCostOneEntry() throws {
    var log = UndoLog(size: 0)
    for i in 0..<10_000 {
      let range = Int64(i * 1000)..<Int64(i * 1000 + 1000)
      log.completeWrite([.init(range: range, old: nil)], end: range.upperBound)
    }
    #expect(log.layers.map(\.entries.count) == [1])
    #expect(log.size == 10_000_000)
    #expect(log.durableSize == 0)
  }

  @Test func aFailedSyncMakesNothingDurable() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      let failing = TriggeredStorage(MemoryStorage(disk: disk, loop: loop))
      failing.arm(CrashTrigger([.sync], .occurrence(2), .completion)) { pass throws(StorageError) in
        throw StorageError(errno: EIO, pass.kind, pass.path)
      }
      let s = PowerLossStorage(failing)
      let f = try await s.open("f", [.write, .create])
      try await s.syncDirectory("")
      try await s.write(f, bytes(1000, 1), at: 0)
      try await s.sync(f, .data)
      try await s.write(f, bytes(1000, 2), at: 500)
      await #expect(throws: StorageError(errno: EIO, .sync, "f")) { try await s.sync(f, .data) }
      try await s.write(f, bytes(100, 3), at: 600)
      _ = try await s.cutPower(seed: 1, profile: .dropUnsynced)
      #expect(disk.read("f") == bytes(1000, 1))
      #expect(failing.fired == 1)
    }
  }
}
