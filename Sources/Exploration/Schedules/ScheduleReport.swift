import Foundation
import Verification

/// A promise that was broken under some schedule.
public struct ScheduleViolation: Hashable, Sendable {
  public var check: CheckName
  public var detail: String
  /// `--schedule` repeats it: the first that was found.
  public var schedule: String
  /// Its number among the schedules of its scenario, from 1.
  public var within: Int
  /// Schedules in which this check was the first that was violated.
  public var schedules: Int
  /// It needs no pre-emption.
  public var isInDefaultOrder: Bool
}

/// What the search came to in one scenario.
public struct ScheduleSummary: Sendable {
  public var name: String
  /// Places in the default order at which several things could have happened.
  public var decisions = 0
  public var schedules = 0
  /// Schedules with exactly one pre-emption and no power cut before the end; where these are all that there are, the
  /// search is exhaustive to bound 1.
  public var singles = 0
  public var possibleSingles = 0
  /// Different persistence traces.
  public var unique = 0
  /// Schedules whose power cut was to come later than the life lasted; it came at its end.
  public var uncut = 0
  public var violated = 0
  public var unknown = 0
  public var doubt: String?
  public var violations: [ScheduleViolation] = []
  public var isCutOff = false

  init(name: String) { self.name = name }
}

/// What the search came to.
public struct ScheduleReport: Sendable {
  public var scenarios: [ScheduleSummary]
  /// Most pre-emptions of a schedule.
  public var bound: Int
  /// Nil where every schedule was run.
  public var stoppedBy: SearchStop?

  public var schedules: Int { scenarios.reduce(0) { $0 + $1.schedules } }
  public var unique: Int { scenarios.reduce(0) { $0 + $1.unique } }
  public var violated: Int { scenarios.reduce(0) { $0 + $1.violated } }
  public var unknown: Int { scenarios.reduce(0) { $0 + $1.unknown } }
  public var violations: [ScheduleViolation] { scenarios.flatMap(\.violations) }

  public var verdict: Verdict {
    if violated > 0 { return .violated }
    return unknown > 0 || scenarios.contains(where: \.isCutOff) || schedules == 0 ? .unknown : .held
  }

  public var text: [String] {
    var lines = ["scenario     decisions schedules  unique violated unknown  with one pre-emption"]
    for one in scenarios {
      func cell(_ value: Int, _ width: Int) -> String {
        let text = "\(value)"; return String(repeating: " ", count: max(0, width - text.count)) + text
      }
      lines.append(
        one.name.padding(toLength: 12, withPad: " ", startingAt: 0) + cell(one.decisions, 10) + cell(one.schedules, 10)
          + cell(one.unique, 8) + cell(one.violated, 9) + cell(one.unknown, 8)
          + "  \(one.singles) of \(one.possibleSingles)\(one.singles == one.possibleSingles ? ", all" : "")")
    }
    for violation in violations {
      let order = violation.isInDefaultOrder ? ", already in the default order" : ""
      lines.append(
        "VIOLATED \(violation.check.rawValue), \(violation.schedules) schedules, the first is number "
          + "\(violation.within)\(order)"
      )
      lines.append("  \(violation.detail)")
      lines.append("  tornlog explore schedules --schedule '\(violation.schedule)'")
    }
    if let doubt = scenarios.lazy.compactMap(\.doubt).first { lines.append("UNKNOWN \(doubt)") }
    if let stoppedBy { lines.append("UNKNOWN \(stoppedBy.text) before the end of the search; schedules were left out") }
    lines.append(
      "\(verdict.rawValue): \(schedules) schedules, at most \(bound) pre-emptions, \(unique) different traces, "
        + "\(violated) violated, \(unknown) unknown")
    return lines
  }
}

/// The key `schedules` of the JSON report, beside `exploration`: keys are added, never renamed.
extension ScheduleReport {
  private struct Document: Encodable {
    var version = 1
    var tool = "tornlog"
    var schedules: Body
  }

  private struct Body: Encodable {
    var verdict: String
    var interrupted: Bool
    var stoppedBy: String?
    var bound, schedules, unique, violations, unknown: Int
    var scenarios: [Scenario]
    var findings: [Found]
  }

  private struct Scenario: Encodable {
    var name: String
    var decisions, schedules, singles, possibleSingles, unique, violations, unknown, uncut: Int
  }

  private struct Found: Encodable {
    var check, detail, reproduce: String
    var within, schedules: Int
    var isInDefaultOrder: Bool
  }

  public func json() throws -> String {
    let body = Body(
      verdict: verdict.rawValue, interrupted: stoppedBy == .signal, stoppedBy: stoppedBy?.rawValue, bound: bound,
      schedules: schedules, unique: unique, violations: violated, unknown: unknown,
      scenarios: scenarios.map {
        Scenario(
          name: $0.name, decisions: $0.decisions, schedules: $0.schedules, singles: $0.singles,
          possibleSingles: $0.possibleSingles, unique: $0.unique,
          violations: $0.violated, unknown: $0.unknown, uncut: $0.uncut)
      },
      findings: violations.map {
        Found(
          check: $0.check.rawValue, detail: $0.detail,
          reproduce: "tornlog explore schedules --schedule '\($0.schedule)'",
          within: $0.within, schedules: $0.schedules, isInDefaultOrder: $0.isInDefaultOrder)
      })
    return try ReportText.json(Document(schedules: body))
  }
}
