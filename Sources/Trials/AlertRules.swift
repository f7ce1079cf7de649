import Foundation
import Glibc

/// When an alert fires, by Prometheus' own tool over the metrics of a run.
struct AlertRules {
  static let file = "Alerts/tornlog.rules.yml"
  static let absence = "promtool (`make setup` fetches it) or the rules are not here, and the alert is not judged"

  private let promtool: String
  private let rules: String

  /// Nil where the tool or the rules are not there, seen from the working directory.
  /// - Parameter file: of the rules.
  init?(_ file: String = file) {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let here = FileManager.default.currentDirectoryPath
    let tool = ([here + "/.build/tools"] + folders).map { "\($0)/promtool" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    let rules = file.hasPrefix("/") ? file : "\(here)/\(file)"
    guard let tool, FileManager.default.isReadableFile(atPath: rules) else { return nil }
    (promtool, self.rules) = (tool, rules)
  }

  /// Whether `alert` fires in each of the minutes from 0 to `last`, less than an hour.
  ///
  /// The tool compares with what is expected. Asked whether it fires in every minute, it names those in which it does not; asked
  /// once more with these, it must find nothing wrong.
  /// - Throws: `TrialError` where the tool gives no answer.
  func firing(_ alert: String, in series: MetricSeries, to last: Int) throws(TrialError) -> [Bool] {
    precondition(last < 60)
    let first = try test(alert, series, expecting: [Bool](repeating: true, count: last + 1))
    if first.passes { return [Bool](repeating: true, count: last + 1) }
    let found = (0...last).map { minute in !first.output.contains("time: \(minute == 0 ? "0s" : "\(minute)m"),") }
    let second = try test(alert, series, expecting: found)
    guard second.passes else { throw .worker("promtool gives no answer on \(alert): \(second.output.prefix(400))") }
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
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("tornlog-alerts-\(UUID().uuidString).yml")
    do {
      try Data(text.utf8).write(to: file)
      defer { unlink(file.path) }
      let process = Process()
      process.executableURL = URL(fileURLWithPath: promtool)
      process.arguments = ["test", "rules", file.path]
      let output = Pipe()
      (process.standardOutput, process.standardError) = (output, output)
      try process.run()
      let said = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return (process.terminationStatus == 0, String(decoding: said, as: UTF8.self))
    } catch { throw .worker("promtool cannot be run: \(error)") }
  }
}
