import CZlib
import LogModel
import Storage
import Testing

@testable import WriteAheadLog

/// What a later build has written is intact and cannot be read: it is refused with its version, never taken for damage
/// or for an empty log, and nothing of it is changed.
@Suite struct FormatVersionTests {
  /// Which copies of a segment's head are of the version.
  static let copies = [[0], [2048], [0, 2048]]

  /// Two segments, of two lives.
  private static func harness() throws -> (LogHarness, segments: [String]) {
    let harness = LogHarness()
    for life in 0..<2 {
      try harness.live(seed: UInt64(1 + life)) { log, _, _ in
        for n in life * 20..<life * 20 + 20 { _ = try await log.append(message: n) }
        try await log.close()
      }
    }
    return (harness, harness.disk.paths.filter { $0.hasSuffix(".log") }.sorted())
  }

  private static func expectRefusal(_ harness: LogHarness, _ version: Int, _ path: String, at offset: Int64) {
    let before = harness.disk.paths.map { harness.disk.read($0) }
    let expected = StorageError(.unknownVersion(version, known: 1), .read, path, offset: offset)
    #expect(throws: expected) { try harness.live(seed: 3) { _, _, _ in } }
    #expect(harness.disk.paths.map { harness.disk.read($0) } == before)
    #expect("\(expected)".contains("\(path) at byte \(offset)") && "\(expected)".contains("version \(version)"))
  }

  @Test(arguments: 0..<2, copies) func aHeadOfALaterVersionIsRefused(_ segment: Int, _ copies: [Int]) throws {
    let (harness, segments) = try Self.harness()
    let head = Array(try #require(harness.disk.read(segments[segment])).prefix(SegmentHeader.size))
    for at in copies {
      var copy = Array(head[at..<at + SegmentHeader.copySize])
      copy[12] = 7
      Self.store(copy[12...].withUnsafeBytes { tl_crc32(0, $0.baseAddress, $0.count) }, in: &copy, at: 8)
      try harness.disk.putAtRest(segments[segment], copy, at: Int64(at))
    }
    Self.expectRefusal(harness, 7, segments[segment], at: Int64(copies[0]))
  }

  @Test(arguments: [(0, 0), (0, 19), (1, 10), (1, 19)]) func aBatchOfALaterVersionIsRefused(_ segment: Int, _ n: Int)
    throws
  {
    let (harness, segments) = try Self.harness()
    let at = try Self.rewrite(harness, segments[segment], batch: n, isIntact: true)
    Self.expectRefusal(harness, 2, segments[segment], at: at)
  }

  /// The version is one more field that a flipped bit may hit.
  @Test func aDamagedBatchWithAnotherVersionIsDamage() throws {
    let (harness, segments) = try Self.harness()
    _ = try Self.rewrite(harness, segments[0], batch: 5, isIntact: false)
    try harness.live(seed: 3) { log, report, _ in
      #expect(report.damage.map(\.from) == [5] && report.damage.map(\.to) == [6])
      let messages = try await log.consume().map(\.message)
      #expect(messages == Array(0..<5) + Array(6..<40))
    }
  }

  /// Gives a batch version 2.
  /// - Returns: its position.
  private static func rewrite(_ harness: LogHarness, _ path: String, batch: Int, isIntact: Bool) throws -> Int64 {
    let bytes = try #require(harness.disk.read(path))
    let head = try #require(bytes.withUnsafeBytes { SegmentHeader(copyAt: 0, of: $0) })
    let magic: [UInt8] = Array("TLB1".utf8)
    let found = stride(from: SegmentHeader.size, to: bytes.count, by: 8).filter {
      bytes[$0..<$0 + 4].elementsEqual(magic)
    }
    try #require(found.count == 20)
    let at = found[batch]
    var own = Array(bytes[at...])
    own[12] = 2
    if isIntact {
      let length = Int(own[8]) | Int(own[9]) << 8
      let checksum = own.withUnsafeBytes {
        BatchHeader.computeChecksum(at: $0.baseAddress!, length: length, position: Int64(at), salt: head.salt)
      }
      store(checksum, in: &own, at: 4)
    }
    try harness.disk.putAtRest(path, Array(own.prefix(16)), at: Int64(at))
    return Int64(at)
  }

  private static func store(_ value: UInt32, in bytes: inout [UInt8], at: Int) {
    for index in 0..<4 { bytes[at + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
  }
}
