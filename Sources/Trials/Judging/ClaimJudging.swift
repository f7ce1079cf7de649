import LogModel
import Reporting
import ScenarioFormat
import Verification

extension Claim {
  /// What the trial says of the claim.
  /// - Parameter isVirtual: whether the trial's clock is the model's, which times nothing.
  func judged(by result: TrialResult, isVirtual: Bool) -> ClaimResult {
    guard case .measures(let measures) = test else {
      return general ?? ClaimResult(source: source, says: says, outcome: .notMeasured)
    }
    var outcome = ClaimResult.Outcome.holds
    let figures = measures.map { measure in
      let value = result.verdict == .unknown ? nil : measure.figure.value(of: result, isVirtual: isVirtual)
      if let value, !measure.bounds.contains(value) { outcome = .contradicted }
      return ClaimResult.Figure(
        name: measure.figure.rawValue, unit: measure.figure.unit.reported, claimed: measure.bounds.text, measured: value
      )
    }
    if outcome == .holds, figures.contains(where: { $0.measured == nil }) { outcome = .notMeasured }
    return ClaimResult(source: source, says: says, outcome: outcome, figures: figures)
  }

  /// What it comes to without any trial; nil where trials decide.
  public var general: ClaimResult? {
    switch test {
    case .measures: nil
    case .beyondReach(let reason): ClaimResult(source: source, says: says, outcome: .beyondReach, reason: reason)
    case .measuredBy(let command):
      ClaimResult(source: source, says: says, outcome: .measuredElsewhere, reason: command)
    case .arithmetic(let sum):
      ClaimResult(
        source: source, says: says, outcome: sum.isRight ? .holds : .contradicted,
        reason: "\(sum.part) of \(sum.whole) is \((sum.share * 100).rounded() / 100) %, not \(sum.percent) %")
    }
  }
}

extension ClaimFigure.Unit {
  fileprivate var reported: ClaimResult.Unit {
    switch self {
    case .count: .count
    case .percent: .percent
    case .seconds: .seconds
    }
  }
}

extension ClaimFigure {
  private var isOfMessages: Bool {
    switch self {
    case .lost, .lostShare, .lostElsewhere, .lostBeyondPolicy, .unreported, .consumed, .recovered, .refused, .gaps: true
    default: false
    }
  }

  /// What was consumed and refused is known before the crash.
  private var isOfRestart: Bool { isOfMessages && self != .consumed && self != .refused }

  /// Nil where the trial has no such figure.
  fileprivate func value(of result: TrialResult, isVirtual: Bool) -> Double? {
    let (lost, acknowledged) = result.lossClaimed
    // Where no message was sent there is nothing to count: 0 would be a promise kept.
    if isOfMessages, result.counts.attempted == 0 { return nil }
    // What came back, and what was lost, only a readback after the first restart tells: before the crash nothing had
    // been lost.
    if isOfRestart, !result.hasRestartFigures { return nil }
    switch self {
    case .lost: return Double(lost)
    case .lostShare: return acknowledged == 0 ? nil : Double(lost) / Double(acknowledged) * 100
    case .lostElsewhere:
      let others = result.losses.filter { !$0.isTouched }
      guard others.count < result.losses.count, !others.isEmpty else { return nil }
      return Double(others.reduce(0) { $0 + $1.lost })
    case .lostBeyondPolicy: return Double(result.losses.reduce(0) { $0 + max(0, $1.lost - $1.most) })
    case .unreported: return Double(result.losses.reduce(0) { $0 + $1.lost - $1.reported })
    case .consumed: return result.consumedLive.map(Double.init)
    case .recovered: return Double(result.counts.recovered)
    case .refused: return Double(result.counts.attempted - result.counts.acknowledged)
    case .gaps: return Double(result.partitions.reduce(0) { $0 + $1.gaps.count })
    case .recoveryTime: return isVirtual || !result.recovery.isMeasured ? nil : result.recovery.seconds
    case .outageTime: return isVirtual || !result.recovery.isMeasured ? nil : result.recovery.outageSeconds
    case .appendP99: return isVirtual ? nil : result.append?.p99
    case .checksViolated: return Double(result.checks.count { $0.verdict == .violated })
    case .recoveredByReport: return result.recovery.batchesRecovered.map(Double.init)
    default: return result.observed[rawValue]
    }
  }
}

extension AppendFigures {
  /// Of the first life; nil where nothing was acknowledged.
  init?(_ history: History) {
    var times = history.operations.compactMap { operation -> Int64? in
      guard operation.incarnation == 0, operation.outcome == .acknowledged, let answered = operation.answeredAt else {
        return nil
      }
      return (answered - operation.submittedAt).nanoseconds
    }
    guard !times.isEmpty else { return nil }
    times.sort()
    func percentile(_ share: Int) -> Double { Double(times[min(times.count - 1, times.count * share / 100)]) / 1e9 }
    self.init(p50: percentile(50), p99: percentile(99))
  }
}

extension History {
  /// Of the first append that was acknowledged in each partition after the first restart, the slowest: from sending it
  /// to its answer, in seconds. Nil where nothing was acknowledged then.
  var slowestFirstAppendAfterRestart: Double? {
    var first: [PartitionSlot: (answered: Instant, seconds: Double)] = [:]
    for operation in operations where operation.incarnation == 1 && operation.outcome == .acknowledged {
      guard let answered = operation.answeredAt, first[operation.partition].map({ answered < $0.answered }) ?? true
      else { continue }
      first[operation.partition] = (answered, (answered - operation.submittedAt).inSeconds)
    }
    return first.values.map(\.seconds).max()
  }
}

extension CaseDescription {
  public init(_ scenario: Scenario) {
    self.init(
      scenario: scenario.name, title: scenario.title, remedy: scenario.remedy,
      claims: scenario.claims.compactMap(\.general))
  }
}
