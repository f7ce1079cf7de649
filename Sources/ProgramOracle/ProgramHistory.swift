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
  /// A value that no other append has.
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
  package fileprivate(set) var ended: Int
  /// Crashes before it was sent.
  fileprivate(set) var life: Int

  package init(
    _ call: ProgramCall, submitted: Int, answered: Int?, answeredTime: Int64 = 0, outcome: ProgramOutcome
  ) {
    (self.call, self.submitted, self.answered) = (call, submitted, answered)
    (self.answeredTime, self.outcome) = (answeredTime, outcome)
    (ended, life) = (.max, 0)
  }

  /// The last place at which it may have happened, as far as is known at a place.
  fileprivate func end(at place: Int) -> Int {
    if let answered, answered < place, case .acknowledged = outcome { return answered }
    return min(ended, place) - 1
  }
}

/// Everything that the callers of a program asked, and what they were told.
package struct ProgramHistory: Sendable {
  fileprivate struct Crash: Sendable {
    var place: Int
    /// Nanoseconds; not later than it was.
    var time: Int64
  }

  /// What a complete reading showed.
  fileprivate struct Reading: Sendable {
    var place: Int
    /// Crashes before it.
    var life: Int
    /// Indices of requests whose effect is gone for good.
    var gone: Set<Int> = []
    /// Indices of appends that are there.
    var there: Set<Int> = []
  }

  /// In the order in which they were sent.
  package private(set) var requests: [ProgramRequest] = []
  fileprivate private(set) var crashes: [Crash] = []
  fileprivate private(set) var readings: [Reading] = []
  /// Answers that are more than "unknown", in their order: the place, and the latest time of any until then.
  private var answers: [(place: Int, time: Int64)] = []

  package init() {}

  /// Adds a request. Requests, crashes and readings are added in the order in which they began. Each append has a value
  /// that no other has.
  package mutating func add(_ request: ProgramRequest) {
    var request = request
    request.life = crashes.count
    requests.append(request)
    guard let answered = request.answered, request.outcome != .unknown else { return }
    let index = answers.partitioningIndex { $0.place > answered }
    let time = max(request.answeredTime, index > 0 ? answers[index - 1].time : .min)
    answers.insert((answered, time), at: index)
    for later in answers.indices[(index + 1)...] { answers[later].time = max(answers[later].time, time) }
  }

  /// The program was killed, or the power went: what has no answer yet has happened by now, or never will.
  /// - Parameter time: as `ProgramRequest.answeredTime`; nil for that of the last answer before it.
  package mutating func crash(at place: Int, time: Int64? = nil) {
    for index in requests.indices where requests[index].ended == .max { requests[index].ended = place }
    crashes.append(Crash(place: place, time: time ?? lastAnswer(before: place)))
  }

  /// Everything was read after a crash. What is not there is gone for good: it must not come later. What is there is
  /// promised no more than before: a reading is no acknowledgement.
  /// - Parameters:
  ///   - place: of the reading; nil for that of the last crash.
  ///   - inOrder: with a write that is lost all are lost that were sent after it; see `ProgramAllowance.holeLoss`.
  package mutating func settle(_ readback: ProgramReadback, at place: Int? = nil, inOrder: Bool = true) {
    guard readback.failure == nil, let place = place ?? crashes.last?.place else { return }
    var reading = Reading(place: place, life: crashes.count)
    let values = readback.logs.mapValues { Set($0.map(\.value)) }
    let writers = writers()
    for (index, request) in requests.enumerated() where request.outcome != .failed && request.life < crashes.count {
      switch request.call {
      case .append(let log, let value):
        if values[log, default: []].contains(value) { reading.there.insert(index) } else { reading.gone.insert(index) }
      case .write(let writes):
        if writes.contains(where: { isGone($0, of: request, readback.map, writers) }) { reading.gone.insert(index) }
      case .take, .flush: break
      }
    }
    // With an acknowledged write all are lost that were sent after it, up to that crash.
    var firstLost = [Int](repeating: .max, count: crashes.count)
    for index in reading.gone where inOrder {
      guard case .write = requests[index].call, case .acknowledged = requests[index].outcome else { continue }
      firstLost[requests[index].life] = min(firstLost[requests[index].life], requests[index].end(at: .max))
    }
    for (index, request) in requests.enumerated() where request.life < crashes.count && request.outcome != .failed {
      if case .write = request.call, request.submitted > firstLost[request.life] { reading.gone.insert(index) }
    }
    readings.append(reading)
    guard readback.isDrained else { return }
    for (log, items) in readback.logs.sorted(by: { $0.key < $1.key }) {
      for item in items {
        add(
          ProgramRequest(
            .take(log: log), submitted: place, answered: place, answeredTime: lastAnswer(before: .max),
            outcome: .acknowledged(taken: item.value)))
      }
    }
  }

  /// Who last wrote which value to which key: indices of requests.
  func writers() -> [MapWrite: [Int]] {
    var writers: [MapWrite: [Int]] = [:]
    for (index, request) in requests.enumerated() where request.outcome != .failed {
      guard case .write(let writes) = request.call else { continue }
      for write in writes.lastOfEachKey { writers[write, default: []].append(index) }
    }
    return writers
  }

  /// Whether a key holds what only an earlier write, or none, can have left there.
  func isGone(
    _ write: MapWrite, of request: ProgramRequest, _ map: [String: String], _ writers: [MapWrite: [Int]]
  ) -> Bool {
    !writers[MapWrite(write.key, map[write.key]), default: []].contains {
      requests[$0].end(at: .max) >= request.submitted
    }
  }

  /// The time of the last answer before a place, nanoseconds; 0 before the first.
  fileprivate func lastAnswer(before place: Int) -> Int64 {
    let told = answers.partitioningIndex { $0.place >= place }
    return told > 0 ? answers[told - 1].time : 0
  }

  /// What the callers knew when so much had happened: what stands at `place` or after it had not.
  /// - Parameter time: of the cut, as `ProgramRequest.answeredTime`; nil for that of the last answer before it.
  package func cut(at place: Int, time: Int64? = nil) -> CutHistory {
    CutHistory(self, at: place, time: time ?? lastAnswer(before: place))
  }

  /// The history as it was at a place. What was answered there or later has no answer.
  package func before(_ place: Int) -> ProgramHistory {
    var own = self
    own.requests = requests.prefix { $0.submitted < place }.map { request in
      var request = request
      if request.answered ?? .max >= place { (request.answered, request.outcome) = (nil, .unknown) }
      if request.ended >= place { request.ended = .max }
      return request
    }
    own.answers = answers.filter { $0.place < place }
    own.crashes = crashes.filter { $0.place < place }
    own.readings = readings.filter { $0.place < place }
    return own
  }

  /// Equal for two cuts only where callers sent nothing and were told nothing between them, nothing was read, the
  /// program did not crash, and no answer got old enough to be promised.
  /// - Parameter time: of the cut, as in `cut`.
  package func knowledge(at place: Int, time: Int64? = nil, _ promise: ProgramPromise) -> UInt64 {
    let sent = requests.partitioningIndex { $0.submitted >= place }
    let told = answers.partitioningIndex { $0.place >= place }
    var hash = mix64(UInt64(sent) << 32 | UInt64(told))
    let began = crashes.count { $0.place < place } << 32 | readings.count { $0.place < place }
    if began > 0 { hash = mix64(hash ^ UInt64(began)) }
    if case .interval(let duration) = promise {
      let limit = (time ?? lastAnswer(before: place)) - duration.inNanoseconds
      hash = mix64(hash ^ UInt64(answers[..<told].partitioningIndex { $0.time > limit }))
    }
    return hash
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
    /// Crashes before it was sent.
    var life: Int
    /// The life in which it was last known to be there.
    var seen: Int
    /// A reading after a crash did not show it.
    var isGone: Bool
  }

  /// Requests that had been sent, without those that are known never to have happened.
  package private(set) var entries: [Entry] = []
  /// Values that were refused for certain.
  private(set) var refused: Set<String> = []
  /// Values that a complete reading after a crash did not have: they must not come later.
  private(set) var settledAbsent: Set<String> = []
  /// For each life, where the last flush was sent that is acknowledged; -1 without one.
  private var flushed: [Int]
  /// For each life, the time of its end, nanoseconds.
  private let times: [Int64]

  /// Crashes, with that at the end.
  var lives: Int { times.count }

  init(_ history: ProgramHistory, at place: Int, time: Int64) {
    let crashes = history.crashes.prefix { $0.place < place }
    times = crashes.map(\.time) + [time]
    flushed = [Int](repeating: -1, count: times.count)
    let readings = history.readings.prefix { $0.place < place }
    entries.reserveCapacity(history.requests.count)
    for (index, request) in history.requests.enumerated() where request.submitted < place {
      let isTold = (request.answered ?? .max) < place
      if isTold, request.outcome == .failed {
        refused.formUnion(request.call.values)
        continue
      }
      var isAcknowledged = false
      if isTold, case .acknowledged = request.outcome { isAcknowledged = true }
      let life = min(request.life, crashes.count)
      if case .flush = request.call {
        if isAcknowledged { flushed[life] = max(flushed[life], request.submitted) }
        continue
      }
      entries.append(
        Entry(
          request: request, isAcknowledged: isAcknowledged, isRequired: isAcknowledged, end: request.end(at: place),
          life: life, seen: readings.last { $0.there.contains(index) }?.life ?? life,
          isGone: readings.contains { $0.gone.contains(index) }))
    }
  }

  /// Marks what must have survived under a contract, and leaves out what is gone and may be.
  mutating func require(_ contract: ProgramContract) {
    for index in entries.indices where entries[index].isAcknowledged {
      entries[index].isRequired = isRequired(entries[index], contract)
      // What may be lost by itself is there or not, as if nobody had been told.
      if contract.allowances.contains(.holeLoss), !entries[index].isRequired, !entries[index].request.call.isTake {
        entries[index].isAcknowledged = false
      }
    }
    guard entries.contains(where: \.isGone) else { return }
    let mayComeAgain = contract.allowances.contains(.redelivery)
    let takes = entries.filter { if case .take = $0.request.call { true } else { false } }
    entries.removeAll { entry in
      guard entry.isGone, !entry.isRequired else { return false }
      // What was taken may come again: it is not gone for good.
      if mayComeAgain, takes.contains(where: { $0.mayHaveTaken(entry.value) }) { return false }
      settledAbsent.formUnion(entry.request.call.values)
      return true
    }
  }

  private func isRequired(_ entry: Entry, _ contract: ProgramContract) -> Bool {
    if contract.promise == .nothing { return false }
    if contract.allowances.isDisjoint(with: [.suffixLoss, .holeLoss]) {
      if contract.promise == .acknowledged { return true }
      if case .interval(let duration) = contract.promise,
        entry.request.answeredTime <= times[entry.seen] - duration.inNanoseconds
      {
        return true
      }
    }
    // What was there after a crash, and was flushed then, is covered too.
    return flushed[entry.life...entry.seen].contains { entry.request.answered! < $0 }
  }
}

extension Duration {
  fileprivate var inNanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}

extension ProgramCall {
  var isTake: Bool { if case .take = self { true } else { false } }

  /// What it would write.
  var values: [String] {
    switch self {
    case .append(_, let value): [value]
    case .write(let writes): writes.compactMap(\.value)
    case .take, .flush: []
    }
  }
}

extension Array<MapWrite> {
  /// What a group of writes leaves: of two writes to one key the last.
  var lastOfEachKey: [MapWrite] {
    if count < 2 { return self }
    return indices.filter { index in !self[(index + 1)...].contains { $0.key == self[index].key } }.map { self[$0] }
  }
}

extension RandomAccessCollection where Index == Int {
  /// The first index at which the predicate holds; it must not hold before one at which it does.
  func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
