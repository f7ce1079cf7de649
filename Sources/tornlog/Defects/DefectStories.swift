import DefectMatrix
import Exploration
import Foundation
import Reporting
import Trials
import Verification

/// The smallest stories of what `defects` has caught.
extension DefectsCommand {
  /// Of one defect, in ten lines at the most, of the check that it was caught by: shrunk, or as the search that found
  /// it tells it, where that has no token. Empty where it was caught by nothing, or by something that has no story.
  func story(of row: DefectRow) -> [String] {
    guard row.defect != nil, let finding = row.catching?.catching else { return [] }
    note("the story of \(row.id)")
    let started = ContinuousClock.now
    let isLate = { ContinuousClock.now - started > .seconds(20) || Interruption.isRequested }
    let token = finding.reproduce?.split(separator: " ").last.map(String.init) ?? ""
    do {
      if CrashStateToken.isCrashState(token), finding.check != .noHang {
        return try CrashStateShrinker.shrink(
          try CrashStateToken.decode(token), jobs: jobs ?? 2, watch: HangExit.watch(),
          shouldStop: isLate, progress: { _ in }
        ).replay.story
      }
      if Token.isTrial(token) { return try story(of: try Token.decode(token), finding.check, isLate) }
      return finding.story
    } catch {
      return ["no story: \(error)"]
    }
  }

  /// A trial on the model that is made smaller takes a fraction of a second.
  private static let hangSeconds = 3.0

  private func story(of spec: TrialSpec, _ check: CheckName, _ isLate: @escaping () -> Bool) throws -> [String] {
    let trace = NSTemporaryDirectory() + "/tornlog-defects-\(getpid())"
    defer { unlink(trace) }
    var spec = spec
    // Each candidate that hangs does so until its time-out.
    if check == .noHang { spec.phaseSeconds = Self.hangSeconds }
    let directory = place.path
    let result = try TrialShrinker.shrink(
      spec, keeping: check, run: { try SingleTrial.run($0, in: directory) }, shouldStop: isLate)
    return try TrialNarrative.lines(result, trace: trace) { try SingleTrial.run($0, in: directory) }
  }
}
