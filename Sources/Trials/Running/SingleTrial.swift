import Reporting

/// One trial by itself.
public enum SingleTrial {
  /// Runs it in a worker of its own.
  /// - Throws: `TrialShrinkError.interrupted` where a signal came first, and what `Run` throws.
  public static func run(_ spec: TrialSpec, in directory: String) throws -> TrialResult {
    let planned = PlannedTrial(spec: spec, expectation: .held, axes: spec.axes)
    let plan = RunPlan(
      trials: [planned], jobs: 1, directory: directory, keep: .never, failFast: false, deadline: nil,
      executable: "/proc/self/exe")
    let description = try Preflight.examine(plan, seed: spec.seed)
    var found: TrialResult?
    _ = try Run(plan) { event in if case .trialFinished(_, let result) = event { found = result } }
      .execute(description.run, notices: description.notices)
    guard let found else { throw TrialShrinkError.interrupted }
    return found
  }
}
