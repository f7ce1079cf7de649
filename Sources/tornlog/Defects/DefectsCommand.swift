import ArgumentParser
import DefectMatrix
import Defects
import Exploration
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Trials
import Verification

struct DefectsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "defects", abstract: "Switch on one historical defect after the other, and show what catches each.",
    discussion: """
      Each defect has a scenario of its own. The other strategies know nothing of it: restarts, process kills, power losses, \
      faults, crash states, failing operations, orders of execution. The unmodified engine goes through the same. The command \
      ends with exit code 1 where a defect is not caught by its check, or where the unmodified engine is accused; with 2 where \
      a search ended early; with 130 after an interruption, with a report of what was done.
      """)

  @Flag(name: .customLong("list"), help: "List the defects, and run nothing.")
  var lists = false
  @Option(
    help: ArgumentHelp(
      "Look for these defects only, as C4,P2,C4+P9. none is the unmodified engine; C4+P9 is both at once. Repeatable.",
      valueName: "ids"))
  var only: [String] = []
  @Option(help: ArgumentHelp("Look in this way only. Repeatable.", valueName: "strategy"))
  var strategy: [DetectionStrategy] = []
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Run n trials of each strategy that is made of trials, 1 to 1000 (default 100).", valueName: "n")
  )
  var seeds: Int?
  @Flag(help: "Do less of everything: all defects in a minute.")
  var smoke = false
  @Flag(help: "Print the smallest story of each defect too.")
  var stories = false
  @Option(parsing: .unconditional, help: ArgumentHelp("Random seed.", valueName: "n"))
  var seed: UInt64 = TrialPlanner.defaultSeed
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Run n searches at once (default: one for each processor).", valueName: "n"))
  var jobs: Int?
  @OptionGroup var place: TrialDirectory
  @Option(help: ArgumentHelp("Take the defects' scenarios from here.", valueName: "folder"), completion: .directory)
  var scenarios = "Scenarios"
  @OptionGroup var report: ReportOptions<DocumentFormats>

  private static let folders = ["defects", "exploration"]

  func validate() throws {
    if let seeds, !(1...1000).contains(seeds) { throw ValidationError("--seeds \(seeds): 1 to 1000") }
    if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs \(jobs): from 1 to 256") }
    _ = try chosen()
  }

  /// Nil stands for the sound engine.
  private func chosen() throws -> [Defect?] {
    let ids = only.flatMap { $0.split(separator: ",").map(String.init) }
    if ids.isEmpty { return [nil] + Defect.all.map(Optional.some) }
    return try ids.map { id in
      if id == "none" { return nil }
      do throws(DefectClash) { return try Defect.named(id) } catch {
        throw ValidationError("--only \(id): \(error); tornlog defects --list names them")
      }
    }
  }

  func run() throws {
    if lists { return Console.print(ListCommand.lines(of: only.isEmpty ? Defect.all : try chosen().compactMap { $0 })) }
    report.check()
    ScenarioPaths.check(Self.folders.map { "\(scenarios)/\($0)" }, isDefault: scenarios == "Scenarios")
    var options = DefectMatrix.Options()
    options.defects = try chosen()
    if !strategy.isEmpty { options.ways = DetectionStrategy.allCases.filter(strategy.contains) }
    options.effort = smoke ? .smoke : .usual
    if let seeds { options.effort.trials = seeds }
    options.seed = seed
    options.jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
    options.directory = place.path
    options.scenarios = load()
    let started = ContinuousClock.now
    do throws(TrialError) {
      var rows = try DefectMatrix(options, progress: { note($0) }).run()
      if stories, !Interruption.isRequested { for index in rows.indices { rows[index].story = story(of: rows[index]) } }
      let found = DefectReport(
        rows: rows, ways: options.ways, seconds: (ContinuousClock.now - started).inSeconds, effort: options.effort,
        seed: seed)
      report.write(document(found))
      if Interruption.isRequested { Self.exit(withError: ExitCode(ExitStatus.interrupted)) }
      Self.exit(withError: ExitCode(ExitStatus.code(of: found.verdict)))
    } catch {
      fail("\(error)", error.isEnvironment ? ExitStatus.unavailable : ExitStatus.internalError)
    }
  }

  private func load() -> [Scenario] {
    do throws(InvalidScenarios) {
      return try ScenarioFiles.load(Self.folders.map { "\(scenarios)/\($0)" }, vocabulary: TrialPlanner.vocabulary)
    } catch {
      fail("invalid scenario\n\(error)", ExitStatus.invalidScenario)
    }
  }

  private func document(_ found: DefectReport) -> ReportDocument {
    ReportDocument(
      title: "tornlog defects", text: found.text, json: rendered { try found.json() },
      cases: found.rows.map { row in
        let catches = row.cells.compactMap { cell in cell.check.map { "\(cell.way.name): \($0.rawValue)" } }
        return ReportCase(
          group: "defects", name: row.id, mustHold: row.isExpected ? .held : row.isUndecided ? .unknown : .violated,
          seconds: row.cells.reduce(0) { $0 + $1.seconds },
          message: catches.isEmpty ? "caught by nothing" : "caught by \(catches.joined(separator: ", "))",
          lines: catches + row.cells.compactMap(\.reproduce) + row.story)
      }, page: found.markdown(command: command))
  }

  /// This command, as the report names it.
  private var command: String {
    (["tornlog"] + CommandLine.arguments.dropFirst()).joined(separator: " ")
  }
}
