import ArgumentParser
import Exploration
import Foundation
import LogModel
import ProgramTesting
import Reporting
import Storage
import Trials
import Verification

struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce", abstract: "Run one finding again, and print its timeline.",
    discussion: """
      The timeline is the persistence trace: every operation between engine and storage, with the engine's acknowledgements in \
      order. The command ends with exit code 0 where every check holds, 1 where one is violated, 2 where there is no verdict.
      """)

  @Argument(
    help: ArgumentHelp("The word after `tornlog reproduce` in a report, \(ShortForm.help).", valueName: "token"))
  var word: String
  @OptionGroup var output: OutputOptions
  @OptionGroup var place: TrialDirectory
  @Option(help: "Use this storage in place of the token's.")
  var storage: StorageChoice?
  @Option(help: ArgumentHelp("Write the whole persistence trace to this file.", valueName: "path"))
  var trace: String?
  @Option(help: "Keep the trial's files afterwards.")
  var keep = RunPlan.Keep.never
  @Option(help: ArgumentHelp("Limit one phase, like 30s.", valueName: "duration"))
  var timeout: Duration?

  @Option(
    help: ArgumentHelp(
      "Write the files as the crash left them to this folder, which must not exist: of a p1 token.", valueName: "dir"))
  var export: String?

  func run() throws {
    output.check()
    if let trace { OutputPaths.check("cannot write the trace to \(trace)", trace) }
    let token = ShortFormError.token(meantBy: word)
    if let warning = Token.warning(for: token) ?? CrashStateToken.warning(for: token) { note(warning) }
    if ProgramToken.isProgram(token) { try ReproduceProgram.run(token, export: export, dir: place.dir ?? "/tmp") }
    if let export { fail("--export \(export): only a token of `tornlog test` has files to export", ExitStatus.usage) }
    if CrashStateToken.isCrashState(token) {
      try ReproduceCrashState.run(
        token, isVerbose: output.verbose, trace: trace, timeout: timeout ?? HangWatch.defaultLimit)
    }
    var spec: TrialSpec
    do {
      spec = try Token.decode(token)
    } catch {
      fail("\(error)", ExitStatus.usage)
    }
    if let storage { spec.storage = storage }
    if let timeout { spec.phaseSeconds = timeout.inSeconds }
    let traceFile = trace ?? NSTemporaryDirectory() + "/tornlog-trace-\(getpid())"
    spec.traceTo = traceFile.hasPrefix("/") ? traceFile : FileManager.default.currentDirectoryPath + "/" + traceFile
    defer { if trace == nil { unlink(traceFile) } }
    // An older trace is replaced; a device, a pipe or a link is written to and never taken away.
    var status = stat()
    if lstat(traceFile, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(traceFile) }
    show(Timeline.header(spec))
    var execution = ExecutionOptions.parseOrExit([])
    execution.place = place
    execution.jobs = 1
    execution.keep = keep
    execution.seed = spec.seed
    let places = DivergentFiles()
    let planned = PlannedTrial(spec: spec, expectation: .held, axes: spec.axes)
    let code = execution.execute(
      [planned], recorders: output.recorders(alwaysVerbose: true) + [places], failFast: false, deadline: nil,
      memory: nil,
      showsNotices: output.showsNotices)
    if let text = Timeline.excerpt(of: traceFile, whole: output.verbose, focus: places.paths) { show(text) }
    if let trace { show("the whole trace: \(trace)") }
    throw ExitCode(code)
  }

  private func show(_ text: String) {
    guard output.isForPeople else { return }
    do throws(ReportError) {
      try Console.result(text, wraps: true)
    } catch {
      fail("\(error)", ExitStatus.unavailable)
    }
  }
}

/// The files in which checks saw that something was wrong.
private final class DivergentFiles: RunRecorder {
  private(set) var paths: Set<String> = []

  func record(_ event: RunEvent) throws {
    guard case .trialFinished(_, let result) = event else { return }
    paths.formUnion(result.checks.filter { $0.verdict == .violated }.compactMap { $0.divergence?.segment })
  }
}
