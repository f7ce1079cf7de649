import CrashStates
import DiskTraces
import Exploration
import Foundation
import ProfileReports
import Reporting
import Verification

// What each search has found, as every report format takes it.

extension ReportDocument {
  /// A case for each profile.
  init(_ report: ExplorationReport, title: String) {
    let search = String(title.dropFirst("tornlog ".count))
    self.init(
      title: title, text: report.text, json: rendered { try report.json() },
      cases: report.profiles.map { result in
        ReportCase(
          group: search, name: result.profile.name, mustHold: result.verdict, seconds: result.seconds,
          message: "\(result.visited) states visited, \(result.violatedStates) violated",
          lines: result.violations.flatMap(\.lines))
      })
  }

  /// A case for each file system.
  init(_ report: TraceReport) {
    self.init(
      title: "tornlog explore disks", text: report.text.split(separator: "\n").map(String.init),
      json: rendered { try report.json() },
      cases: [
        ReportCase(
          group: "explore disks", name: "claims of traces", mustHold: report.disagreements.isEmpty ? .held : .violated,
          message: "\(report.claims) claims", lines: report.disagreements.map(\.description))
      ]
        + report.systems.map { system in
          ReportCase(
            group: "explore disks", name: "traces on \(system.fileSystem.rawValue)",
            mustHold: system.findings.isEmpty ? (system.undecided.isEmpty ? .held : .unknown) : .violated,
            seconds: system.seconds, message: "\(system.images) images, \(system.states) states",
            lines: system.findings.flatMap(\.lines) + system.undecided)
        })
  }

  /// A case for each scenario of the matrix.
  init(_ report: ErrorMatrixReport) {
    var names: [String] = []
    for row in report.rows where !names.contains(row.scenario) { names.append(row.scenario) }
    self.init(
      title: "tornlog explore errors", text: report.text, json: rendered { try report.json() },
      cases: names.map { name in
        let rows = report.rows.filter { $0.scenario == name }
        func sum(_ key: KeyPath<ErrorRow, Int>) -> Int { rows.reduce(0) { $0 + $1[keyPath: key] } }
        let isDoubtful = sum(\.unknown) > 0 || rows.contains(where: \.isCutOff)
        return ReportCase(
          group: "explore errors", name: name,
          mustHold: sum(\.violated) > 0 ? .violated : isDoubtful ? .unknown : .held,
          message: "\(sum(\.runs)) runs, \(sum(\.fired)) fired, \(sum(\.violated)) violated",
          lines: rows.flatMap(\.violations).flatMap { violation in
            ["\(violation.check.rawValue): \(violation.detail)", "tornlog explore errors --case '\(violation.story)'"]
          } + rows.compactMap(\.doubt))
      })
  }

  /// A case for each scenario of the search.
  init(_ report: ScheduleReport) {
    self.init(
      title: "tornlog explore schedules", text: report.text, json: rendered { try report.json() },
      cases: report.scenarios.map { one in
        ReportCase(
          group: "explore schedules", name: one.name,
          mustHold: one.violated > 0 ? .violated : one.unknown > 0 || one.isCutOff ? .unknown : .held,
          message: "\(one.schedules) schedules, \(one.violated) violated",
          lines: one.violations.flatMap { violation in
            [
              "\(violation.check.rawValue): \(violation.detail)",
              "tornlog explore schedules --schedule '\(violation.schedule)'",
            ]
          } + (one.doubt.map { [$0] } ?? []))
      })
  }

  /// A case for each file system.
  init(_ report: ProfileValidationReport) {
    self.init(
      title: "tornlog explore disks", text: report.text, json: rendered { try report.json() },
      cases: report.systems.map { system in
        ReportCase(
          group: "explore disks", name: "\(system.fileSystem) against \(system.profile.name)",
          mustHold: system.verdict(asked: report.asked), seconds: system.seconds,
          message: "\(system.legal) of \(system.images) images are legal, \(system.violations.count) violated",
          lines: (system.illegal + system.violations).flatMap { [$0.place] + $0.lines } + system.doubts)
      })
  }

  /// A hang ends a search with what is known of it.
  init(_ hang: Hang) {
    self.init(
      title: "tornlog explore", text: hang.text, json: rendered { try hang.json() },
      cases: [
        ReportCase(
          group: "explore", name: hang.work, mustHold: .violated, message: hang.check.detail,
          lines: hang.finding?.lines ?? [])
      ])
  }
}

extension StateViolation {
  /// What was violated, how it came to it, and what repeats it.
  var lines: [String] { ["\(check.rawValue): \(detail)"] + story + ["reproduce: \(reproduce)"] }
}
