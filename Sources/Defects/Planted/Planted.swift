import LogModel
import PartitionEngine
import Synchronization
import WriteAheadLog

extension Defect {
  static let planted: [Defect] = [
    Defect(
      "P3", origin: "planted",
      "Stale records beyond the tail, in space that another segment used before, are accepted.",
      showsWhen: "power loss that keeps the size of a write and not its data, where blocks are recycled"
    ) { $0.log.validator = ValidatorOfAnySegment() },
    Defect(
      "P4", origin: "planted", "The checksum covers the payload but not the offset or the length.",
      showsWhen: "a bit flip in the header"
    ) { ($0.log.sealing, $0.log.validator) = (PayloadSealed(), PayloadSealed()) },
    Defect(
      "P9", origin: "planted", "The log end offset counts the torn record.", showsWhen: "a torn tail"
    ) {
      let counter = TornRecordsCounted()
      ($0.log.resynchronizing, $0.log.watermarks) = (counter, counter)
    },
    Defect(
      "P10", origin: "planted", "The sparse index is off by one entry at a segment boundary.",
      showsWhen: "a fetch at the first offset of a segment"
    ) { $0.log.lookup = OneEntryTooFar() },
  ]
}

/// P3. What a checksum without the segment's salt would accept: a batch that was right in any segment that this engine
/// has looked at.
final class ValidatorOfAnySegment: BatchValidating {
  private let salts = Mutex<[UInt64]>([])

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    salts.withLock { known in
      if !known.contains(salt) { known.append(salt) }
      return known.contains { ChecksumValidator().isIntact(header, at: base, salt: $0) }
    }
  }
}

/// P4. The position is left out too: it is a part of the header.
struct PayloadSealed: BatchSealing, BatchValidating {
  private func checksum(_ header: BatchHeader, _ base: UnsafeRawPointer, _ salt: UInt64) -> UInt32 {
    // What it leaves out are the first 8 bytes of what it is given.
    let skipped = BatchHeader.size - 8
    return BatchHeader.computeChecksum(at: base + skipped, length: header.length - skipped, position: 0, salt: salt)
  }

  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    header.seal(at: base, salt: salt)
    base.storeBytes(of: checksum(header, base, salt).littleEndian, toByteOffset: 4, as: UInt32.self)
  }

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    checksum(header, base, salt) == header.checksum
  }
}

/// P9. The tail is cut all the same; only the count is wrong.
final class TornRecordsCounted: BatchResynchronizing, WatermarkRestoring {
  /// Ends of what has the shape of a record and is none, by where they begin.
  private let torn = Mutex<[Offset: Offset]>([:])

  func distance(past header: BatchHeader?) -> Int {
    if let header { torn.withLock { $0[header.baseOffset] = header.nextOffset } }
    return NextAlignedPosition().distance(past: header)
  }

  /// Asked last of what recovery has found in one log.
  func highWatermark(after scan: ScanSummary) -> Offset {
    defer { torn.withLock { $0.removeAll() } }
    return logEndOffset(after: scan)
  }

  func logEndOffset(after scan: ScanSummary) -> Offset {
    torn.withLock { $0[scan.logEndOffset] } ?? scan.logEndOffset
  }
}

/// P10.
struct OneEntryTooFar: IndexLookup {
  func entry(for offset: Offset, in index: SparseIndex) -> Int? {
    guard let entry = LastEntryBefore().entry(for: offset, in: index) else { return nil }
    return entry == 0 && index.baseOffset(of: 0) == offset && index.count > 1 ? 1 : entry
  }
}
