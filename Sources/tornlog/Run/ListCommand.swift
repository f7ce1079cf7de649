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
    commandName: "list", abstract: "Enumerate scenarios and their cells, defects, or checks.")

  @OptionGroup var scenarios: ScenarioOptions
  @Flag(help: "The historical defects that can be switched on.")
  var defects = false
  @Flag(help: "The checks, by the names that reports use.")
  var checks = false
  @Flag(name: .customShort("v"), help: "Every cell.")
  var verbose = false

  func run() throws {
    var lines: [String] = []
    if defects {
      return Console.print(Self.lines(of: Defect.all))
    }
    if checks { return Console.print(CheckName.allCases.map(\.rawValue)) }
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
    if cells.isEmpty { fail("nothing selected", ExitStatus.nothingSelected) }
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
    commandName: "check", abstract: "Validate scenarios without running anything; mistakes are named with line and column.")

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
    commandName: "doctor", abstract: "What this machine allows: kernel, io_uring, file system, free space, limits.")

  @Option(help: "The directory that trials would use.", completion: .directory)
  var dir: String?
  @Option(help: "terminal or json.")
  var report = "terminal"

  func run() throws {
    let findings = Doctor.examine(directory: dir ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp")
    switch report {
    case "terminal": Console.print([Doctor.renderText(findings)], terminator: "")
    case "json": Console.print([try Doctor.renderJSON(findings)])
    default: throw ValidationError("--report \(report): terminal or json")
    }
    throw ExitCode(Doctor.exitCode(findings))
  }
}
