import Exploration
import Foundation
import Reporting
import Trials
import Verification

/// The smallest stories of what `defects` has caught.
extension DefectsCommand {
  /// Of one defect, in ten lines at the most; empty where it was caught by nothing that can be made smaller.
  func story(of row: DefectRow) -> [String] {
    guard row.defect != nil, let token = row.catching?.reproduce?.split(separator: " ").last.map(String.init),
      row.catching?.check != .noHang
    else { return [] }
    note("the story of \(row.id)")
    let started = ContinuousClock.now
    let isLate = { ContinuousClock.now - started > .seconds(20) || Interruption.isRequested }
    let trace = NSTemporaryDirectory() + "/tornlog-defects-\(getpid())"
    defer { unlink(trace) }
    do {
      if token.hasPrefix(CrashStateToken.version + ".") {
        let state = try CrashStateToken.decode(token)
        return try CrashStateShrinker.shrink(
          state, jobs: jobs ?? 2, watch: HangExit.watch("60s", report: ["terminal"]), shouldStop: isLate, progress: { _ in }
        ).replay.story
      }
      guard let spec = try? Token.decode(token) else { return [] }
      let directory = dir ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
      let result = try TrialShrinker.shrink(spec, run: { try SingleTrial.run($0, in: directory) }, shouldStop: isLate)
      return try TrialStory.lines(result, trace: trace) { try SingleTrial.run($0, in: directory) }
    } catch {
      return ["no story: \(error)"]
    }
  }
}
