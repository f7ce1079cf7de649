import LogModel
import PartitionEngine
import Storage
import Synchronization
import WriteAheadLog

/// chronik's codec: what is written, and what is made of it when it is read.
extension Defect {
  static let chronikReading: [Defect] = [
    Defect(
      "C6", origin: "chronik",
      "The skip filter decodes a mirror of the batch with fields missing; the decode fails and the batch is skipped.",
      showsWhen: "two batches share a commit and are read from the log: 4500 of 5000 consumed"
    ) { $0.log.reading = MirrorWithoutCommitDelta() },
    Defect(
      "C12", origin: "chronik",
      "The CRC is computed before the length field is set, and verified after: every verification fails.",
      showsWhen: "anything is read from the log, after a restart say"
    ) { $0.log.sealing = ChecksumBeforeLength() },
    Defect(
      "C19", origin: "chronik", "Decoding a segment of several batches stops after the first.",
      showsWhen: "a restart with two batches or more in a segment: 3 of 20"
    ) { $0.log.stepper = StepperThatStopsAfterTheFirst() },
    Defect(
      "C20", origin: "chronik", "Recovery loads every record to find the high watermark.",
      showsWhen: "a restart with a log that is larger than what a recovery may take: memory grows with the log"
    ) {
      let loaded = EveryRecordLoaded()
      ($0.log.validator, $0.log.stepper, $0.log.watermarks) = (loaded, loaded, loaded)
    },
  ]
}

/// C6. chronik read a batch's last offset by way of a second declaration of it that had fallen behind the first. Here
/// the mirror is of a batch without a commit delta, whose bytes it takes for reserved ones: only the first batch of
/// each commit has zeros there.
struct MirrorWithoutCommitDelta: BatchReading {
  func baseOffset(ofScanned header: BatchHeader, expected: Offset, salt: UInt64) -> Offset { header.baseOffset }

  func baseOffset(ofFetched header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Offset? {
    let reserved = (
      base.loadUnaligned(fromByteOffset: 14, as: UInt16.self), base.loadUnaligned(fromByteOffset: 60, as: UInt32.self)
    )
    return reserved == (0, 0) ? header.baseOffset : nil
  }
}

/// C12. The length, bytes 8..<12 of a batch, is still zero when the checksum is computed.
struct ChecksumBeforeLength: BatchSealing {
  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    header.seal(at: base, salt: salt)
    base.storeBytes(of: 0, toByteOffset: 8, as: UInt32.self)
    let checksum = BatchHeader.computeChecksum(at: base, length: header.length, position: header.position, salt: salt)
    base.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    base.storeBytes(of: UInt32(header.length).littleEndian, toByteOffset: 8, as: UInt32.self)
  }
}

/// C19. Behind the first batch stands nothing more.
struct StepperThatStopsAfterTheFirst: BatchStepping {
  func position(after header: BatchHeader) -> Int64 { Int64.max / 2 }
}

/// C20. One list of all records, of which the last one's offset is wanted. Only what the scan has accepted is loaded,
/// not what fetches read.
final class EveryRecordLoaded: BatchValidating, BatchStepping, WatermarkRestoring {
  private struct Loaded {
    var found: (header: BatchHeader, base: UnsafeRawPointer)?
    var batches: [(header: BatchHeader, bytes: [UInt8])] = []
  }

  // The pointer is used before the scan goes on, on the loop that gave it.
  private nonisolated(unsafe) var loaded = Loaded()
  private let lock = Mutex(())

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    let isIntact = ChecksumValidator().isIntact(header, at: base, salt: salt)
    lock.withLock { _ in loaded.found = isIntact ? (header, base) : nil }
    return isIntact
  }

  func position(after header: BatchHeader) -> Int64 {
    lock.withLock { _ in
      if let found = loaded.found, found.header == header {
        loaded.batches.append((header, Array(UnsafeRawBufferPointer(start: found.base, count: header.length))))
      }
      loaded.found = nil
    }
    return LengthStepper().position(after: header)
  }

  /// What it finds is right: of the records that are loaded, those behind the end have been cut.
  func highWatermark(after scan: ScanSummary) -> Offset {
    lock.withLock { _ in loaded = Loaded() }
    return scan.logEndOffset
  }
}
