import LogModel
import PartitionEngine
import SystemUnderTest
import Verification
import WriteAheadLog

extension RecoverySummary {
  /// What an opening of the engine came to.
  init(_ recovery: EngineRecovery) {
    self.init()
    for copy in recovery.metadata.copies { add(copy) }
    for partition in recovery.partitions {
      add(partition)
      batchesRecovered += partition.batches
      for range in partition.damage {
        damage.append(
          RecoveryDamage(
            partition.source, OffsetRange(from: range.from, to: range.to), path: range.path, byteFrom: range.byteFrom,
            byteTo: range.byteTo, mismatch: range.mismatch))
      }
    }
    for lowered in recovery.lowered {
      notices.append(
        "recovery lowered the committed offset of \(lowered.group) in \(lowered.partition) from \(lowered.from) to "
          + "\(lowered.to), the end of its log")
    }
  }

  /// What is told of the metadata's logs and of the partitions' alike.
  private mutating func add(_ report: RecoveryReport) {
    bytesScanned += report.bytesScanned
    batchesSkipped += report.batchesSkipped
    for head in report.damagedHeads {
      notices.append(
        "recovery found a damaged copy of a segment's head (\(head.path), bytes \(head.byteFrom) ..< \(head.byteTo)), "
          + (head.isRepaired ? "and wrote it again" : "and could not write it again") + ": no message was lost by it")
    }
  }
}

extension LogFailure {
  /// The engine's error, and what a caller must know of it.
  init(_ error: EngineError) {
    let kind: Kind =
      switch error {
      case .log(_, .damaged(let range)): .damaged(before: range.to)
      case .log(_, .offsetOutOfRange): .offsetOutOfRange
      case .topicExists(_, let partitions): .topicExists(partitions: partitions)
      case .inUse: .inUse
      default: .other
      }
    self.init(kind, isCertain: error.isCertainFailure, cause: error, files: error.files)
  }
}
