import LogModel

extension CheckResult {
  /// Whether a writer that is well has kept its lease: everybody else who wanted it was refused, and it was not.
  /// - Parameters:
  ///   - takenAt: when somebody else got in; nil where nobody did.
  ///   - since: when the first attempt was made.
  ///   - refused: attempts that were refused because the lease is held.
  ///   - holder: the producers of the writer that holds it.
  public static func leaseKept(
    _ history: History, takenAt: Instant?, since: Instant, refused: Int, holder: Range<Int>
  ) -> CheckResult {
    if let takenAt {
      return .found(
        .leaseKept, .violated,
        "a writer that is well and renews its lease keeps it, found it taken by another one "
          + "\((takenAt - since).nanoseconds / 1_000_000) ms "
          + "after the first of \(refused + 1) attempts")
    }
    let own = history.operations.filter { $0.incarnation == 0 && holder.contains($0.producer) && $0.answeredAt != nil }
    let rejected = own.filter { $0.outcome != .acknowledged }
    if let first = rejected.first {
      return .found(
        .leaseKept, .violated,
        "a writer that is well and renews its lease is never fenced, found \(rejected.count) of its \(own.count) "
          + "requests refused, the "
          + "first with message \(first.firstSequence)")
    }
    let after = own.contains { $0.submittedAt >= since }
    guard refused > 0, after else {
      return .found(
        .leaseKept, .unknown,
        refused == 0
          ? "nobody was refused because the lease is held" : "its holder sent nothing once somebody else had wanted it")
    }
    return CheckResult(.leaseKept, .held)
  }
}
