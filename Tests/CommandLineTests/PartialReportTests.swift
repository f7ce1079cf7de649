import Foundation
import Glibc
import Testing

extension CommandLineTests {
  /// Work that is ended from outside says what it has done, and that this is not all: `unknown`, never `held`.
  @Suite struct PartialReports {
    /// Interrupts a command once it has said `words` on standard error.
    private func interrupted(
      _ arguments: [String], after words: String, signal: Int32 = SIGINT, _ scratch: Scratch
    ) async throws -> Ended {
      let log = scratch.path("said")
      // `exec`: the signal reaches the program itself.
      let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
      let running = try Running(["bash", "-c", "exec \(Program.tornlog) \(quoted) 2>'\(log)'"])
      for _ in 0..<1200 {
        if let text = try? String(contentsOfFile: log, encoding: .utf8), text.contains(words) { break }
        try await Task.sleep(for: .milliseconds(25))
      }
      running.signal(signal)
      var ended = try await running.end()
      ended.err = try scratch.text("said")
      #expect(ended.code == 130, "\(ended)")
      return ended
    }

    private static let small = ["--bound", "1", "--states-per-point", "4", "--samples", "0", "--jobs", "1"]

    @Test(arguments: [
      (["explore", "--reference"] + small, "raw-512: ", "exploration"),
      (["explore", "--client", "delivery", "--depth", "2", "--messages", "4"] + small, "raw-512: ", "exploration"),
      // The first cells take a second, the others half a minute.
      (
        ["explore", "Scenarios/exploration/torn-tail.yaml", "Scenarios/exploration/takeover.yaml", "--jobs", "1"],
        "cell 2 of ", "exploration"
      ),
      (["explore", "--errors", "--jobs", "1"], " done, ", "errorMatrix"),
      (["explore", "--schedules", "--jobs", "1"], " done, ", "schedules"),
    ])
    func anExplorationThatIsInterruptedHasNoVerdict(arguments: [String], words: String, key: String) async throws {
      let scratch = try Scratch()
      let ended = try await interrupted(
        arguments + ["--report", "terminal", "--report", "json=\(scratch.path("j"))"], after: words, scratch)
      let report = try #require(try scratch.json("j")[key] as? [String: Any])
      #expect(report["interrupted"] as? Bool == true && report["stoppedBy"] as? String == "signal", "\(report)")
      // The cells of scenarios hold defects, which are caught: the total of those that were explored says so.
      let found = report["findings"] as? [Any] ?? []
      #expect(report["verdict"] as? String == (found.isEmpty ? "unknown" : "violated"), "\(report)")
      #expect(ended.out.contains("interrupted ") && !ended.out.contains("\nheld: "), "\(ended)")
    }

    @Test func `what ran to its end is not interrupted`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "explore", "--client", "transactions", "--messages", "4", "--profile", "raw-512", "--report",
        "json=\(scratch.path("j"))")
      let report = try #require(try scratch.json("j")["exploration"] as? [String: Any])
      #expect(
        ended.code == 0 && report["verdict"] as? String == "held" && report["interrupted"] as? Bool == false,
        "\(ended) \(report)")
      let late = try await tornlog(
        "explore", "--schedules", "--count", "4000", "--deadline", "1s", "--report", "json=\(scratch.path("k"))")
      let schedules = try #require(try scratch.json("k")["schedules"] as? [String: Any])
      #expect(
        late.code == 2 && schedules["stoppedBy"] as? String == "deadline" && schedules["interrupted"] as? Bool == false,
        "\(late)")
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func defectsThatAreInterruptedAreReported(signal: Int32) async throws {
      let scratch = try Scratch()
      let ended = try await interrupted(
        [
          // Many cells, each of a few small trials.
          "defects", "--smoke", "--jobs", "1", "--only", "C2,C2b,C3,C4,C5,C8,C19,P3,P4,P9,P10,H2,H4,H7,H10",
          "--way",
          "plain-restart", "--way", "process-kill", "--way", "power-loss", "--way", "one-fault", "--dir",
          try scratch.folder(), "--report", "terminal", "--report",
          "json=\(scratch.path("j"))",
          "--report", "markdown=\(scratch.path("m"))",
        ], after: " cells done", signal: signal, scratch)
      let summary = try #require(try scratch.json("j")["summary"] as? [String: Any])
      #expect(summary["interrupted"] as? Bool == true && summary["stoppedBy"] as? String == "signal", "\(summary)")
      #expect(summary["verdict"] as? String == "unknown", "\(summary)")
      let done = try #require(summary["cellsDone"] as? Int)
      #expect(done > 0 && done < (summary["cells"] as? Int ?? 0), "\(summary)")
      #expect(
        ended.out.contains("unknown: interrupted after \(done) of ") && !ended.out.contains("NOT CAUGHT"), "\(ended)")
      #expect(try scratch.text("m").contains("interrupted after \(done) of "))
      #expect(try scratch.entries() == [])
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func aBenchThatIsInterruptedIsReported(signal: Int32) async throws {
      let scratch = try Scratch()
      let ended = try await interrupted(
        [
          "bench", "--only", "append", "--quick", "--dir", try scratch.folder(), "--report", "terminal", "--report",
          "json=\(scratch.path("j"))",
        ], after: "[2/", signal: signal, scratch)
      let bench = try #require(try scratch.json("j")["bench"] as? [String: Any])
      #expect(bench["interrupted"] as? Bool == true && bench["stoppedBy"] as? String == "signal", "\(bench)")
      #expect((bench["rows"] as? [Any])?.isEmpty == false, "\(bench)")
      #expect(ended.out.contains("interrupted after "), "\(ended)")
      #expect(try scratch.entries() == [])
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func aTuningThatIsInterruptedIsReported(signal: Int32) async throws {
      let scratch = try Scratch()
      let ended = try await interrupted(
        [
          "tune", "--dir", try scratch.folder(), "--report", "terminal", "--report", "json=\(scratch.path("j"))",
          "--report", "html=\(scratch.path("h"))",
        ], after: "interval(1ms)", signal: signal, scratch)
      let tune = try #require(try scratch.json("j")["tune"] as? [String: Any])
      #expect(tune["interrupted"] as? Bool == true && tune["stoppedBy"] as? String == "signal", "\(tune)")
      #expect((tune["points"] as? [Any])?.isEmpty == false, "\(tune)")
      #expect(ended.out.contains("Interrupted: no recommendation.") && !ended.out.contains("Use "), "\(ended)")
      #expect(try scratch.text("h").contains("<svg"))
      #expect(try scratch.entries() == [])
    }

    /// A signal in the middle of a read of the recovering process's pipe ended the program with a trap, and left a
    /// folder.
    @Test(arguments: [("log", SIGTERM), ("records", SIGINT), ("store", SIGTERM)], [400, 1600])
    func aRecoveryThatIsInterruptedLeavesNothing(how: (String, Int32), milliseconds: Int) async throws {
      let scratch = try Scratch()
      let running = try Running([
        Program.tornlog, "bench", "--only", "recovery", "--recovery", "128MiB", "--rounds", "50", "--kind", how.0,
        "--dir",
        try scratch.folder(),
      ])
      try await Task.sleep(for: .milliseconds(milliseconds))
      let children = running.children
      running.signal(how.1)
      let ended = try await running.end(within: 30)
      #expect(
        ended.code == 130 && ended.err.contains("recovery of 128 MiB") && !ended.err.contains("Fatal"), "\(ended)")
      #expect(try scratch.entries() == [])
      #expect(processes { children.contains($0.pid) } == [])
    }
  }
}
