import CZlib
import Foundation
import LogModel
import LogTools
import RecordLogs
import SampleLogs
import Testing

@Suite struct MendTests {
  static let systems = LogSystem.allCases

  private func mend(
    _ bytes: [UInt8], _ system: LogSystem, _ policy: LogMend.Policy = .skipCorrupted, fixingBits: Bool = false
  ) throws -> (LogMend, [UInt8]) {
    let sink = MemorySink()
    let mend = try LogMend.mend(MemoryBytes(bytes), of: system, into: sink, policy: policy, fixingBits: fixingBits)
    return (mend, sink.bytes)
  }

  @Test(arguments: systems) func aSoundLogIsCopiedAsItIs(system: LogSystem) throws {
    let bytes = SampleLog.bytes(of: system, SampleLog.values(5))
    let (mended, copy) = try mend(bytes, system)
    #expect(copy == bytes)
    #expect(mended.messages == 5 && mended.skipped == 0 && mended.corrected.isEmpty)
    #expect(try FormatDetector.detect(MemoryBytes(bytes)) == system)
  }

  /// A copy of a segment's head that a later build has written is no damage, and is not undone.
  @Test func aHeadOfALaterVersionIsLeftAsItIs() throws {
    var bytes = SampleLog.bytes(of: .tornlog, SampleLog.values(3))
    bytes[2048 + 12] = 7
    let checksum = bytes[2048 + 12..<2048 + 512].withUnsafeBytes { tl_crc32(0, $0.baseAddress, $0.count) }
    for at in 0..<4 { bytes[2048 + 8 + at] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(at))) }
    let (mended, copy) = try mend(bytes, .tornlog, fixingBits: true)
    #expect(copy[2048..<2560] == bytes[2048..<2560] && mended.corrected.isEmpty && mended.messages == 3)
  }

  /// Every bit of a small log, one after the other: turned back, the log is as it was.
  @Test(arguments: systems) func aFlippedBitIsTurnedBackWhereverItIs(system: LogSystem) throws {
    let bytes = SampleLog.bytes(of: system, SampleLog.values(3, size: 9))
    for place in bytes.indices {
      for bit in 0..<8 {
        var broken = bytes
        broken[place] ^= 1 << UInt8(bit)
        let (mended, copy) = try mend(broken, system, fixingBits: true)
        guard copy == bytes else {
          Issue.record("\(system), byte \(place) bit \(bit): \(mended)")
          return
        }
      }
    }
  }

  /// Without turning it back, one record is lost at most; of our own format one batch.
  @Test(arguments: systems) func aFlippedBitCostsOneRecordAtMost(system: LogSystem) throws {
    let bytes = SampleLog.bytes(of: system, SampleLog.values(3, size: 9))
    let (whole, _) = try mend(bytes, system)
    for place in bytes.indices {
      var broken = bytes
      broken[place] ^= 1 << UInt8(place % 8)
      let (mended, copy) = try mend(broken, system)
      #expect(mended.records >= whole.records - 1, "\(system), byte \(place)")
      // What was written is a log without damage.
      let (again, _) = try mend(copy, system)
      #expect(again.records == mended.records && again.skipped == 0, "\(system), byte \(place)")
    }
  }

  /// Three damaged records beside each other are three places, each with its own sums.
  @Test(arguments: systems) func adjacentDamageIsToldApart(system: LogSystem) throws {
    let values = SampleLog.values(8, size: 40)
    let bytes = SampleLog.bytes(of: system, values)
    let places = try places(bytes, system)
    var broken = bytes
    for place in places[2..<5] {
      broken[Int(place.upperBound) - 20] ^= 0x55
      broken[Int(place.upperBound) - 19] ^= 0xAA
    }
    let (mended, _) = try mend(broken, system)
    #expect(mended.lost.map(\.range.lowerBound) == places[2..<5].map(\.lowerBound), "\(system)")
    let sums = mended.lost.compactMap { damage -> UInt64? in
      if case .checksumMismatch(_, let computed) = damage.fault { computed } else { nil }
    }
    #expect(Set(sums).count == 3, "\(mended.lost)")
    #expect(mended.lost.allSatisfy { $0.flip == nil })
    #expect(mended.records == places.count - 3)
  }

  private func places(_ bytes: [UInt8], _ system: LogSystem) throws -> [Range<Int64>] {
    let folder = try ScratchFolder()
    let file = try LogFile(try folder.write("x", bytes), format: system)
    var found: [Range<Int64>] = []
    while case .entry(let entry) = try file.reader.next() { found.append(entry.range) }
    return found
  }

  @Test(arguments: systems) func truncationEndsBeforeTheFirstDamage(system: LogSystem) throws {
    let bytes = SampleLog.bytes(of: system, SampleLog.values(8, size: 40))
    let places = try places(bytes, system)
    var broken = bytes
    for place in [places[2], places[5]] {
      broken[Int(place.upperBound) - 20] ^= 0x55
      broken[Int(place.upperBound) - 19] ^= 0xAA
    }
    let (mended, copy) = try mend(broken, system, .truncateAtCorruption)
    #expect(mended.records == 2 && mended.cutAt == places[2].lowerBound)
    #expect(mended.leftOut == places.count - 4 && mended.skipped == 2)
    let (again, _) = try mend(copy, system)
    #expect(again.records == 2 && again.skipped == 0)
  }

  /// A cut anywhere leaves the records before it, and a torn tail.
  @Test(arguments: systems) func aCutFileKeepsWhatIsWhole(system: LogSystem) throws {
    let bytes = SampleLog.bytes(of: system, SampleLog.values(3, size: 9))
    let places = try places(bytes, system)
    for end in stride(from: Int(places[0].lowerBound), through: bytes.count, by: 1) {
      let (mended, copy) = try mend(Array(bytes[..<end]), system)
      let whole = places.filter { $0.upperBound <= Int64(end) }
      #expect(mended.records == whole.count, "\(system) cut at \(end)")
      let (again, _) = try mend(copy, system)
      #expect(again.records == whole.count && again.skipped == 0, "\(system) cut at \(end)")
    }
  }

  /// Whatever the bytes are, a reader comes to their end.
  @Test(arguments: systems) func bytesOfAnyKindComeToAnEnd(system: LogSystem) throws {
    var random = SeededGenerator(seed: 22)
    let sound = SampleLog.bytes(of: system, SampleLog.values(40, size: 100))
    for round in 0..<60 {
      var bytes: [UInt8]
      switch round % 4 {
      case 0:
        bytes = (0..<Int.random(in: 0...3000, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      case 1: bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: 5000)
      default:
        bytes = sound
        for _ in 0..<Int.random(in: 1...40, using: &random) {
          bytes[Int.random(in: bytes.indices, using: &random)] = UInt8(truncatingIfNeeded: random.next())
        }
        if round % 8 == 3 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      }
      for policy in LogMend.Policy.allCases {
        let (mended, copy) = try mend(bytes, system, policy, fixingBits: round % 3 == 0)
        let (again, _) = try mend(copy, system)
        // Without a head there is nothing that could be judged.
        let isJudged = system != .tornlog || mended.records > 0
        #expect(again.records == mended.records && (again.skipped == 0 || !isJudged), "\(system), round \(round)")
      }
    }
  }
}
