import LogModel

/// Tells messages apart that are too short to say which they are.
///
/// A message of 8 bytes or more is told by its bytes, for no two are alike. Of fewer bytes several are alike, and of
/// none all are: what stands at an offset is then the message that was acknowledged there, if its bytes fit, the latest
/// one where an offset was given twice. What stands elsewhere are messages of requests that nobody answered: a stretch
/// of them must be made of such requests, each whole and once; but a deletion may have cut the first one. Where
/// requests of other lengths would make the same stretch, nobody can know which it was, and the readback says so: what
/// follows from it is `unknown`, never `violated`.
struct ShortMessages: Sendable {
  struct Served: Sendable {
    var offset: Int64
    var sequence: Int64
    var bytes: [UInt8] = []
    var key: [UInt8]?
    /// The first of an answer.
    var begins = false
  }

  struct ShortProbe: Sendable {
    var start: Int64
    var offset: Int64
    var sequence: Int64
    var bytes: [UInt8]
  }

  /// Of a message that has yet to be told.
  static let untold: Int64 = -2
  /// Steps of the search for the requests of one stretch.
  private static let patience = 20_000

  private struct Request: Sendable {
    var base: Int64
    var first: Int64
    var count: Int64
    var outcome: Outcome
  }

  /// By partition, in the order of submission; and of those that were acknowledged by rising offsets, the latest first.
  private let requests: [[Request]]
  private let acknowledged: [[Request]]
  private let contents: [MessageContent]
  /// Partitions of which messages may have been deleted.
  private let isDeleted: [Bool]
  let shape: MessageShape
  var served: [[Served]]
  var probes: [[ShortProbe]]
  /// Messages of answers to them that no answer before had reached; they start where they stand.
  var answers: [[ShortProbe]]
  /// The offset behind them.
  var answeredEnd: [Int64]

  init?(_ history: History, _ contents: [MessageContent]) {
    guard let shape = history.shape, shape.isShort else { return nil }
    self.shape = shape
    self.contents = contents
    var requests = contents.map { _ in [Request]() }
    for operation in history.operations where requests.indices.contains(operation.partition.index) {
      requests[operation.partition.index].append(
        Request(
          base: operation.outcome == .acknowledged ? operation.baseOffset?.rawValue ?? -1 : -1,
          first: Int64(operation.firstSequence), count: Int64(operation.count), outcome: operation.outcome))
    }
    self.requests = requests
    isDeleted = contents.indices.map { p in
      history.trims.contains { $0.partition.index == p && $0.outcome != .failed }
    }
    acknowledged = requests.map { own in
      own.enumerated().filter { $0.element.base >= 0 }.sorted {
        ($0.element.base, $1.offset) < ($1.element.base, $0.offset)
      }.map(\.element)
    }
    served = contents.map { _ in [] }
    probes = contents.map { _ in [] }
    answers = contents.map { _ in [] }
    answeredEnd = contents.map { _ in 0 }
  }

  /// The message that was acknowledged at `offset`, if these are its bytes; else `untold`.
  func told(_ p: Int, at offset: Int64, _ bytes: UnsafeRawBufferPointer) -> Int64 {
    guard bytes.count == shape.valueBytes else { return ServedRun.corrupt }
    let own = acknowledged[p]
    // Behind the last one that begins at or before it; one that was overwritten in part may begin before a later one.
    var (low, high) = (0, own.count)
    while low < high {
      let middle = (low + high) / 2
      if own[middle].base <= offset { low = middle + 1 } else { high = middle }
    }
    var at = low - 1
    var left = 64
    while at >= 0, left > 0 {
      // Of those with one base the latest comes first.
      var first = at
      while first > 0, own[first - 1].base == own[at].base { first -= 1 }
      for request in own[first...at] where offset < request.base + request.count {
        let sequence = request.first + offset - request.base
        if contents[p].holds(UInt64(sequence), bytes) { return sequence }
      }
      left -= at - first + 1
      at = first - 1
    }
    return Self.untold
  }

  /// Tells the messages of partition `p` that are still untold.
  /// - Returns: why that could be otherwise; nil where it could not.
  mutating func tellAll(_ p: Int) -> String? {
    let open = served[p].indices.filter { served[p][$0].sequence == Self.untold }
    let isProbeOpen = [probes[p], answers[p]].contains { $0.contains { $0.sequence == Self.untold } }
    guard !open.isEmpty || isProbeOpen else { return nil }
    var alike: [[UInt8]: [Int64]] = [:]
    var bytes = [UInt8](repeating: 0, count: shape.valueBytes)
    for request in requests[p] {
      for sequence in request.first..<request.first + request.count {
        bytes.withUnsafeMutableBytes { contents[p].write(sequence: UInt64(sequence), into: $0) }
        alike[bytes, default: []].append(sequence)
      }
    }
    var taken = Set(served[p].lazy.map(\.sequence))
    var doubt: String?
    var at = 0
    while at < open.count {
      var end = at + 1
      while end < open.count, open[end] == open[end - 1] + 1,
        served[p][open[end]].offset == served[p][open[end - 1]].offset + 1
      { end += 1 }
      let stretch = Array(open[at..<end])
      let choices = stretch.map { alike[served[p][$0].bytes] ?? [] }
      var told = choices.map { $0.count == 1 ? $0[0] : $0.isEmpty ? ServedRun.corrupt : Self.untold }
      if told.contains(Self.untold) {
        let (found, other) = explain(p, choices.map(Set.init), taken, isAtStart: stretch[0] == 0)
        if let other {
          doubt = doubt ?? "\(stretch.count) messages from offset \(served[p][stretch[0]].offset) on \(other)"
        }
        if let found { told = found } else { told = guess(choices, taken, told) }
      }
      for (index, sequence) in zip(stretch, told) {
        served[p][index].sequence = sequence
        taken.insert(sequence)
      }
      at = end
    }
    let standing = Dictionary(served[p].map { ($0.offset, $0.sequence) }) { first, _ in first }
    Self.tell(&probes[p], standing, alike)
    Self.tell(&answers[p], standing, alike)
    return doubt
  }

  /// What consumption had there, where the bytes fit.
  private static func tell(_ probes: inout [ShortProbe], _ standing: [Int64: Int64], _ alike: [[UInt8]: [Int64]]) {
    for index in probes.indices where probes[index].sequence == untold {
      let choices = alike[probes[index].bytes] ?? []
      let consumed = standing[probes[index].offset]
      probes[index].sequence =
        consumed.flatMap { choices.contains($0) ? $0 : nil } ?? choices.first ?? ServedRun.corrupt
    }
  }

  /// The requests without an answer that make up a stretch.
  /// - Parameter isAtStart: nothing was served before it.
  /// - Returns: the messages, nil where nothing explains them; and why they could be others.
  private func explain(
    _ p: Int, _ choices: [Set<Int64>], _ taken: Set<Int64>, isAtStart: Bool
  ) -> (found: [Int64]?, other: String?) {
    let free = requests[p].filter { $0.outcome == .indeterminate && !taken.contains($0.first) }
    var search = StretchSearch(choices: choices, requests: free.map { ($0.first, $0.count) }, left: Self.patience)
    search.run()
    if search.found == nil, isDeleted[p], isAtStart {
      search.run(cuttingFirst: true)
      if let found = search.found {
        return (found, "may be those of other requests, as a deletion has cut one of them")
      }
    }
    if search.left <= 0 { return (search.found, "fit too many requests to be told apart") }
    if search.isAmbiguous { return (search.found, "may be those of requests of other lengths") }
    // A readback before the deletion had more of them to place, and may have placed these elsewhere.
    if isDeleted[p], let found = search.found, free.reduce(0, { $0 + $1.count }) > found.count {
      return (found, "may be those of other requests, as messages before them were deleted")
    }
    return (search.found, nil)
  }

  /// For what no engine that keeps its promises serves: each message that is not taken yet, once.
  private func guess(_ choices: [[Int64]], _ taken: Set<Int64>, _ told: [Int64]) -> [Int64] {
    var taken = taken
    return zip(choices, told).map { choices, told in
      if told != Self.untold { return told }
      let sequence = choices.first { !taken.contains($0) } ?? choices[0]
      taken.insert(sequence)
      return sequence
    }
  }
}

/// Looks for requests, each whole and once, that one behind the other make a stretch of messages.
private struct StretchSearch {
  let choices: [Set<Int64>]
  let requests: [(first: Int64, count: Int64)]
  /// Steps.
  var left: Int
  private(set) var found: [Int64]?
  private var counts: [Int64] = []
  private(set) var isAmbiguous = false
  private var used: [Bool] = []
  private var path: [Int] = []

  init(choices: [Set<Int64>], requests: [(first: Int64, count: Int64)], left: Int) {
    (self.choices, self.requests, self.left) = (choices, requests, left)
    used = requests.map { _ in false }
  }

  mutating func run() { step(0) }

  /// - Parameter cuttingFirst: the first of them is there without its beginning.
  mutating func run(cuttingFirst: Bool) {
    for index in requests.indices where cuttingFirst && requests[index].count > 1 {
      let (first, count) = requests[index]
      for lost in 1..<count where Int(count - lost) <= choices.count {
        guard found == nil, (lost..<count).allSatisfy({ choices[Int($0 - lost)].contains(first + $0) }) else {
          continue
        }
        used[index] = true
        step(Int(count - lost))
        used[index] = false
        if let rest = found { found = Array(first + lost..<first + count) + rest }
      }
    }
  }

  private mutating func step(_ at: Int) {
    if isAmbiguous || left <= 0 { return }
    left -= 1
    if at == choices.count { return note() }
    // Requests of one length that fit here are alike: which of them it is makes no difference.
    var tried: Set<Int64> = []
    for index in requests.indices where !used[index] && at + Int(requests[index].count) <= choices.count {
      let (first, count) = requests[index]
      guard !tried.contains(count), (0..<count).allSatisfy({ choices[at + Int($0)].contains(first + $0) }) else {
        continue
      }
      tried.insert(count)
      used[index] = true
      path.append(index)
      step(at + Int(count))
      path.removeLast()
      used[index] = false
    }
  }

  private mutating func note() {
    let lengths = path.map { requests[$0].count }
    if found == nil {
      counts = lengths
      found = path.flatMap { requests[$0].first..<requests[$0].first + requests[$0].count }
    } else if lengths != counts {
      isAmbiguous = true
    }
  }
}

extension Observer {
  /// A message as consumption served it, with its key; nil for a message without one.
  @inline(__always)
  public mutating func observe(
    _ partition: PartitionSlot, _ offset: Offset, _ bytes: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer?
  ) {
    guard let shape, shape.keys != .none || key != nil || short != nil else { return observe(partition, offset, bytes) }
    let p = partition.index
    guard short != nil else {
      let sequence = Self.sequence(contents[p].read(bytes))
      record(p, offset.rawValue, sequence)
      return judge(key, p, offset.rawValue, sequence, shape.keys)
    }
    note(p, offset.rawValue, bytes, key, shape.keys)
  }

  private mutating func note(
    _ p: Int, _ offset: Int64, _ bytes: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer?, _ keys: MessageKeys
  ) {
    guard let told = short?.told(p, at: offset, bytes) else { return }
    let begins = noteBackward(p, offset)
    guard short?.served[p].count ?? 0 < observation.partitions[p].limit else {
      observation.partitions[p].overflow += 1
      return
    }
    var served = ShortMessages.Served(offset: offset, sequence: told, begins: begins)
    if told == ShortMessages.untold {
      served.bytes = Array(bytes)
      served.key = key.map { Array($0) }
    } else {
      judge(key, p, offset, told, keys)
    }
    short?.served[p].append(served)
  }

  /// A fetch at `start` that was answered with a short message.
  mutating func probeShort(_ p: Int, _ start: Int64, _ offset: Int64, _ bytes: UnsafeRawBufferPointer) {
    guard let told = short?.told(p, at: offset, bytes) else { return }
    short?.probes[p].append(ShortMessages.ShortProbe(start: start, offset: offset, sequence: told, bytes: Array(bytes)))
  }

  /// One more message of the answer to a fetch from a start offset.
  mutating func answeredShort(_ p: Int, _ offset: Int64, _ bytes: UnsafeRawBufferPointer) {
    guard let told = short?.told(p, at: offset, bytes), short?.answers[p].count ?? 0 < observation.partitions[p].limit
    else { return }
    let kept = told == ShortMessages.untold ? Array(bytes) : []
    short?.answers[p].append(ShortMessages.ShortProbe(start: offset, offset: offset, sequence: told, bytes: kept))
    let end = short?.answeredEnd[p] ?? 0
    short?.answeredEnd[p] = max(end, offset &+ 1)
  }

  /// Everything that was served is known now.
  mutating func settleShortMessages() {
    guard var short = self.short else { return }
    let keys = short.shape.keys
    for p in short.served.indices {
      let untold = short.served[p].indices.filter { short.served[p][$0].sequence == ShortMessages.untold }
      observation.partitions[p].ambiguity = short.tellAll(p)
      for index in untold {
        let served = short.served[p][index]
        if let key = served.key {
          key.withUnsafeBytes { judge($0, p, served.offset, served.sequence, keys) }
        } else {
          judge(nil, p, served.offset, served.sequence, keys)
        }
      }
      for served in short.served[p] { record(p, served.offset, served.sequence, begins: served.begins) }
      for probe in short.probes[p] { probed(p, probe.start, probe.offset, probe.sequence) }
      for answer in short.answers[p] {
        observation.partitions[p].answered.append(offset: answer.offset, sequence: answer.sequence)
      }
    }
    self.short = nil
  }

  private mutating func judge(
    _ key: UnsafeRawBufferPointer?, _ p: Int, _ offset: Int64, _ sequence: Int64, _ keys: MessageKeys
  ) {
    guard sequence >= 0 else { return }
    observation.partitions[p].keys.seen += 1
    let expected = contents[p].keySize(keys, of: UInt64(sequence))
    if expected == key?.count {
      guard let key, !key.isEmpty, let bytes = contents[p].key(keys, of: UInt64(sequence)), !key.elementsEqual(bytes)
      else { return }
    }
    observation.partitions[p].keys.note(
      WrongKey(offset: offset, sequence: sequence, expected: expected, found: key?.count))
  }
}
