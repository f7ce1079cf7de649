import ArgumentParser
import CrashStates
import Drivers
import Foundation
import LogModel
import ProgramTesting
import Reporting
import Trials
import Verification

struct TestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test",
    abstract: "Test any program: kill it, take its power, fail its operations, and see what it lost.",
    discussion: """
      The program is called by a driver, which you write: docs/driver-protocol.md says how, Examples/drivers has some to copy. It works \
      on a volume in memory that records what it does to its files. Then it is opened on every state that a crash may leave \
      of them, up to a bound, and what it serves is compared with what it had acknowledged.

        tornlog test -- python3 Examples/drivers/sqlite.py

      Exit codes: 0 every promise was kept; 1 one was broken; 2 unknown; 64 wrong usage; 69 this machine cannot run it: \
      a volume needs root, or fusermount3; 130 interrupted.
      """)

  @OptionGroup var program: ProgramOptions
  @Option(
    help: ArgumentHelp(
      "Crash states of this profile. Repeatable. Without it: btrfs, xfs, ext4-ordered, posix-minimal.",
      valueName: "name"))
  var profile: [String] = []
  @Option(help: ArgumentHelp("Search for this long. Shrinking what is found takes longer.", valueName: "duration"))
  var budget = Duration.seconds(40)
  @Option(parsing: .unconditional, help: ArgumentHelp("Kill the program n times.", valueName: "n"))
  var kills = 12
  @Option(parsing: .unconditional, help: ArgumentHelp("Make n operations fail, one in each run.", valueName: "n"))
  var faults = 40
  @OptionGroup var random: SearchSeed
  @OptionGroup var threads: SearchJobs
  @OptionGroup var report: ReportOptions<DocumentFormats>
  @Flag(name: .shortAndLong, help: "Show all findings, and all reasons.")
  var verbose = false
  @Argument(parsing: .postTerminator, help: "The driver and its arguments, after `--`.")
  var driver: [String] = []

  func validate() throws {
    guard !driver.isEmpty else {
      throw ValidationError("name a driver: tornlog test -- python3 Examples/drivers/sqlite.py")
    }
    guard budget >= .seconds(1) else { throw ValidationError("--budget \(budget): at least 1s") }
    guard (0...100_000).contains(kills) else { throw ValidationError("--kills \(kills): from 0 to 100000") }
    guard (0...100_000).contains(faults) else { throw ValidationError("--faults \(faults): from 0 to 100000") }
    _ = try profiles()
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

  func run() throws {
    report.check()
    var spec = try program.spec(driver)
    spec.seed = random.seed ?? 1
    var options = ProgramTestOptions()
    if let profiles = try profiles() {
      options.profiles = CrashProfile.known.filter { profiles.contains($0) }
    }
    options.budget = UInt64(budget.inSeconds * 1e9)
    (options.jobs, options.kills, options.faults) = (threads.jobs, kills, faults)
    options.isCancelled = { Interruption.isRequested }
    let progress = ProgressLine()
    let found: ProgramReport
    do throws(ProgramTestError) {
      found = try ProgramTest(spec, options, note: { progress.show($0) }).run()
    } catch {
      progress.clear()
      throw error.asExit
    }
    progress.clear()
    report.write(ReportDocument(found, isVerbose: verbose))
    if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    throw ExitCode(ExitStatus.code(of: found.verdict))
  }
}

extension ProgramTestError {
  /// Ends the command with a message and the exit code of the contract.
  var asExit: ExitCode {
    note("\(self)")
    switch self {
    case .mount, .machine: return ExitCode(ExitStatus.unavailable)
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
