import ArgumentParser
import Foundation
import HTTPDelivery
import LogModel
import LogTools
import RecordLogs
import Trials

struct WalReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Send the unsent events of an airunner log again.",
    discussion: """
      Events go in order, each number once; those that the log calls sent or failed do not go at all. A replay that \
      is cut off \
      goes on where it was: what the receiver has taken is noted in FILE.replayed after each batch. A receiver that \
      answers 429 \
      is given the time that it asks for. The log is only read. Stop the worker first.

        tornlog wal replay job-1.wal --server=https://api.example.com
        tornlog wal replay --all --server=https://api.example.com     # every log in ~/.airunner/wal
        tornlog wal replay job-1.wal.zst --into ~/.airunner/wal

      Exit codes: 0 every event was taken; 1 the receiver refused some for good, or the log has damaged places; 2 \
      some are left: \
      run it again; 64 wrong usage; 69 a log could not be read; 130 interrupted.
      """)

  @Option(help: ArgumentHelp("Send to this receiver: POST URL/jobs/JOB/executions/N/events.", valueName: "url"))
  var server: String?
  @Option(
    help: ArgumentHelp("Write the events to JOB.wal in this folder.", valueName: "folder"), completion: .directory)
  var into: String?
  @Flag(help: "Send every log of the folder; of ~/.airunner/wal where none is named.")
  var all = false
  @Option(help: ArgumentHelp("At most so many events a second.", valueName: "number"))
  var rate: Double?
  @Option(
    name: .customLong("give-up-after"), help: ArgumentHelp("Give a silent receiver so long.", valueName: "duration"))
  var patience = Duration.seconds(300)
  @Option(help: ArgumentHelp("Note here what was sent, in place of FILE.replayed.", valueName: "file"))
  var state: String?
  @Flag(help: "Read a log that its worker has open: the worker may send the same events.")
  var force = false
  @Argument(help: ArgumentHelp("Logs, or with --all a folder.", valueName: "file"), completion: .file())
  var paths: [String] = []

  func validate() throws {
    guard (server == nil) != (into == nil) else { throw ValidationError("say either --server URL or --into FOLDER") }
    if paths.isEmpty, !all { throw ValidationError("name a log, or say --all") }
    if let server {
      guard let url = URL(string: server), ["http", "https"].contains(url.scheme ?? ""), url.host != nil else {
        throw ValidationError("--server \(server): a URL like https://api.example.com")
      }
    }
    if let rate, rate <= 0 { throw ValidationError("--rate \(rate): more than 0") }
    if state != nil, all || paths.count > 1 { throw ValidationError("--state goes with one log") }
  }

  func run() throws {
    var logs: [LogFiles] = []
    do throws(LogToolError) {
      for path in paths.isEmpty ? [WalInput.home + "/.airunner/wal"] : paths { logs += try LogFolder(path).logs }
    } catch { WalExit.fail(error) }
    if !all, logs.count > paths.count { fail("\(paths[0]) is a folder; say --all", ExitStatus.usage) }
    let transport: any Transport
    if let server, let url = URL(string: server) {
      transport = HTTPTransport(url)
    } else {
      transport = LogTransport(into ?? ".")
    }
    var code: Int32 = 0
    for log in logs {
      for path in log.paths {
        let outcome = replay(path, log, transport)
        Console.print(lines(path, outcome))
        if outcome.left > 0 { code = ExitStatus.unknown }
        if code == 0, outcome.refused + outcome.damaged > 0 { code = ExitStatus.violated }
        if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
      }
    }
    throw ExitCode(code)
  }

  private func lines(_ path: String, _ outcome: LogReplay.Outcome) -> [String] {
    var line = "\(path): \(outcome.sent) sent"
    if outcome.sentBefore > 0 { line += ", \(outcome.sentBefore) by an earlier replay" }
    if outcome.refused > 0 { line += ", \(outcome.refused) refused for good" }
    if outcome.left > 0 { line += ", \(outcome.left) LEFT: run this again" }
    if outcome.retries > 0 { line += "; \(outcome.retries) retries" }
    if outcome.damaged > 0 { line += "; \(outcome.damaged) damaged places: their events are lost (`wal verify`)" }
    if let failure = outcome.failure { line += " (\(failure))" }
    return [line]
  }

  private func replay(_ path: String, _ log: LogFiles, _ transport: any Transport) -> LogReplay.Outcome {
    do throws(LogToolError) {
      let lock = try LogLock.take(log, isForced: force)
      defer { withExtendedLifetime(lock) {} }
      var options = LogReplay.Options()
      (options.rate, options.patience) = (rate, patience)
      let replay = LogReplay(
        path, over: transport, server: server ?? "into:" + (into ?? "").replacing(" ", with: "%20"), statePath: state,
        options, isStopped: { Interruption.isRequested })
      return try Self.wait { () async throws(LogToolError) in try await replay.run() }
    } catch { WalExit.fail(error) }
  }

  private final class Answer: @unchecked Sendable {
    var value: Result<LogReplay.Outcome, LogToolError>?
  }

  private static func wait(
    _ body: @escaping @Sendable () async throws(LogToolError) -> LogReplay.Outcome
  ) throws(LogToolError) -> LogReplay.Outcome {
    let (answer, done) = (Answer(), DispatchSemaphore(value: 0))
    Task.detached {
      do throws(LogToolError) { answer.value = .success(try await body()) } catch { answer.value = .failure(error) }
      done.signal()
    }
    done.wait()
    guard let value = answer.value else { preconditionFailure("the task ends with an answer") }
    return try value.get()
  }
}
