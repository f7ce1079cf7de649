import Foundation
import Testing

extension CommandLineTests {
  /// The options of the recovery runbook on files, with what they take, and what the engine counts meanwhile.
  @Suite struct Runbook {
    private static func cell(_ scenario: String, _ also: String) -> [String] {
      [
        Program.root + "/Scenarios/streamhouse/\(scenario).yaml", "-k",
        "sync=always and messages=1000 and partitions=3 and \(also)",
      ]
    }

    @Test func theOutageIsTimedAndTheStoreCounted() async throws {
      let scratch = try Scratch()
      let ended = try await Running(
        [Program.tornlog, "run"] + Self.cell("runbook-3-rebuild-from-store", "checkpoint=flushed") + [
          "--dir", scratch.folder(), "--report", "json=\(scratch.path("j"))", "--report",
          "openmetrics=\(scratch.path("m"))",
        ]
      ).end()
      #expect(ended.code == 0, "\(ended)")
      let trial = try scratch.trials("j")[0]
      let recovery = try #require(trial["recovery"] as? [String: Any])
      let (outage, opening) = (
        try #require(recovery["outageSeconds"] as? Double), try #require(recovery["seconds"] as? Double)
      )
      #expect(outage > opening && outage < 60)
      let faults = try #require(trial["faults"] as? [[String: Any]])
      let steps = try #require(faults.first { $0["kind"] as? String == "runbook" }?["places"] as? [String])
      #expect(steps.contains { $0.hasPrefix("mv topics/orders/") && $0.hasSuffix(".log.old") }, "\(steps)")
      let counts = try #require(trial["engineCounts"] as? [[String: Any]])
      let pieces = try #require(counts.first { $0["name"] as? String == "checkpoint_pieces" }?["value"] as? Int)
      #expect(pieces >= 3)
      #expect(try scratch.text("m").contains("\ncheckpoint_pieces_total \(pieces)\n"))
    }

    /// Virtual time is no time: nothing is claimed of it.
    @Test func inTheModelNoOutageIsTimed() async throws {
      let scratch = try Scratch()
      let ended = try await Running(
        [Program.tornlog, "run"] + Self.cell("runbook-4-sync-the-healthy", "system=streamhouse") + [
          "--storage", "memory", "--dir", scratch.folder(), "--report", "json=\(scratch.path("j"))",
        ]
      ).end()
      #expect(ended.code == 0, "\(ended)")
      let trial = try scratch.trials("j")[0]
      #expect((trial["recovery"] as? [String: Any])?["outageSeconds"] is NSNull)
      let claims = try #require(trial["claims"] as? [[String: Any]])
      #expect(
        claims.contains { $0["outcome"] as? String == "not-measured" }
          && claims.contains { $0["outcome"] as? String == "holds" })
    }
  }

  /// A process that has no memory left.
  @Suite struct OutOfMemory {
    private func trial(_ more: String...) async throws -> (code: Int32, trial: [String: Any]) {
      let scratch = try Scratch()
      let ended = try await Running(
        [Program.tornlog, "run", Program.root + "/Scenarios/streamhouse/out-of-memory.yaml"] + [
          "-k", "messages=1000 and partitions=3 and sync=always and crash-at=50%", "--dir", scratch.folder(),
          "--report",
          "json=\(scratch.path("j"))",
        ] + more
      ).end()
      return (ended.code, try #require(try scratch.trials("j").first, "\(ended)"))
    }

    @Test func whatWasAcknowledgedIsThere() async throws {
      let (code, trial) = try await trial()
      #expect(code == 0 && trial["verdict"] as? String == "held")
      let faults = try #require(trial["faults"] as? [[String: Any]])
      let places = try #require(faults.first { $0["kind"] as? String == "out-of-memory" }?["places"] as? [String])
      #expect(places.count { $0.hasPrefix("died by signal ") } == 2, "both lives end in it: \(places)")
      let claims = try #require(trial["claims"] as? [[String: Any]])
      #expect(claims.map { $0["outcome"] as? String } == ["holds"])
    }

    /// C13 keeps its metadata in memory: the topic dies with the process.
    @Test func whatWasInMemoryOnlyIsGone() async throws {
      let (code, trial) = try await trial("--defect", "C13")
      #expect(code == 1 && trial["verdict"] as? String == "violated")
      let claims = try #require(trial["claims"] as? [[String: Any]])
      #expect(claims.map { $0["outcome"] as? String } == ["contradicted"])
    }
  }

  /// `tornlog bench` beyond its rates.
  @Suite struct BenchParts {
    @Test func recoveriesAndOpenings() async throws {
      let scratch = try Scratch()
      let ended = try await Running([
        Program.tornlog, "bench", "--only", "recovery", "--recovery", "2MiB", "--rounds", "1", "--dir",
        scratch.folder(), "--report",
        "json=\(scratch.path("j"))",
      ]).end()
      #expect(ended.code == 0, "\(ended)")
      let bench = try #require(try scratch.json("j")["bench"] as? [String: Any])
      let recoveries = try #require(bench["recoveries"] as? [[String: Any]])
      #expect(recoveries.map { $0["kind"] as? String } == ["log", "records", "store"])
      for row in recoveries {
        #expect(row["messages"] as? Int == 2000)
        #expect(try #require(row["peakBytes"] as? Int) > 1 << 20)
      }
      #expect(try scratch.entries() == [])
      let opened = try await Running([
        Program.tornlog, "bench", "--only", "partitions", "--partitions", "50", "--rounds", "1", "--dir",
        scratch.folder(), "--report",
        "json=\(scratch.path("k"))",
      ]).end()
      #expect(opened.code == 0, "\(opened)")
      let openings = try #require((try scratch.json("k")["bench"] as? [String: Any])?["openings"] as? [[String: Any]])
      #expect(openings.map { $0["partitions"] as? Int } == [50])
    }

    @Test(arguments: [
      ["--recovery", "4 apples"], ["--recovery", "1KB"], ["--kind", "book", "--recovery", "2MiB"], ["--only", "tea"],
    ])
    func mistakesEndWith64(_ options: [String]) async throws {
      let ended = try await Running([Program.tornlog, "bench"] + options).end()
      #expect(ended.code == 64, "\(ended)")
    }
  }
}
