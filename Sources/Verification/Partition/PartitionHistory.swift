import LogModel

/// What the oracle needs of an `Operation`, close together: the judgement of single-message requests is bound by
/// memory, and the operations of one partition lie far apart in the history.
struct PartitionOperation {
  /// In `History.operations`.
  let number: Int
  /// Of the acknowledgement, or -1.
  let base: Int64
  /// The submission where there was no answer.
  let answeredAt: Instant
  private let first: Int32
  private let messages: Int32
  private let sender: Int32
  private let age: Int32
  let outcome: Outcome
  let isAnswered: Bool

  var firstSequence: Int { Int(first) }
  var count: Int { Int(messages) }
  var producer: Int { Int(sender) }
  var incarnation: Int { Int(age) }

  init(_ number: Int, _ operation: Operation) {
    self.number = number
    base = operation.outcome == .acknowledged ? operation.baseOffset?.rawValue ?? -1 : -1
    answeredAt = operation.answeredAt ?? operation.submittedAt
    first = Int32(clamping: operation.firstSequence)
    messages = Int32(clamping: operation.count)
    sender = Int32(clamping: operation.producer)
    age = Int32(clamping: operation.incarnation)
    outcome = operation.outcome
    isAnswered = operation.answeredAt != nil
  }
}

/// What was tried on one partition up to a mark, indexed for the walk over what it served.
struct PartitionHistory {
  let slot: Int
  let name: TopicPartition
  /// In the order of submission.
  var operations: [PartitionOperation] = []
  /// For each sequence number the place in `operations`, or -1.
  var operationOfSequence: [Int32] = []
  var attempted = 0
  var producers = 0
  /// Messages below this may have been deleted on request.
  var trimmedBefore = Offset(0)
  /// Where deletions that were not refused for certain have put the beginning of the log, or may have.
  var deletionBounds: [Int64] = [0]
  /// Messages below this were deleted, and whoever asked was told so.
  var deletedBefore = Offset(0)
  /// What consumers beside the producers were answered, in that order.
  var readings: [ConsumerReading] = []
  /// Where they have seen each operation, by its place; see `sightings()`.
  var seen: [Int: [Sighting]] = [:]
  /// Why the history itself cannot be judged.
  var flaw: String?

  /// Sequence numbers are an index: they have to be dense.
  private static let maximumSequence = 1 << 28

  static func all(_ history: History, _ mark: HistoryMark) -> [PartitionHistory] {
    var partitions = history.creations[..<mark.creations].enumerated().map {
      PartitionHistory(slot: $0.offset, name: $0.element.partition)
    }
    for index in 0..<mark.operations {
      let p = history.operations[index].partition.index
      if p < partitions.count { partitions[p].operations.append(PartitionOperation(index, history.operations[index])) }
    }
    for trim in history.trims[..<mark.trims] where trim.partition.index < partitions.count {
      let p = trim.partition.index
      if trim.outcome == .failed { continue }
      partitions[p].trimmedBefore = max(partitions[p].trimmedBefore, trim.before)
      partitions[p].deletionBounds.append(trim.before.rawValue)
      if trim.outcome == .acknowledged { partitions[p].deletedBefore = max(partitions[p].deletedBefore, trim.before) }
    }
    for reading in history.readings[..<mark.readings] where reading.partition.index < partitions.count {
      partitions[reading.partition.index].readings.append(reading)
    }
    for p in partitions.indices { partitions[p].index() }
    return partitions
  }

  private init(slot: Int, name: TopicPartition) {
    self.slot = slot
    self.name = name
  }

  private mutating func index() {
    let end = operations.lazy.map { $0.firstSequence + $0.count }.max() ?? 0
    guard end <= Self.maximumSequence else {
      flaw = "sequence numbers of \(name) must be dense from 0, found \(end - 1)"
      return
    }
    operationOfSequence = [Int32](repeating: -1, count: end)
    for (place, operation) in operations.enumerated() {
      attempted += operation.count
      producers = max(producers, operation.producer + 1)
      for sequence in operation.firstSequence..<(operation.firstSequence + operation.count) {
        if operationOfSequence[sequence] >= 0 { flaw = "sequence \(sequence) of \(name) was sent twice" }
        operationOfSequence[sequence] = Int32(place)
      }
    }
    if !readings.isEmpty { seen = sightings() }
    if producers > 1 << 22 { flaw = "producers of \(name) must be numbered densely from 0, found \(producers - 1)" }
  }
}

/// Where each operation stood in an earlier readback, to be compared with a later one.
struct EarlierReadback {
  let restart: Int
  let operations: Int
  let isFinished: Bool
  let reached: Bool
  let highWatermark: Offset?
  /// Damages of the history that had been done when the readback began.
  let damages: Int
  let logStartOffset: Offset?
  let times: BatchTimes
  let ambiguity: String?
  /// For each place in `PartitionHistory.operations` the offset of the first message, or -1 where it was not served.
  var base: [Int64]
  /// For each place how many of its messages were served.
  private var served: [Int32]

  /// Whether all `count` messages of the operation were served.
  func isWhole(_ place: Int, _ count: Int) -> Bool { Int(served[place]) >= count }

  init(_ observation: Observation, _ partition: PartitionHistory) {
    let readback = partition.slot < observation.partitions.count ? observation.partitions[partition.slot] : nil
    restart = observation.restart
    operations = observation.mark.operations
    isFinished = observation.isFinished
    reached = readback?.end == .reached
    highWatermark = (readback?.after ?? readback?.before)?.highWatermark
    damages = observation.mark.damages
    served = [Int32](repeating: 0, count: partition.operations.count)
    logStartOffset = (readback?.after ?? readback?.before)?.logStartOffset
    times = readback?.times ?? BatchTimes()
    ambiguity = readback?.ambiguity
    base = [Int64](repeating: -1, count: partition.operations.count)
    for run in readback?.served.runs ?? [] where run.sequence >= 0 {
      var at = run.sequence
      let end = run.sequence &+ Int64(run.count)
      while at < end, at < partition.operationOfSequence.count {
        let place = Int(partition.operationOfSequence[Int(at)])
        guard place >= 0 else {
          at += 1
          continue
        }
        let operation = partition.operations[place]
        let first = Int64(operation.firstSequence)
        if base[place] < 0 { base[place] = run.offset &+ (at - run.sequence) &- (at - first) }
        let next = first + Int64(operation.count)
        served[place] &+= Int32(clamping: min(next, end) - at)
        at = next
      }
    }
  }
}

/// What is owed to, and excused for, one operation in the readback that is judged.
struct Duty {
  enum Kind: Equatable {
    /// Must be served whole.
    case required
    /// May be there, wholly.
    case optional
    /// Must not be there: refused for certain.
    case failed
    /// Must not be there: the readback after this restart found it gone.
    case settled(restart: Int)
  }

  var kind: Kind
  /// A fault may have destroyed it: its loss is excused.
  var isDamaged = false
  /// Bytes of its own were touched; otherwise it is damaged only as something that stands behind what was.
  var isTouched = false
  /// The same of one whose offsets nobody was told; see Contract.swift.
  var isTouchedUnplaced = false
  /// The last damage, as a number in the history, that a report is owed for if anything testifies; -1 for none.
  var reportableDamage: Int32 = -1
  /// Where the readback that settled it, by its number of damages, stands among them.
  var damagesWhenSettled = 0
  /// Settled by a readback that damage may have kept from serving it: what is skipped as damaged may be read again.
  var mayComeBack = false
  /// The first crash that was allowed to take it.
  var allowedLossAt: Int?
  /// Where it stood when it was last seen, or by its acknowledgement; -1 where nobody knows.
  var base: Int64 = -1
}

extension PartitionHistory {
  /// What each operation is owed at `mark`; see the table in Contract.swift.
  func duties(_ history: History, _ mark: HistoryMark, _ contract: Contract, _ earlier: [EarlierReadback]) -> [Duty] {
    let rules = PromiseRules(contract, history)
    let archived = (0..<mark.crashes).map { history.archivedEnd(of: PartitionSlot(slot), through: $0).rawValue }
    var duties: [Duty] = []
    duties.reserveCapacity(operations.count)
    for place in operations.indices {
      duties.append(duty(place, mark, rules, archived, earlier))
    }
    let reach = DamageReach(history, contract)
    for (number, damage) in history.damages[..<mark.damages].enumerated() where damage.partition.index == slot {
      let aftermath = DamageAftermath(damage, number, earlier, history, mark)
      excuse(damage, number, &duties, contract.recovery, reach, aftermath)
    }
    return duties
  }

  /// - Parameter archived: by crash, the offset before which everything was in the object store.
  private func duty(
    _ place: Int, _ mark: HistoryMark, _ rules: PromiseRules, _ archived: [Int64], _ earlier: [EarlierReadback]
  ) -> Duty {
    let operation = operations[place]
    if operation.outcome == .failed { return Duty(kind: .failed) }
    var duty = Duty(kind: .optional, base: operation.base)
    var promise = Promise.none
    if operation.outcome == .acknowledged {
      promise = rules.acknowledged(at: operation.answeredAt, in: operation.incarnation)
    }
    // What can be fetched is there: under `always` it is durable (note 3), under the others as long as the life lasts.
    for readback in earlier
    where readback.restart == operation.incarnation && readback.operations > operation.number
      && readback.base[place] >= 0
    {
      if duty.base < 0 { duty.base = readback.base[place] }
      let isAlways = rules.sync(of: operation.incarnation) == .always
      if isAlways || operation.incarnation == mark.crashes { promise = .durable }
    }
    let sightings = seen.isEmpty ? [] : seen[place] ?? []
    note(sightings, inLife: operation.incarnation, rules, &promise, &duty)
    var settled: Int?
    var restart = operation.incarnation
    while restart < mark.crashes {
      let isArchived = operation.base >= 0 && operation.base &+ Int64(operation.count) <= archived[restart]
      promise = isArchived && promise != .none ? .durable : rules.after(promise, crash: restart)
      if promise == .none && duty.allowedLossAt == nil { duty.allowedLossAt = restart }
      restart += 1
      for readback in earlier where readback.restart == restart && readback.operations > operation.number {
        if readback.base[place] >= 0 {
          promise = rules.served(promise, writtenIn: operation.incarnation, restart: restart)
          (duty.allowedLossAt, settled) = (nil, nil)
          if duty.base < 0 { duty.base = readback.base[place] }
        } else if readback.isFinished && readback.reached && promise == .none && settled == nil {
          settled = restart
          duty.damagesWhenSettled = readback.damages
        }
      }
      if settled == nil { note(sightings, inLife: restart, rules, &promise, &duty) }
    }
    let wasAnswered = operation.outcome == .acknowledged && operation.incarnation == mark.crashes
    if wasAnswered || sightings.contains(where: { $0.incarnation == mark.crashes }) { promise = .durable }
    if let settled {
      duty.kind = .settled(restart: settled)
    } else {
      duty.kind = promise == .none ? .optional : .required
    }
    return duty
  }
}

extension PartitionHistory {
  /// What a consumer beside the producers was served is owed to it from then on like an acknowledged message (note 7).
  private func note(
    _ sightings: [Sighting], inLife life: Int, _ rules: PromiseRules, _ promise: inout Promise, _ duty: inout Duty
  ) {
    guard let sighting = sightings.first(where: { $0.incarnation == life }) else { return }
    if duty.base < 0 { duty.base = sighting.base }
    guard promise == .none else { return }
    promise = rules.acknowledged(at: sighting.at, in: life)
    duty.allowedLossAt = nil
  }
}

/// Which operations a damage can have to do with.
struct DamageReach {
  private let replaced: Range<Int>
  /// The first operation, as a number in the history, of a newer writer; nil where there is none.
  private let newer: Int?

  init(_ history: History, _ contract: Contract) {
    let replaced = contract.takeover?.replaced ?? 0..<0
    self.replaced = replaced
    newer = contract.takeover.flatMap { _ in
      history.operations.firstIndex { $0.incarnation == 0 && !replaced.contains($0.producer) }
    }
  }

  /// Whether the operation may have been where the damage was done, or behind it: what was sent before it, and what the
  /// same life sent after it, where the engine was running, and no newer writer had recovered the log in between.
  func concerns(_ damage: Damage, _ operation: PartitionOperation) -> Bool {
    if operation.number < damage.operationsBefore { return true }
    guard damage.isInLife, operation.incarnation == damage.crashesBefore else { return false }
    guard let newer, operation.incarnation == 0, damage.operationsBefore <= newer else { return true }
    return replaced.contains(operation.producer)
  }
}
