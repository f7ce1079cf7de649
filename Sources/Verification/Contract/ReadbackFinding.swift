import LogModel

/// What a readback shows beside messages that consumption was served, as facts: answers to fetches from start offsets,
/// offsets of acknowledgements, what an earlier restart has answered; see `CheckFinding`.
enum ReadbackFinding: Hashable, Sendable {
  /// A message of the answer to a fetch.
  enum Place: Hashable, Sendable {
    /// The first one.
    case begins(asked: Int64)
    /// One behind it.
    case goesOn(at: Int64)
  }

  // Answers to fetches.
  case corrupt(Place)
  case neverSent(Place, message: Int64)
  case failedIsThere(Place, message: Int64)
  case goneIsBack(Place, message: Int64, restart: Int)
  case otherThanConsumed(Place, message: Int64, consumed: Int64)
  case notConsumed(Place, message: Int64)
  case elsewhere(Place, message: Int64, standsAt: Int64)
  case answerSkips(from: Int64, to: Int64)
  /// `behind` is the last offset before it.
  case answerRepeats(offset: Int64, behind: Int64)
  case noStartOffset
  case consumptionCutOff

  // Acknowledgements.
  case acknowledgedBeyondSent(message: Int, offset: Int64, sent: Int64, from: Int64)
  case acknowledgedTwice(offset: Int64, first: Int, second: Int)

  // What an earlier restart has answered.
  case topicIsBack(TopicPartition)
  case reportOfNobody(TopicPartition)
  case commitChanged(group: String, was: Int64?, restart: Int, found: Int64?)
}

extension ReadbackFinding.Place: CustomStringConvertible {
  var description: String {
    switch self {
    case .begins(let asked): "a fetch at \(asked) begins"
    case .goesOn(let at): "a fetch goes on at offset \(at)"
    }
  }
}

extension ReadbackFinding: CustomStringConvertible {
  var description: String {
    switch self {
    case .corrupt(let place): "\(place) with bytes that were never sent"
    case .neverSent(let place, let message): "\(place) with message \(message), which was never sent"
    case .failedIsThere(let place, let message):
      "\(place) with message \(message), whose sending had failed for certain"
    case .goneIsBack(let place, let message, let restart):
      "\(place) with message \(message), which was gone after restart \(restart)"
    case .otherThanConsumed(let place, let message, let consumed):
      consumed < 0
        ? "\(place) with message \(message), and consumption was served other bytes there"
        : "\(place) with message \(message), and consumption was served message \(consumed) there"
    case .notConsumed(let place, let message):
      "\(place) with message \(message), and consumption was served nothing there"
    case .elsewhere(let place, let message, let standsAt):
      "\(place) with message \(message), which stands at offset \(standsAt)"
    case .answerSkips(let from, let to): "an answer must go on at offset \(from), found offset \(to)"
    case .answerRepeats(let offset, let behind): "one answer serves offset \(offset) again, behind offset \(behind)"
    case .noStartOffset: "no start offset was asked for"
    case .consumptionCutOff: "consumption did not come to its end"
    case .acknowledgedBeyondSent(let message, let offset, let sent, let from):
      "\(sent) messages had been sent, and offsets begin at \(from), found message \(message) acknowledged at offset "
        + "\(offset)"
    case .acknowledgedTwice(let offset, let first, let second):
      "offset \(offset) was acknowledged for message \(first), and again for message \(second)"
    case .topicIsBack(let partition):
      "\(partition) was missing after an earlier restart and must stay away, found it registered"
    case .reportOfNobody(let partition): "\(partition) was never created, found damage of it reported"
    case .commitChanged(let group, let was, let restart, let found):
      "the committed offset of \(group) was \(Self.text(was)) after restart \(restart) and must stay, found "
        + "\(Self.text(found))"
    }
  }

  private static func text(_ offset: Int64?) -> String { offset.map { "\($0)" } ?? "none" }
}
