import LogModel

/// The offsets that a partition claims for itself.
public struct Watermarks: Hashable, Sendable, Codable {
  public var logStartOffset: Offset
  public var highWatermark: Offset
  public var logEndOffset: Offset

  public init(logStartOffset: Offset, highWatermark: Offset, logEndOffset: Offset) {
    self.logStartOffset = logStartOffset
    self.highWatermark = highWatermark
    self.logEndOffset = logEndOffset
  }
}

/// How the consumption of a partition came to its end.
public enum ConsumptionEnd: Hashable, Sendable, Codable {
  /// At the high watermark, or, where the consumer reads on, at the log's end.
  case reached
  /// Asked again and again at this offset, below the claimed end, without progress.
  case stuck(at: Offset, emptyAnswers: Int)
  /// The engine answered with an error.
  case failed(at: Offset, String)
}

/// Damage that the engine itself reported; used for `damage-reported` only.
public struct ReportedDamage: Hashable, Sendable, Codable {
  public var partition: PartitionSlot
  /// Offsets that the engine says it does not serve; `to` may lie beyond the log's end where that is unknown.
  public var offsets: OffsetRange
  public var reason: String
  /// Operations of the history that had been submitted when it was given; nil where no later one has been. What is
  /// submitted later may get the offsets that recovery has cut off.
  public var operationsBefore: Int?
  /// The file that it names; nil where the caller does not pass that on.
  public var path: String?
  /// The bytes of that file that it names.
  public var bytes: Range<Int64>?
  /// The checksums that it names.
  public var mismatch: ChecksumMismatch?

  public init(
    partition: PartitionSlot, offsets: OffsetRange, reason: String, operationsBefore: Int? = nil,
    mismatch: ChecksumMismatch? = nil, path: String? = nil, bytes: Range<Int64>? = nil
  ) {
    self.partition = partition
    self.offsets = offsets
    self.reason = reason
    self.operationsBefore = operationsBefore
    self.mismatch = mismatch
    (self.path, self.bytes) = (path, bytes)
  }
}

/// A consumer group's committed offset as it was found.
public struct FoundCommit: Hashable, Sendable, Codable {
  public var group: String
  public var partition: PartitionSlot
  public var offset: Offset?
}

/// Messages served one after the other at rising offsets, with rising sequence numbers or all corrupt.
struct ServedRun: Hashable, Sendable, Codable {
  static let corrupt: Int64 = -1
  var offset: Int64
  /// Of the first; `corrupt` for a run of corrupt messages.
  var sequence: Int64
  var count: Int32
}

/// A list of served messages; one run for each stretch where offset and sequence rise together.
struct ServedRuns: Hashable, Sendable {
  var runs: [ServedRun] = []
  private(set) var count = 0
  /// The offset behind all runs but the last.
  private(set) var endBefore = Int64.min

  /// The offset behind everything so far.
  var reach: Int64 { max(endBefore, runs.last.map { $0.offset &+ Int64($0.count) } ?? .min) }

  /// - Returns: whether it began a run.
  @inline(__always) @discardableResult
  mutating func append(offset: Int64, sequence: Int64) -> Bool {
    count += 1
    let last = runs.count - 1
    if last >= 0 {
      let run = runs[last]
      let follows = run.sequence < 0 ? sequence < 0 : sequence == run.sequence &+ Int64(run.count)
      if follows && offset == run.offset &+ Int64(run.count) && run.count < .max {
        runs[last].count &+= 1
        return false
      }
      endBefore = max(endBefore, run.offset &+ Int64(run.count))
    }
    runs.append(ServedRun(offset: offset, sequence: sequence, count: 1))
    return true
  }
}

/// One partition in one readback.
struct PartitionReadback: Hashable, Sendable, Codable {
  struct Probe: Hashable, Sendable, Codable {
    var start: Int64
    /// Nil for an empty answer.
    var offset: Int64?
    var sequence: Int64
  }

  struct BackwardAnswer: Hashable, Sendable, Codable {
    var asked: Int64
    var served: Int64
  }

  /// An offset within one answer, and the one that was to follow.
  struct Jump: Hashable, Sendable, Codable {
    var expected: Int64
    var found: Int64
  }

  var before: Watermarks?
  var after: Watermarks?
  var served = ServedRuns()
  /// Messages served beyond `limit`, counted and not kept.
  var overflow = 0
  var limit: Int
  var end: ConsumptionEnd?
  /// Start offsets that answered with exactly that offset.
  var exactProbes = ServedRuns()
  /// All the others, the first `maximumProbes`.
  var otherProbes: [Probe] = []
  /// Start offsets that were asked for.
  var probes = 0
  /// What answers to them held, where consecutive, as far as it was compared.
  var answered = ServedRuns()
  /// The first record of such an answer that did not follow the one before it.
  var jump: Jump?
  /// The first message that came again within one answer of consumption.
  var repeated: Jump?
  var asked: Int64?
  /// The first answer that began below the offset that was asked for.
  var backward: BackwardAnswer?
  /// What fetches at offsets below the log start offset answered.
  var belowStart: [Probe] = []
  var keys = ObservedKeys()
  var times = BatchTimes()
  /// Why short messages that were served could be others than they are taken for; nil for none.
  var ambiguity: String?

  static let maximumProbes = 20_000

  init(limit: Int, attempted: Int = 0) {
    self.limit = limit
    times = BatchTimes(attempted: attempted)
  }
}

/// One readback of everything: what consumption, start-offset probes and claims gave, in one incarnation.
///
/// A readback is taken while no produce request is in flight. Its size follows from what was attempted: messages are
/// kept as runs, and recording stops at four times the attempted messages (plus 10 000).
public struct Observation: Hashable, Sendable, Codable {
  /// 0: live, before any crash; k: after the k-th restart.
  public var restart: Int { mark.crashes }
  /// What had happened when the readback began.
  public let mark: HistoryMark
  /// False until `Observer.finish()`: a readback that was cut off is no evidence of absence.
  public internal(set) var isFinished = false
  var partitions: [PartitionReadback]
  var registered: [TopicPartition]?
  var commits: [FoundCommit] = []
  var reported: [ReportedDamage] = []
  /// Partitions that nobody has asked for, of which the engine reported damage.
  var reportedOfNobody: [TopicPartition] = []

  /// What the engine has reported of a partition.
  public func reports(of partition: PartitionSlot) -> [ReportedDamage] { reported.filter { $0.partition == partition } }

  /// Intact messages that consumption was served at offsets behind `offset`.
  public func served(behind offset: Offset, of partition: PartitionSlot) -> Int {
    guard partitions.indices.contains(partition.index) else { return 0 }
    return partitions[partition.index].served.runs.reduce(0) { sum, run in
      run.sequence < 0 ? sum : sum + Int(max(0, run.offset + Int64(run.count) - max(run.offset, offset.rawValue + 1)))
    }
  }

  init(_ history: History) {
    mark = history.mark
    var attempted = [Int](repeating: 0, count: history.partitionCount)
    for operation in history.operations { attempted[operation.partition.index] += operation.count }
    partitions = attempted.map { PartitionReadback(limit: 4 * $0 + 10_000, attempted: $0) }
  }
}

/// Takes down one readback while it is made. Messages are compared with what they must be at once and not kept.
public struct Observer: Sendable {
  public internal(set) var observation: Observation
  let contents: [MessageContent]
  /// Nil where each message says itself which it is.
  var short: ShortMessages?
  let shape: MessageShape?

  /// Begins a readback: everything in `history` so far is what the readback is judged by.
  public init(_ history: History) {
    observation = Observation(history)
    let contents = history.creations.map {
      MessageContent(seed: history.seed, topic: $0.partition.topic, partition: $0.partition.partition)
    }
    self.contents = contents
    shape = history.shape
    short = ShortMessages(history, contents)
  }

  /// What a partition claims before it is consumed.
  public mutating func claimedBefore(_ partition: PartitionSlot, _ watermarks: Watermarks) {
    observation.partitions[partition.index].before = watermarks
  }

  /// What it claims afterwards.
  public mutating func claimedAfter(_ partition: PartitionSlot, _ watermarks: Watermarks) {
    observation.partitions[partition.index].after = watermarks
  }

  /// A fetch is made at `offset`; the next observed message is the beginning of its answer.
  public mutating func asked(_ partition: PartitionSlot, _ offset: Offset) {
    observation.partitions[partition.index].asked = offset.rawValue
  }

  /// A message as consumption served it, in the order served, from the log start offset on.
  @inline(__always)
  public mutating func observe(_ partition: PartitionSlot, _ offset: Offset, _ bytes: UnsafeRawBufferPointer) {
    record(partition.index, offset.rawValue, Self.sequence(contents[partition.index].read(bytes)))
  }

  /// The same, where the bytes have been compared already.
  @inline(__always)
  public mutating func observe(_ partition: PartitionSlot, _ offset: Offset, _ reading: MessageContent.Reading) {
    record(partition.index, offset.rawValue, Self.sequence(reading))
  }

  public mutating func ended(_ partition: PartitionSlot, _ end: ConsumptionEnd) {
    observation.partitions[partition.index].end = end
  }

  /// A fetch at `start` and the first message of its answer; nil for an empty answer.
  public mutating func probe(
    _ partition: PartitionSlot, start: Offset, first: (offset: Offset, bytes: UnsafeRawBufferPointer)?
  ) {
    if short != nil, let first {
      return probeShort(partition.index, start.rawValue, first.offset.rawValue, first.bytes)
    }
    probe(partition, start: start, reading: first.map { ($0.offset, contents[partition.index].read($0.bytes)) })
  }

  /// The same, where the bytes have been compared already.
  public mutating func probe(
    _ partition: PartitionSlot, start: Offset, reading first: (offset: Offset, reading: MessageContent.Reading)?
  ) {
    let sequence = first.map { Self.sequence($0.reading) } ?? ServedRun.corrupt
    probed(partition.index, start.rawValue, first?.offset.rawValue, sequence)
  }

  mutating func probed(_ p: Int, _ start: Int64, _ offset: Int64?, _ sequence: Int64) {
    let probe = PartitionReadback.Probe(start: start, offset: offset, sequence: sequence)
    let marks = observation.partitions[p].after ?? observation.partitions[p].before
    if let marks, start < marks.logStartOffset.rawValue {
      guard observation.partitions[p].belowStart.count < PartitionReadback.maximumProbes else { return }
      observation.partitions[p].belowStart.append(probe)
      return
    }
    observation.partitions[p].probes += 1
    if offset == start {
      observation.partitions[p].exactProbes.append(offset: start, sequence: sequence)
    } else if observation.partitions[p].otherProbes.count < PartitionReadback.maximumProbes {
      observation.partitions[p].otherProbes.append(probe)
    }
  }

  /// How far answers to probes of a partition have been compared: what stands before it need not be again.
  public func comparedEnd(of partition: PartitionSlot) -> Offset {
    Offset(max(observation.partitions[partition.index].answered.reach, short?.answeredEnd[partition.index] ?? 0, 0))
  }

  /// One more message of the answer to the last probe of a partition, in the order of the answer.
  /// - Parameters:
  ///   - expected: the offset that was to follow the one before it.
  ///   - reading: nil where its bytes have not been compared.
  public mutating func answered(
    _ partition: PartitionSlot, _ offset: Offset, expected: Offset, reading: MessageContent.Reading?
  ) {
    let p = partition.index
    noteJump(p, offset, expected: expected)
    if let reading, observation.partitions[p].answered.count < observation.partitions[p].limit {
      observation.partitions[p].answered.append(offset: offset.rawValue, sequence: Self.sequence(reading))
    }
  }

  /// The same, where nobody has compared the bytes.
  mutating func answered(_ partition: PartitionSlot, _ offset: Offset, expected: Offset, bytes: UnsafeRawBufferPointer?)
  {
    guard short != nil else {
      return answered(partition, offset, expected: expected, reading: bytes.map { read(partition, $0) })
    }
    noteJump(partition.index, offset, expected: expected)
    if let bytes { answeredShort(partition.index, offset.rawValue, bytes) }
  }

  private mutating func noteJump(_ p: Int, _ offset: Offset, expected: Offset) {
    guard offset != expected, observation.partitions[p].jump == nil else { return }
    observation.partitions[p].jump = PartitionReadback.Jump(expected: expected.rawValue, found: offset.rawValue)
  }

  /// The bytes of a message of a partition, compared with what was sent.
  func read(_ partition: PartitionSlot, _ bytes: UnsafeRawBufferPointer) -> MessageContent.Reading {
    contents[partition.index].read(bytes)
  }

  /// The topics and partitions that the engine lists.
  public mutating func registered(_ partitions: [TopicPartition]) { observation.registered = partitions }

  /// What the engine answers for a group's committed offset; nil where it knows none.
  public mutating func committed(group: String, _ partition: PartitionSlot, _ offset: Offset?) {
    observation.commits.append(FoundCommit(group: group, partition: partition, offset: offset))
  }

  /// From the engine's recovery report: damage only, not a torn tail that was cut.
  public mutating func reported(_ damage: ReportedDamage) { observation.reported.append(damage) }

  /// The same of a partition that nobody has asked for.
  public mutating func reportedOfNobody(_ partition: TopicPartition) {
    if !observation.reportedOfNobody.contains(partition) { observation.reportedOfNobody.append(partition) }
  }

  /// The readback is whole: from now on what is not in it was not there.
  public mutating func finish() -> Observation {
    settleShortMessages()
    observation.isFinished = true
    return observation
  }

  @inline(__always)
  static func sequence(_ reading: MessageContent.Reading) -> Int64 {
    switch reading {
    case .corrupt: ServedRun.corrupt
    case .intact(let sequence): Int64(clamping: sequence)
    }
  }

  @inline(__always)
  mutating func record(_ p: Int, _ offset: Int64, _ sequence: Int64) {
    record(p, offset, sequence, begins: noteBackward(p, offset))
  }

  /// - Parameter begins: whether it is the first message of an answer.
  @inline(__always)
  mutating func record(_ p: Int, _ offset: Int64, _ sequence: Int64, begins: Bool) {
    if observation.partitions[p].served.count < observation.partitions[p].limit {
      let isNew = observation.partitions[p].served.append(offset: offset, sequence: sequence)
      if isNew, !begins { noteRepeat(p, offset) }
    } else {
      observation.partitions[p].overflow += 1
    }
  }

  /// A message that does not follow the one before it, and begins no answer: it must not have been served before.
  private mutating func noteRepeat(_ p: Int, _ offset: Int64) {
    let end = observation.partitions[p].served.endBefore
    guard offset < end, observation.partitions[p].repeated == nil else { return }
    observation.partitions[p].repeated = PartitionReadback.Jump(expected: end, found: offset)
  }
}

/// Flat numbers, three to a run.
extension ServedRuns: Codable {
  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    while !container.isAtEnd {
      let run = ServedRun(
        offset: try container.decode(Int64.self), sequence: try container.decode(Int64.self),
        count: try container.decode(Int32.self))
      if let last = runs.last { endBefore = max(endBefore, last.offset &+ Int64(last.count)) }
      runs.append(run)
      count += Int(run.count)
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    for run in runs {
      try container.encode(run.offset)
      try container.encode(run.sequence)
      try container.encode(run.count)
    }
  }
}
