import Foundation
import LogModel
import SampleLogs
import Testing

extension CommandLineTests {
  /// `dump --json` and a reader in Python that somebody wrote from docs/formats.md alone: a thousand random logs of our
  /// own format, three of four of them damaged.
  @Suite(.enabled(if: FormatReader.python != nil, "no python3: the independent reader is not run"))
  struct WalReaderTests {
    private static let name = "00000000000000000000-0000000001.log"

    private static func log(_ number: Int, _ random: inout SeededGenerator) -> [UInt8] {
      var base: Int64 = 0
      var bytes = SampleLog.segment([])
      for _ in 0..<Int.random(in: 0...8, using: &random) {
        let values = (0..<Int.random(in: 1...4, using: &random)).map { _ in
          (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        let key = Bool.random(using: &random) ? Array("key".utf8) : nil
        bytes += SampleLog.batch(at: Int64(bytes.count), base: base, values, key: key, epoch: UInt64(number % 3))
        base += Int64(values.count)
        if Bool.random(using: &random) { while bytes.count % 512 != 0 { bytes.append(0) } }
      }
      damage(&bytes, number % 8, &random)
      return bytes
    }

    private static func damage(_ bytes: inout [UInt8], _ kind: Int, _ random: inout SeededGenerator) {
      func place() -> Int { Int.random(in: 0..<bytes.count, using: &random) }
      switch kind {
      case 0: break
      case 1: bytes += [UInt8](repeating: 0, count: 1000)
      case 2: for _ in 0..<3 { bytes[place()] ^= 1 << UInt8(place() % 8) }
      case 3: bytes.removeLast(min(bytes.count - 1, place() % 300))
      case 4:  // a sector of zeros
        let start = place() / 512 * 512
        for index in start..<min(bytes.count, start + 512) { bytes[index] = 0 }
      case 5:  // one copy of the head
        bytes[Bool.random(using: &random) ? 40 : 2048 + 40] ^= 0xFF
      case 6:  // a batch that stands where another one should
        let part = Array(bytes[min(bytes.count, 4096)...].prefix(200))
        bytes += part
      default: for index in place()..<bytes.count { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
      }
    }

    @Test func aThousandLogsAreReadAlike() async throws {
      let folder = try WalFolder()
      var random = SeededGenerator(seed: 22)
      for number in 0..<1000 {
        try folder.write("logs/\(number)/\(Self.name)", Self.log(number, &random))
      }
      let ended = try await folder.shell(
        """
        tornlog wal dump --json --hex --format tornlog logs > lines
        python3 \(Program.root)/Tests/independent-reader/agree.py logs lines
        """, within: 120)
      #expect(ended.code == 0 && ended.out.contains(" 0 files differ"), "\(ended)")
      #expect(ended.out.contains(/[1-9]\d{3,} records compared/), "\(ended)")
    }
  }
}
