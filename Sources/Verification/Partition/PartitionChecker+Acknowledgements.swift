import LogModel

/// Offsets as acknowledgements name them, also of what a crash was allowed to take since.
extension PartitionChecker {
  /// Two acknowledgements of one incarnation name no offset twice, and none names an offset that all messages which had
  /// been tried by then could not have reached. Which of two producers comes first is nobody's promise.
  func judgeAcknowledgements(_ ledger: inout CheckAccumulator) {
    var last = (end: Int64.min, place: -1)
    var incarnation = -1
    var isSorted = true
    var (sent, possible): (Int64, Int64) = (0, 0)
    for place in partition.operations.indices {
      let operation = operation(place)
      sent &+= Int64(operation.count)
      guard operation.outcome == .acknowledged else { continue }
      if operation.incarnation != incarnation { (incarnation, last) = (operation.incarnation, (.min, -1)) }
      if operation.base < last.end { isSorted = false }
      last = (operation.base &+ Int64(operation.count), place)
      possible = max(possible, last.end)
    }
    // Offsets of one that was never answered may have been taken too, and what was deleted still counts.
    if possible > history.firstOffset.rawValue &+ sent { judgeReach(sent, &ledger) }
    if !isSorted { judgeOverlaps(&ledger) }
  }

  private func judgeReach(_ sent: Int64, _ ledger: inout CheckAccumulator) {
    let first = history.firstOffset.rawValue
    for place in partition.operations.indices where operation(place).outcome == .acknowledged {
      let operation = operation(place)
      guard operation.base &+ Int64(operation.count) > first &+ sent else { continue }
      violate(&ledger, .offsetsStable, at: operation.base) {
        .readback(
          .acknowledgedBeyondSent(message: operation.firstSequence, offset: operation.base, sent: sent, from: first))
      }
    }
  }

  private func judgeOverlaps(_ ledger: inout CheckAccumulator) {
    let acknowledged = partition.operations.indices.filter { operation($0).outcome == .acknowledged }.sorted {
      (operation($0).incarnation, operation($0).base) < (operation($1).incarnation, operation($1).base)
    }
    for (place, next) in zip(acknowledged, acknowledged.dropFirst()) {
      let (first, second) = (operation(place), operation(next))
      guard first.incarnation == second.incarnation, second.base < first.base &+ Int64(first.count) else { continue }
      // A newer writer that recovers the log in the middle of a life may cut off what a fault touched, and give its
      // offsets again.
      let isRecovered = contract.takeover != nil && (duties[place].isDamaged || duties[next].isDamaged)
      if excuses(.recoveredInLife, isRecovered) { continue }
      violate(&ledger, .offsetsStable, at: second.base) {
        .readback(
          .acknowledgedTwice(
            offset: second.base, first: first.firstSequence + Int(second.base &- first.base),
            second: second.firstSequence))
      }
    }
  }
}
