import LogModel

extension CheckResult {
  /// Whether every request that was answered was answered with success. For trials in which nothing stands in the
  /// engine's way: no fault is active while it takes appends. A request that a crash cut off has no answer and is
  /// not judged.
  public static func sendsAccepted(_ history: History) -> CheckResult {
    let refused = history.operations.filter { $0.outcome != .acknowledged && $0.answeredAt != nil }
    let answered = history.operations.lazy.filter { $0.answeredAt != nil }.count
    guard let first = refused.first else {
      if answered == 0, !history.operations.isEmpty {
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
