import LogModel
import PartitionEngine
import Synchronization
import WriteAheadLog

extension Defect {
  static let planted: [Defect] = [
    Defect(
      "P3", origin: "planted", "Stale records beyond the tail, in space that another segment used before, are accepted.",
      showsWhen: "power loss that keeps the size of a write and not its data, where blocks are recycled"
    ) { $0.log.validator = ValidatorOfAnySegment() }
  ]
}

/// P3. What a checksum without the segment's salt would accept: a batch that was right in any segment that this engine has
/// looked at.
final class ValidatorOfAnySegment: BatchValidating {
  private let salts = Mutex<[UInt64]>([])

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    salts.withLock { known in
      if !known.contains(salt) { known.append(salt) }
      return known.contains { ChecksumValidator().isIntact(header, at: base, salt: $0) }
    }
  }
}
