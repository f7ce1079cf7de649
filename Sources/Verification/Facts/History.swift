import LogModel

/// The number of a partition in a `History`, dense from 0: partitions of several topics side by side.
public struct PartitionSlot: Hashable, Comparable, Sendable, Codable {
  public var index: Int
  @inlinable public init(_ index: Int) { self.index = index }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.index < b.index }
}

/// What a caller knows of a request.
public enum Outcome: UInt8, Hashable, Sendable, Codable {
  /// Answered with success.
  case acknowledged
  /// Refused for certain: it never happened.
  case failed
  /// An error, a time-out, or no answer before the crash: it may have happened, wholly or not at all.
  case indeterminate
}

/// One produce request: one batch, atomic.
public struct Operation: Hashable, Sendable {
  public var partition: PartitionSlot
  /// The sender, from 0; the order that is judged is the order of submission of one producer in one partition.
  public var producer: Int
  /// The first message's number in the partition's workload. Numbers of a partition are used once, from 0 up, by
  /// all its producers together: a retry sends new numbers.
  public var firstSequence: Int
  /// Messages, at least 1.
  public var count: Int
  public var outcome: Outcome
  /// The offset that the acknowledgement named for the first message.
  public var baseOffset: Offset?
  public var submittedAt: Instant
  public var answeredAt: Instant?
  /// 0 before the first crash, 1 between the first and the second ...
  public var incarnation: Int
}

/// The end of an incarnation.
public struct Crash: Hashable, Sendable, Codable {
  /// `none` is an orderly close.
  public var kind: CrashKind
  /// Not before the last answer that the incarnation gave.
  public var instant: Instant
  /// The longest that the device alone kept one operation of the incarnation from completing; see Contract.swift,
  /// note 5.
  public var deviceDelay = Duration.zero
  /// The slowest operations of the incarnation; nil where only the longest time is known, which then counts for all of
  /// it.
  public var slowOperations: [SlowOperation]?
}

/// What a fault itself destroyed, by its receipt.
public struct Damage: Hashable, Sendable, Codable {
  public var partition: PartitionSlot
  /// `bit-flip`, `zeroed-sector` ...
  public var kind: String
  /// The offsets of messages of whose bytes it touched any. Empty: it touched none. Nil: not known, which makes
  /// a loss in the partition `unknown`.
  public var touched: [OffsetRange]?
  /// Operations of the history of whose messages it touched any, and of which nobody was told an offset: they may have
  /// taken offsets all the same.
  public var unplaced: [Int]
  public var description: String
  /// False where no engine could notice, a sync that lies for one: then no report is owed.
  public var isDetectable: Bool
  /// It happened to a running engine, at the storage interface, and not to files at rest: what the engine appends
  /// afterwards in that life stands behind it.
  public var isInLife: Bool
  /// False where what was touched is perhaps gone: a failed sync leaves it to the next power loss, if nobody writes it
  /// again.
  public var isCertain: Bool
  /// A sync failed, and the engine was told so: what that was to make durable is perhaps gone.
  public var isFailedSync: Bool
  /// Where it destroyed messages, as far as the harness knows; `damage-reported` demands that a report names the place.
  public var places: [DamagedPlace] = []
  /// Operations that had been submitted when it happened: later ones are not excused.
  public internal(set) var operationsBefore = 0
  /// Crashes, orderly closes among them, that had happened by then.
  public internal(set) var crashesBefore = 0

  public init(
    partition: PartitionSlot, kind: String, touched: [OffsetRange]?, unplaced: [Int] = [], description: String,
    isDetectable: Bool = true, isInLife: Bool = false, isCertain: Bool = true, isFailedSync: Bool = false,
    places: [DamagedPlace] = []
  ) {
    self.partition = partition
    self.kind = kind
    self.touched = touched
    self.unplaced = unplaced
    self.description = description
    self.isDetectable = isDetectable
    self.isInLife = isInLife
    self.isCertain = isCertain
    self.isFailedSync = isFailedSync
    self.places = places
  }
}

/// A topic's partition that was asked for.
public struct Creation: Hashable, Sendable, Codable {
  public var partition: TopicPartition
  public var outcome: Outcome
  /// Nil where nobody said: then it may have been asked for at any time of its incarnation.
  public var submittedAt: Instant?
  public var answeredAt: Instant
  public var incarnation: Int
  /// Incarnations in which it was asked for once more, without anybody having written down the answer.
  public internal(set) var repeatedIn: [Int] = []
}

/// An engine that was asked to close.
public struct Closing: Hashable, Sendable, Codable {
  /// Refused, it has not closed in order: what the crash that follows is, the recorder says.
  public var outcome: Outcome
  public var submittedAt: Instant
  public var answeredAt: Instant
  public var incarnation: Int
}

/// An offset that a consumer group committed.
public struct OffsetCommit: Hashable, Sendable, Codable {
  public var group: String
  public var partition: PartitionSlot
  public var offset: Offset
  public var outcome: Outcome
  public var answeredAt: Instant
  public var incarnation: Int
  /// Operations that had been submitted when it was asked for: none of the later ones lies before its offset.
  public var operationsBefore: Int
}

/// The engine's word that everything before an offset is in the object store: a promise, like an acknowledgement.
public struct Archival: Hashable, Sendable, Codable {
  public var partition: PartitionSlot
  /// Exclusive.
  public var end: Offset
  public var incarnation: Int
}

/// An object that a fault has stored in part. It excuses no loss: an engine relies on an object that it has read back
/// only.
public struct TornObject: Hashable, Sendable, Codable {
  public var partition: PartitionSlot
  /// The offsets of its messages.
  public var offsets: OffsetRange
}

/// An engine that was asked to bring everything that is acknowledged to the object store.
public struct Flush: Hashable, Sendable, Codable {
  public var outcome: Outcome
  /// The error that it answered; nil for none, and where nobody passes it on.
  public var reason: String?
  public var answeredAt: Instant
  public var incarnation: Int
}

/// Every call of a trial and its answer, in the order of submission; what the oracle judges from.
///
/// Record in the order of events: what stands before a readback's beginning is what the readback is judged by.
public struct History: Sendable {
  /// The seed of message contents.
  public let seed: UInt64
  /// Nil where nobody said: then a message says itself which it is, and nothing is known of its key.
  public let shape: MessageShape?
  public private(set) var operations: [Operation] = []
  public private(set) var crashes: [Crash] = []
  public private(set) var damages: [Damage] = []
  public private(set) var creations: [Creation] = []
  public private(set) var commits: [OffsetCommit] = []
  public private(set) var trims: [Trim] = []
  public private(set) var closings: [Closing] = []
  public private(set) var archivals: [Archival] = []
  public private(set) var flushes: [Flush] = []
  /// What consumers were answered while messages were sent.
  public private(set) var readings: [ConsumerReading] = []
  /// When the engine of each incarnation was ready; nil where nobody said.
  public private(set) var openings: [Instant?] = []
  /// Openings that answered with an error: nobody saw the reports of their recoveries.
  public private(set) var failedOpenings: [FailedOpening] = []
  /// Where the log of every partition begins: the offsets before it were given, and what had them was deleted, before
  /// this history began. They are given to nothing else.
  public var firstOffset: Offset = 0
  public private(set) var tornObjects: [TornObject] = []

  public struct FailedOpening: Hashable, Sendable, Codable {
    public var incarnation: Int
    /// How many damages had been recorded by then.
    public var damages: Int
  }

  /// Messages below `before` were to be deleted: they may be gone, unless it was refused for certain, and once it was
  /// acknowledged they are, for ever.
  public struct Trim: Hashable, Sendable, Codable {
    public var partition: PartitionSlot
    public var before: Offset
    public internal(set) var outcome = Outcome.indeterminate
    public internal(set) var incarnation = 0
  }

  public init(seed: UInt64, shape: MessageShape? = nil) {
    self.seed = seed
    self.shape = shape
  }

  /// Crashes so far: the incarnation that runs.
  public var incarnation: Int { crashes.count }
  public var partitionCount: Int { creations.count }

  /// Records that a partition was asked for; every partition once, before its first use.
  @discardableResult
  public mutating func create(
    _ partition: TopicPartition, _ outcome: Outcome = .acknowledged, submittedAt: Instant? = nil, at instant: Instant
  ) -> PartitionSlot {
    precondition(!creations.contains { $0.partition == partition }, "\(partition) is recorded twice")
    creations.append(
      Creation(
        partition: partition, outcome: outcome, submittedAt: submittedAt, answeredAt: instant, incarnation: incarnation)
    )
    return PartitionSlot(creations.count - 1)
  }

  /// Records that a partition was asked for once more: it may be there from now on, whatever was found before.
  public mutating func createAgain(_ partition: PartitionSlot) {
    creations[partition.index].repeatedIn.append(incarnation)
  }

  public mutating func reserveOperations(_ count: Int) { operations.reserveCapacity(count) }

  /// Records a produce request before it is sent; indeterminate until it is answered. Returns its number.
  @discardableResult
  public mutating func submit(
    _ partition: PartitionSlot, producer: Int = 0, firstSequence: Int, count: Int, at instant: Instant
  ) -> Int {
    precondition(count > 0 && firstSequence >= 0 && producer >= 0 && partition.index < creations.count)
    operations.append(
      Operation(
        partition: partition, producer: producer, firstSequence: firstSequence, count: count,
        outcome: .indeterminate, submittedAt: instant, incarnation: incarnation))
    return operations.count - 1
  }

  public mutating func acknowledge(_ operation: Int, baseOffset: Offset, at instant: Instant) {
    operations[operation].outcome = .acknowledged
    operations[operation].baseOffset = baseOffset
    operations[operation].answeredAt = instant
  }

  /// `certainly`: the request never happened. Otherwise it stays indeterminate.
  public mutating func fail(_ operation: Int, certainly: Bool, at instant: Instant) {
    operations[operation].outcome = certainly ? .failed : .indeterminate
    operations[operation].answeredAt = instant
  }

  /// The engine of the running incarnation is ready: recovery is over.
  public mutating func opened(at instant: Instant) {
    while openings.count <= incarnation { openings.append(nil) }
    openings[incarnation] = instant
  }

  /// The engine of the running incarnation refused to open. It may try again.
  public mutating func openingFailed() {
    failedOpenings.append(FailedOpening(incarnation: incarnation, damages: damages.count))
  }

  /// Ends the running incarnation.
  public mutating func crash(
    _ kind: CrashKind, at instant: Instant, deviceDelay: Duration = .zero, slowOperations: [SlowOperation]? = nil
  ) {
    crashes.append(Crash(kind: kind, instant: instant, deviceDelay: deviceDelay, slowOperations: slowOperations))
  }

  /// Records what a fault destroyed, when it did: at rest, that is after the crash and before the next readback.
  ///
  /// What was in the object store by then is not lost by it: see the note on archived messages in Contract.swift.
  public mutating func damage(_ damage: Damage) {
    var damage = damage
    let archived = OffsetRange(from: 0, to: archivedEnd(of: damage.partition))
    if !archived.isEmpty {
      damage.touched = damage.touched.map { OffsetRange.subtracting([archived], from: OffsetRange.union($0)) }
    }
    damage.operationsBefore = operations.count
    damage.crashesBefore = crashes.count
    damages.append(damage)
  }

  /// - Parameter operationsBefore: that had been submitted when it was asked for; nil for all so far.
  public mutating func commit(
    group: String, _ partition: PartitionSlot, offset: Offset, _ outcome: Outcome, at instant: Instant,
    operationsBefore: Int? = nil
  ) {
    commits.append(
      OffsetCommit(
        group: group, partition: partition, offset: offset, outcome: outcome, answeredAt: instant,
        incarnation: incarnation, operationsBefore: operationsBefore ?? operations.count))
  }

  /// Records what the running incarnation's engine answered when it was asked to close.
  public mutating func close(_ outcome: Outcome, submittedAt: Instant, at instant: Instant) {
    closings.append(
      Closing(outcome: outcome, submittedAt: submittedAt, answeredAt: instant, incarnation: incarnation))
  }

  /// Records that the engine has said to have everything before `end` in the object store.
  public mutating func archived(_ partition: PartitionSlot, before end: Offset) {
    archivals.append(Archival(partition: partition, end: end, incarnation: incarnation))
  }

  /// Records that a fault has stored a part of an object only; see `Contract.swift`.
  public mutating func torn(_ partition: PartitionSlot, _ offsets: OffsetRange) {
    tornObjects.append(TornObject(partition: partition, offsets: offsets))
  }

  /// Records what the running incarnation's engine answered when it was asked to bring everything to the object store.
  public mutating func flush(_ outcome: Outcome, reason: String? = nil, at instant: Instant) {
    flushes.append(Flush(outcome: outcome, reason: reason, answeredAt: instant, incarnation: incarnation))
  }

  /// Whether the engine of an incarnation has answered, before the crash that ended it, that it had closed in order.
  public func wasClosed(_ incarnation: Int) -> Bool {
    crashes.indices.contains(incarnation)
      && (crashes[incarnation].kind == .none
        || closings.contains { $0.incarnation == incarnation && $0.outcome == .acknowledged })
  }

  /// The offset before which the engine has said to have everything in the object store; 0 where it never did.
  /// - Parameter incarnation: the last one whose word counts; nil for all so far.
  func archivedEnd(of partition: PartitionSlot, through incarnation: Int? = nil) -> Offset {
    archivals.lazy.filter { $0.partition == partition && $0.incarnation <= incarnation ?? .max }.map(\.end).max() ?? 0
  }

  /// Records that messages are to be deleted, before it is asked for; indeterminate until it is answered. Returns its
  /// number.
  @discardableResult
  public mutating func trim(_ partition: PartitionSlot, before offset: Offset) -> Int {
    trims.append(Trim(partition: partition, before: offset, incarnation: incarnation))
    return trims.count - 1
  }

  mutating func note(_ reading: ConsumerReading) { readings.append(reading) }

  /// More messages of the answer that was recorded last, one behind the other.
  /// - Parameter sequence: of the first; nil for messages whose bytes are not those that were sent.
  public mutating func readMessages(_ offset: Offset, sequence: UInt64?, count: Int) {
    precondition(!readings.isEmpty && count > 0)
    readings[readings.count - 1].runs.append(
      ServedRun(
        offset: offset.rawValue, sequence: sequence.map { Int64(clamping: $0) } ?? ServedRun.corrupt,
        count: Int32(clamping: count)))
  }

  /// Records what the engine answered when it was asked to delete.
  public mutating func answer(trim number: Int, _ outcome: Outcome) { trims[number].outcome = outcome }

  /// How much had been recorded: a readback is judged by what stands before its own mark.
  public var mark: HistoryMark {
    HistoryMark(
      operations: operations.count, crashes: crashes.count, damages: damages.count, creations: creations.count,
      commits: commits.count, trims: trims.count, readings: readings.count)
  }
}

/// A position in a `History`.
public struct HistoryMark: Hashable, Sendable, Codable {
  public var operations: Int
  public var crashes: Int
  public var damages: Int
  public var creations: Int
  public var commits: Int
  public var trims: Int
  public var readings: Int
}

extension History: Codable {}

/// A flat array of numbers: half a million operations cross from process to process.
extension Operation: Codable {
  public init(from decoder: any Decoder) throws {
    var c = try decoder.unkeyedContainer()
    partition = PartitionSlot(try c.decode(Int.self))
    producer = try c.decode(Int.self)
    firstSequence = try c.decode(Int.self)
    count = try c.decode(Int.self)
    let code = try c.decode(UInt8.self)
    guard let outcome = Outcome(rawValue: code) else {
      throw DecodingError.dataCorruptedError(in: c, debugDescription: "no outcome has the code \(code)")
    }
    self.outcome = outcome
    incarnation = try c.decode(Int.self)
    submittedAt = try c.decode(Instant.self)
    answeredAt = try c.decodeNil() ? nil : try c.decode(Instant.self)
    baseOffset = try c.decodeNil() ? nil : try c.decode(Offset.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var c = encoder.unkeyedContainer()
    try c.encode(partition.index)
    try c.encode(producer)
    try c.encode(firstSequence)
    try c.encode(count)
    try c.encode(outcome.rawValue)
    try c.encode(incarnation)
    try c.encode(submittedAt)
    if let answeredAt { try c.encode(answeredAt) } else { try c.encodeNil() }
    if let baseOffset { try c.encode(baseOffset) } else { try c.encodeNil() }
  }
}
