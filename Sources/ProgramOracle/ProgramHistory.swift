import LogModel

/// A write to a map.
package struct MapWrite: Sendable, Hashable {
  package var key: String
  /// Nil deletes the key.
  package var value: String?

  package init(_ key: String, _ value: String?) { (self.key, self.value) = (key, value) }
}

/// What a caller asked for. Questions that change nothing are no part of a history.
package enum ProgramCall: Sendable, Hashable {
  case append(log: String, value: String)
  case take(log: String)
  /// One write, or several of a transaction.
  case write([MapWrite])
  case flush
}

/// What a caller was told.
package enum ProgramOutcome: Sendable, Hashable {
  /// It is done. A log may say where the record is; a queue says what was taken, nil for nothing.
  case acknowledged(position: Int? = nil, taken: String? = nil)
  /// It did not happen, and never will.
  case failed
  /// It may have happened: no answer, or one that says so.
  case unknown
}

/// A call with its place in the one order of everything that happened. Places are numbers that grow.
package struct ProgramRequest: Sendable, Hashable {
  package var call: ProgramCall
  /// It was not sent before this place.
  package var submitted: Int
  /// The answer stands at this place; nil where none came.
  package var answered: Int?
  /// When it was answered, nanoseconds of a clock that never goes back.
  package var answeredTime: Int64
  package var outcome: ProgramOutcome
  /// From this place on it cannot happen any more: the program had been killed by then.
  package var ended: Int

  package init(
    _ call: ProgramCall, submitted: Int, answered: Int?, answeredTime: Int64 = 0, outcome: ProgramOutcome
  ) {
    (self.call, self.submitted, self.answered) = (call, submitted, answered)
    (self.answeredTime, self.outcome) = (answeredTime, outcome)
    ended = .max
  }
}

/// Everything that the callers of a program asked, and what they were told.
package struct ProgramHistory: Sendable {
  /// In the order in which they were sent.
  package private(set) var requests: [ProgramRequest] = []
  /// Places of acknowledgements, sorted.
  private var answers: [Int] = []
  /// Values that a complete reading after a crash did not have: they must not come later.
  private(set) var settledAbsent: Set<String> = []

  package init() {}

  package mutating func add(_ request: ProgramRequest) {
    requests.append(request)
    if let answered = request.answered, request.outcome != .unknown {
      answers.insert(answered, at: answers.partitioningIndex { $0 > answered })
    }
  }

  /// The program was killed, or the power went: what has no answer yet has happened by now, or never will.
  package mutating func crash(at place: Int) {
    for index in requests.indices where requests[index].ended == .max { requests[index].ended = place }
  }

  /// Everything was read after a crash: a record that nobody knew of, and that is not there, must not come later.
  package mutating func settle(_ readback: ProgramReadback) {
    guard readback.failure == nil else { return }
    for request in requests {
      guard case .append(let log, let value) = request.call, request.outcome == .unknown,
        let items = readback.logs[log]
      else { continue }
      if !items.contains(where: { $0.value == value }) { settledAbsent.insert(value) }
    }
  }

  /// What the callers knew when so much had happened: what stands at `place` or after it had not.
  /// - Parameter time: of the cut, as `ProgramRequest.answeredTime`.
  package func cut(at place: Int, time: Int64 = .max) -> CutHistory {
    CutHistory(self, at: place, time: time)
  }

  /// Equal for two places between which callers sent nothing and were told nothing.
  package func knowledge(at place: Int) -> UInt64 {
    let sent = requests.partitioningIndex { $0.submitted >= place }
    let told = answers.partitioningIndex { $0 >= place }
    return mix64(UInt64(sent) << 32 | UInt64(told))
  }
}

/// A history up to a crash.
package struct CutHistory: Sendable {
  package struct Entry: Sendable {
    package var request: ProgramRequest
    /// It has happened, and the caller knows it.
    package var isAcknowledged: Bool
    /// It must have survived.
    package var isRequired: Bool
    /// The last place at which it may have happened.
    package var end: Int
  }

  /// Requests that had been sent, without those that are known never to have happened.
  package private(set) var entries: [Entry] = []
  /// Values that were refused for certain.
  private(set) var refused: Set<String> = []
  let settledAbsent: Set<String>
  /// Where the last flush was sent that is acknowledged; -1 without one.
  private let flushed: Int
  /// Of the cut, nanoseconds.
  private let time: Int64

  init(_ history: ProgramHistory, at place: Int, time: Int64) {
    settledAbsent = history.settledAbsent
    var flushed = -1
    for request in history.requests where request.submitted < place {
      let isTold = (request.answered ?? .max) < place
      if isTold, request.outcome == .failed {
        refused.formUnion(request.call.values)
        continue
      }
      var isAcknowledged = false
      if isTold, case .acknowledged = request.outcome { isAcknowledged = true }
      if case .flush = request.call {
        if isAcknowledged { flushed = max(flushed, request.submitted) }
        continue
      }
      let end = isAcknowledged ? request.answered! : min(request.ended, place)
      entries.append(
        Entry(request: request, isAcknowledged: isAcknowledged, isRequired: isAcknowledged, end: end))
    }
    (self.flushed, self.time) = (flushed, time)
  }

  /// Marks what must have survived under a promise.
  mutating func require(_ promise: ProgramPromise) {
    for index in entries.indices where entries[index].isAcknowledged {
      let request = entries[index].request
      entries[index].isRequired =
        switch promise {
        case .acknowledged: true
        case .flushed: request.answered! < flushed
        case .interval(let duration): time == .max || request.answeredTime <= time - duration.inNanoseconds
        case .nothing: false
        }
    }
  }
}

extension Duration {
  fileprivate var inNanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}

extension ProgramCall {
  /// What it would write.
  var values: [String] {
    switch self {
    case .append(_, let value): [value]
    case .write(let writes): writes.compactMap(\.value)
    case .take, .flush: []
    }
  }
}

extension Array {
  /// The first index at which the predicate holds; it must not hold before one at which it does.
  func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
