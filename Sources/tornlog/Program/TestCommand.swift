import ArgumentParser
import CrashStates
import Drivers
import Foundation
import LogModel
import ProgramTesting
import Reporting
import ScenarioFormat
import Trials
import Verification

struct TestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test",
    abstract: "Test any program: kill it, take its power, fail its operations, and see what it lost.",
    usage: """
      tornlog test [options] -- DRIVER [argument ...]
      tornlog test [options] SCENARIO ...
      """,
    discussion: """
      The program is called by a driver, which you write: docs/driver-protocol.md says how, Examples/drivers has some to copy. It works \
      on a volume in memory that records what it does to its files. Then it is opened on every state that a crash may leave \
      of them, up to a bound, and what it serves is compared with what it had acknowledged.

        tornlog test -- python3 Examples/drivers/sqlite.py

      A scenario names a driver, its configurations and their promises: docs/programs.md says how.

        tornlog test Scenarios/programs

      Exit codes: 0 every promise was kept, and every expectation of a scenario met; 1 not so; 2 unknown; 3 no cell is \
      selected; 64 wrong usage; 65 a scenario has mistakes; 69 this machine cannot run it: a volume needs root, or \
      fusermount3; 130 interrupted.
      """)

  @OptionGroup var program: ProgramOptions
  @OptionGroup var selection: ProgramSelection
  @Option(
    help: ArgumentHelp(
      "Crash states of this profile. Repeatable. Without it: btrfs, xfs, ext4-ordered, posix-minimal.",
      valueName: "name"))
  var profile: [String] = []
  @Option(
    help: ArgumentHelp(
      "Search for this long (default: 40s), each cell. Shrinking what is found takes longer.", valueName: "duration"))
  var budget: Duration?
  @Option(parsing: .unconditional, help: ArgumentHelp("Kill the program n times (default: 12).", valueName: "n"))
  var kills: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Make n operations fail, one in each run (default: the first, the last and a middle one of each kind).",
      valueName: "n"))
  var faults: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Make the disk damage n operations, one in each run, and say nothing (default: 0). The program may refuse, and "
        + "it must not serve what nobody wrote.",
      valueName: "n"))
  var damage: Int?
  @Option(
    help: ArgumentHelp(
      "Use this fault only, like ENOSPC or 'bit flip at rest'. Repeatable; docs/programs.md lists them.",
      valueName: "name"))
  var fault: [String] = []
  @Option(
    help: ArgumentHelp(
      "Append a 64-bit hash of each opened state to this file, little-endian: to count the states of several runs.",
      valueName: "file"))
  var stateHashes: String?
  @OptionGroup var random: SearchSeed
  @OptionGroup var threads: SearchJobs
  @OptionGroup var report: ReportOptions<DocumentFormats>
  @Flag(name: .shortAndLong, help: "Show all findings, and all reasons.")
  var verbose = false
  @Argument(
    help: ArgumentHelp("Scenario files of programs, and folders of them.", valueName: "scenario"), completion: .file())
  var scenarios: [String] = []
  /// The driver and its arguments, after `--`.
  @Option(name: TerminatedWords.name, parsing: .unconditionalSingleValue, help: .hidden)
  var driver: [String] = []

  func validate() throws {
    guard !driver.isEmpty || !scenarios.isEmpty else {
      throw ValidationError("name a driver, or scenarios: tornlog test -- python3 Examples/drivers/sqlite.py")
    }
    guard driver.isEmpty || scenarios.isEmpty else {
      throw ValidationError("a driver after `--`, or scenarios (\(scenarios.joined(separator: ", "))): not both")
    }
    if !scenarios.isEmpty, !program.ofScenarios.isEmpty {
      throw ValidationError("\(program.ofScenarios.joined(separator: ", ")): the scenarios say this")
    }
    if scenarios.isEmpty, selection.isGiven { throw ValidationError("-t, -k and --shard: of scenarios only") }
    if let budget, budget < .seconds(1) { throw ValidationError("--budget \(budget): at least 1s") }
    for (name, number) in [("kills", kills), ("faults", faults), ("damage", damage)] {
      if let number, !(0...100_000).contains(number) {
        throw ValidationError("--\(name) \(number): from 0 to 100000")
      }
    }
    _ = try profiles()
    _ = try faultKinds()
  }

  private func faultKinds() throws -> [OperationFault]? {
    if fault.isEmpty { return nil }
    return try fault.map { name in
      guard let found = OperationFault(rawValue: name) else {
        let names = OperationFault.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        throw ValidationError("--fault '\(name)': one of \(names)")
      }
      return found
    }
  }

  private func profiles() throws -> [CrashProfile]? {
    if profile.isEmpty { return nil }
    return try profile.map { name in
      guard let found = CrashProfile.named(name) else {
        let names = CrashProfile.known.map(\.name).joined(separator: ", ")
        throw ValidationError("--profile \(name): one of \(names)")
      }
      return found
    }
  }

  /// What the command line says, over what is usual or what a scenario says.
  private func change(_ options: inout ProgramTestOptions) throws {
    if let profiles = try profiles() {
      options.profiles = CrashProfile.known.filter { profiles.contains($0) }
    }
    if let budget { options.budget = UInt64(budget.inSeconds * 1e9) }
    options.jobs = threads.jobs
    options.kills = kills ?? options.kills
    options.faults = faults ?? options.faults
    options.damage = damage ?? options.damage
    if let kinds = try faultKinds() {
      options.faultKinds = kinds
      // Who names a kind of damage wants some.
      if damage == nil, kinds.contains(where: \.isDamage) { options.damage = options.faults ?? 40 }
    }
    options.isCancelled = { Interruption.isRequested }
  }

  func run() throws {
    report.check()
    if !scenarios.isEmpty { return try runScenarios() }
    var spec = try program.spec(driver)
    spec.seed = random.seed ?? 1
    var options = ProgramTestOptions()
    try change(&options)
    let progress = ProgressLine()
    let found: ProgramReport
    do throws(ProgramTestError) {
      found = try ProgramTest(spec, options, note: { progress.show($0) }).run()
    } catch {
      progress.clear()
      throw error.asExit
    }
    progress.clear()
    noteStates(of: found)
    report.write(ReportDocument(found, isVerbose: verbose))
    if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    throw ExitCode(ExitStatus.code(of: found.verdict))
  }

  private func noteStates(of found: ProgramReport) {
    guard let stateHashes else { return }
    do {
      if !FileManager.default.fileExists(atPath: stateHashes) {
        try Data().write(to: URL(fileURLWithPath: stateHashes))
      }
      let file = try FileHandle(forUpdating: URL(fileURLWithPath: stateHashes))
      try file.seekToEnd()
      try file.write(contentsOf: found.contents.map(\.littleEndian).withUnsafeBytes { Data($0) })
      try file.close()
    } catch { fail("--state-hashes \(stateHashes): \(error.localizedDescription)", ExitStatus.unavailable) }
  }

  private func runScenarios() throws {
    let cells = try selection.cells(of: scenarios)
    let progress = ProgressLine()
    var suite = ProgramSuite(isVerbose: verbose)
    for (number, (scenario, cell)) in cells.enumerated() {
      if Interruption.isRequested { break }
      var spec = try program.spec(scenario.driver)
      var options = ProgramTestOptions()
      scenario.apply(cell, to: &spec, &options, isRequested: program)
      if let seed = random.seed { spec.seed = seed }
      try change(&options)
      let left = Duration.seconds(Double(options.budget) / 1e9 * Double(cells.count - number))
      let label = "\(number + 1) of \(cells.count), about \(Int(left.inSeconds.rounded())) s to go: \(cell)"
      do throws(ProgramTestError) {
        let found = try ProgramTest(spec, options, note: { progress.show("\(label): \($0)") }).run()
        noteStates(of: found)
        suite.add(cell, found)
      } catch { suite.add(cell, error) }
      progress.clear()
      if report.isForPeople { Console.print(suite.lastLines) }
      if suite.isHopeless { break }
    }
    suite.wasInterrupted = Interruption.isRequested
    suite.cells = cells.count
    report.write(suite.document(withCells: !report.isForPeople))
    throw ExitCode(Interruption.isRequested ? ExitStatus.interrupted : suite.code)
  }
}

extension ProgramTestError {
  /// Ends the command with a message and the exit code of the contract.
  var asExit: ExitCode {
    note("\(self)")
    switch self {
    case .mount, .machine, .disk: return ExitCode(ExitStatus.unavailable)
    case .driver(.system(_, _)): return ExitCode(ExitStatus.unavailable)
    case .driver, .failsWithoutFault, .failsToRestart: return ExitCode(ExitStatus.unknown)
    case .missing, .noModel: return ExitCode(ExitStatus.usage)
    }
  }
}

extension ReportDocument {
  init(_ report: ProgramReport, isVerbose: Bool) {
    let findings = report.findings.map { finding in
      ReportCase(
        group: "tornlog test", name: "\(finding.check) (\(finding.cause))",
        verdict: finding.repeats ? .violated : .unknown, isExpected: false, message: finding.detail,
        lines: finding.story + (finding.token.map { ["tornlog reproduce \($0)"] } ?? []))
    }
    let profiles = report.profiles.map { profile in
      ReportCase(
        group: "tornlog test", name: profile.name,
        verdict: profile.violations > 0 ? .violated : profile.unknown > 0 ? .unknown : .held,
        isExpected: profile.violations == 0 && profile.unknown == 0,
        message: "\(profile.visited) states visited, \(profile.opened) opened")
    }
    self.init(
      title: "tornlog test", text: report.lines(isVerbose: isVerbose), conclusion: report.conclusion,
      json: rendered { try report.json() }, cases: findings + profiles)
  }
}
