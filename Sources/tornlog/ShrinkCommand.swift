import ArgumentParser
import CrashStates
import Exploration
import Foundation
import LogModel
import Reporting
import ScenarioExploration
import Trials
import Verification

struct ShrinkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shrink", abstract: "Find the smallest scenario that still fails the same check.",
    discussion: """
      The workload, the faults and what the crash kept become smaller as long as the same check is violated. The command writes \
      a scenario and prints the story; `run` or `explore crashes` repeats the violation from it. It ends with exit code 0 where \
      the scenario was written, with 2 where nothing is violated or where the deadline came first. What was reached until the \
      deadline is written.
      """)

  @Argument(
    help: ArgumentHelp("The word after `tornlog reproduce` in a report, \(ShortForm.help).", valueName: "token"))
  var word: String
  @Option(
    help: ArgumentHelp("Keep this check violated (default: the first that the trial violates).", valueName: "name"),
    transform: Self.check)
  var check: CheckName?
  @Option(
    help: ArgumentHelp(
      "Write the scenario here (default: a file in the current folder, named after it).", valueName: "path"))
  var output: String?
  @Flag(help: "Replace a file that is there, whatever it is.")
  var overwrite = false
  @Option(parsing: .unconditional, help: ArgumentHelp("Stop after this long, like 10m.", valueName: "duration"))
  var deadline = Duration.seconds(300)
  @OptionGroup var place: TrialDirectory
  @Option(parsing: .unconditional, help: ArgumentHelp("Number of threads, for crash states.", valueName: "n"))
  var jobs = ProcessInfo.processInfo.activeProcessorCount

  private static func check(_ name: String) throws -> CheckName {
    guard let check = CheckName(named: name) else {
      throw ValidationError("no check has this name; `tornlog list --checks` names them")
    }
    return check
  }

  func validate() throws {
    if check != nil, CrashStateToken.isCrashState(word) {
      throw ValidationError("--check: a crash state is of one check")
    }
    guard (1...256).contains(jobs) else { throw ValidationError("--jobs \(jobs): from 1 to 256") }
  }

  func run() throws {
    OutputPaths.check("--output \(output ?? ".")", output ?? "./scenario.yaml")
    let token = ShortFormError.token(meantBy: word)
    if let warning = Token.warning(for: token) ?? CrashStateToken.warning(for: token) { note(warning) }
    if let output { ShrunkFile(path: output).check(overwrite: overwrite) }
    let shrunk = CrashStateToken.isCrashState(token) ? crashState(token) : trial(token)
    let file = output.map { ShrunkFile(path: $0) } ?? ShrunkFile(named: shrunk.scenario.name, overwrite: overwrite)
    file.check(overwrite: overwrite)
    file.write(shrunk.scenario)
    Console.print(shrunk.lines + ["", "scenario: \(file.path)", "repeat it: tornlog \(shrunk.command) \(file.path)"])
    if !shrunk.isSmallest { note("stopped before nothing smaller was left; --deadline gives more time") }
    throw ExitCode(shrunk.isSmallest ? 0 : ExitStatus.unknown)
  }

  struct Shrunk {
    var scenario: ShrunkScenario
    var lines: [String]
    var command: String
    var isSmallest: Bool
  }

  /// When to stop: asked between candidates.
  func stopper() -> () -> Bool {
    let start = ContinuousClock.now
    let limit = deadline
    return { ContinuousClock.now - start > limit || Interruption.isRequested }
  }

  private func crashState(_ token: String) -> Shrunk {
    let state: CrashState
    do throws(CrashStateToken.Failure) { state = try CrashStateToken.decode(token) } catch {
      fail("\(error)", ExitStatus.usage)
    }
    let progress = SearchProgress(stop: deadline)
    do throws(ExplorationError) {
      let result = try CrashStateShrinker.shrink(
        state, jobs: jobs, watch: HangExit.watch(), shouldStop: stopper(), progress: { progress.say($0) })
      if Interruption.isRequested { fail("interrupted; nothing written", ExitStatus.interrupted) }
      guard let check = result.replay.check else {
        fail("the smallest state leaves no verdict", ExitStatus.internalError)
      }
      return Shrunk(
        scenario: ShrunkScenario(result, check: check), lines: lines(result, check), command: "explore crashes",
        isSmallest: result.isSmallest)
    } catch {
      fail("\(error)", error.exitCode)
    }
  }

  private func lines(_ result: CrashStateShrinker.Result, _ check: CheckResult) -> [String] {
    let w = result.state.workload
    var lines = [
      "VIOLATED \(check.name.rawValue), weakest profile \(result.state.profile.name), after \(result.candidates) "
        + "candidates",
      "  \(check.detail)",
      "  \(w.messages) messages of \(w.messageSize) bytes, \(w.partitions) partitions, \(w.producers) producers, "
        + "defect \(result.state.defect ?? "none"), seed \(w.seed), device faults: \(w.deviceFaults)\(w.surroundings)",
    ]
    if let sound = result.soundVerdict {
      lines.append("  with the defect switched off, in every state of this workload: \(sound.rawValue)")
    }
    lines += [""] + result.replay.story.map { "  \($0)" }
    return lines + ["", "reproduce: tornlog reproduce \(CrashStateToken.encode(result.state))"]
  }

  private func trial(_ token: String) -> Shrunk {
    let spec: TrialSpec
    do throws(Token.Failure) { spec = try Token.decode(token) } catch { fail("\(error)", ExitStatus.usage) }
    let progress = SearchProgress(stop: deadline)
    let trace = NSTemporaryDirectory() + "/tornlog-shrink-\(getpid())"
    defer { unlink(trace) }
    do {
      let result = try TrialShrinker.shrink(
        spec, keeping: check, run: { try single($0) }, shouldStop: stopper(),
        progress: { progress.say($0) })
      if Interruption.isRequested { throw TrialShrinkError.interrupted }
      let story = try TrialNarrative.lines(result, trace: trace) { try single($0) }
      return Shrunk(
        scenario: ShrunkScenario(result, story: story), lines: lines(result, story), command: "run",
        isSmallest: result.isSmallest)
    } catch TrialShrinkError.interrupted {
      fail("interrupted; nothing written", ExitStatus.interrupted)
    } catch let error as TrialShrinkError {
      fail("\(error)", ExitStatus.unknown)
    } catch let error as TrialError {
      fail("\(error)", error.isEnvironment ? ExitStatus.unavailable : ExitStatus.internalError)
    } catch {
      fail("internal error: \(error)", ExitStatus.internalError)
    }
  }

  private func single(_ spec: TrialSpec) throws -> TrialResult {
    try SingleTrial.run(spec, in: place.path)
  }

  private func lines(_ result: TrialShrinker.Result, _ story: [String]) -> [String] {
    var lines = ["VIOLATED \(result.check.name.rawValue), after \(result.runs) trials", "  \(result.check.detail)"]
    if let sound = result.soundVerdict { lines.append("  with the defect switched off: \(sound.rawValue)") }
    return lines + [""] + story.map { "  \($0)" } + ["", "reproduce: tornlog reproduce \(Token.encode(result.spec))"]
  }
}

extension ExplorationError {
  var exitCode: Int32 {
    switch self {
    case .unknownProfile: ExitStatus.usage
    case .workloadTooLarge, .stateDoesNotFit: ExitStatus.invalidScenario
    case .nothingToShrink, .deviceFaultNeverHappened: ExitStatus.unknown
    case .unknownCase: ExitStatus.usage
    case .disk, .limitMet: ExitStatus.unavailable
    case .recordingFailed: ExitStatus.internalError
    case .neverEnds: ExitStatus.violated
    }
  }
}

/// A line for each candidate on standard error, with the time that is gone and the time that is left.
final class SearchProgress {
  private let start = ContinuousClock.now
  private let stop: Duration

  init(stop: Duration) { self.stop = stop }

  func say(_ text: String) {
    let gone = (ContinuousClock.now - start).inSeconds
    let left = String(format: "%.0f", max(0, stop.inSeconds - gone))
    note("\(text); after \(String(format: "%.1f", gone)) s, the deadline comes in \(left) s")
  }
}

/// Where the scenario goes. What is there and was not written by `shrink` is left alone.
struct ShrunkFile {
  let path: String

  init(path: String) { self.path = path }

  /// In the current folder: the first of NAME.yaml, NAME-2.yaml ... that may be written. What was found in minutes is
  /// not given
  /// up for a file of that name.
  init(named name: String, overwrite: Bool) {
    let names = ["\(name).yaml"] + (2...99).map { "\(name)-\($0).yaml" }
    path = names.first { overwrite || ShrunkFile(path: $0).isOurs } ?? names[0]
  }

  /// Whether it may be written: it is not there, or `shrink` has written it.
  private var isOurs: Bool {
    guard FileManager.default.fileExists(atPath: path) else { return true }
    let text = FileManager.default.contents(atPath: path).map { String(decoding: $0.prefix(200), as: UTF8.self) }
    return text?.hasPrefix(ShrunkScenario.mark) ?? false
  }

  func check(overwrite: Bool) {
    guard overwrite || isOurs else {
      fail(
        "\(path) is there, and was not written by `tornlog shrink`: name another file with --output, or say "
          + "--overwrite",
        ExitStatus.usage)
    }
  }

  func write(_ scenario: ShrunkScenario) {
    do throws(ReportError) { try AtomicFileSink(path: path).write(scenario.text) } catch {
      fail("\(error)", ExitStatus.unavailable)
    }
  }
}
