import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

@Suite struct RestingFaultTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var fault: AtRestFault
    /// Of `d/f`; nil where it is gone.
    var stored: [UInt8]?
    var destroyed: [FileRange]
    var testDescription: String { name }
  }

  /// Each sector holds its number.
  static let old = (0..<2000).map { UInt8($0 / 512) }
  static let path = "d/f"

  static let cases: [Case] = [
    Case(
      name: "two bits", fault: .flipBits(path, [BitPlace(byte: 600, bit: 7), BitPlace(byte: 3, bit: 0)]),
      stored: old.with(600..<601, 0x81).with(3..<4, 1), destroyed: ranges(path, 3..<4, 600..<601)),
    Case(
      name: "the same bit twice", fault: .flipBits(path, [BitPlace(byte: 3, bit: 0), BitPlace(byte: 3, bit: 0)]),
      stored: old, destroyed: []),
    Case(
      name: "zeros", fault: .zero(path, 500..<1100), stored: old.with(500..<1100, 0),
      destroyed: ranges(path, 512..<1100)),
    Case(
      name: "stale", fault: .stale(path, at: 1024, bytes(512, 9)), stored: old.with(1024..<1536, 9),
      destroyed: ranges(path, 1024..<1536)),
    Case(name: "cut", fault: .truncate(path, to: 700), stored: Array(old[..<700]), destroyed: ranges(path, 700..<2000)),
    Case(name: "cut to nothing", fault: .truncate(path, to: 0), stored: [], destroyed: ranges(path, 0..<2000)),
    Case(name: "deleted", fault: .delete(path), stored: nil, destroyed: ranges(path, 0..<2000)),
    Case(name: "duplicated", fault: .duplicate(path, to: "d/g"), stored: old, destroyed: []),
    Case(
      name: "swapped", fault: .swapSectors(path, 2, 0), stored: old.with(0..<512, 2).with(1024..<1536, 0),
      destroyed: ranges(path, 0..<512, 1024..<1536)),
  ]

  private func rig(_ base: Base) throws -> Rig {
    let rig = try Rig(base)
    try rig.run {
      try await rig.storage.makeDirectory("d")
      try await rig.storage.syncDirectory("")
      try await rig.fill(Self.path, Self.old)
      try await rig.fill("d/other", [1, 2, 3])
    }
    return rig
  }

  @Test(arguments: [Base.memory, .posix], cases) func theEditIsWhatTheReceiptSays(_ base: Base, _ c: Case) throws {
    let rig = try rig(base)
    let receipt = try c.fault.apply(to: rig.medium)
    #expect(rig.content(Self.path) == c.stored)
    #expect(receipt.destroyed == c.destroyed)
    #expect(receipt.fault == c.fault)
    #expect(receipt.description.hasPrefix("d/f at rest: "))
    #expect(rig.content("d/other") == [1, 2, 3])
    #expect(rig.content("d/g") == (c.name == "duplicated" ? Self.old : nil))
    let names = try rig.medium.files()
    #expect(names == (c.stored == nil ? [] : ["d/f"]) + (c.name == "duplicated" ? ["d/g"] : []) + ["d/other"])
    // Damage at rest is on the medium: a power loss neither heals it nor makes it worse.
    try rig.run { try await rig.losePower() }
    #expect(rig.content(Self.path) == c.stored)
    #expect(try rig.medium.files() == names)
  }

  @Test(arguments: [Base.memory, .posix]) func garbageFollowsFromItsSeed(_ base: Base) throws {
    var contents: [[UInt8]?] = []
    for seed in [UInt64(1), 1, 2] {
      let rig = try rig(base)
      let receipt = try AtRestFault.garbage(Self.path, 512..<1024, seed: seed).apply(to: rig.medium)
      let stored = try #require(rig.content(Self.path))
      let wrong = stored.indices.filter { stored[$0] != Self.old[$0] }
      #expect(wrong.count > 480)
      #expect(receipt.destroyed.flatMap { $0.range.map(Int.init) } == wrong)
      contents.append(stored)
    }
    #expect(contents[0] == contents[1])
    #expect(contents[0] != contents[2])
  }

  @Test(arguments: [Base.memory, .posix]) func whatIsNotThereIsNotDamaged(_ base: Base) throws {
    let rig = try rig(base)
    let refused: [(AtRestFault, Int32, OperationKind)] = [
      (.flipBits(Self.path, [BitPlace(byte: 0, bit: 0), BitPlace(byte: 2000, bit: 0)]), ERANGE, .read),
      (.zero(Self.path, 1990..<2001), ERANGE, .read),
      (.swapSectors(Self.path, 0, 3), ERANGE, .read),
      (.truncate(Self.path, to: 2001), ERANGE, .truncate),
      (.duplicate(Self.path, to: "d/other"), EEXIST, .open),
      (.delete("d/none"), ENOENT, .size),
    ]
    for (fault, code, kind) in refused {
      do throws(StorageError) {
        let receipt = try fault.apply(to: rig.medium)
        Issue.record("\(receipt)")
      } catch {
        #expect(error.isErrno(code), "\(error)")
        #expect(error.operation == kind)
      }
      #expect(rig.content(Self.path) == Self.old)
      #expect(rig.content("d/other") == [1, 2, 3])
    }
  }

  @Test func chosenBitsFollowFromTheirSeedAndAreDifferent() throws {
    let fault = AtRestFault.flipChosen(16, in: 100..<103, of: "f", seed: 1)
    #expect(fault == AtRestFault.flipChosen(16, in: 100..<103, of: "f", seed: 1))
    #expect(fault != AtRestFault.flipChosen(16, in: 100..<103, of: "f", seed: 2))
    guard case .flipBits("f", let places) = fault else { return #expect(Bool(false)) }
    #expect(Set(places).count == 16)
    #expect(places.allSatisfy { (100..<103).contains($0.byte) })
  }

  @Test func aFlippedBitIsToldWithItsByte() throws {
    let rig = try rig(.posix)
    let receipt = try AtRestFault.flipBits(Self.path, [BitPlace(byte: 1030, bit: 2)]).apply(to: rig.medium)
    #expect("\(receipt.description)" == "d/f at rest: bit 2 of byte 1030 flipped, 0x2 is 0x6")
  }

  /// A file that a process kill has left in the cache is damaged there and on the medium.
  @Test func volatileBytesAreDamagedToo() throws {
    let disk = MemoryDisk()
    try simulate { loop in
      let s = MemoryStorage(disk: disk, loop: loop, latency: .zero)
      let f = try await s.open("f", [.write, .create])
      try await s.write(f, bytes(100, 1), at: 0, .durable)
      try await s.syncDirectory("")
      try await s.write(f, bytes(5000, 2), at: 50)
    }
    disk.processKill(seed: 1)
    _ = try AtRestFault.truncate("f", to: 80).apply(to: disk)
    #expect(disk.read("f") == bytes(50, 1) + bytes(30, 2))
    disk.powerLoss(seed: 1, profile: .dropUnsynced)
    #expect(disk.read("f") == bytes(80, 1))
  }
}
