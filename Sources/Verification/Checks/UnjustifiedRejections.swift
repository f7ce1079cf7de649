import LogModel

/// A newer writer has taken over in the first incarnation: those that it replaced are refused, and lose nothing by it
/// that they were ever promised.
public struct Takeover: Hashable, Sendable {
  /// The producers of the writer that was replaced.
  public var replaced: Range<Int>
  /// When the newer one began to take over: an answer from then on may be a refusal.
  public var from: Instant

  public init(replaced: Range<Int>, from: Instant) {
    self.replaced = replaced
    self.from = from
  }

  func excuses(_ operation: Operation) -> Bool {
    guard let answeredAt = operation.answeredAt else { return false }
    return operation.incarnation == 0 && operation.outcome != .acknowledged && replaced.contains(operation.producer)
      && answeredAt >= from
  }
}

extension CheckResult {
  /// Whether every request that was answered was answered with success. A request that a crash cut off has no answer
  /// and is not judged. Where nothing of the first incarnation was acknowledged, rightly or not, there was no log to
  /// judge.
  /// - Parameters:
  ///   - refusals: when faults stood in the engine's way.
  ///   - takeover: whom a newer writer has replaced.
  public static func noUnjustifiedRejection(
    _ history: History, _ refusals: JustifiedRejections = JustifiedRejections(), takeover: Takeover? = nil
  ) -> CheckResult {
    let judged = history.operations.filter { operation in
      operation.outcome == .acknowledged
        || !excuses(.refusal, refusals.excuses(operation, createdBy: history.creations[operation.partition.index]))
          && !excuses(.takeover, takeover?.excuses(operation) ?? false)
    }
    let refused = judged.filter { $0.outcome != .acknowledged && $0.answeredAt != nil }
    let answered = judged.count { $0.answeredAt != nil }
    guard let first = refused.first else {
      if answered == 0, !judged.isEmpty {
        return .found(.noUnjustifiedRejection, .unknown, "no request was answered before the crash")
      }
      let sent = history.operations.filter { $0.incarnation == 0 }
      if !sent.isEmpty, sent.allSatisfy({ $0.answeredAt == nil }) {
        return .found(
          .noUnjustifiedRejection, .unknown,
          "the crash came before a request of the first life was answered, so that nothing was acknowledged and there "
            + "is nothing to judge; let it come later")
      }
      if !sent.isEmpty, !sent.contains(where: { $0.outcome == .acknowledged }) {
        return .found(
          .noUnjustifiedRejection, .unknown,
          "faults made the engine refuse all \(sent.count) requests, so that nothing was acknowledged and there is "
            + "nothing to judge; "
            + "let a fault come later, or end")
      }
      // A writer that is said to have taken over, and never got a request through, has taken over nothing.
      if let takeover, history.operations.contains(where: takeover.excuses),
        !history.operations.contains(where: {
          $0.incarnation == 0 && $0.outcome == .acknowledged && !takeover.replaced.contains($0.producer)
        })
      {
        return .found(
          .noUnjustifiedRejection, .unknown,
          "the writer that was replaced was refused, and nothing of the newer one was acknowledged")
      }
      return CheckResult(.noUnjustifiedRejection, .held, history.operations.isEmpty ? CheckResult.vacuous : "")
    }
    let partition = history.creations[first.partition.index].partition
    return .found(
      .noUnjustifiedRejection, .violated,
      "every request that is answered must be acknowledged, found \(refused.count) of \(answered) refused, the first "
        + "in "
        + "\(partition) with message \(first.firstSequence)")
  }
}
