import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

@Suite struct TriggeredStorageTests {
  /// What is in the file when a trigger has cut the model's power at the third write.
  private func contentAfterCut(
    _ moment: FaultTrigger.Moment, seed: UInt64
  ) throws -> (content: [UInt8]?, unfinished: Int) {
    try simulate(seed: seed) { loop in
      let disk = MemoryDisk(seed: seed)
      let receipt = Shared<CrashReceipt?>(nil)
      let s = TriggeredStorage(MemoryStorage(disk: disk, loop: loop))
      s.arm(FaultTrigger([.write], pathContains: "log", .occurrence(3), moment)) { pass in
        #expect(pass.occurrence == 3)
        receipt.value = disk.powerLoss(seed: seed, profile: .dropUnsynced)
      }
      let other = try await s.open("other", [.write, .create])
      let f = try await s.open("a.log", [.write, .create])
      try await s.syncDirectory("")
      for _ in 0..<5 { try await s.write(other, bytes(512, 9), at: 0) }
      let done = Shared(0)
      do throws(StorageError) {
        for i in 0..<10 {
          try await s.write(f, bytes(1024, UInt8(i + 1)), at: Int64(i * 1024), .durable)
          done.value += 1
        }
      } catch { #expect(error.isPowerLost || moment == .completion) }
      #expect(done.value == (moment == .completion ? 3 : 2))
      #expect(s.fired == 1)
      #expect(s.passes[.write] == 5 + done.value + 1)
      return (disk.read("a.log"), try #require(receipt.value).unfinished.count)
    }
  }

  @Test func theMomentDecidesWhatHasHappened() throws {
    let two = bytes(1024, 1) + bytes(1024, 2)
    let submitted = try contentAfterCut(.submission, seed: 1)
    #expect(submitted.content == two)
    #expect(submitted.unfinished == 0)
    let completed = try contentAfterCut(.completion, seed: 1)
    #expect(completed.content == two + bytes(1024, 3))
    var seen: Set<[UInt8]> = []
    for seed in UInt64(1)...60 {
      let inFlight = try contentAfterCut(.inFlight, seed: seed)
      #expect(inFlight.unfinished == 1)
      #expect(inFlight.content?.prefix(2048) == two[...])
      seen.insert(inFlight.content ?? [])
    }
    // Nothing of it, the size with any of its two sectors.
    #expect(seen.count == 5)
  }

  @Test func conditions() throws {
    try simulate { loop in
      let s = TriggeredStorage(MemoryStorage(disk: MemoryDisk(), loop: loop, latency: .zero))
      let fired = Shared<[String: Int64]>([:])
      s.arm(FaultTrigger([.write], .bytes(2500))) { fired.value["bytes"] = $0.offset }
      s.arm(FaultTrigger([.write], phase: "later")) { fired.value["phase"] = $0.offset }
      s.arm(FaultTrigger([.write], .elapsed(.milliseconds(5)))) { fired.value["elapsed"] = $0.offset }
      s.arm(FaultTrigger([.rename], pathContains: "target")) { fired.value["rename"] = $0.offset }
      s.arm(FaultTrigger([.sync])) { fired.value["sync"] = $0.offset }
      s.arm(FaultTrigger([.write], .chance(perMillion: 500_000, seed: 3))) { fired.value["chance"] = $0.offset }
      let f = try await s.open("f", [.write, .create])
      for i in 0..<10 {
        if i == 4 { s.note(.phase("later")) }
        if i == 7 { await loop.sleep(until: loop.now + .milliseconds(5)) }
        try await s.write(f, bytes(1000, 1), at: Int64(i))
      }
      try await s.rename("f", to: "the-target")
      #expect(fired.value["bytes"] == 2)
      #expect(fired.value["phase"] == 4)
      #expect(fired.value["elapsed"] == 7)
      #expect(fired.value["rename"] == 0)
      #expect(fired.value["sync"] == nil)
      #expect(fired.value["chance"] != nil)
      #expect(s.fired == 5)
    }
  }

  @Test func aHandlersErrorIsTheOperationsAnswer() throws {
    try simulate { loop in
      let disk = MemoryDisk()
      let s = TriggeredStorage(MemoryStorage(disk: disk, loop: loop))
      s.arm(FaultTrigger([.write])) { pass throws(StorageError) in
        throw StorageError(errno: ENOSPC, pass.kind, pass.path, offset: pass.offset)
      }
      let f = try await s.open("f", [.write, .create])
      await #expect(throws: StorageError(errno: ENOSPC, .write, "f", offset: 7)) { try await s.write(f, [1], at: 7) }
      #expect(disk.read("f") == [])
      #expect(try await s.write(f, [1], at: 0) == 1)
    }
  }
}
