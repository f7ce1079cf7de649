import LogModel

/// Where a log begins: where deletions have put it, and nowhere else.
///
/// Messages go from the front of a log because somebody asked for their deletion, or because a fault destroyed them. So
/// the log start offset is that of a deletion that may have happened, or 0, unless damage explains what is missing
/// behind that; it is no lower than the highest deletion that was acknowledged, after any crash, for that is as durable
/// as a committed offset; and it does not go back behind a deletion that a readback has seen.
extension PartitionChecker {
  func judgeLogStart(_ ledger: inout CheckAccumulator) {
    let isDeleted = partition.deletedBefore > 0
    ledger.apply(.logStartOffset, exercised: partition.attempted > 0 || partition.trimmedBefore > 0)
    if isDeleted { ledger.apply(.deletedStaysDeleted, exercised: true) }
    guard let claims else {
      if isRegistered, isDeleted { doubt(&ledger, .deletedStaysDeleted, .watermarksUnknown) }
      return
    }
    let start = claims.logStartOffset.rawValue
    if let before = readback.before, let after = readback.after, before.logStartOffset != after.logStartOffset {
      violate(&ledger, .logStartOffset, at: after.logStartOffset.rawValue) {
        .reader(.startMoved(from: before.logStartOffset.rawValue, to: after.logStartOffset.rawValue))
      }
    }
    // What came before the beginning that the harness has given the log counts as deleted.
    let bounds = partition.deletionBounds + [history.firstOffset.rawValue]
    let bound = bounds.filter { $0 <= start }.max() ?? 0
    if start < 0 {
      violate(&ledger, .logStartOffset, at: start) { .reader(.startBelowZero(start)) }
    } else if let at = unexplained(from: bound, to: start) {
      lose(&ledger, .logStartOffset, at: at) {
        .reader(.startUnexplained(bound: bound, found: start))
      }
    }
    for past in earlier {
      // What a deletion has moved, and no damage.
      guard let was = past.logStartOffset?.rawValue, was <= partition.trimmedBefore.rawValue, start < was else {
        continue
      }
      violate(&ledger, .logStartOffset, at: start) {
        .reader(.startWentBack(was: was, restart: past.restart, found: start))
      }
    }
    if isDeleted { judgeDeleted(start, &ledger) }
  }

  /// The first offset that no deletion and no damage has taken from the front of the log. What was destroyed may have
  /// had neighbours of which nobody was told an offset: where something was, only what must be there tells.
  private func unexplained(from bound: Int64, to start: Int64) -> Int64? {
    guard start > bound else { return nil }
    if damaged.isEmpty, !isVague { return bound }
    let owed = duties.indices.filter { place in
      let base = duties[place].base
      return duties[place].kind == .required && !duties[place].isDamaged && base >= 0 && base < start
        && base &+ Int64(operation(place).count) > bound
    }
    return owed.map { max(bound, duties[$0].base) }.min()
  }

  private func judgeDeleted(_ start: Int64, _ ledger: inout CheckAccumulator) {
    let deleted = partition.deletedBefore.rawValue
    if start < deleted {
      violate(&ledger, .deletedStaysDeleted, at: start) {
        .reader(.deletedBegins(deleted: deleted, found: start))
      }
    }
    let served = readback.served.runs.lazy.map(\.offset).filter { $0 < deleted }.min()
    let probed = readback.belowStart.lazy.compactMap(\.offset).filter { $0 < deleted }.min()
    if let at = [served, probed].compactMap({ $0 }).min() {
      violate(&ledger, .deletedStaysDeleted, at: at) { .reader(.deletedServed(deleted: deleted, offset: at)) }
    }
  }
}
