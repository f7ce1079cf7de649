import LogModel
import PartitionEngine
import WriteAheadLog

/// Bugs of the offsets that consumer groups commit.
extension Defect {
  static let offsets: [Defect] = [
    Defect(
      "P37", origin: "planted", "A committed offset stays where it was when recovery cuts the log before it.",
      showsWhen: "never and power loss, or damage under truncate-at-corruption: what is appended then never reaches the group"
    ) { $0.log.offsets = OffsetsBeyondTheEnd() },
  ]
}

/// P37.
struct OffsetsBeyondTheEnd: OffsetCommitting {
  var waitsForEverySync: Bool { true }
  var refusesWhatIsNotDurable: Bool { true }
  func offset(after committed: Offset, logEnd: Offset) -> Offset { committed }
}
