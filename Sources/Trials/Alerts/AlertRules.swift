import CProcess
import Foundation
import Glibc

/// When an alert fires, by Prometheus' own tool over the metrics of a run.
struct AlertRules {
  static let file = "Alerts/tornlog.rules.yml"
  static let absence = "promtool (`make setup` fetches it) or the rules are not here, and the alert is not judged"

  /// For what the tool writes, where a trial has no folder.
  static var folder: String { FileManager.default.temporaryDirectory.path }

  private let promtool: String
  private let rules: String
  private let folder: String

  /// Nil where the tool or the rules are not there, seen from the working directory.
  /// - Parameters:
  ///   - file: of the rules.
  ///   - folder: for what the tool reads and writes. Nothing stays in it, unless the tool is killed.
  init?(_ file: String = file, folder: String = AlertRules.folder) {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let here = FileManager.default.currentDirectoryPath
    let tool = ([here + "/.build/tools"] + folders).map { "\($0)/promtool" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
    let rules = file.hasPrefix("/") ? file : "\(here)/\(file)"
    guard let tool, FileManager.default.isReadableFile(atPath: rules) else { return nil }
    (promtool, self.rules, self.folder) = (tool, rules, folder)
  }

  /// Whether `alert` fires in each of the minutes from 0 to `last`, less than an hour.
  ///
  /// The tool compares with what is expected. Asked whether it fires in every minute, it names those in which it does
  /// not; asked once more with these, it must find nothing wrong.
  /// - Throws: `TrialError` where the tool gives no answer.
  func firing(_ alert: String, in series: MetricSeries, to last: Int) throws(TrialError) -> [Bool] {
    precondition(last < 60)
    let first = try test(alert, series, expecting: [Bool](repeating: true, count: last + 1))
    if first.passes { return [Bool](repeating: true, count: last + 1) }
    let found = (0...last).map { minute in !first.output.contains("time: \(minute == 0 ? "0s" : "\(minute)m"),") }
    let second = try test(alert, series, expecting: found)
    guard second.passes else { throw .alertUnanswered(alert, output: String(second.output.prefix(400))) }
    return found
  }

  private func test(
    _ alert: String, _ series: MetricSeries, expecting firing: [Bool]
  ) throws(TrialError) -> (passes: Bool, output: String) {
    var text = """
      rule_files: ['\(rules)']
      evaluation_interval: \(MetricSeries.interval)s
      tests:
      - interval: \(MetricSeries.interval)s
        input_series:
      \(series.text)  promql_expr_test:

      """
    for (minute, isFiring) in firing.enumerated() {
      text += "  - expr: count(ALERTS{alertname=\"\(alert)\",alertstate=\"firing\"})\n    eval_time: \(minute)m\n"
      text += "    exp_samples: [\(isFiring ? "{ labels: '{}', value: 1 }" : "")]\n"
    }
    let file = "\(folder)/alerts-\(UUID().uuidString).yml"
    do { try Data(text.utf8).write(to: URL(fileURLWithPath: file)) } catch {
      throw .operatorStep(.writeAlertSeries, reason: "\(error)")
    }
    defer { unlink(file) }
    return try run(["test", "rules", file])
  }

  /// The tool stays in the process group of this process, so that whoever ends that ends both; `Process` would give it
  /// one of its own.
  private func run(_ arguments: [String]) throws(TrialError) -> (passes: Bool, output: String) {
    var ends: [Int32] = [0, 0]
    let code = tl_pipe(&ends)
    guard code == 0 else { throw .system("make a pipe for", promtool, code) }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
    // It keeps the series in a database there.
    let environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": folder]) { $1 }
    var argv: [UnsafeMutablePointer<CChar>?] = ([promtool] + arguments).map { strdup($0) }
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") }
    argv.append(nil)
    variables.append(nil)
    defer { for case let text? in argv + variables { free(text) } }
    var process: pid_t = 0
    let spawned = posix_spawn(&process, promtool, &actions, nil, argv, variables)
    close(ends[1])
    guard spawned == 0 else { throw .system("start", promtool, spawned) }
    var said: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(ends[0], &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      said.append(contentsOf: chunk[..<count])
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    return (status == 0, String(decoding: said, as: UTF8.self))
  }
}
