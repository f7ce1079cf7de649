import CrashStates
import Foundation
import LogModel
import Verification

/// A promise that was broken, by the smallest state that was found to break it.
public struct StateViolation: Hashable, Sendable {
  public var check: CheckName
  public var detail: String
  /// Where it was seen first; nil for checks that are of no place.
  public var divergence: Divergence?
  /// States in which this check was the first that was violated, over all crash points.
  public var states: Int
  /// Events of the recording before the power cut.
  public var moment: Int
  /// At most ten lines.
  public var story: [String]
  /// Operations of the disk in the story, and whether nothing had to be left out of it.
  public var storyOperations: Int
  public var storyIsWhole: Bool
  /// The state, for a token; nil for one of a client, which has none.
  public var state: CrashState?
  /// The command that shows it again.
  public var reproduce: String
}

/// What came of one profile.
public struct ProfileResult: Sendable {
  public var profile: CrashProfile
  public var crashPoints = 0
  /// Choices that were made, over all crash points.
  public var visited = 0
  public var sampled = 0
  /// Different contents of the disk.
  public var unique = 0
  /// Contents on which the engine was recovered, looked at and appended to under this profile; the others had been met
  /// under an earlier one, or read alike.
  public var judged = 0
  /// Contents counted off because recovery reads the same from them as from one that was judged, here or under an
  /// earlier profile.
  public var readAlike = 0
  /// Lives that asked other things of their disk after the same answers, or behaved otherwise: no reduction by read set
  /// can be trusted then.
  public var contradictions = 0
  public var groups = 0
  /// Pairs of a group and a crash point, each judged by the oracle.
  public var oracleJudgements = 0
  /// The smallest k for which some crash point was exhausted; `Int.max` where all were exhausted altogether.
  public var bound = Int.max
  /// The most pieces that a crash point has.
  public var mostPieces = 0
  public var violatedStates = 0
  public var unknown = 0
  public var violations: [StateViolation] = []
  /// All zero at depth 1.
  public var nested = NestedCounts()
  /// Nil where none was asked for.
  public var calibration: Calibration?
  /// Recovering; everything.
  public var judgingSeconds = 0.0
  public var seconds = 0.0

  init(profile: CrashProfile) { self.profile = profile }

  /// A reduction that misses anything leaves no verdict.
  public var verdict: Verdict {
    if violatedStates > 0 { return .violated }
    return unknown > 0 || contradictions > 0 || !(calibration?.isClean ?? true) || !nested.isClean ? .unknown : .held
  }
}

/// What an exploration came to.
public struct ExplorationReport: Sendable {
  public var profiles: [ProfileResult]
  public var depth: Int
  /// Profiles that were asked for.
  public var asked: Int
  /// Nil where all of them were explored to their end.
  public var stoppedBy: SearchStop?

  /// - Parameter asked: nil where `profiles` has all of them; those that are missing were interrupted, or not begun.
  init(profiles: [ProfileResult], depth: Int, asked: Int? = nil) {
    self.profiles = profiles
    self.depth = depth
    self.asked = asked ?? profiles.count
    stoppedBy = self.asked > profiles.count ? .signal : nil
  }

  /// Those of several explorations as one.
  public init(merging reports: [ExplorationReport]) {
    self.init(
      profiles: reports.flatMap(\.profiles), depth: reports.map(\.depth).max() ?? 1,
      asked: reports.reduce(0) { $0 + $1.asked })
    stoppedBy = stoppedBy ?? reports.lazy.compactMap(\.stoppedBy).first
  }

  /// Of nothing there is none. What was not visited may hold a violation.
  public var verdict: Verdict {
    let found = profiles.reduce(Verdict.held) { $0.combined(with: $1.verdict) }
    return found == .held && (profiles.isEmpty || stoppedBy != nil) ? .unknown : found
  }
  public var judged: Int { profiles.reduce(0) { $0 + $1.judged + $1.nested.judged } }
  /// Whether the weakest profile of a finding is the weakest that there is.
  var isOfAllProfiles: Bool { Set(profiles.map(\.profile.name)).isSuperset(of: CrashProfile.all.map(\.name)) }
  public var visited: Int { profiles.reduce(0) { $0 + $1.visited + $1.nested.visited } }
  public var judgedPerSecond: Double {
    let seconds = profiles.reduce(0) { $0 + $1.judgingSeconds + $1.nested.judgingSeconds }
    return seconds > 0 ? Double(judged) / seconds : 0
  }

  /// For each check that was violated, the profile with the least freedom that permits it, and that one's finding.
  public var findings: [(profile: CrashProfile, permittedBy: [String], violation: StateViolation)] {
    var found: [(profile: CrashProfile, permittedBy: [String], violation: StateViolation)] = []
    for result in profiles {
      for violation in result.violations {
        if let at = found.firstIndex(where: { $0.violation.check == violation.check }) {
          found[at].permittedBy.append(result.profile.name)
        } else {
          found.append((result.profile, [result.profile.name], violation))
        }
      }
    }
    return found
  }
}

// MARK: Text

extension ProfileResult {
  /// `exhaustive`, or to which bound.
  public var boundText: String { bound == Int.max ? "exhaustive" : "exhaustive to bound \(bound)" }

  var line: String {
    func cell(_ value: Int) -> String {
      let text = "\(value)"
      return String(repeating: " ", count: max(0, 10 - text.count)) + text
    }
    let name = profile.name.padding(toLength: 18, withPad: " ", startingAt: 0)
    return
      name + [crashPoints, visited, unique, judged, readAlike, groups, sampled].map(cell).joined()
      + "  \(verdict.rawValue)  \(boundText)"
  }
}

extension ExplorationReport {
  /// The table, the findings with their stories, and the speed.
  public var text: [String] {
    var lines = [
      "profile           "
        + ["points", "visited", "unique", "judged", "alike", "groups", "sampled"].map {
          String(repeating: " ", count: 10 - $0.count) + $0
        }.joined()
    ]
    lines += profiles.map(\.line)
    for result in profiles where result.nested.visited > 0 {
      let n = result.nested
      lines.append(
        "\(result.profile.name), inside recoveries: \(n.crashPoints) crash points, \(n.visited) states visited, "
          + "\(n.judged) recovered and judged, \(n.readAlike) read like one of them, \(n.groups) groups; "
          + "\(n.recoveries) recoveries cut off, of \(result.unique) contents; \(n.boundText), \(n.sampled) sampled")
      if n.cutShort > 0 {
        lines.append(
          "\(result.profile.name), inside recoveries: \(n.cutShort) made more than \(RecordedRecovery.mostOperations) "
            + "operations; "
            + "no power cut came after these")
      }
    }
    for result in profiles where result.contradictions > 0 {
      lines.append(
        "\(result.profile.name): after the same answers \(result.contradictions) lives did something else: the engine "
          + "is no "
          + "function of its disk; explore with --no-read-sets, and look for what else it depends on")
    }
    for result in profiles {
      guard let c = result.calibration else { continue }
      lines += c.text(result.profile.name)
      if let c = result.nested.calibration {
        lines.append(Calibration.line(result.profile.name, "states inside recoveries", c))
      }
      if let c = result.nested.others {
        lines.append(
          "\(result.profile.name), calibration: \(c.states) states inside recoveries that were counted off, "
            + "\(c.violated) violated, "
            + "\(c.missed) of them a check that was not found")
      }
    }
    for finding in findings {
      lines.append("")
      lines.append(
        "VIOLATED \(finding.violation.check.rawValue), weakest profile "
          + "\(isOfAllProfiles ? "" : "explored ")\(finding.profile.name) (permitted by "
          + "\(finding.permittedBy.joined(separator: ", "))), \(finding.violation.states) states")
      lines.append("  \(finding.violation.detail)")
      lines += finding.violation.story.map { "  \($0)" }
      lines.append("  reproduce: \(finding.violation.reproduce)")
    }
    let rate = String(format: "%.0f", judgedPerSecond)
    lines.append("")
    if let stoppedBy {
      lines.append(
        "UNKNOWN \(stoppedBy.text) after \(profiles.count) of \(asked) profiles; the others were not explored to their "
          + "end"
      )
    }
    lines.append(
      "\(verdict.rawValue): \(visited) states visited, \(judged) recovered and judged, \(rate) a second")
    return lines
  }
}
