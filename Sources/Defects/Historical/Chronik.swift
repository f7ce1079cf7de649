import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// chronik, a Kafka-compatible log: seed document 002 and the history of its repair.
extension Defect {
  static let chronik: [Defect] = [
    Defect(
      "C1", origin: "chronik",
      "The reader advances by header + a length that already includes the header, so it jumps over records.",
      showsWhen: "two batches or more in one partition's log, after a restart"
    ) { $0.log.stepper = StepperCountingTheHeaderTwice() },
    Defect(
      "C2", origin: "chronik", "recover() registers partitions but never restores the high watermark.",
      showsWhen: "any restart"
    ) { $0.log.watermarks = WatermarksNeverRestored() },
    Defect(
      "C2b", origin: "chronik",
      "The high watermark is restored only where a partition's log holds exactly one batch.",
      showsWhen: "a restart with two batches or more in a partition: 10 of 10 messages, then 0 of 100"
    ) { $0.log.watermarks = WatermarksOfSingleBatchLogs() },
    Defect(
      "C3", origin: "chronik", "The last offset is guessed as file bytes / 100.",
      showsWhen: "a restart with any message size other than about 100 bytes"
    ) { $0.log.watermarks = WatermarksFromFileSize() },
    Defect(
      "C4", origin: "chronik",
      "The fetch buffer keeps the newest 100 batches; fetch returns the first batch with last >= wanted and jumps over "
        + "the trimmed ones in place of reading the log.",
      showsWhen: "more than 100 batches in a partition, no restart needed: 4164 of 5000"
    ) { $0.log.planner = PlannerThatNeverLeavesTheBuffer() },
    Defect(
      "C5", origin: "chronik",
      "read_from(offset, max) starts at byte 0 every time and returns the first `max` batches.",
      showsWhen: "an offset beyond the first 8 batches is asked of the log: an endless retry"
    ) { $0.log.planner = PlannerThatAlwaysStartsAtTheHead() },
    Defect(
      "C8", origin: "chronik",
      "Recovery loads the file into the write buffer; the next flush appends it again.",
      showsWhen: "two restarts with an append in between: the log doubles"
    ) { $0.log.handover = TailLoadedIntoTheWriteBuffer() },
    Defect(
      "C11", origin: "chronik", "Two writers open the same first segment.",
      showsWhen: "a second writer opens while the first still writes: 20 consumed of 10 produced, 7000 of 5000",
      layer: { SegmentsOpenToAll($0) }
    ) { $0.exclusion = NoExclusion() },
    Defect(
      "C12b", origin: "chronik", "The CRC is stored but never verified on read.", showsWhen: "any bit flip"
    ) { $0.log.validator = ValidatorThatBelievesEverything() },
  ]
}

/// C1. `cursor += HEADER_SIZE + length`, where `length` counts the header too. chronik's records stood one behind the
/// other; here a commit is padded to a block, so the header is counted twice behind the padding, where it does the
/// same harm: the cursor lies inside the next batch.
struct StepperCountingTheHeaderTwice: BatchStepping {
  func position(after header: BatchHeader) -> Int64 {
    (header.position + Int64(header.length) + 511) / 512 * 512 + Int64(BatchHeader.size)
  }
}

/// C2. Fetch treats the missing state as high watermark 0.
struct WatermarksNeverRestored: WatermarkRestoring {
  func highWatermark(after scan: ScanSummary) -> Offset { 0 }
}

/// C2b. The honest reconstruction of the 10-vs-100 shape: ten messages over three partitions went as one batch each,
/// a hundred did not.
struct WatermarksOfSingleBatchLogs: WatermarkRestoring {
  func highWatermark(after scan: ScanSummary) -> Offset { scan.batches == 1 ? scan.logEndOffset : 0 }
}

/// C3. `last_offset = file_size / 100`.
struct WatermarksFromFileSize: WatermarkRestoring {
  func highWatermark(after scan: ScanSummary) -> Offset { Offset(scan.bytes / 100) }
}

/// C4. The first batch in the buffer whose last offset is not before the wanted one, whatever its first offset is.
struct PlannerThatNeverLeavesTheBuffer: FetchPlanning {
  func plan(_ request: FetchRequest) -> FetchPlan {
    guard let batch = request.recent.firstIndex(endingAfter: request.offset) else { return .log }
    return .recent(batch: batch)
  }
}

/// C5. The eight batches of the chronik investigation, whatever was asked for.
struct PlannerThatAlwaysStartsAtTheHead: FetchPlanning {
  static let batches = 8

  func plan(_ request: FetchRequest) -> FetchPlan {
    switch IndexedFetchPlanner().plan(request) {
    case .log: .logStart(batchLimit: Self.batches)
    case let plan: plan
    }
  }
}

/// C8.
struct TailLoadedIntoTheWriteBuffer: RecoveredTailHandling {
  var requeuesRecoveredBatches: Bool { true }
}

/// C12b.
struct ValidatorThatBelievesEverything: BatchValidating {
  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool { true }
}

/// C11. The file of a new segment is opened whether or not another writer has made it already; with `NoExclusion`,
/// which gives every writer the same epoch, two writers that begin at one time use one file.
final class SegmentsOpenToAll: StorageWrapper, @unchecked Sendable {
  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let isSegment = path.hasPrefix("topics/") && path.hasSuffix(".log")
    return try await super.open(path, isSegment ? mode.subtracting(.exclusive) : mode)
  }
}
