import Foundation
import Testing

extension CommandLineTests {
  /// The run's metrics, as a report and while it lasts.
  @Suite struct RunMetrics {
    private static let scenario = Program.root + "/Scenarios/airunner/refused-connection.yaml"

    @Test func aReportInOpenMetrics() async throws {
      let ended = try await Running(
        [
          Program.tornlog, "run", Self.scenario, "-k", "partitions=1 and crash=power-loss and crash-at=end", "--report",
          "openmetrics",
        ]
      ).end()
      #expect(ended.code == 0, "\(ended)")
      #expect(
        ended.out.contains("tornlog_trials_total{verdict=\"held\"} 1\n") && ended.out.hasSuffix("# EOF\n"), "\(ended)")
      #expect(ended.out.contains("tornlog_faults_fired_total{kind=\"receiver-refuses\"}"))
    }

    @Test func anAddressIsSaid() async throws {
      let ended = try await Running(
        [
          Program.tornlog, "run", Self.scenario, "-k", "partitions=1 and crash=power-loss and crash-at=end",
          "--serve-metrics",
          "127.0.0.1:0",
        ]
      ).end()
      #expect(ended.code == 0 && ended.err.contains("metrics at http://127.0.0.1:"), "\(ended)")
    }

    @Test func aMistakenAddressEndsWith64() async throws {
      let ended = try await Running([Program.tornlog, "run", "--serve-metrics", "localhost"]).end()
      #expect(ended.code == 64 && ended.err.contains("an address to listen at is like 127.0.0.1:9464"), "\(ended)")
    }
  }
}
