import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Bugs of the offsets that consumer groups commit.
extension Defect {
  static let offsets: [Defect] = [
    Defect(
      "P35", origin: "planted",
      "Of two who wait for one sync the second returns while the next one, which the first has begun, is in flight: "
        + "its offset is recorded before what lies before it is durable.",
      showsWhen: "interval: two groups commit at once beside a producer, then power loss"
    ) { $0.log.offsets = OffsetsBeforeTheirSync() },
    Defect(
      "P36", origin: "planted", "An offset is recorded though the sync of what lies before it has failed.",
      showsWhen: "interval: a sync under a commit of an offset fails, and the power goes before the next segment begins"
    ) { $0.log.offsets = OffsetsAfterAFailedSync() },
    Defect(
      "P37", origin: "planted", "A committed offset stays where it was when recovery cuts the log before it.",
      showsWhen:
        "never and power loss, or damage under truncate-at-corruption: what is appended then never reaches the group"
    ) { $0.log.offsets = OffsetsBeyondTheEnd() },
  ]
}

/// P35. Of a sync that has failed it is told.
struct OffsetsBeforeTheirSync: OffsetCommitting {
  var waitsForEverySync: Bool { false }
  func mayRecord(isSecure: Bool, after failure: StorageError?) -> Bool { isSecure || failure == nil }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { min(committed, logEnd) }
}

/// P36.
struct OffsetsAfterAFailedSync: OffsetCommitting {
  var waitsForEverySync: Bool { true }
  func mayRecord(isSecure: Bool, after failure: StorageError?) -> Bool { true }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { min(committed, logEnd) }
}

/// P37.
struct OffsetsBeyondTheEnd: OffsetCommitting {
  var waitsForEverySync: Bool { true }
  func mayRecord(isSecure: Bool, after failure: StorageError?) -> Bool { isSecure }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { committed }
}
