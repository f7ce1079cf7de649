import CrashStates
import Foundation
import Verification

/// The key `exploration` of the JSON report, version 1: keys are added, never renamed.
public struct ExplorationDocument: Encodable {
  var version = 1
  var tool = "tornlog"
  var exploration: ExplorationReport.Figures

  public init(_ figures: ExplorationReport.Figures) { exploration = figures }

  public func text() throws -> String {
    try ReportText.json(self)
  }
}

extension ExplorationReport {
  public struct Figures: Encodable, Sendable {
    var profile: String
    /// The most pieces that a crash point has, where every state was visited.
    var bound: Int
    var statesVisited, statesUnique, statesJudged: Int
    /// Counted off by their read set.
    var statesReadAlike: Int
    var groups, sampled: Int
    var judgedPerSecond: Double
    var violations, unknown, crashPoints, depth: Int
    var verdict: String
    var nested: Nested?
    var calibration: Calibrated?
    var findings: [Found]?
    var profiles: [Figures]?
    /// Of scenarios.
    public var cells: [Cell]?
    /// Of a whole report: whether a signal came before its end, and what else ended it early.
    var interrupted: Bool?
    var stoppedBy: String?
  }

  /// What came of one cell of a scenario.
  public struct Cell: Encodable, Sendable {
    var scenario, file: String
    /// As the scenario's matrix has them: numbers as text.
    var axes: [String: String]
    var expectation: String
    public var isExpected: Bool
    var exploration: Figures

    public init(
      scenario: String, file: String, axes: [String: String], expectation: String, isExpected: Bool,
      exploration: Figures
    ) {
      self.scenario = scenario
      self.file = file
      self.axes = axes
      self.expectation = expectation
      self.isExpected = isExpected
      self.exploration = exploration
    }
  }

  struct Found: Encodable, Sendable {
    var check, detail, profile: String
    var permittedBy: [String]
    var states: Int
    var story: [String]
    var reproduce: String
  }

  /// At depth 2: states of crashes inside recoveries, beside the ones above.
  struct Nested: Encodable, Sendable {
    /// Recoveries that were cut off; the bound and the samples inside these.
    var crashPoints, recoveries, bound, sampled, statesVisited, statesUnique, statesJudged, statesReadAlike, groups,
      cutShort: Int
    var calibration: [String: Int]?
    /// Of recoveries that were counted off.
    var others: [String: Int]?
  }

  struct Calibrated: Encodable, Sendable {
    var states, violated, missed, differing, straying: Int
    /// Of the states that were counted off by their read set.
    var readAlike: [String: Int]?

    init(_ calibration: Calibration) {
      let all = calibration.all
      (states, violated, missed, differing, straying) =
        (all.states, all.violated, all.missed, all.differing, all.straying)
      readAlike = calibration.readAlike?.json
    }
  }

  private func part(_ result: ProfileResult) -> Figures {
    Figures(
      profile: result.profile.name, bound: min(result.bound, result.mostPieces), statesVisited: result.visited,
      statesUnique: result.unique, statesJudged: result.judged, statesReadAlike: result.readAlike,
      groups: result.groups,
      sampled: result.sampled,
      judgedPerSecond: result.judgingSeconds > 0 ? Double(result.judged) / result.judgingSeconds : 0,
      violations: result.violatedStates, unknown: result.unknown, crashPoints: result.crashPoints, depth: depth,
      verdict: result.verdict.rawValue,
      nested: result.nested.visited == 0
        ? nil
        : Nested(
          crashPoints: result.nested.crashPoints, recoveries: result.nested.recoveries,
          bound: min(result.nested.bound, result.nested.mostPieces),
          sampled: result.nested.sampled, statesVisited: result.nested.visited,
          statesUnique: result.nested.unique, statesJudged: result.nested.judged,
          statesReadAlike: result.nested.readAlike, groups: result.nested.groups, cutShort: result.nested.cutShort,
          calibration: result.nested.calibration?.json, others: result.nested.others?.json),
      calibration: result.calibration.map { Calibrated($0) })
  }

  /// With several profiles a total, the parts under `profiles`.
  public func json() throws -> String { try ExplorationDocument(figures).text() }

  public var figures: Figures {
    let parts = profiles.map(part)
    func sum(_ key: KeyPath<Figures, Int>) -> Int { parts.reduce(0) { $0 + $1[keyPath: key] } }
    var total =
      parts.count == 1
      ? parts[0]
      : Figures(
        profile: "all", bound: parts.map(\.bound).min() ?? 0, statesVisited: sum(\.statesVisited),
        statesUnique: sum(\.statesUnique), statesJudged: sum(\.statesJudged), statesReadAlike: sum(\.statesReadAlike),
        groups: sum(\.groups), sampled: sum(\.sampled),
        judgedPerSecond: judgedPerSecond, violations: sum(\.violations), unknown: sum(\.unknown),
        crashPoints: sum(\.crashPoints), depth: depth, verdict: verdict.rawValue, profiles: parts)
    (total.verdict, total.interrupted, total.stoppedBy) = (verdict.rawValue, stoppedBy == .signal, stoppedBy?.rawValue)
    total.findings = findings.map {
      Found(
        check: $0.violation.check.rawValue, detail: $0.violation.detail, profile: $0.profile.name,
        permittedBy: $0.permittedBy, states: $0.violation.states, story: $0.violation.story,
        reproduce: $0.violation.reproduce)
    }
    return total
  }
}

extension Calibration.Comparison {
  fileprivate var json: [String: Int] {
    ["states": states, "violated": violated, "missed": missed, "differing": differing, "straying": straying]
  }
}
