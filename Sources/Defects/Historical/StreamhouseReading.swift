import LogModel
import PartitionEngine
import Synchronization
import WriteAheadLog

/// Streamhouse's recovery: what it makes of the files that it finds.
extension Defect {
  static let streamhouseReading: [Defect] = [
    Defect(
      "H4", origin: "Streamhouse",
      "The size of a record is outside its CRC and believed: a flipped one leads past all that follows.",
      showsWhen: "one bit flip in the length"
    ) { $0.log.resynchronizing = LengthsBelieved() },
    Defect(
      "H7", origin: "Streamhouse", "Skipping a corrupt record renumbers all later offsets.",
      showsWhen: "one CRC mismatch in the middle"
    ) { $0.log.reading = OffsetsCounted() },
    Defect(
      "H10", origin: "Streamhouse", "Leftover files of other writers are replayed in directory order.",
      showsWhen: "two leftover files"
    ) { $0.log.ordering = DirectoryOrder() },
  ]
}

/// H7. Records had no offsets of their own there: the n-th that could be read was the n-th. Here the scan counts, and
/// fetches go by what it has counted.
final class OffsetsCounted: BatchReading {
  private struct Place: Hashable {
    var salt: UInt64
    var position: Int64
  }

  private let renumbered = Mutex<[Place: Offset]>([:])

  func baseOffset(ofScanned header: BatchHeader, expected: Offset, salt: UInt64) -> Offset {
    guard header.baseOffset > expected else { return header.baseOffset }
    renumbered.withLock { $0[Place(salt: salt, position: header.position)] = expected }
    return expected
  }

  func baseOffset(ofFetched header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Offset? {
    renumbered.withLock { $0[Place(salt: salt, position: header.position)] } ?? header.baseOffset
  }
}

/// H10. `man 3 readdir`: "it is unlikely that the names will be sorted in any fashion". tmpfs lists the newest first.
struct DirectoryOrder: SegmentOrdering {
  func order(_ names: [String]) -> [String] { names.sorted(by: >) }
}
