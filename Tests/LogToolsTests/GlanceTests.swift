import LogModel
import LogTools
import SampleLogs
import Testing

/// `verify` takes sound records at a glance, and looks closer at the first that it does not like. It reports what it
/// reports when it looks at each record.
@Suite struct GlanceTests {
  private static let rounds = 150

  private static func log(_ system: LogSystem, _ random: inout SeededGenerator) -> [UInt8] {
    let values = SampleLog.values(Int.random(in: 1...30, using: &random), size: Int.random(in: 0...90, using: &random))
    var bytes = SampleLog.bytes(of: system, values, key: Bool.random(using: &random) ? Array("key".utf8) : nil)
    for _ in 0..<Int.random(in: 0...3, using: &random) { damage(&bytes, &random) }
    return Bool.random(using: &random) ? LogFuzzing.sealed(bytes, as: system) : bytes
  }

  private static func damage(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    guard bytes.count > 1 else { return }
    let at = Int.random(in: 0..<bytes.count, using: &random)
    let piece = at..<min(bytes.count, at + Int.random(in: 1...600, using: &random))
    switch Int.random(in: 0..<7, using: &random) {
    case 0, 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2: for index in piece { bytes[index] = 0 }
    case 3: bytes.removeSubrange(at...)
    case 4: bytes.removeSubrange(piece)
    case 5: bytes.insert(contentsOf: bytes[piece], at: at)
    default: for index in piece { bytes[index] = UInt8.random(in: 0...255, using: &random) }
    }
  }

  @Test(arguments: LogSystem.allCases) func theReportIsThatOfACloseLook(system: LogSystem) {
    var random = SeededGenerator(seed: 2_200 + UInt64(system.rawValue.utf8.count))
    for round in 0..<Self.rounds {
      let bytes = Self.log(system, &random)
      #expect(LogFuzzing.complaintOfCheck(bytes, format: system) == nil, "round \(round)")
      #expect(LogFuzzing.complaintOfCheck(bytes, format: nil) == nil, "round \(round), format not told")
    }
  }

  /// More than one window of 512 KiB, so that records stand across its end.
  @Test(arguments: LogSystem.allCases) func recordsAcrossWindowsAreTakenOnce(system: LogSystem) {
    var bytes = SampleLog.bytes(of: system, SampleLog.values(2_600, size: 300))
    #expect(LogFuzzing.complaintOfCheck(bytes, format: system) == nil)
    bytes[bytes.count / 3] ^= 4
    bytes[bytes.count / 2] ^= 4
    #expect(LogFuzzing.complaintOfCheck(bytes, format: system) == nil)
  }
}
