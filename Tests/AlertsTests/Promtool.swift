import Foundation
import Testing
import Trials

/// Prometheus' own tool, which checks rules and runs them over series. `make setup` puts it into .build/tools where the
/// PATH has none; tests that need it are skipped without it.
enum Promtool {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    .standardized.path

  static let path: String? = {
    let own = root + "/.build/tools/promtool"
    if FileManager.default.isExecutableFile(atPath: own) { return own }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return folders.map { "\($0)/promtool" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }()

  static let absence: Comment = "no promtool: `make setup` fetches it (Debian's package prometheus)"

  static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(path))
    process.arguments = arguments
    let output = Pipe()
    (process.standardOutput, process.standardError) = (output, output)
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }

  /// Whether the alerts fire at the moments at which they must, and at no other of those asked for.
  /// - Parameters:
  ///   - rules: a rule file below the package's root.
  ///   - firing: by alert, for each minute that is asked for, whether it fires.
  static func judge(
    _ series: MetricSeries, by rules: String = "Alerts/tornlog.rules.yml",
    _ firing: [String: [(minute: Int, isFiring: Bool)]]
  ) throws {
    var text = "rule_files: ['\(root)/\(rules)']\nevaluation_interval: \(MetricSeries.interval)s\ntests:\n"
    text += "- interval: \(MetricSeries.interval)s\n  input_series:\n\(series.text)  promql_expr_test:\n"
    for (alert, moments) in firing.sorted(by: { $0.key < $1.key }) {
      for (minute, isFiring) in moments {
        text += "  - expr: count(ALERTS{alertname=\"\(alert)\",alertstate=\"firing\"})\n    eval_time: \(minute)m\n"
        text += "    exp_samples: [\(isFiring ? "{ labels: '{}', value: 1 }" : "")]\n"
      }
    }
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("tornlog-alerts-\(UUID().uuidString).yml")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let (status, output) = try run("test", "rules", file.path)
    #expect(status == 0, "\(output.prefix(4000))")
  }
}
