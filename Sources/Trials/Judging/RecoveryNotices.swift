import PartitionEngine
import WriteAheadLog

extension EngineRecovery {
  /// What the reader of a trial should know of a recovery, beside what it found damaged.
  var notices: [String] {
    let heads = (metadata.copies + partitions).flatMap(\.damagedHeads).map { head in
      "recovery found a damaged copy of a segment's head (\(head.path), bytes \(head.byteFrom) ..< \(head.byteTo)), "
        + (head.isRepaired ? "and wrote it again" : "and could not write it again") + ": no message was lost by it"
    }
    let offsets = lowered.map {
      "recovery lowered the committed offset of \($0.group) in \($0.partition) from \($0.from) to \($0.to), the end of its log"
    }
    return heads + offsets
  }
}
