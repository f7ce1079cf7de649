import LogModel

/// Damage to what nobody was told an offset of.
extension PartitionChecker {
  /// Under `truncate-at-corruption` the engine cuts at such a message too, and what stands behind it goes with it, from
  /// the first offset on that it has reported.
  mutating func excuseWhatStandsBehindTheUnplaced() {
    for (place, damage) in behindTheUnplaced(isReported: true) {
      duties[place].isDamaged = true
      let aftermath = DamageAftermath(history.damages[damage], damage, earlier, history, mark)
      if let readback = aftermath.firstWithout(place) { duties[place].kind = .settled(restart: readback.restart) }
      if history.damages[damage].isDetectable { duties[place].reportableDamage = Int32(damage) }
    }
  }

  /// What may stand behind a destroyed message whose offset nobody knows: what was not acknowledged before that was
  /// submitted.
  /// - Parameter isReported: only what stands behind the beginning of a report.
  func behindTheUnplaced(isReported: Bool) -> [(place: Int, damage: Int)] {
    guard contract.recovery == .truncateAtCorruption else { return [] }
    var found: [(place: Int, damage: Int)] = []
    for (number, damage) in history.damages[..<mark.damages].enumerated()
    where damage.partition.index == partition.slot && !damage.unplaced.isEmpty
      && !(damage.isInLife && damage.crashesBefore == restart)
    {
      let unplaced = Set(damage.unplaced)
      let gone = duties.indices.filter {
        unplaced.contains(operation($0).number) && duties[$0].base < 0 && served.servedOf[$0] == 0
      }
      guard let submitted = gone.map({ submittedAt($0) }).min() else { continue }
      let spared = DamageAftermath(damage, number, earlier, history, mark)
      for place in duties.indices where duties[place].base >= 0 && !duties[place].isDamaged {
        let operation = operation(place)
        guard duties[place].kind == .required, reach.concerns(damage, operation) else { continue }
        let isInFront = operation.outcome == .acknowledged && operation.answeredAt <= submitted
        let isCut = !isReported || reports.since(operation.number).contains { $0.from.rawValue <= duties[place].base }
        guard excuses(.behindUnplaced, !isInFront && isCut), !spared.hasSpared(place, operation.count) else { continue }
        found.append((place, number))
      }
    }
    return found
  }
}
