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
    commandName: "defects", abstract: "Switch the historical defects on, one after the other, and see what catches them.",
    discussion: """
      Each defect is looked for in its own scenario and in ways that know nothing of it: restarts, process kills, power \
      losses, faults, crash states, failing operations, orders of execution. The sound engine goes through the same. Exits \
      with 1 where a defect is caught by nothing, or by other checks than its scenario names, or where the sound engine is \
      accused; with 2 where a search ended early; with 130 after an interruption, with reports of what was done until then.
      """)

  @Flag(name: .customLong("list"), help: "Name them, with what they are and when they show, and run nothing.")
  var lists = false
  @Option(help: ArgumentHelp("Of the defects those; `none` is the sound engine, C4+P9 both at once: C4,P2,C4+P9. Repeatable.", valueName: "ids"))
  var only: [String] = []
  @Option(help: ArgumentHelp("Of the ways of looking those; repeatable.", valueName: "way"))
  var way: [String] = []
  @Option(parsing: .unconditional, help: "Trials of each way that is made of trials, 1 to 1000; without it 100.")
  var seeds: Int?
  @Flag(help: "Less of everything: all defects in a minute.")
  var smoke = false
  @Flag(help: "The smallest story of each defect too, by shrinking what its scenario found.")
  var stories = false
  @Option(parsing: .unconditional, help: "Where every choice begins.")
  var seed: UInt64 = TrialPlanner.defaultSeed
  @Option(
    parsing: .unconditional, help: ArgumentHelp("Cells at once; without it one for each processor.", valueName: "n"))
  var jobs: Int?
  @Option(help: ArgumentHelp("Where the trials' files go while they run.", valueName: "dir"), completion: .directory)
  var dir: String?
  @Option(help: ArgumentHelp("Where the defects' scenarios are.", valueName: "folder"), completion: .directory)
  var scenarios = "Scenarios"
  @Option(help: "terminal, json or markdown, each as NAME or NAME=PATH; repeatable.")
  var report: [String] = ["terminal"]

  private static let folders = ["defects", "exploration"]

  func validate() throws {
    if let seeds, !(1...1000).contains(seeds) { throw ValidationError("--seeds \(seeds): 1 to 1000") }
    if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs \(jobs): from 1 to 256") }
    for name in way where DetectionStrategy(rawValue: name) == nil {
      throw ValidationError("--way \(name): one of \(DetectionStrategy.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    for target in report {
      let parts = target.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard ["terminal", "json", "markdown"].contains(parts[0]), parts.count == 1 || !parts[1].isEmpty else {
        throw ValidationError("--report \(target): terminal, json or markdown, each as NAME or NAME=PATH")
      }
    }
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
    let targets = report.map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
    OutputPaths.check(zip(report, targets).map { ($0, $1.count > 1 ? $1[1] : nil) })
    ScenarioPaths.check(Self.folders.map { "\(scenarios)/\($0)" }, isDefault: scenarios == "Scenarios")
    var options = DefectMatrix.Options()
    options.defects = try chosen()
    if !way.isEmpty { options.ways = DetectionStrategy.allCases.filter { way.contains($0.rawValue) } }
    options.effort = smoke ? .smoke : .usual
    if let seeds { options.effort.trials = seeds }
    options.seed = seed
    options.jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
    options.directory = dir ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
    options.scenarios = load()
    let started = ContinuousClock.now
    do throws(TrialError) {
      var rows = try DefectMatrix(options, progress: { note($0) }).run()
      if stories, !Interruption.isRequested { for index in rows.indices { rows[index].story = story(of: rows[index]) } }
      let report = DefectReport(
        rows: rows, ways: options.ways, seconds: (ContinuousClock.now - started).inSeconds, effort: options.effort, seed: seed)
      write(report)
      if Interruption.isRequested { Self.exit(withError: ExitCode(ExitStatus.interrupted)) }
      switch report.verdict {
      case .held: break
      case .violated: Self.exit(withError: ExitCode(ExitStatus.violated))
      case .unknown: Self.exit(withError: ExitCode(ExitStatus.unknown))
      }
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

  private func write(_ report: DefectReport) {
    for target in self.report {
      let parts = target.split(separator: "=", maxSplits: 1).map(String.init)
      let text: String
      switch parts[0] {
      case "json":
        do { text = try report.json() } catch { fail("the report cannot be written as JSON: \(error)", ExitStatus.internalError) }
      case "markdown": text = report.markdown(command: command)
      default: text = report.text.joined(separator: "\n")
      }
      guard parts.count == 2 else {
        Console.print([text])
        continue
      }
      do throws(ReportError) { try AtomicFileSink(path: parts[1]).write(text + "\n") } catch {
        fail("\(error)", ExitStatus.unavailable)
      }
    }
  }

  /// This command, as the report names it.
  private var command: String {
    (["tornlog"] + CommandLine.arguments.dropFirst()).joined(separator: " ")
  }
}
