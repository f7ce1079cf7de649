import ArgumentParser
import Defects
import Foundation
import Reporting
import ScenarioFormat
import Trials
import Verification

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Enumerate scenarios and their cells, defects, or checks.")

  @OptionGroup var scenarios: ScenarioOptions
  @Flag(help: "The historical defects that can be switched on.")
  var defects = false
  @Flag(help: "The checks, by the names that reports use.")
  var checks = false
  @Flag(name: .customShort("v"), help: "Every cell.")
  var verbose = false

  func run() throws {
    if defects {
      for defect in Defect.all {
        print("\(defect.id.padding(toLength: 5, withPad: " ", startingAt: 0)) \(defect.origin): \(defect.summary)")
        print("      shows when: \(defect.showsWhen)")
      }
      return
    }
    if checks {
      for check in CheckName.allCases { print(check.rawValue) }
      return
    }
    let loaded = scenarios.load()
    let cells = scenarios.cells(of: loaded)
    for scenario in loaded {
      let all = scenario.cells()
      let chosen = cells.filter { $0.file == scenario.file && $0.scenario == scenario.name }
      print("\(scenario.name)  \(chosen.count) of \(all.count) cells selected  \(scenario.file)")
      print("  \(scenario.title)")
      let suites = scenario.suiteNames.map { name in "\(name) (\(all.filter { $0.tags.contains(name) }.count))" }
      if !suites.isEmpty { print("  suites: \(suites.joined(separator: ", "))") }
      if verbose { for cell in chosen { print("    \(cell.description)") } }
    }
    if cells.isEmpty { fail("nothing selected", ExitStatus.nothingSelected) }
  }
}

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Validate scenarios without running anything; mistakes are named with line and column.")

  @Argument(help: "Scenario files and folders.", completion: .file())
  var paths: [String] = ["Scenarios"]

  func run() throws {
    do {
      let loaded = try ScenarioFiles.load(paths, vocabulary: Planning.vocabulary)
      for scenario in loaded { print("ok  \(scenario.file): \(scenario.name), \(scenario.cells().count) cells") }
    } catch {
      // The mistakes are this command's result.
      for mistake in error.errors { print("\(mistake)") }
      throw ExitCode(ExitStatus.invalidScenario)
    }
  }
}

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "What this machine allows: kernel, io_uring, file system, free space, limits.")

  @Option(help: "The directory that trials would use.", completion: .directory)
  var dir: String?
  @Option(help: "terminal or json.")
  var report = "terminal"

  func run() throws {
    let findings = Doctor.examine(directory: dir ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp")
    switch report {
    case "terminal": print(Doctor.renderText(findings), terminator: "")
    case "json": print(try Doctor.renderJSON(findings))
    default: throw ValidationError("--report \(report): terminal or json")
    }
    throw ExitCode(Doctor.exitCode(findings))
  }
}
