import Foundation
import Storage
import Verification

/// A promise that was broken under an error.
public struct ErrorViolation: Hashable, Sendable {
  public var check: CheckName
  public var detail: String
  /// `--case` repeats it.
  public var story: String
  public var sites: [EngineCallSite]
}

/// What one cell came to in one scenario.
public struct ErrorRow: Sendable {
  public var scenario: String
  public var cell: ErrorCell
  public var runs = 0
  /// Runs in which the fault fired.
  public var fired = 0
  /// Of them, how many opened under the error, and how many took appends in the same life once it was over.
  public var opened = 0
  public var wentOn = 0
  public var violated = 0
  public var unknown = 0
  public var sites: Set<EngineCallSite> = []
  public var unknownSites = 0
  /// The first of each check.
  public var violations: [ErrorViolation] = []
  /// Why there was no verdict, the first time.
  public var doubt: String?
  /// A second error behind another.
  public var isSecond = false
  /// The deadline came first.
  public var isCutOff = false
  var leads: [ErrorLead] = []

  init(scenario: String, cell: ErrorCell) {
    self.scenario = scenario
    self.cell = cell
  }

  mutating func note(_ story: ErrorCase, _ result: ErrorRunResult) {
    runs += 1
    if result.firings.count > 0 { fired += 1 }
    if result.opened { opened += 1 }
    if result.wentOn { wentOn += 1 }
    sites.formUnion(result.firings.sites)
    unknownSites += result.firings.unknownSites
    for (number, site) in result.firings.after where !leads.contains(where: { $0.site == site }) {
      leads.append(ErrorLead(story: story, site: site, number: number))
    }
    switch result.judgement.verdict {
    case .held: break
    case .unknown:
      unknown += 1
      doubt = doubt ?? result.judgement.check.map { "\(story): \($0.detail)" }
    case .violated:
      violated += 1
      guard let check = result.judgement.check, !violations.contains(where: { $0.check == check.name }) else { return }
      violations.append(
        ErrorViolation(check: check.name, detail: check.detail, story: "\(story)", sites: result.firings.sites))
    }
  }
}

/// What the matrix came to.
public struct ErrorMatrixReport: Sendable {
  public var rows: [ErrorRow]
  /// Every fallible call site of the engine, from its source; empty where one case was repeated.
  public var sites: [EngineCallSite]
  public var impossible: [ErrorCell]
  /// Everything was to be covered; otherwise unvisited call sites say nothing.
  public var isWhole: Bool
  /// Nil where every case was run.
  public var stoppedBy: SearchStop?

  public var runs: Int { rows.reduce(0) { $0 + $1.runs } }
  public var fired: Int { rows.reduce(0) { $0 + $1.fired } }
  public var violated: Int { rows.reduce(0) { $0 + $1.violated } }
  public var unknown: Int { rows.reduce(0) { $0 + $1.unknown } }
  public var cells: Int { rows.count { !$0.isSecond } }
  /// Cells in which nothing ever fired, in any scenario: the workload has no such operation.
  public var silent: [ErrorCell] {
    var seen: Set<ErrorCell> = []
    let fired = Set(rows.filter { $0.fired > 0 }.map(\.cell))
    return rows.map(\.cell).filter { !fired.contains($0) && seen.insert($0).inserted }
  }
  var hits: [EngineCallSite: Int] {
    rows.reduce(into: [:]) { hits, row in for site in row.sites { hits[site, default: 0] += 1 } }
  }
  public var unvisited: [EngineCallSite] {
    let visited = Set(rows.flatMap(\.sites))
    return sites.filter { !visited.contains($0) }
  }
  /// Call sites that were hit and that the source does not have: the list is not to be trusted.
  public var unlisted: [EngineCallSite] {
    sites.isEmpty ? [] : Set(rows.flatMap(\.sites)).subtracting(sites).sorted()
  }
  public var isCutOff: Bool { rows.contains(where: \.isCutOff) }
  public var violations: [ErrorViolation] { rows.flatMap(\.violations) }

  /// An operation that no error has hit, or whose place is not known, leaves no verdict.
  public var verdict: Verdict {
    if violated > 0 { return .violated }
    let isCovered = !isWhole || (unvisited.isEmpty && unlisted.isEmpty && silent.isEmpty)
    let unplaced = rows.reduce(0) { $0 + $1.unknownSites }
    return unknown > 0 || isCutOff || !isCovered || (isWhole && unplaced > 0) || fired == 0 ? .unknown : .held
  }

  public var text: [String] {
    var lines: [String] = []
    if !sites.isEmpty {
      lines.append("call sites of the engine, each with the cells in which an error hit it:")
      let hits = hits
      for site in sites { lines.append("  \(String(hits[site] ?? 0).leftPadded(6))  \(site)") }
      if isWhole { lines += unvisited.map { "NOT VISITED \($0)" } }
      lines += unlisted.map {
        "NOT IN THE SOURCE \($0): was tornlog built from other sources than those that are there?"
      }
      if isWhole { lines += silent.map { "NEVER FIRED \($0)" } }
      let reasons = Dictionary(grouping: impossible, by: { $0.impossible ?? "" }).sorted { $0.key < $1.key }
      lines.append("impossible combinations: \(impossible.count)")
      lines += reasons.map { "  \(String($1.count).leftPadded(6))  \($0)" }
      lines.append("scenario                runs   fired  opened went on violated")
      for name in unique(rows.map(\.scenario)) {
        let own = rows.filter { $0.scenario == name }
        func sum(_ key: KeyPath<ErrorRow, Int>) -> String {
          String(own.reduce(0) { $0 + $1[keyPath: key] }).leftPadded(8)
        }
        lines.append(
          name.padding(toLength: 20, withPad: " ", startingAt: 0) + sum(\.runs) + sum(\.fired) + sum(\.opened)
            + sum(\.wentOn) + sum(\.violated))
      }
    }
    if sites.isEmpty { lines += Set(rows.flatMap(\.sites)).sorted().map { "an error hit \($0)" } }
    for check in unique(violations.map(\.check)) {
      let own = violations.filter { $0.check == check }
      lines.append("VIOLATED \(check.rawValue), in \(own.count) cells")
      for violation in own.prefix(3) {
        lines.append("  \(violation.detail)")
        lines.append("  at \(violation.sites.map { "\($0)" }.joined(separator: ", "))")
        lines.append("  tornlog explore errors --case '\(violation.story)'")
      }
    }
    if let doubt = rows.lazy.compactMap(\.doubt).first { lines.append("UNKNOWN \(doubt)") }
    let unplaced = rows.reduce(0) { $0 + $1.unknownSites }
    if unplaced > 0 {
      lines.append("UNKNOWN of \(unplaced) operations that an error hit the call site could not be found out")
    }
    if let stoppedBy {
      lines.append(
        "UNKNOWN \(stoppedBy.text) before the end of the matrix; \(rows.count(where: \.isCutOff)) cells were left out "
          + "or cut off"
      )
    }
    let coverage = sites.isEmpty ? "" : "\(sites.count - unvisited.count) of \(sites.count) call sites visited, "
    lines.append(
      "\(verdict.rawValue): \(coverage)\(cells) cells, \(runs) runs, \(fired) fired, \(violated) violated, \(unknown) "
        + "unknown"
    )
    return lines
  }

  private func unique<Value: Hashable>(_ values: [Value]) -> [Value] {
    var seen: Set<Value> = []
    return values.filter { seen.insert($0).inserted }
  }
}

extension String {
  fileprivate func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

// MARK: JSON

/// The key `errorMatrix` of the JSON report, beside `exploration`: keys are added, never renamed.
extension ErrorMatrixReport {
  private struct Document: Encodable {
    var version = 1
    var tool = "tornlog"
    var errorMatrix: Body
  }

  private struct Body: Encodable {
    var verdict: String
    var interrupted: Bool
    var stoppedBy: String?
    var callSites, visited, cells, runs, fired, violations, unknown: Int
    var unvisited: [String]
    var impossible: [Reason]
    var sites: [Site]
    var findings: [Found]
  }

  private struct Reason: Encodable { var cell, reason: String }
  private struct Site: Encodable {
    var site: String
    var cells: Int
  }
  private struct Found: Encodable { var check, detail, reproduce: String }

  public func json() throws -> String {
    let hits = hits
    let body = Body(
      verdict: verdict.rawValue, interrupted: stoppedBy == .signal, stoppedBy: stoppedBy?.rawValue,
      callSites: sites.count, visited: sites.count - unvisited.count, cells: cells, runs: runs,
      fired: fired, violations: violated, unknown: unknown, unvisited: unvisited.map { "\($0)" },
      impossible: impossible.map { Reason(cell: "\($0)", reason: $0.impossible ?? "") },
      sites: sites.map { Site(site: "\($0)", cells: hits[$0] ?? 0) },
      findings: violations.map {
        Found(check: $0.check.rawValue, detail: $0.detail, reproduce: "tornlog explore errors --case '\($0.story)'")
      })
    return try ReportText.json(Document(errorMatrix: body))
  }
}
