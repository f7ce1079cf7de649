import LogModel

extension CheckResult {
  /// Whether every request that was answered was answered with success. A request that a crash cut off has no answer and
  /// is not judged.
  /// - Parameter refusing: incarnations in which a fault stood in the engine's way: nothing is said of them.
  public static func sendsAccepted(_ history: History, refusing: Set<Int> = []) -> CheckResult {
    let judged = history.operations.filter { !refusing.contains($0.incarnation) }
    let refused = judged.filter { $0.outcome != .acknowledged && $0.answeredAt != nil }
    let answered = judged.count { $0.answeredAt != nil }
    guard let first = refused.first else {
      if answered == 0, !history.operations.isEmpty, !judged.isEmpty || refusing.isEmpty {
        return CheckResult(.sendsAccepted, .unknown, "no request was answered before the crash")
      }
      return CheckResult(.sendsAccepted, .held)
    }
    let partition = history.creations[first.partition.index].partition
    return CheckResult(
      .sendsAccepted, .violated,
      "every request must be acknowledged, found \(refused.count) of \(answered) answered ones refused, the first in "
        + "\(partition) with message \(first.firstSequence)")
  }
}
