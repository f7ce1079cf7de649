import LogModel
import Testing

@testable import WriteAheadLog

@Suite struct RecentBatchesTests {
  /// Batches of mixed sizes go round the ring many times: what is listed still has its own bytes.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func whatIsListedIsWhatWasAppended(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let recent = RecentBatches(byteLimit: 4096, batchLimit: 30)
    for n in 0..<2000 {
      let length = Int.random(in: 8...180, using: &random) * 8
      let header = BatchHeader(
        length: length, baseOffset: Offset(n), recordCount: 1, position: 0, epoch: Epoch(1),
        time: Instant(nanoseconds: 0), durableOffset: 0, bootID: 0, commitDelta: 0)
      let bytes = [UInt8](repeating: UInt8(n % 251), count: length)
      bytes.withUnsafeBytes { recent.append(header, $0.baseAddress!) }
      for index in 0..<recent.count {
        let kept = recent.header(index)
        let found = UnsafeRawBufferPointer(start: recent.bytes(index), count: kept.length)
        let mark = UInt8(kept.baseOffset.rawValue % 251)
        #expect(found.allSatisfy { $0 == mark }, "after \(n): offset \(kept.baseOffset)")
      }
    }
  }
}
