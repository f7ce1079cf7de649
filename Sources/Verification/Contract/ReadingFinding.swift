/// What is wrong with an answer that a consumer was given while messages were sent, as facts; see `CheckFinding`.
enum ReadingFinding: Hashable, Sendable {
  case corrupt(offset: Int64)
  case neverSent(offset: Int64, message: Int64)
  case failedIsThere(offset: Int64, message: Int64)
  case goneIsBack(offset: Int64, message: Int64, restart: Int)
  case elsewhere(offset: Int64, message: Int64, standsAt: Int64)
  /// Both in one life.
  case nameGivenTwice(offset: Int64, first: Int, second: Int)
  /// `watermark` is what the consumer was told with the answer.
  case beyondWatermark(offset: Int64, watermark: Int64)
  case begins(asked: Int64, found: Int64)
  case skips(from: Int64, to: Int64)
  case repeats(offset: Int64, behind: Int64)
  case watermarkFell(from: Int64, to: Int64)
  case watermarkBelowTold(told: Int64, found: Int64)
  case startFell(from: Int64, to: Int64)
  case startBelowTold(told: Int64, found: Int64)
}

extension ReadingFinding: CustomStringConvertible {
  private static let who = "a consumer beside the producers"

  var description: String {
    switch self {
    case .corrupt(let offset): "\(Self.who) was served offset \(offset) with bytes that were never sent"
    case .neverSent(let offset, let message):
      "\(Self.who) was served message \(message) at offset \(offset), which had not been sent by then"
    case .failedIsThere(let offset, let message):
      "\(Self.who) was served message \(message) at offset \(offset), whose sending had failed for certain"
    case .goneIsBack(let offset, let message, let restart):
      "\(Self.who) was served message \(message) at offset \(offset), which was gone after restart \(restart)"
    case .elsewhere(let offset, let message, let standsAt):
      "\(Self.who) was served message \(message) at offset \(offset), and it stands at offset \(standsAt)"
    case .nameGivenTwice(let offset, let first, let second):
      "offset \(offset) was given to message \(first) and to message \(second) in one life, and \(Self.who) was served "
        + "one of them"
    case .beyondWatermark(let offset, let watermark):
      "\(Self.who) was served offset \(offset), and the high watermark that it was told with the answer is \(watermark)"
    case .begins(let asked, let found):
      "\(Self.who) asked for offset \(asked), and the answer must begin there, found offset \(found)"
    case .skips(let from, let to): "an answer to \(Self.who) must go on at offset \(from), found offset \(to)"
    case .repeats(let offset, let behind):
      "one answer to \(Self.who) serves offset \(offset) again, behind offset \(behind)"
    case .watermarkFell(let from, let to):
      "the high watermark must not fall while messages are sent, found \(from) and \(to) after it"
    case .watermarkBelowTold(let told, let found):
      "the high watermark was \(told) while messages were sent and must not fall in that life, found \(found)"
    case .startFell(let from, let to):
      "the log start offset must not fall while messages are sent, found \(from) and \(to) after it"
    case .startBelowTold(let told, let found):
      "the log start offset was \(told) while messages were sent, where a deletion had put it, and must not go back, "
        + "found \(found)"
    }
  }
}
