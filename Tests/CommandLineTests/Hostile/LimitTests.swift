import Foundation
import Glibc
import Testing

extension CommandLineTests {
  /// Limits of the machine in a run: reason, remedy, and the run goes on.
  @Suite struct LimitTests {
    private func shell(_ text: String, within limit: Double = 120) async throws -> Ended {
      try await Running(["bash", "-c", text]).end(within: limit)
    }

    private func scenario(
      _ scratch: Scratch, _ matrix: String, _ workload: String = "batch: 5, message-size: 100B, append-between: 1"
    ) throws -> String {
      try scratch.write(
        "s.yaml",
        "name: small\ntitle: limits\nworkload: { topic: orders, producers: 4, \(workload) }\nmatrix:\n  sync: "
          + "[always]\n\(matrix)\n"
      )
    }

    /// As systemd gives them: 1024 soft, half a million hard. The sound engine was accused.
    @Test func `a soft limit is raised to the hard one`() async throws {
      let scratch = try Scratch()
      let file = try scenario(scratch, "  messages: [1200]\n  partitions: [200]\n  crash: [process-kill]")
      let ended = try await shell("ulimit -Sn 256; exec \(Program.tornlog) run \(file) --dir \(try scratch.folder())")
      #expect(ended.code == 0 && ended.out.contains("1 held"), "\(ended)")
    }

    /// A few descriptors less than a life needs: the life that meets it is killed by its own trial before it can say
    /// so.
    @Test(arguments: ["process-kill", "power-loss", "none"], ["ring", "posix"])
    func descriptorsThatRunOutInALife(crash: String, storage: String) async throws {
      let scratch = try Scratch()
      let file = try scenario(scratch, "  messages: [12]\n  partitions: [3]\n  crash: [\(crash)]")
      var codes: [Int32] = []
      for limit in [18, 20] {
        let report = scratch.path("\(limit)")
        let ended = try await shell(
          "ulimit -n \(limit); exec \(Program.tornlog) run \(file) --jobs 1 --repeat 2 --storage \(storage) --dir "
            + "\(try scratch.folder()) "
            + "--report terminal --report json=\(report)")
        codes.append(ended.code)
        #expect(ended.code == 0 || ended.code == 2, "\(limit): \(ended)")
        #expect(try scratch.entries() == [])
        let trials = try scratch.trials("\(limit)")
        #expect(trials.count == 2, "the run goes on: \(ended)")
        for trial in trials where trial["verdict"] as? String != "held" {
          let notices = trial["notices"] as? [String] ?? []
          #expect(trial["verdict"] as? String == "unknown", "\(trial)")
          #expect(
            notices.contains { $0.contains("Too many open files (raise the limit with ulimit -n") },
            "\(limit): \(notices)")
          let checks = try #require(trial["checks"] as? [[String: Any]])
          #expect(!checks.contains { $0["verdict"] as? String == "violated" }, "\(checks)")
        }
      }
      #expect(codes.contains(2), "no limit was met: \(codes)")
    }

    @Test func `too few descriptors are refused before the run`() async throws {
      let scratch = try Scratch()
      let file = try scenario(scratch, "  messages: [1200]\n  partitions: [600]\n  crash: [process-kill]")
      let ended = try await shell("ulimit -n 600; exec \(Program.tornlog) run \(file) --dir \(try scratch.folder())")
      #expect(ended.code == 69, "\(ended)")
      #expect(
        ended.err.contains("RLIMIT_NOFILE is 600 and a trial (small) needs 610: raise the limit with ulimit -n"),
        "\(ended)")
    }

    /// libdispatch ends a process that gets no descriptor for its event loop with SIGILL and without a word.
    @Test(
      arguments: [4, 5, 6, 8, 10], ["explore --reference --profile raw-512 --bound 1", "doctor", "list --defects"])
    func tooFewDescriptorsForAnyCommand(limit: Int, command: String) async throws {
      let ended = try await shell("ulimit -n \(limit); exec \(Program.tornlog) \(command)")
      #expect(ended.code == 69 && ended.err.contains("raise the limit with ulimit -n"), "\(ended)")
    }

    /// Files of the engine and of the harness alike; with and without the signal.
    @Test(arguments: ["", "trap '' XFSZ; "])
    func filesThatMayNotGrow(trap: String) async throws {
      let scratch = try Scratch()
      let file = try scratch.write(
        "s.yaml",
        """
        name: small
        title: limits
        workload: { topic: orders, producers: 4, batch: 1, message-size: 100B, append-between: 1 }
        matrix:
          messages: [900]
          partitions: [1]
          sync: [never]
          crash: [process-kill, power-loss, none]
        """)
      let ended = try await shell(
        "\(trap)ulimit -f 100; exec \(Program.tornlog) run \(file) --dir \(try scratch.folder()) --report terminal "
          + "--report json=\(scratch.path("j"))"
      )
      #expect(ended.code == 2, "\(ended)")
      let trials = try scratch.trials("j")
      #expect(trials.count == 3)
      for trial in trials {
        #expect(trial["verdict"] as? String == "unknown")
        #expect(
          (trial["notices"] as? [String])?.contains { $0.contains("File too large (raise the limit with ulimit -f") }
            == true, "\(trial)")
      }
      #expect(try scratch.entries() == [])
    }

    @Test func `sweeps under a limit of the file size are refused before the run`() async throws {
      let ended = try await shell(
        "ulimit -f 64; exec \(Program.tornlog) run Scenarios/sweeps/rotation.yaml --storage posix")
      #expect(
        ended.code == 69 && ended.err.contains("RLIMIT_FSIZE is 65536") && ended.err.contains("ulimit -f"), "\(ended)")
    }

    @Test func `a trial in memory that needs more than there is`() async throws {
      let scratch = try Scratch()
      let huge = try scenario(scratch, "  messages: [1000000000]\n  partitions: [1]\n  crash: [none]")
      let refused = try await shell(
        "ulimit -v 6000000; exec \(Program.tornlog) run \(huge) --storage memory --timeout 8s")
      #expect(
        refused.code == 69 && refused.err.contains("RLIMIT_AS allows 5859 MiB: raise the limit with ulimit -v"),
        "\(refused)")
      // More than it needs at the least, and less than it needs: it finds that out by running.
      let large = try scenario(
        scratch, "  messages: [100000]\n  partitions: [1]\n  crash: [none]",
        "batch: 100, message-size: 1000B, append-between: 1")
      let report = scratch.path("j")
      let ended = try await shell(
        "ulimit -v 175000; exec \(Program.tornlog) run \(large) --storage memory --jobs 1 --report terminal --report "
          + "json=\(report)"
      )
      #expect(ended.code == 2, "\(ended)")
      let trial = try #require(try scratch.trials("j").first)
      #expect(
        (trial["notices"] as? [String])?.contains { $0.contains("ran out of memory: RLIMIT_AS allows 170 MiB") }
          == true, "\(ended)")
    }

    // MARK: Signals from outside

    /// SIGKILL is `Interruptions.a worker that is killed from outside`. What the engine itself would raise is told by
    /// its sender. Without a crash one process lives all lives: whenever the signal comes, it is there. The threads of
    /// these tests block SIGABRT for what they start.
    @Test(arguments: [SIGTERM, SIGXCPU, SIGSEGV, SIGABRT])
    func aWorkerThatGetsASignalFromOutside(signal: Int32) async throws {
      let scratch = try Scratch()
      let file = try scenario(scratch, "  messages: [30000]\n  partitions: [3]\n  crash: [none]")
      let running = try Running([
        Program.tornlog, "run", file, "--jobs", "1", "--storage", "posix", "--repeat", "2", "--dir",
        try scratch.folder(), "--report",
        "json=\(scratch.path("j"))",
      ])
      let worker = try await firstWorker(of: running, scratch)
      // One that dies before it has been asked anything is replaced without a word: it must be at work.
      try await Task.sleep(for: .milliseconds(200))
      kill(worker, signal)
      let ended = try await running.end(within: 240)
      #expect(ended.code == 2, "\(ended)")
      let trials = try scratch.trials("j")
      #expect(trials.map { $0["verdict"] as? String } == ["unknown", "held"])
      let notices = try #require(trials[0]["notices"] as? [String])
      #expect(
        notices.contains { $0.contains("from outside by signal \(signal)") || $0.contains("RLIMIT_CPU") }, "\(notices)")
      #expect(try scratch.entries() == [])
    }

    /// The worker of the first trial, whose first life has begun: it has a journal.
    private func firstWorker(of running: Running, _ scratch: Scratch) async throws -> pid_t {
      let start = ContinuousClock.now
      while ContinuousClock.now - start < .seconds(120) {
        let runs = try scratch.entries()
        if let run = runs.first, access(scratch.path("dir/\(run)/trial-0/data/topics"), F_OK) == 0,
          let worker = running.children.first
        {
          return worker
        }
        try await Task.sleep(for: .milliseconds(5))
      }
      throw Running.Failure.tooLong("no life has begun")
    }

    // MARK: The clock

    /// A library that shows another time, as libfaketime does.
    @Test(arguments: ["-315619200", "9300000000", "9223372037"], ["CLOCK_REALTIME", "CLOCK_MONOTONIC"])
    func aClockThatCannotBeCountedWith(seconds: String, clock: String) async throws {
      let scratch = try Scratch()
      let source = try scratch.write(
        "clock.c",
        """
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t clock, struct timespec *into) {
          int result = syscall(SYS_clock_gettime, clock, into);
          if (clock == \(clock)) into->tv_sec = \(seconds);
          return result;
        }
        """)
      let library = scratch.path("clock.so")
      let built = try await Running(["clang", "-shared", "-fPIC", "-w", "-o", library, source]).end()
      try #require(built.code == 0, "\(built)")
      let ended = try await Running(
        [Program.tornlog, "run", Cells.file, "-k", Cells.tiny, "--dir", try scratch.folder()],
        environment: ["LD_PRELOAD": library]
      ).end()
      #expect(ended.code == 69 && ended.err.contains("must be a time from 1970 to 2261: set the clock"), "\(ended)")
      #expect(ended.err.contains("is \(seconds) s"), "\(ended)")
      #expect(try scratch.entries() == [])
    }

    // MARK: What is left behind

    @Test func `what a killed run leaves is found, and a live run is not named`() async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      let running = try Running([
        Program.tornlog, "run", "Scenarios/chronik/ten-vs-hundred.yaml", "-t", "full", "-k", Cells.volume(50000),
        "--jobs", "1",
        "--storage", "posix", "--dir", folder,
      ])
      _ = try await firstWorker(of: running, scratch)
      let name = try #require(try scratch.entries().first)
      let alive = try await tornlog("doctor", "--dir", folder)
      #expect(!alive.out.contains(name), "\(alive)")
      running.signal(SIGKILL)
      _ = try await running.end()
      let found = try await tornlog("doctor", "--dir", folder)
      #expect(found.out.contains("\(folder)/\(name)") && found.out.contains("rm -r"), "\(found)")
      let kept = try await tornlog("run", Cells.file, "-k", Cells.tiny, "--dir", folder, "--keep", "always")
      #expect(kept.code == 0)
      let other = try #require(try scratch.entries().first { $0 != name })
      let after = try await tornlog("doctor", "--dir", folder)
      #expect(!after.out.contains(other), "what was kept on purpose is no left-over: \(after)")
    }
  }
}
