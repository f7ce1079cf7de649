import ArgumentParser
import Defects
import Doctor
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Trials
import Verification

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List scenarios and their cells, defects, or checks.")

  @OptionGroup var scenarios: ScenarioOptions
  @Flag(help: "List the historical defects.")
  var defects = false
  @Flag(help: "List the checks.")
  var checks = false
  @Flag(name: .customShort("v"), help: "List every cell.")
  var verbose = false

  func run() throws {
    var lines: [String] = []
    if defects { lines += Self.lines(of: Defect.all) }
    if checks { lines += CheckName.allCases.map(\.rawValue) }
    if defects || checks { return Console.print(lines) }
    let loaded = scenarios.load()
    let cells = scenarios.cells(of: loaded)
    for scenario in loaded {
      let all = scenario.cells()
      let chosen = cells.filter { $0.file == scenario.file && $0.scenario == scenario.name }
      lines.append("\(scenario.name)  \(chosen.count) of \(all.count) cells selected  \(scenario.file)")
      lines.append("  \(scenario.title.escapingControls())")
      let suites = scenario.suiteNames.map { name in "\(name) (\(all.filter { $0.tags.contains(name) }.count))" }
      if !suites.isEmpty { lines.append("  suites: \(suites.joined(separator: ", "))") }
      if verbose { for cell in chosen { lines.append("    \(cell.description)") } }
    }
    Console.print(lines)
    if cells.isEmpty { fail("nothing selected: \(scenarios.whyNoCell(of: loaded))", ExitStatus.nothingSelected) }
  }
}

extension ListCommand {
  static func lines(of defects: [Defect]) -> [String] {
    defects.flatMap { defect in
      [
        "\(defect.id.padding(toLength: 5, withPad: " ", startingAt: 0)) \(defect.origin): \(defect.summary)",
        "      shows when: \(defect.showsWhen)",
      ]
    }
  }
}

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check scenarios and name each mistake with line and column.")

  @Argument(help: "Scenario files and folders.", completion: .file())
  var paths: [String] = ScenarioOptions.defaultPaths

  func run() throws {
    ScenarioPaths.check(paths, isDefault: paths == ScenarioOptions.defaultPaths)
    do {
      let loaded = try ScenarioFiles.load(paths, vocabulary: TrialPlanner.vocabulary)
      let contradictions = loaded.compactMap(TrialPlanner.contradiction)
      guard contradictions.isEmpty else {
        Console.print(contradictions)
        throw ExitCode(ExitStatus.invalidScenario)
      }
      Console.print(loaded.map { "ok  \($0.file): \($0.name), \($0.cells().count) cells" })
    } catch let error as InvalidScenarios {
      // The mistakes are this command's result.
      Console.print(error.lines)
      throw ExitCode(ExitStatus.invalidScenario)
    }
  }
}

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Show what this machine allows: kernel, io_uring, file system, free space, limits."
  )

  @OptionGroup var place: TrialDirectory
  @OptionGroup var report: ReportOptions<DocumentFormats>

  func run() throws {
    report.check()
    let findings = Doctor.examine(directory: place.path)
    report.write(
      ReportDocument(
        title: "tornlog doctor",
        text: Doctor.renderText(findings).trimmingCharacters(in: .newlines).components(separatedBy: "\n"),
        json: rendered { try Doctor.renderJSON(findings) }, cases: findings.map(ReportCase.init)))
    throw ExitCode(Doctor.exitCode(findings))
  }
}

extension ReportCase {
  /// A warning leaves tornlog usable.
  fileprivate init(_ finding: Finding) {
    let detail = finding.status == .warning ? "warning: \(finding.detail)" : finding.detail
    self.init(
      group: "doctor", name: finding.check, mustHold: finding.status == .failure ? .violated : .held, message: detail,
      lines: [finding.detail] + (finding.remedy.map { [$0] } ?? []))
  }
}
