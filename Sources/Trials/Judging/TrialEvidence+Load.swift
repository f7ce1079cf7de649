import LogModel
import ScenarioFormat
import Verification

/// Whether the load was one that lasts, what stood open when an engine was closed, and what offsets and zero-fills came
/// to.
extension TrialEvidence {
  private var window: Duration? { if case .interval(let window) = spec.syncPolicy { window } else { nil } }

  func outlastsWindow(_ requests: [Verification.Operation]) -> Bool {
    guard let window, let crash = history.crashes.first else { return false }
    let own = requests.filter { $0.incarnation == 0 && $0.outcome == .acknowledged }
    let answers = own.compactMap(\.answeredAt).sorted()
    guard let first = answers.first, crash.instant - first >= window * 10 else { return false }
    return zip(answers, answers.dropFirst() + [crash.instant]).allSatisfy { $1 - $0 <= window / 4 }
  }

  var isClosedBehindAnswers: Bool {
    guard let window else { return false }
    return history.closings.contains { closing in
      guard closing.outcome == .acknowledged, history.crashes.indices.contains(closing.incarnation),
        history.crashes[closing.incarnation].kind == .powerLoss
      else { return false }
      return history.operations.contains { operation in
        guard operation.incarnation == closing.incarnation, operation.outcome == .acknowledged,
          let answeredAt = operation.answeredAt
        else { return false }
        return closing.submittedAt - answeredAt < window / 4
      }
    }
  }

  /// The first file of a partition is zero-filled from its head on, then by twice as much (`startPreallocation` in
  /// PartitionLog+Segments.swift): the ends of these pieces follow from the first.
  func endsWithZeros(_ file: File) -> Bool {
    guard spec.syncPolicy == .always, spec.preallocation > 0 else { return false }
    var piece = Int64(spec.preallocation)
    var edge = layout.headBytes + piece
    while edge < spec.segmentBytes, edge < file.end {
      if file.ends.contains(edge) { return true }
      piece = min(piece * 2, Int64(spec.largestPreallocation))
      edge += piece
    }
    return false
  }

  static func outgrowsIntegers(_ requests: [Verification.Operation]) -> Bool {
    let bases = requests.filter { $0.outcome == .acknowledged }.compactMap { operation in
      operation.baseOffset.map { (first: $0.rawValue, last: $0.rawValue + Int64(operation.count) - 1) }
    }
    return [31, 32, 53].contains { power in
      let edge = Int64(1) << power
      return bases.contains { $0.first < edge } && bases.contains { $0.last >= edge }
    }
  }
}
