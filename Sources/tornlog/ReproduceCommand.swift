import ArgumentParser
import Exploration
import Foundation
import LogModel
import Reporting
import Storage
import Trials
import Verification

struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce", abstract: "Run one trial or build one crash state again, from the token that a report names, as a timeline.",
    discussion: """
      Exits with 0 where every check holds, 1 where one is violated, 2 where there is no verdict. The timeline is the \
      persistence trace: every operation that passed the seam, with the engine's acknowledgements in the same sequence. \
      `last` is the first trial that did not come out as expected in the last `run` of this checkout, `last:3` the third, \
      `report.json#3` the trial whose `number` is 3 in a JSON report.
      """)

  @Argument(help: ArgumentHelp("The word after `tornlog reproduce` in a report, \(ShortForm.help).", valueName: "token"))
  var word: String
  @OptionGroup var output: OutputOptions
  @Option(help: ArgumentHelp("Where the trial's files go while it runs.", valueName: "dir"), completion: .directory)
  var dir: String?
  @Option(help: "auto, ring, posix or memory, in place of the token's.")
  var storage: String?
  @Option(help: ArgumentHelp("Write the whole persistence trace to this file.", valueName: "path"))
  var trace: String?
  @Option(help: "Keep the trial's files: never, on-failure or always.")
  var keep = "never"
  @Option(help: ArgumentHelp("How long one phase may take.", valueName: "duration"))
  var timeout: String?

  func run() throws {
    output.check()
    if let trace { OutputPaths.check("cannot write the trace to \(trace)", trace) }
    let token = ShortFormError.token(meantBy: word)
    if let warning = Token.warning(for: token) ?? CrashStateToken.warning(for: token) { note(warning) }
    if CrashStateToken.isCrashState(token) {
      try ReproduceCrashState.run(token, isVerbose: output.verbose, trace: trace, timeout: timeout ?? "60s")
    }
    var spec: TrialSpec
    do {
      spec = try Token.decode(token)
    } catch {
      fail("\(error)", ExitStatus.usage)
    }
    if let storage {
      guard let choice = StorageChoice(rawValue: storage) else {
        throw ValidationError("--storage \(storage): auto, ring, posix or memory")
      }
      spec.storage = choice
    }
    guard RunPlan.Keep(rawValue: keep) != nil else { throw ValidationError("--keep \(keep): never, on-failure or always") }
    if let timeout {
      guard let limit = DurationText.parse(timeout), limit > .zero else {
        throw ValidationError("--timeout \(timeout): a duration like 30s")
      }
      spec.phaseSeconds = limit.inSeconds
    }
    let traceFile = trace ?? NSTemporaryDirectory() + "/tornlog-trace-\(getpid())"
    spec.traceTo = traceFile.hasPrefix("/") ? traceFile : FileManager.default.currentDirectoryPath + "/" + traceFile
    defer { if trace == nil { unlink(traceFile) } }
    // An older trace is replaced; a device, a pipe or a link is written to and never taken away.
    var status = stat()
    if lstat(traceFile, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(traceFile) }
    show(Timeline.header(spec))
    var execution = ExecutionOptions.parseOrExit([])
    execution.dir = dir
    execution.jobs = 1
    execution.keep = keep
    execution.seed = spec.seed
    let planned = PlannedTrial(spec: spec, expectation: .held, axes: spec.axes)
    let code = execution.execute(
      [planned], recorders: output.recorders(alwaysVerbose: true), failFast: false, deadline: nil, memory: nil,
      showsNotices: output.showsNotices)
    if let text = Timeline.excerpt(of: traceFile, whole: output.verbose) { show(text) }
    if let trace { show("the whole trace: \(trace)") }
    throw ExitCode(code)
  }

  private func show(_ text: String) {
    guard output.isForPeople else { return }
    do throws(ReportError) {
      try Console.result(text)
    } catch {
      fail("\(error)", ExitStatus.unavailable)
    }
  }
}
