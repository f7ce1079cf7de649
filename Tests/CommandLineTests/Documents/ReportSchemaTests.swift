import Foundation
import Testing

extension CommandLineTests {
  /// Real reports of every command against docs/report.schema.json.
  @Suite struct ReportSchema {
    /// Read once: that takes longer than to check a report.
    private static let schema = Result {
      try JSONSchema(text: String(contentsOfFile: Program.root + "/docs/report.schema.json", encoding: .utf8))
    }

    /// Of each command a report with as many of its keys as a second can bring.
    private static let commands: [[String]] = [
      [
        "run", "Scenarios/chronik/ten-vs-hundred.yaml", "-t", "full", "-k",
        "messages=100 and partitions=3 and sync=always and crash=process-kill and (defect=C2b or defect=none)",
      ],
      [
        "run", "Scenarios/airunner/receiver-misbehaves.yaml", "Scenarios/streamhouse/log-cut-mid-record.yaml",
        "Scenarios/replay-buffer/transactions-replayed.yaml", "Scenarios/streamhouse/store-fails.yaml",
        "--storage", "memory", "--shard", "slice:1/12",
      ],
      [
        "explore", "--reference", "--profile", "raw-4k", "--bound", "1", "--states-per-point", "1", "--samples", "0",
        "--calibrate", "1", "--defect", "R1",
      ],
      ["explore", "Scenarios/exploration/crash-in-recovery.yaml", "--profile", "raw-4k", "-k", "defect=none"],
      ["explore", "Scenarios/exploration/torn-tail.yaml", "--profile", "raw-4k", "--profile", "raw-512"],
      [
        "explore", "--client", "transactions", "--profile", "raw-4k", "--bound", "1", "--states-per-point", "2",
        "--samples", "0",
      ],
      ["explore", "--errors", "--case", "produce/open EIO once/1"],
      ["explore", "--schedules", "--scenario", "always", "--count", "20", "--defect", "R1"],
      ["explore", "--schedules", "--scenario", "always", "--count", "5", "--defect", "P12", "--timeout", "1s"],
      ["defects", "--smoke", "--only", "C2b", "--way", "plain-restart"],
      ["bench", "--quick", "--only", "append", "--producers", "1", "--rounds", "1"],
      ["tune", "--sync", "always", "--sync", "interval(20ms)"],
      ["tune", "--program", "Scenarios/programs/unsynced.yaml", "--rate", "100"],
      ["bench", "--only", "partitions", "--partitions", "2", "--rounds", "1"],
      ["doctor"],
      [
        "test", "--requests", "12", "--budget", "3s", "--kills", "1", "--faults", "2", "--", "python3",
        "Examples/buggy-log/driver.py", "--bug", "1",
      ],
      ["test", "Scenarios/programs/unsynced.yaml", "--budget", "4s", "--damage", "3"],
      ["audit", "--folder", "Alerts", "--ack-pattern", "ok", "--", "sh", "-c", "echo one > new; echo ok"],
    ]

    @Test(arguments: commands) func everyReportIsAsTheSchemaSays(command: [String]) async throws {
      let scratch = try Scratch()
      let path = scratch.path("report.json")
      let isDoctor = command[0] == "doctor"
      let report = isDoctor ? ["--report", "json"] : ["--report", "json=\(path)"]
      let folder = ["run", "defects", "bench", "tune"].contains(command[0]) ? ["--dir", try scratch.folder()] : []
      let end = command.firstIndex(of: "--") ?? command.endIndex
      let words = Array(command[..<end]) + report + folder + Array(command[end...])
      let ended = try await Running([Program.tornlog] + words).end(within: 120)
      #expect([0, 1, 2].contains(ended.code), "\(ended)")
      let text = isDoctor ? ended.out : try scratch.text("report.json")
      let mistakes = try Self.schema.get().mistakes(in: JSONValue(text: text))
      #expect(mistakes.isEmpty, "\(mistakes.prefix(10).joined(separator: "\n"))\n\(text.prefix(2000))")
    }

    /// A key that is missing, renamed, new or of another type is found.
    @Test func whatIsNoSuchReportIsFound() throws {
      let schema = try Self.schema.get()
      let sound = #"{"version": 1, "tool": "tornlog", "doctor": {"canRun": true, "findings": []}}"#
      #expect(schema.mistakes(in: try JSONValue(text: sound)).isEmpty)
      for (old, new) in [
        ("\"version\": 1, ", ""), ("canRun", "mayRun"), ("true", "1"), ("[]", "[{}]"), ("1,", "2,"),
        ("\"findings\"", "\"more\": 1, \"findings\""),
      ] {
        let changed = sound.replacing(old, with: new)
        #expect(!schema.mistakes(in: try JSONValue(text: changed)).isEmpty, "\(changed)")
      }
    }
  }
}
