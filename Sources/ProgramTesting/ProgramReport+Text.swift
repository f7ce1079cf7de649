import Drivers
import LogModel
import ProgramOracle
import Verification

extension ProgramReport {
  /// Lines for a terminal, 40 at the most.
  /// - Parameter isVerbose: all findings, and why there is no verdict of what has none.
  package func lines(isVerbose: Bool = false) -> [String] {
    var lines: [String] = []
    let name = hello.map { "\($0.name) \($0.version)" } ?? spec.command.arguments.joined(separator: " ")
    let promise = "\(spec.promise)"
    let shown = isVerbose ? findings.count : 2
    for finding in findings.prefix(shown) { lines += text(of: finding) + [""] }
    if findings.count > shown { lines += ["... \(findings.count - shown) findings more: -v shows them", ""] }
    lines.append(
      "\(name), model \(model?.rawValue ?? "?"), promise '\(promise)': \(requests) requests,"
        + " \(operations) operations on its files"
    )
    for profile in profiles { lines.append("  " + text(of: profile)) }
    if lives > 0 {
      lines.append(
        "  recoveries   \(lives) of \(livesAvailable) different ones closed and opened again, and cut off in"
          + " \(statesOfLives) states")
    }
    if !kills.isEmpty { lines.append("  kill -9      " + text(of: kills, whole: nil)) }
    if !faults.isEmpty { lines.append("  faults       " + text(of: faults, whole: faultCells)) }
    if cutRuns > 0 {
      lines.append("  and then     power cut after \(cutRuns) of these runs, in \(statesOfCuts) states")
    }
    if !damage.isEmpty { lines.append("  damage       " + text(ofDamage: damage)) }
    if searchSeconds > 0, opened > 0 {
      lines.append(
        "  \(opened) different states opened, \(shortCount(Double(opened) / searchSeconds)) a second"
          + (alike > 0 ? ", \(alike) more read alike" : "") + "; drivers started: \(driverStarts)"
      )
    }
    for (reason, count) in unknowns.sorted(by: { $0.value > $1.value }).prefix(isVerbose ? 20 : 2) {
      lines.append("  unknown: \(count) times: \(reason)")
    }
    lines.append(conclusion)
    return lines
  }

  var kills: [DisturbedRun] { runs.filter { $0.what.fault == nil } }
  var faults: [DisturbedRun] { runs.filter { $0.what.fault != nil && !$0.what.isDamage } }
  var damage: [DisturbedRun] { runs.filter(\.what.isDamage) }

  private func text(ofDamage runs: [DisturbedRun]) -> String {
    let words: [(DamageResponse, String)] = [
      (.survived, "served everything"), (.noticed, "noticed"), (.lostSilently, "lost something and said nothing"),
      (.servedDamage, "served what nobody wrote"),
    ]
    let parts = words.compactMap { response, word in
      let count = runs.count { $0.response == response }
      return count == 0 ? nil : "\(count) \(word)"
    }
    let unknown = runs.count { $0.response == nil }
    return "\(runs.count)" + (runs.count < damageCells ? " of \(damageCells)" : "") + " runs: "
      + (parts + (unknown > 0 ? ["\(unknown) without a verdict"] : [])).joined(separator: ", ")
  }

  /// The first finding, and how many there are beside it; or why there is no verdict.
  package var firstFinding: [String] {
    guard let first = findings.first else {
      return unknowns.sorted { $0.value > $1.value }.prefix(2).map { "unknown: \($0.value) times: \($0.key)" }
    }
    let more = findings.count - 1
    return text(of: first) + (more > 0 ? ["... and \(more) more: -v shows them"] : [])
  }

  /// One sentence: what it came to.
  package var conclusion: String {
    let time = "in \(Int(seconds.rounded())) s"
    switch verdict {
    case .violated:
      let repeated = findings.count { $0.repeats }
      return "violated: \(repeated) \(repeated == 1 ? "promise is" : "promises are") broken, \(time)"
    case .held: return "held: no promise was broken in \(opened) states, \(time)"
    case .unknown:
      if wasInterrupted { return "unknown: interrupted after \(time.dropFirst(3))" }
      if !findings.isEmpty { return "unknown: what was found does not repeat (flaky), \(time)" }
      return "unknown: not everything could be judged, \(time)"
    }
  }

  private func text(of finding: ProgramFinding) -> [String] {
    let kind = finding.repeats ? "violated" : "flaky"
    var lines = ["\(kind): \(finding.check) (\(finding.cause)): \(finding.detail)"]
    lines += finding.story.map { "  \($0)" }
    if let permits = finding.permits { lines.append("  (\(permits))") }
    for word in finding.log.suffix(2) { lines.append("  driver: \(word)") }
    if let token = finding.token { lines.append("  again: tornlog reproduce \(token)") }
    return lines
  }

  private func text(of progress: ProfileProgress) -> String {
    var text = progress.name + String(repeating: " ", count: max(1, 13 - progress.name.count))
    if progress.profile == nil, progress.moments == 0 {
      return text + "left to real kills: it writes through a shared mapping, and when is not seen"
    }
    text += "\(progress.moments) moments, \(progress.visited) states, \(progress.opened) new; "
    text += progress.violations > 0 ? "\(progress.violations) violated" : "held"
    if progress.unknown > 0 { text += ", \(progress.unknown) unknown" }
    switch progress.bound {
    case nil where progress.visited > 0: text += "; at \(max(1, Int(progress.share * 100)))% of the moments"
    case nil: text += "; not reached"
    case .some(Int.max): break
    case .some(let bound) where bound > 0:
      text += "; all that differ in up to \(bound) \(bound == 1 ? "piece" : "pieces")"
    default: text += "; the plain ones"
    }
    return text
  }

  private func text(of runs: [DisturbedRun], whole: Int?) -> String {
    func count(_ verdict: Verdict) -> Int { runs.count { $0.verdict == verdict } }
    var text =
      "\(runs.count)" + (whole.map { $0 > runs.count ? " of \($0)" : "" } ?? "") + " runs: \(count(.held)) held"
    if count(.violated) > 0 { text += ", \(count(.violated)) violated" }
    let missed = runs.count { $0.hit == nil }
    if missed > 0 { text += ", \(missed) whose operation did not come" }
    if count(.unknown) > missed { text += ", \(count(.unknown) - missed) without a verdict" }
    return text
  }
}
