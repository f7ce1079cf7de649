import LogModel
import PartitionEngine
import SystemUnderTest
import Verification
import WriteAheadLog

extension RecoverySummary {
  /// What an opening of the engine came to.
  init(_ recovery: EngineRecovery) {
    self.init()
    for report in recovery.partitions {
      for range in report.damage {
        damage.append(
          RecoveryDamage(
            report.source, OffsetRange(from: range.from, to: range.to), path: range.path, byteFrom: range.byteFrom,
            byteTo: range.byteTo, mismatch: range.mismatch))
      }
    }
    bytesScanned = recovery.bytesScanned
    batchesSkipped = recovery.batchesSkipped
    batchesRecovered = recovery.batchesRecovered
    let heads = (recovery.metadata.copies + recovery.partitions).flatMap(\.damagedHeads).map { head in
      "recovery found a damaged copy of a segment's head (\(head.path), bytes \(head.byteFrom) ..< \(head.byteTo)), "
        + (head.isRepaired ? "and wrote it again" : "and could not write it again") + ": no message was lost by it"
    }
    let offsets = recovery.lowered.map {
      "recovery lowered the committed offset of \($0.group) in \($0.partition) from \($0.from) to \($0.to), "
        + "the end of its log"
    }
    notices = heads + offsets
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
    self.init(kind, isCertain: error.isCertainFailure, cause: error)
  }
}
