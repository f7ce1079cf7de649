import Foundation
import Testing

extension CommandLineTests {
  /// Which trials run, how many, where, and how long.
  @Suite struct Selections {
    private func names(_ text: String) -> [String] {
      text.split(separator: "\n").filter { $0.hasPrefix("    ") }.map(String.init)
    }

    @Test(arguments: ["slice", "hash"])
    func shardsAreThePartsOfTheWhole(kind: String) async throws {
      let whole = names(try await tornlog("list", "-v").out)
      let first = names(try await tornlog("list", "-v", "--shard", "\(kind):1/2").out)
      let second = names(try await tornlog("list", "-v", "--shard", "\(kind):2/2").out)
      #expect(!first.isEmpty && !second.isEmpty)
      #expect((first + second).sorted() == whole.sorted())
      let auto = try await tornlog("list", "-v", "--shard", "auto:2", environment: ["CI_NODE_INDEX": "2"])
      if kind == "hash" { #expect(names(auto.out) == second) }
    }

    /// Trials of the parts that no machine takes would be missing, and the run would look like a pass.
    @Test(arguments: [
      (["CI_NODE_INDEX": "5"], "CI_NODE_INDEX is '5'; it must be from 1 to 4"),
      (["CI_NODE_INDEX": "0"], "CI_NODE_INDEX is '0'; it must be from 1 to 4"),
      (["CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "3"], "CI_NODE_TOTAL is '3'"),
      (["CIRCLE_NODE_INDEX": "4", "CIRCLE_NODE_TOTAL": "4"], "CIRCLE_NODE_INDEX is '4'; it must be from 0 to 3"),
      (["BUILDKITE_PARALLEL_JOB": "1", "BUILDKITE_PARALLEL_JOB_COUNT": "8"], "say auto:8"),
      (["CI_NODE_INDEX": "6", "CI_NODE_TOTAL": "8"], "CI_NODE_TOTAL is '8', and auto:4 makes 4 parts"),
    ])
    func aPartThatIsNotOneOfThemIsRefused(environment: [String: String], message: String) async throws {
      let own: [String: String?] = ["CI_NODE_INDEX": nil, "CI_NODE_TOTAL": nil, "TORNLOG_SHARD_INDEX": nil]
      let ended = try await tornlog(
        "list", Cells.file, "--shard", "auto:4", environment: own.merging(environment.mapValues { $0 }) { $1 })
      #expect(ended.code == 64 && ended.err.contains(message), "\(ended)")
    }

    @Test func `cells of other suites are named where none of this one matches`() async throws {
      let ended = try await tornlog("run", "Scenarios/chronik", "-k", "messages=500000 and C2b")
      #expect(ended.code == 3 && ended.err.contains("no cell of the suite quick matches; full has "), "\(ended)")
      #expect(ended.err.contains("add -t full"))
    }

    @Test func `seeds count up and repetitions do not`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "-k", Cells.tiny, "--storage", "memory", "--seed", "7", "--seeds", "3", "--repeat", "2",
        "--jobs", "4",
        "--dir", scratch.folder(), "--report", "json=\(scratch.path("j"))")
      #expect(ended.code == 0 && ended.out.contains("6 trials: 6 held"), "\(ended)")
      #expect(try scratch.trials("j").compactMap { $0["seed"] as? Int } == [7, 7, 8, 8, 9, 9])
    }

    @Test func `the trials that failed run again`() async throws {
      let scratch = try Scratch()
      let cache = ["XDG_CACHE_HOME": String?.some(scratch.path("cache"))]
      let base = [
        Program.tornlog, "run", "--storage", "memory", "--dir", try scratch.folder(), "--defect", "C2b", "-k",
        "ten-vs-hundred and partitions=3 and sync=always and crash=process-kill and (messages=10 or messages=100)",
      ]
      let first = try await Running(base, environment: cache).end()
      #expect(first.code == 1, "\(first)")
      let again = try await Running(
        base + ["--last-failed", "--report", "json=\(scratch.path("j"))"], environment: cache
      ).end()
      #expect(again.code == 1, "\(again)")
      #expect(try scratch.trials("j").count == 1)
      // Another selection forgets nothing of this one, nor does another checkout.
      let tiny = [Program.tornlog, "run", Program.root + "/Scenarios", "--storage", "memory", "-k", Cells.tiny]
      #expect(try await Running(tiny, environment: cache).end().code == 0)
      let elsewhere = try await Running(tiny + ["--last-failed"], in: scratch.root, environment: cache).end()
      #expect(
        elsewhere.code == 0 && elsewhere.err.contains("no trial of this selection failed the last time; all 1 run"),
        "\(elsewhere)")
      let still = try await Running(
        base + ["--last-failed", "--report", "json=\(scratch.path("k"))"], environment: cache
      ).end()
      #expect(still.code == 1, "\(still)")
      #expect(try scratch.trials("k").count == 1)
    }

    /// As pytest does: a script that runs what failed need not ask whether anything did.
    @Test func `where nothing failed everything runs`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "--storage", "memory", "-k", Cells.tiny, "--last-failed", "--report",
        "json=\(scratch.path("j"))")
      #expect(ended.code == 0 && ended.err.contains("all 1 run"), "\(ended)")
      #expect(try scratch.trials("j").count == 1)
    }

    /// Runs at the same time tear nothing, and forget nothing of each other.
    @Test func `runs at the same time keep each other's failures`() async throws {
      let scratch = try Scratch()
      let cache = ["XDG_CACHE_HOME": String?.some(scratch.path("cache"))]
      let volumes = [100, 500, 1000, 5000]
      func command(_ messages: Int) -> [String] {
        [
          Program.tornlog, "run", Cells.file, "-t", "full", "--storage", "memory", "--defect", "C2b", "-k",
          Cells.volume(messages, defect: "C2b"), "--jobs", "1",
        ]
      }
      let running = try volumes.map { try Running(command($0), environment: cache) }
      for run in running { #expect(try await run.end().code == 1) }
      let all = try await Running(
        [
          Program.tornlog, "run", Cells.file, "-t", "full", "--storage", "memory", "--defect", "C2b", "-k",
          "ten-vs-hundred and partitions=3 and sync=always and crash=process-kill and messages<=5000", "--last-failed",
          "--report",
          "json=\(scratch.path("j"))",
        ], environment: cache
      ).end()
      #expect(all.code == 1, "\(all)")
      let found = try scratch.trials("j").compactMap { ($0["axes"] as? [String: Any])?["messages"] as? Int }
      #expect(found == volumes, "\(found)")
    }

    @Test func `fail-fast stops, and says how far it came`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "-x", "--defect", "C2b", "-k", Cells.volume(100, defect: "C2b"), "--repeat", "50", "--jobs",
        "1",
        "--storage",
        "memory", "--dir", scratch.folder(), "--report", "json=\(scratch.path("j"))")
      #expect(ended.code == 1, "\(ended)")
      #expect(try scratch.trials("j").count == 1)
      let summary = try #require(try scratch.json("j")["summary"] as? [String: Any])
      #expect(summary["interrupted"] as? Bool == false && summary["stoppedBy"] as? String == "fail-fast")
      #expect(try scratch.entries() == [])
      // Nothing was left to be stopped.
      let last = try await tornlog(
        "run", Cells.file, "-x", "--defect", "C2b", "-k", Cells.volume(100, defect: "C2b"), "--jobs", "1", "--storage",
        "memory",
        "--dir", scratch.folder())
      #expect(last.code == 1 && !last.out.contains("stopped") && !last.out.contains("interrupted"), "\(last)")
    }

    @Test(arguments: [[], ["-x"]])
    func aDeadlineLeavesARunWithoutVerdict(more: [String]) async throws {
      let scratch = try Scratch()
      let ended = try await Running(
        [
          Program.tornlog, "run", Cells.file, "-k", Cells.tiny, "--repeat", "10000", "--deadline", "1s", "--dir",
          try scratch.folder(),
          "--report", "json=\(scratch.path("j"))",
        ] + more
      ).end()
      #expect(ended.code == 2, "\(ended)")
      #expect(ended.err.contains("stopped at the deadline after "), "\(ended)")
      #expect(ended.seconds < 5)
      // Finding 26: it was said to be interrupted, as if by a signal.
      let summary = try #require(try scratch.json("j")["summary"] as? [String: Any])
      #expect(summary["interrupted"] as? Bool == false && summary["stoppedBy"] as? String == "deadline")
      #expect(try scratch.entries() == [])
    }

    /// A limit that no machine keeps is the limit's fault, not the engine's.
    @Test(arguments: ["1ns", "1ms"])
    func aTimeLimitThatIsTooSmall(limit: String) async throws {
      let scratch = try Scratch()
      for storage in ["ring", "posix"] {
        let ended = try await tornlog(
          "run", Cells.file, "-k", Cells.volume(1000), "--timeout", limit, "--storage", storage, "--dir",
          scratch.folder())
        #expect(ended.code == 2, "\(ended)")
        #expect(ended.out.contains("raise --timeout"), "\(ended)")
        #expect(try scratch.entries() == [])
      }
    }

    @Test func `directories with spaces and relative ones`() async throws {
      let scratch = try Scratch()
      _ = try scratch.folder("a b")
      for directory in ["a b", "./a b/", scratch.path("a b")] {
        for storage in ["ring", "memory"] {
          let ended = try await tornlog(
            "run", Program.root + "/Scenarios", "-k", Cells.tiny, "--storage", storage, "--dir", directory, "--report",
            "json=a b/report", in: scratch.root)
          #expect(ended.code == 0, "\(ended)")
          #expect(try scratch.entries("a b") == ["report"])
        }
      }
    }

    @Test func `what is kept`() async throws {
      let scratch = try Scratch()
      func run(_ keep: String, _ defect: String) async throws -> [String] {
        let folder = try scratch.folder("\(keep)-\(defect)")
        let ended = try await tornlog(
          "run", Cells.file, "--defect", defect, "-k", Cells.volume(100, defect: defect), "--dir", folder, "--keep",
          keep)
        #expect(ended.code == (defect == "none" ? 0 : 1), "\(ended)")
        let entries = try scratch.entries("\(keep)-\(defect)")
        if let kept = entries.first { #expect(ended.out.contains("\(folder)/\(kept)/trial-0")) }
        return entries
      }
      #expect(try await run("never", "C2b") == [])
      #expect(try await run("on-failure", "none") == [])
      #expect(try await run("on-failure", "C2b").count == 1)
      #expect(try await run("always", "none").count == 1)
    }

    @Test func `results and progress keep apart`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "-v", "-k", Cells.tiny, "--dir", scratch.folder(), "--progress", "always", "--color",
        "always")
      #expect(ended.code == 0 && ended.out.contains("\u{1B}["), "\(ended)")
      #expect(!ended.out.contains("about "))
      let quiet = try await tornlog("run", Cells.file, "-q", "-k", Cells.tiny, "--dir", scratch.folder())
      #expect(quiet.err == "" && quiet.out.split(separator: "\n").count == 1, "\(quiet)")
      // A terminal of its own shows colours, unless NO_COLOR forbids them.
      let command = "\(Program.tornlog) run -k '\(Cells.tiny)' --report terminal -v"
      for (value, coloured) in [("", true), ("1", false)] {
        let shown = try await Running(
          ["script", "-qec", command, "/dev/null"], environment: ["NO_COLOR": value, "TERM": "xterm"]
        ).end()
        #expect(shown.out.contains("\u{1B}[3") == coloured, "\(shown)")
      }
    }

    @Test func `a seed decides a trial to the last byte`() async throws {
      let scratch = try Scratch()
      func trace(_ seed: Int, _ name: String) async throws -> String {
        let ended = try await tornlog(
          "reproduce", Cells.token(seed: seed, messages: 100), "--storage", "memory", "--trace", scratch.path(name),
          "--dir",
          scratch.folder())
        #expect(ended.code == 0, "\(ended)")
        return try scratch.text(name)
      }
      let first = try await trace(42, "first")
      #expect(first.contains("-- life 0") && first.contains("ACK orders/0"))
      #expect(try await trace(42, "second") == first)
      #expect(try await trace(43, "third") != first)
    }

    @Test(arguments: ["ring", "posix", "memory"])
    func aTokenGivesTheSameVerdictOnEveryStorage(storage: String) async throws {
      let scratch = try Scratch()
      for (token, code) in [(Cells.token(), 0), (Cells.token(messages: 100, defect: "C2b"), 1)] {
        let ended = try await tornlog("reproduce", token, "--storage", storage, "--dir", scratch.folder())
        #expect(ended.code == Int32(code), "\(ended)")
        #expect(try scratch.entries() == [])
      }
    }
  }
}
