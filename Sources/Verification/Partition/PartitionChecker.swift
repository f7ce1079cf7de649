import LogModel

/// The judgement of one partition in one readback.
struct PartitionChecker {
  let history: History
  let mark: HistoryMark
  let contract: Contract
  let reach: DamageReach
  let partition: PartitionHistory
  let readback: PartitionReadback
  let isFinished: Bool
  let isRegistered: Bool
  let earlier: [EarlierReadback]
  /// This readback's own reports for this partition, and those of all readbacks so far.
  let ownReports: [OffsetRange]
  /// Of the operations of the history, those that had been submitted when the first of the readback's own reports was
  /// given.
  let operationsBeforeReports: Int
  let reports: GivenReports
  /// The same, one by one, with the places that they name.
  let allReports: [ReportedDamage]
  var duties: [Duty]

  var served: ServedLog
  var counts = MessageCounts()

  // What the duties come to, in offsets.
  /// Gaps over these are excused: what damage took under `skip-corrupted`.
  var excused: [OffsetRange] = []
  /// Everything that damage may have taken.
  var damaged: [OffsetRange] = []
  /// The end of what must be there.
  var requiredEnd: Int64 = 0
  /// No log end offset can lie beyond this.
  var possibleEnd: Int64 = 0
  /// Some damage touched nobody knows what: a loss here cannot be judged.
  var isVague = false
  /// What faults touched, by their receipts alone; see `loss`.
  let dutiesByReceipt: [Duty]
  /// For each incarnation the acknowledged operation with the lowest offset.
  var firstAcknowledged: [Int: Int] = [:]
  /// For each damage the last operation that can testify, and whether a truncation is owed a report; see
  /// `isReportOwed`.
  var lastWitnesses: [Int: Int?] = [:]
  /// The same of those alone that are owed to the readback, whatever it has served.
  var lastWitnessesByReceipt: [Int: Int?] = [:]
  var truncationsOwed: [Int: Bool] = [:]
  /// Messages that a start-offset probe returned.
  var probed: [Bool] = []

  var restart: Int { mark.crashes }
  var claims: Watermarks? { readback.after ?? readback.before }
  /// Consumption came to some end: what it has not returned, it does not return.
  var isEnded: Bool { isFinished && (readback.end != nil || !isRegistered) }
  /// It was never created, as far as anybody was told, and is not there: nobody can consume it. Whether it had to be
  /// created is another check's business.
  var isNoPartition: Bool { !isRegistered && history.creations[partition.slot].outcome != .acknowledged }

  init(
    _ history: History, _ observation: Observation, _ contract: Contract, _ partition: PartitionHistory,
    _ earlier: [EarlierReadback], reports: [ReportedDamage]
  ) {
    self.history = history
    self.contract = contract
    reach = DamageReach(history, contract)
    self.partition = partition
    self.earlier = earlier
    mark = observation.mark
    readback = observation.partitions[partition.slot]
    isFinished = observation.isFinished
    isRegistered = observation.registered?.contains(partition.name) ?? true
    let own = observation.reported.filter { $0.partition.index == partition.slot }
    ownReports = OffsetRange.union(own.map(\.offsets))
    operationsBeforeReports = own.compactMap(\.operationsBefore).min() ?? .max
    allReports = reports.filter { $0.partition.index == partition.slot }
    self.reports = GivenReports(allReports.map { ($0.operationsBefore ?? .max, $0.offsets) })
    duties = partition.duties(history, mark, contract, earlier)
    dutiesByReceipt = duties
    let start = (readback.before ?? readback.after)?.logStartOffset ?? 0
    served = ServedLog(start: start.rawValue, partition)
  }

  mutating func run(_ ledger: inout CheckAccumulator) {
    excuseWhatStandsBehindTheUnplaced()
    summarizeDuties()
    noteProbes()
    judgeServed(&ledger)
    excuseWhatStandsBehindTheUntestified()
    judgeOperations(&ledger)
    judgeNames(&ledger)
    judgeWatermarks(&ledger)
    judgeProbes(&ledger)
    judgeConsumption(&ledger)
    judgeReports(&ledger)
    judgeAppends(&ledger)
    judgeAcknowledgements(&ledger)
    judgeLogStart(&ledger)
    judgeReadings(&ledger)
    judgeKeys(&ledger)
    judgeTimes(&ledger)
  }

  func operation(_ place: Int) -> PartitionOperation { partition.operations[place] }

  func divergence(_ offset: Int64) -> Divergence {
    Divergence(
      topic: partition.name.topic, partition: partition.name.partition, offset: Offset(offset), restart: restart)
  }

  /// Where several messages are alike, and may be others than they are taken for, it is a doubt.
  func violate(
    _ ledger: inout CheckAccumulator, _ name: CheckName, at offset: Int64, file: StaticString = #fileID,
    line: UInt = #line,
    _ finding: () -> CheckFinding
  ) {
    if let ambiguity = readback.ambiguity ?? earlier.lazy.compactMap(\.ambiguity).first {
      return ledger.doubt(name, "\(partition.name): \(ambiguity), and \(finding())", file: file, line: line)
    }
    ledger.violate(name, slot: partition.slot, at: divergence(offset), file: file, line: line) {
      "\(partition.name): \(finding())"
    }
  }

  func doubt(
    _ ledger: inout CheckAccumulator, _ name: CheckName, _ finding: CheckFinding, file: StaticString = #fileID,
    line: UInt = #line
  ) {
    ledger.doubt(name, "\(partition.name): \(finding)", file: file, line: line)
  }

  /// For what unknown damage may explain: then a doubt, else a violation.
  func lose(
    _ ledger: inout CheckAccumulator, _ name: CheckName, at offset: Int64, file: StaticString = #fileID,
    line: UInt = #line,
    _ finding: () -> CheckFinding
  ) {
    if excuses(.vague, isVague) {
      let text = "\(partition.name): a fault damaged it at unknown offsets; \(finding())"
      ledger.doubt(name, text, file: file, line: line)
    } else {
      violate(&ledger, name, at: offset, file: file, line: line, finding)
    }
  }

  mutating func summarizeDuties() {
    var touched: [OffsetRange] = []
    for damage in history.damages[..<mark.damages] where damage.partition.index == partition.slot {
      guard let ranges = damage.touched else {
        isVague = true
        continue
      }
      touched += ranges
    }
    damaged = touched
    possibleEnd = (readback.before ?? readback.after)?.logStartOffset.rawValue ?? 0
    var unplaced: Int64 = 0
    for (place, duty) in duties.enumerated() {
      let operation = operation(place)
      let end = duty.base &+ Int64(operation.count)
      if duty.base < 0 {
        if duty.kind == .optional { unplaced &+= Int64(operation.count) }
        continue
      }
      if duty.isDamaged { damaged.append(OffsetRange(from: Offset(duty.base), to: Offset(end))) }
      if duty.kind == .required && !duty.isDamaged { requiredEnd = max(requiredEnd, end) }
      if duty.kind == .required || duty.kind == .optional { possibleEnd = max(possibleEnd, end) }
    }
    possibleEnd = max(possibleEnd, partition.trimmedBefore.rawValue) &+ unplaced
    damaged += takenByUnplaced(damaged)
    damaged = OffsetRange.union(damaged)
    if contract.recovery == .skipCorrupted {
      excused = damaged
    } else {
      // Before any recovery nothing is cut: what a running engine cannot read, it skips.
      let fresh = history.damages[..<mark.damages].filter {
        $0.partition.index == partition.slot && $0.isInLife && $0.crashesBefore == restart
      }
      let ranges = OffsetRange.union(fresh.flatMap { $0.touched ?? [] })
      let unplaced = Set(fresh.flatMap(\.unplaced))
      excused = OffsetRange.union(
        duties.indices.compactMap { place in
          let (base, count) = (duties[place].base, operation(place).count)
          let isTouched = ranges.overlaps(base, base &+ Int64(count)) || unplaced.contains(operation(place).number)
          guard base >= 0, isTouched else { return nil }
          return OffsetRange(from: Offset(base), to: Offset(base &+ Int64(count)))
        })
    }
    excused = OffsetRange.union(excused + reservedForTornObjects())
  }

  /// Offsets that messages may have taken which a fault destroyed and of which nobody was told one: as many as there
  /// are of them at the most, reported as damaged, and nobody else's.
  private func takenByUnplaced(_ damaged: [OffsetRange]) -> [OffsetRange] {
    var most: Int64 = 0
    var others = damaged
    for (place, duty) in duties.enumerated() {
      let count = Int64(operation(place).count)
      let base = duty.base >= 0 ? duty.base : served.baseOf[place]
      if base >= 0 {
        others.append(OffsetRange(from: Offset(base), to: Offset(base &+ count)))
      } else if duty.isTouchedUnplaced {
        most += count
      }
    }
    guard most > 0, let claims else { return [] }
    let own = ownReports.compactMap { report -> OffsetRange? in
      let (from, to) = (max(report.from, claims.logStartOffset), min(report.to, claims.logEndOffset))
      return from < to ? OffsetRange(from: from, to: to) : nil
    }
    let taken = OffsetRange.subtracting(OffsetRange.union(others), from: own)
    return taken.reduce(0) { $0 + ($1.to.rawValue - $1.from.rawValue) } <= most ? taken : []
  }

  /// Offsets that have been reported as damaged, of objects that a fault has stored in part: they stay reserved for
  /// good.
  private func reservedForTornObjects() -> [OffsetRange] {
    let torn = OffsetRange.union(history.tornObjects.filter { $0.partition.index == partition.slot }.map(\.offsets))
    let reported = OffsetRange.union(allReports.map(\.offsets))
    let outside = OffsetRange.subtracting(torn, from: reported)
    let inside = OffsetRange.subtracting(outside, from: reported)
    return (inside + outside).filter { excuses(.tornObject, torn.overlaps($0.from.rawValue, $0.to.rawValue)) }
  }

  private mutating func noteProbes() {
    guard readback.exactProbes.count > 0 else { return }
    probed = [Bool](repeating: false, count: partition.operationOfSequence.count)
    for run in readback.exactProbes.runs where run.sequence >= 0 {
      for i in 0..<Int64(run.count) where run.sequence + i < probed.count { probed[Int(run.sequence + i)] = true }
    }
  }

  private mutating func judgeServed(_ ledger: inout CheckAccumulator) {
    let some = readback.served.count > 0
    for name in [CheckName.noDuplicates, .noReordering, .noPhantoms, .contentIntact, .offsetsStable] {
      ledger.apply(name, exercised: some)
    }
    ledger.apply(.noGaps, exercised: some || requiredEnd > 0)
    ledger.apply(.recoveredWithinAttempted, exercised: some)
    var walk = served
    walk.walk(readback.served.runs, partition, duties) { finding in report(finding, &ledger) }
    served = walk
    counts.duplicated = served.duplicated
    counts.phantom = served.phantom
    counts.reordered = served.reordered
    counts.corruptServed = served.corruptCount
    counts.recovered = served.intact
    judgeFirstOffset(&ledger)
    if served.distinctOffsets + readback.overflow > partition.attempted {
      violate(&ledger, .recoveredWithinAttempted, at: Int64(partition.attempted)) {
        .servedTooMany(served: served.distinctOffsets + readback.overflow, attempted: partition.attempted)
      }
    }
  }

  /// Offsets before the beginning of the log are others'.
  private func judgeFirstOffset(_ ledger: inout CheckAccumulator) {
    let first = history.firstOffset.rawValue
    guard first > 0 else { return }
    if let start = claims?.logStartOffset.rawValue, start < first {
      violate(&ledger, .offsetsStable, at: start) {
        .reader(.startBeforeFirst(first: first, found: start))
      }
    }
    let early = partition.operations.filter { $0.outcome == .acknowledged && $0.base < first }
    guard let lowest = early.map(\.base).min() else { return }
    violate(&ledger, .offsetsStable, at: lowest) {
      .reader(.givenBeforeFirst(first: first, offset: lowest))
    }
  }

  private func report(_ finding: ServedLog.Finding, _ ledger: inout CheckAccumulator) {
    switch finding {
    case .corrupt(let offset):
      violate(&ledger, .contentIntact, at: offset) { .corrupt(offset: offset) }
    case .phantom(let offset, let sequence, let kind):
      violate(&ledger, .noPhantoms, at: offset) {
        switch kind {
        case .failed: .failedIsThere(offset: offset, message: sequence)
        case .settled(let restart): .goneIsBack(offset: offset, message: sequence, restart: Int(restart))
        default: .neverSent(offset: offset, message: sequence)
        }
      }
    case .duplicate(let offset, let sequence, let first):
      violate(&ledger, .noDuplicates, at: offset) { .duplicate(message: sequence, first: first, again: offset) }
    case .moved(let offset, let sequence, let expected):
      violate(&ledger, .offsetsStable, at: min(offset, expected)) {
        .moved(message: sequence, from: expected, to: offset)
      }
    case .replaced(let offset, let sequence):
      violate(&ledger, .offsetsStable, at: offset) {
        .replaced(offset: offset, message: sequence)
      }
    case .reordered(let offset, let sequence):
      violate(&ledger, .noReordering, at: offset) {
        .reordered(offset: offset, message: sequence)
      }
    case .gap(let gap):
      let from = max(gap.from.rawValue, 0)
      let uncovered = excused.firstUncovered(from, gap.to.rawValue)
      guard let at = excuses(.excusedGap, uncovered == nil) ? nil : uncovered ?? from else { return }
      lose(&ledger, .noGaps, at: at) { .gap(at: at, next: gap.to.rawValue) }
    }
  }
}
