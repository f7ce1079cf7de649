import CrashStates
import LogClients
import LogModel
import Verification

/// Something between the engine and its callers: what promises follow from.
enum RecordedFact: Hashable, CallerFact {
  case opened
  case topicRequested
  case topicAnswered(Outcome)
  /// With its number among the requests.
  case requested(Int, ProduceRequest)
  case answered(Int, Outcome, base: Offset)
  /// With its number among the commits.
  case commitRequested(Int, CommitRequest)
  case commitAnswered(Int, Outcome)
  /// The engine has said that everything of the partition before an offset is in the object store.
  case archived(Int, before: Offset)
  /// A consumer beside the producers was answered; with its number among these answers.
  case read(Int, ConcurrentReaders.Answer)
  /// What somebody who is no partition engine has answered, in words.
  case said(String)
}

/// A request as its producer sent it.
struct ProduceRequest: Hashable, Sendable {
  var partition: Int
  var producer: Int
  var first: Int
  var count: Int
}

/// A consumer offset as its group sent it.
struct CommitRequest: Hashable, Sendable {
  var partition: Int
  var offset: Offset
  var group: String
}

extension RecordedEvent {
  /// Nil for operations.
  var fact: RecordedFact? {
    guard case .fact(let fact) = what else { return nil }
    return fact as? RecordedFact
  }
}

extension RecordedFact {
  /// Old tokens hold: what it says of a fact must never change.
  package var kind: UInt64 {
    switch self {
    case .opened: 3
    case .topicRequested: 4
    case .topicAnswered: 5
    case .requested(let n, _): UInt64(n) << 4 | 6
    case .answered(let n, let outcome, _): UInt64(n) << 4 | (outcome == .acknowledged ? 7 : 8)
    case .commitRequested(let n, _): UInt64(n) << 4 | 9
    case .commitAnswered(let n, let outcome): UInt64(n) << 4 | (outcome == .acknowledged ? 10 : 11)
    case .archived(let partition, let end): UInt64(partition) << 40 ^ UInt64(end.rawValue) << 4 | 13
    case .said: 14
    case .read(let n, _): UInt64(n) << 4 | 15
    }
  }

  /// Whether it is one more promise: a caller has been told something.
  var isAnswer: Bool {
    switch self {
    case .answered, .topicAnswered, .commitAnswered, .archived, .read, .said: true
    case .opened, .topicRequested, .requested, .commitRequested: false
    }
  }
}
