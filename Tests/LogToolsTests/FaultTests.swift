import Foundation
import LogModel
import LogTools
import RecordLogs
import SampleLogs
import Testing

/// Each kind of damage that the fault layer does (docs/scenarios.md), on each format.
@Suite struct FaultTests {
  enum Fault: String, CaseIterable {
    case none
    case flippedBit, flippedByte, garbageSector, zeroSector
    case cutInARecord, cutToZero
    /// A write that never came: zeros, or what stood there before.
    case lostWrite
    /// A sector of another place of the file.
    case misdirectedWrite
    /// A part of the log stands there twice.
    case duplicatedPart
    case zerosBehind, garbageBehind
    case flippedLength
  }

  static let cases = LogSystem.allCases.flatMap { system in Fault.allCases.map { (system, $0) } }

  private static func damaged(_ bytes: [UInt8], _ fault: Fault, _ random: inout SeededGenerator, from: Int) -> [UInt8] {
    var bytes = bytes
    func place() -> Int { Int.random(in: from..<bytes.count, using: &random) }
    func sector() -> Range<Int> {
      let start = place() / 512 * 512
      return max(from, start)..<min(bytes.count, start + 512)
    }
    switch fault {
    case .none: break
    case .flippedBit: bytes[place()] ^= 1 << UInt8(Int.random(in: 0..<8, using: &random))
    case .flippedByte: bytes[place()] ^= 0xFF
    case .garbageSector: for index in sector() { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
    case .zeroSector, .lostWrite: for index in sector() { bytes[index] = 0 }
    case .cutInARecord: bytes.removeSubrange(place()...)
    case .cutToZero: bytes = []
    case .misdirectedWrite:
      let (one, other) = (sector(), sector())
      let count = min(one.count, other.count)
      bytes.replaceSubrange(one.lowerBound..<one.lowerBound + count, with: bytes[other.prefix(count)])
    case .duplicatedPart: bytes += bytes[place()...]
    case .zerosBehind: bytes += [UInt8](repeating: 0, count: 3000)
    case .garbageBehind: bytes += (0..<700).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    case .flippedLength:
      let at = place()
      for index in at..<min(at + 4, bytes.count) { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
    }
    return bytes
  }

  @Test(arguments: cases) func everyKindOfDamageIsReadThrough(system: LogSystem, fault: Fault) throws {
    let folder = try ScratchFolder()
    let sound = SampleLog.bytes(of: system, SampleLog.values(30, size: 200))
    var random = SeededGenerator(seed: 7)
    for round in 0..<6 {
      let bytes = Self.damaged(sound, fault, &random, from: round == 0 ? 0 : system == .tornlog ? 4096 : 16)
      for policy in LogMend.Policy.allCases {
        for fixing in [false, true] {
          #expect(LogFuzzing.complaint(bytes, as: system, policy: policy, fixingBits: fixing) == nil, "round \(round)")
        }
      }
      let path = try folder.write("o-\(round).wal", bytes)
      let check = try LogCheck(LogFiles(name: path, paths: [path]), format: system)
      switch fault {
      case .none, .zerosBehind,
        .cutToZero where system != .tornlog:
        #expect(check.verdict == .sound, "\(check.findings)")
      case .flippedByte where system != .tornlog: #expect(check.verdict == .damaged, "\(check.findings)")
      case .flippedBit where system != .tornlog:
        #expect(check.findings.count == 1 && check.findings[0].damage?.flip != nil, "\(check.findings)")
      default: break
      }
    }
  }

  /// Bytes that a fuzzer found, and what it could find.
  @Test(arguments: LogSystem.allCases) func wrongSumsMadeRightAreRecords(system: LogSystem) throws {
    var random = SeededGenerator(seed: 9)
    let sound = SampleLog.bytes(of: system, SampleLog.values(12, size: 60))
    for _ in 0..<40 {
      var bytes = sound
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8(truncatingIfNeeded: random.next())
      }
      let sealed = LogFuzzing.sealed(bytes, as: system)
      #expect(LogFuzzing.complaint(sealed, as: system, policy: .skipCorrupted, fixingBits: true) == nil)
    }
  }

  /// Found by the fuzzer: of two broken copies of a head one can be corrected, and the other is made from it.
  @Test func aHeadIsMadeFromTheCopyThatCanBeCorrected() throws {
    var bytes = SampleLog.bytes(of: .tornlog, SampleLog.values(3))
    let sound = bytes
    for at in 88..<94 { bytes[at] ^= 0x5A }
    bytes[2556] ^= 1
    #expect(LogFuzzing.complaint(bytes, as: .tornlog, policy: .skipCorrupted, fixingBits: true) == nil)
    let sink = MemorySink()
    _ = try LogMend.mend(MemoryBytes(bytes), of: .tornlog, into: sink)
    #expect(sink.bytes == sound)
  }

  /// Millions of places that look like a record's head: the search ends, and says that it gave up, or goes through.
  @Test func aFileThatIsMadeToLookLikeALogTakesNoLongerThanItsSizeAllows() throws {
    var bytes: [UInt8] = []
    // Every four bytes claim a record of a megabyte whose inner lengths fit.
    let length = UInt32(1 << 20)
    for _ in 0..<(1 << 18) { bytes += SampleLog.little(length &- 4) + SampleLog.little(UInt32(0)) }
    let start = ContinuousClock.now
    let sink = MemorySink()
    _ = try LogMend.mend(MemoryBytes(bytes), of: .streamhouse, into: sink, fixingBits: true)
    #expect(ContinuousClock.now - start < .seconds(20))
  }
}
