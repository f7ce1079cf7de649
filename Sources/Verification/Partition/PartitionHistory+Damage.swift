import LogModel

/// Readbacks that show what a damage has taken: those after it, by engines that had to read the medium.
struct DamageAftermath {
  private let readbacks: [EarlierReadback]
  private let number: Int
  /// Where the log begins for the next recovery after the damage.
  private let logStart: Int64

  /// - Parameter number: of the damage, in the history.
  init(_ damage: Damage, _ number: Int, _ earlier: [EarlierReadback], _ history: History, _ mark: HistoryMark) {
    self.number = number
    logStart = history.logStart(of: damage, mark)
    let crashes = history.crashes
    let first = damage.crashesBefore + (damage.isInLife ? 1 : 0)
    readbacks = earlier.filter { readback in
      guard readback.restart >= first, readback.damages > number else { return false }
      // What a lying or a failed sync has left in the page cache goes with the power, and with nothing else.
      guard damage.isInLife, !damage.isCertain || !damage.isDetectable else { return true }
      return crashes[damage.crashesBefore..<readback.restart].contains { $0.kind.losesPower }
    }
  }

  /// Whether it took nothing of the operation: a readback after it has served all of that.
  func hasSpared(_ place: Int, _ count: Int) -> Bool { readbacks.contains { $0.isWhole(place, count) } }

  /// The first readback after it that came to its end without the operation.
  func firstWithout(_ place: Int) -> EarlierReadback? {
    readbacks.first { $0.isFinished && $0.reached && $0.base[place] < 0 }
  }

  /// Whether what ends there had been deleted before any recovery could meet the damage: no log is cut for it.
  func isDeleted(to end: Int64) -> Bool { end <= logStart }

  /// Whether a readback had found the operation gone before the damage was done.
  func cameLate(_ duty: Duty) -> Bool {
    if case .settled = duty.kind { duty.damagesWhenSettled <= number } else { false }
  }
}

extension History {
  /// Where the log of the damaged partition begins for the recovery that comes next after the damage, as deletions that
  /// were acknowledged have put it. No recovery looks at what lies before that.
  fileprivate func logStart(of damage: Damage, _ mark: HistoryMark) -> Int64 {
    let lives = damage.crashesBefore + (damage.isInLife ? 1 : 0)
    return trims[..<mark.trims].filter {
      $0.partition == damage.partition && $0.outcome == .acknowledged && $0.incarnation < lives
    }.map(\.before.rawValue).max() ?? 0
  }
}

/// What damage excuses.
extension PartitionHistory {
  /// Marks what `damage` may have taken: what it touched, and under `truncate-at-corruption` what stands behind that.
  /// Not what a readback after it has served whole, nor what had been gone before it: what is gone for good stays gone.
  func excuse(
    _ damage: Damage, _ number: Int, _ duties: inout [Duty], _ recovery: RecoveryPolicy, _ reach: DamageReach,
    _ aftermath: DamageAftermath
  ) {
    let unplaced = Set(damage.unplaced)
    for place in duties.indices where unplaced.contains(operations[place].number) {
      duties[place].isTouchedUnplaced = true
    }
    guard let touched = damage.touched else { return }
    let ranges = OffsetRange.union(touched)
    guard !ranges.isEmpty || !unplaced.isEmpty else { return }
    var first = Int64.max
    var hit: [Int] = []
    var hasSpared = false
    for place in duties.indices where duties[place].base >= 0 && reach.concerns(damage, operations[place]) {
      guard isTouched(place, duties[place].base, ranges, unplaced) else { continue }
      if aftermath.hasSpared(place, operations[place].count) || aftermath.cameLate(duties[place]) {
        hasSpared = true
        continue
      }
      hit.append(place)
      let end = duties[place].base &+ Int64(operations[place].count)
      if !aftermath.isDeleted(to: end) { first = min(first, duties[place].base) }
    }
    if !hasSpared, let range = ranges.first(where: { !aftermath.isDeleted(to: $0.to.rawValue) }) {
      first = min(first, range.from.rawValue)
    }
    for place in hit {
      duties[place].isTouched = true
      mark(place, &duties, damage, number, recovery, aftermath)
    }
    guard recovery == .truncateAtCorruption, first < .max else { return }
    let isHit = Set(hit)
    for place in duties.indices where duties[place].base >= 0 && reach.concerns(damage, operations[place]) {
      guard !isHit.contains(place), excuses(.behindTouched, duties[place].base >= first) else { continue }
      guard !aftermath.hasSpared(place, operations[place].count), !aftermath.cameLate(duties[place]) else { continue }
      mark(place, &duties, damage, number, recovery, aftermath)
    }
  }

  private func isTouched(_ place: Int, _ base: Int64, _ ranges: [OffsetRange], _ unplaced: Set<Int>) -> Bool {
    if excuses(.touched, ranges.overlaps(base, base &+ Int64(operations[place].count))) { return true }
    // Of what was never acknowledged a readback knows where it stood.
    return excuses(.touchedUnplaced, operations[place].base < 0 && unplaced.contains(operations[place].number))
  }

  private func mark(
    _ place: Int, _ duties: inout [Duty], _ damage: Damage, _ number: Int, _ recovery: RecoveryPolicy,
    _ aftermath: DamageAftermath
  ) {
    duties[place].isDamaged = true
    // What stands behind shows a reader the hole, whoever made it.
    let isHidden = excuses(.undetectable, !damage.isDetectable && duties[place].isTouched)
    if !isHidden { duties[place].reportableDamage = Int32(number) }
    switch duties[place].kind {
    case .failed: break
    case .settled: if recovery == .skipCorrupted { duties[place].mayComeBack = true }
    case .required, .optional:
      // What recovery has cut off stays cut off.
      guard recovery == .truncateAtCorruption, let readback = aftermath.firstWithout(place) else { break }
      duties[place].kind = .settled(restart: readback.restart)
      duties[place].damagesWhenSettled = readback.damages
    }
  }
}
