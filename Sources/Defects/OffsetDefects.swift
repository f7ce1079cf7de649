import LogModel
import PartitionEngine
import WriteAheadLog

/// Bugs of the offsets that consumer groups commit.
extension Defect {
  static let offsets: [Defect] = [
    Defect(
      "P35", origin: "planted",
      "Of two who wait for one sync the second returns while the next one, which the first has begun, is in flight: an offset is recorded "
        + "before what lies before it.",
      showsWhen: "interval: two groups commit at once beside a producer, then power loss"
    ) { $0.log.offsets = OffsetsBeforeTheirSync() },
    Defect(
      "P36", origin: "planted", "An offset is recorded though the sync of what lies before it has failed.",
      showsWhen: "interval: a sync under a commit of an offset fails, then power loss"
    ) { $0.log.offsets = OffsetsAfterAFailedSync() },
    Defect(
      "P37", origin: "planted", "A committed offset stays where it was when recovery cuts the log before it.",
      showsWhen: "never and power loss, or damage under truncate-at-corruption: what is appended then never reaches the group"
    ) { $0.log.offsets = OffsetsBeyondTheEnd() },
  ]
}

/// P35.
struct OffsetsBeforeTheirSync: OffsetCommitting {
  var waitsForEverySync: Bool { false }
  var refusesWhatIsNotDurable: Bool { false }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { min(committed, logEnd) }
}

/// P36.
struct OffsetsAfterAFailedSync: OffsetCommitting {
  var waitsForEverySync: Bool { true }
  var refusesWhatIsNotDurable: Bool { false }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { min(committed, logEnd) }
}

/// P37.
struct OffsetsBeyondTheEnd: OffsetCommitting {
  var waitsForEverySync: Bool { true }
  var refusesWhatIsNotDurable: Bool { true }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { committed }
}
