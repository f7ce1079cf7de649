import FaultInjection
import LogModel
import Reporting
import Verification

extension TrialRunner.Findings {
  /// All checks, those that the runner judges among them, and what the trial came to.
  package func judged() -> (judgement: Judgement, verdict: Verdict) {
    let judgement = runnerChecks.reduce(judgement ?? Judgement(checks: [])) { $0.adding($1) }
    var verdict = judgement.checks.contains { $0.verdict == .violated } ? Verdict.violated : judgement.verdict
    if verdict == .held, !doubts.isEmpty { verdict = .unknown }
    if voids.isEmpty { return (judgement, verdict) }
    // What a limit of the machine has brought about is no violation, in no line of any report.
    guard let reason = hindrances.first, verdict == .violated else { return (judgement, .unknown) }
    return (
      judgement.with { $0.verdict == .violated ? .unknown($0.name, because: "\(reason). Found: \($0.detail)") : $0 },
      .unknown
    )
  }

  /// A trial that a limit of the machine has kept from its end.
  init(hinderedBy reason: String) {
    self.init()
    hinder(reason)
  }

  /// A limit of the machine decided: there is no verdict.
  mutating func hinder(_ reason: String) {
    if !voids.contains(reason) { voids.append(reason) }
    if !hindrances.contains(reason) { hindrances.append(reason) }
  }

  /// Where faults have destroyed parts of both copies of the metadata, and it is not known that something in both
  /// testifies for what is gone, nobody can say what the engine may still know: what it has forgotten is no violation,
  /// and no pass.
  mutating func forgiveForgetting() {
    // Damage to both at one record that leaves a later one behind it must not be passed over; see `MetadataDamage`.
    let both = receipts.filter { $0.metadata.count == FaultTarget.metadataCopies.count }
    if both.contains(where: { $0.testimony == .records }) { return }
    guard lostMetadata.union(receipts.flatMap(\.metadata)).count == FaultTarget.metadataCopies.count else { return }
    let all = runnerChecks + (judgement?.checks ?? [])
    // Without a topic nothing is served, accepted or found: every other check goes with it.
    let isTopicGone = all.contains { $0.name == .partitionsRegistered && $0.verdict == .violated }
    // Logs that hold messages name their topic, whatever has become of the metadata: it must not be begun anew.
    if isTopicGone, both.contains(where: { $0.testimony == .logs }) { return }
    func forgiven(_ check: CheckResult) -> CheckResult {
      let ofMetadata: Set<CheckName> = [
        .recoveryCompletes, .partitionsRegistered, .consumerOffsets, .damageReported, .logStartOffset,
        .deletedStaysDeleted,
      ]
      guard check.verdict == .violated, isTopicGone || ofMetadata.contains(check.name) else { return check }
      return .unknown(check.name, because: "faults destroyed parts of both copies of the metadata; \(check.detail)")
    }
    runnerChecks = runnerChecks.map(forgiven)
    judgement = judgement?.with(forgiven)
  }
}
