import CZlib
import LogModel
import Testing

@testable import WriteAheadLog

@Suite struct BatchFormatTests {
  /// "A catalogue of parametrised CRC algorithms", CRC-32/ISO-HDLC: check value.
  @Test func theChecksumIsZlibs() {
    let bytes = Array("123456789".utf8)
    #expect(tl_crc32(0, bytes, bytes.count) == 0xCBF4_3926)
    var random = SeededGenerator(seed: 5)
    let noise = (0..<5000).map { _ in UInt8.random(in: 0...255, using: &random) }
    for length in 0..<noise.count {
      #expect(tl_crc32(UInt32(length), noise, length) == tl_crc32_zlib(UInt32(length), noise, length))
    }
  }

  private func batch(records: Int, position: Int64, salt: UInt64) -> [UInt8] {
    let payloads = (0..<records).map { LogHarness.payload($0, size: 30 + $0) }
    let length = RecordFormat.batchLength(recordCount: records, payload: payloads.reduce(0) { $0 + $1.count })
    var bytes = [UInt8](repeating: 0, count: length)
    bytes.withUnsafeMutableBytes { raw in
      var writer = RecordWriter(base: raw.baseAddress! + BatchHeader.size, capacity: length - BatchHeader.size)
      for (n, payload) in payloads.enumerated() {
        let key = Array("key-\(n)".utf8)
        _ = key
        payload.withUnsafeBytes { writer.append(value: $0) }
      }
      BatchHeader(
        length: length, baseOffset: 4711, recordCount: records, position: position, epoch: Epoch(3),
        time: Instant(nanoseconds: 12), durableOffset: 4700, bootID: 9, commitDelta: 11
      ).seal(at: raw.baseAddress!, salt: salt)
    }
    return bytes
  }

  private func isValid(_ bytes: [UInt8], position: Int64, salt: UInt64) -> Bool {
    bytes.withUnsafeBytes { raw in
      guard let header = BatchHeader(at: raw.baseAddress!, position: position, available: raw.count),
        header.length <= raw.count
      else { return false }
      return ChecksumValidator().isIntact(header, at: raw.baseAddress!, salt: salt)
    }
  }

  @Test(arguments: [1, 2, 7])
  func anyFlippedBitIsFound(records: Int) {
    var bytes = batch(records: records, position: 8192, salt: 77)
    #expect(isValid(bytes, position: 8192, salt: 77))
    for bit in 0..<(bytes.count * 8) {
      bytes[bit / 8] ^= 1 << (bit % 8)
      #expect(!isValid(bytes, position: 8192, salt: 77), "bit \(bit % 8) of byte \(bit / 8)")
      bytes[bit / 8] ^= 1 << (bit % 8)
    }
  }

  @Test func aBatchIsValidNowhereElse() {
    let bytes = batch(records: 3, position: 8192, salt: 77)
    #expect(!isValid(bytes, position: 8192, salt: 78))
    #expect(!isValid(bytes, position: 8200, salt: 77))
  }

  @Test func headerAndRecordsComeBack() {
    let bytes = batch(records: 4, position: 4096, salt: 1)
    bytes.withUnsafeBytes { raw in
      let header = BatchHeader(at: raw.baseAddress!, position: 4096, available: raw.count)!
      #expect(header.baseOffset == 4711 && header.recordCount == 4 && header.epoch == Epoch(3))
      #expect(header.durableOffset == 4700 && header.bootID == 9 && header.commitBase == 4700)
      var cursor = RecordCursor(batch: raw.baseAddress!, header: header)
      var n = 0
      while let record = cursor.next() {
        #expect(record.offset == Offset(4711 + n) && Array(record.value) == LogHarness.payload(n, size: 30 + n))
        #expect(record.key == nil)
        n += 1
      }
      #expect(n == 4)
    }
  }

  @Test func aSegmentHeadSurvivesTheLossOfOneCopy() {
    let header = SegmentHeader(
      baseOffset: 17, epoch: Epoch(2), salt: 99, durableOffset: 5, bootID: 1, source: TopicPartition("orders", 3),
      isNeverSynced: true,
      previousBase: 11)
    var bytes = [UInt8](repeating: 0, count: SegmentHeader.size)
    bytes.withUnsafeMutableBytes { header.write(into: $0) }
    for copy in SegmentHeader.copyPositions {
      for bit in stride(from: 0, to: SegmentHeader.copySize * 8, by: 3) {
        bytes[copy + bit / 8] ^= 1 << (bit % 8)
        bytes.withUnsafeBytes { raw in
          let read = SegmentHeader.copyPositions.compactMap { SegmentHeader(copyAt: $0, of: raw) }
          #expect(read == [header], "byte \(copy + bit / 8)")
        }
        bytes[copy + bit / 8] ^= 1 << (bit % 8)
      }
    }
  }
}

@Suite struct RecoveryCaseTests {
  @Test func everyCombinationMatchesExactlyOneRow() {
    for finding in Finding.allCases {
      for testimony in DurabilityEvidence.allCases {
        for policy in RecoveryPolicy.allCases {
          let rows = RecoveryDecision.table.filter { $0.matches(finding, testimony, policy) }
          #expect(rows.count == 1, "\(finding) \(testimony) \(policy): \(rows.map(\.label))")
        }
      }
    }
  }
}
