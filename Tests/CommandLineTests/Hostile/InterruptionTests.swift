import Foundation
import Glibc
import Testing

extension CommandLineTests {
  /// A run that is ended from outside.
  @Suite struct Interruptions {
    private func longRun(_ scratch: Scratch, _ more: [String] = []) throws -> Running {
      try Running(
        [
          Program.tornlog, "run", "Scenarios/chronik", "-t", "full", "-k", "messages=10000 or messages=50000",
          "--storage", "ring", "--dir",
          try scratch.folder(), "--report", "terminal", "--report", "json=\(scratch.path("j"))", "--report",
          "junit=\(scratch.path("x"))",
        ] + more)
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func aSignalEndsTheRunInOrder(signal: Int32) async throws {
      let scratch = try Scratch()
      let running = try longRun(scratch)
      _ = try await worker(of: running)
      let workers = running.children
      let underWay = try scratch.entries()
      #expect(!workers.isEmpty && underWay.count == 1)
      let asked = ContinuousClock.now
      running.signal(signal)
      let ended = try await running.end()
      #expect(ended.code == 130, "\(ended)")
      #expect(ContinuousClock.now - asked < .seconds(5))
      #expect(processes { workers.contains($0.pid) } == [])
      #expect(try scratch.entries() == [])
      let mounts = try String(contentsOfFile: "/proc/mounts", encoding: .utf8)
      #expect(!mounts.contains(scratch.root))
      let summary = try #require(try scratch.json("j")["summary"] as? [String: Any])
      #expect(summary["interrupted"] as? Bool == true && summary["stoppedBy"] as? String == "signal")
      let trials = try scratch.trials("j")
      #expect(summary["trials"] as? Int == trials.count)
      for trial in trials { #expect(trial["asExpected"] as? Bool == true, "no trial is blamed for the interruption") }
      #expect(try JUnit(scratch.text("x")).cases == trials.count)
      #expect(ended.out.contains("interrupted: "))
    }

    /// `timeout` signals its child and then the child's group, so that the child is told twice.
    @Test func `a run under timeout ends in order`() async throws {
      let scratch = try Scratch()
      let running = try Running([
        "timeout", "2", Program.tornlog, "run", "Scenarios/chronik", "-t", "full", "-k",
        "messages=10000 or messages=50000", "--storage",
        "ring",
        "--dir", try scratch.folder(), "--report", "json=\(scratch.path("j"))",
      ])
      let ended = try await running.end()
      #expect(ended.code == 124, "\(ended)")
      #expect(try scratch.entries() == [])
      let summary = try #require(try scratch.json("j")["summary"] as? [String: Any])
      #expect(summary["interrupted"] as? Bool == true && summary["stoppedBy"] as? String == "signal")
    }

    /// What blocks for good is ended by a second signal, but not by one that comes with the first.
    @Test func aSecondSignalIsAnOrderAfterASecond() async throws {
      let scratch = try Scratch()
      let pipe = scratch.path("pipe")
      // A pipe that is held open and never read.
      let ended = try await shell(
        """
        mkfifo \(pipe); exec 3<>\(pipe); \(Program.tornlog) list -v -t full >\(pipe) & p=$!; sleep 1
        kill -TERM $p; sleep 0.1; kill -TERM $p; sleep 0.2; kill -0 $p && echo alive
        sleep 1.2; kill -TERM $p; wait $p; echo $?
        """)
      #expect(ended.out == "alive\n130\n", "\(ended)")
    }

    @Test func `a run under nohup outlives its terminal`() async throws {
      let scratch = try Scratch()
      let running = try Running([
        "nohup", Program.tornlog, "run", Cells.file, "-k", Cells.tiny, "--repeat", "20", "--dir", try scratch.folder(),
      ])
      try await Task.sleep(for: .milliseconds(500))
      running.signal(SIGHUP)
      let ended = try await running.end()
      #expect(ended.code == 0 && ended.out.contains("20 held"), "\(ended)")
    }

    /// The first worker, a while after it has been started: on a busy machine that takes its time.
    private func worker(of running: Running) async throws -> pid_t {
      for _ in 0..<500 {
        if let worker = running.children.first {
          try await Task.sleep(for: .milliseconds(300))
          return worker
        }
        try await Task.sleep(for: .milliseconds(20))
      }
      throw Running.Failure.tooLong("no worker was started")
    }

    /// The kernel does that when memory runs out: no verdict on the engine, and the run goes on.
    @Test func `a worker that is killed from outside`() async throws {
      let scratch = try Scratch()
      let running = try Running([
        Program.tornlog, "run", Cells.file, "-t", "full", "-k", Cells.volume(50000), "--jobs", "1", "--storage",
        "posix",
        "--repeat", "2",
        "--dir", try scratch.folder(), "--report", "json=\(scratch.path("j"))",
      ])
      let worker = try await worker(of: running)
      kill(worker, SIGKILL)
      let ended = try await running.end()
      #expect(ended.code == 2, "\(ended)")
      let trials = try scratch.trials("j")
      #expect(trials.map { $0["verdict"] as? String } == ["unknown", "held"])
      let notices = try #require(trials[0]["notices"] as? [String])
      #expect(notices.contains { $0.contains("killed from outside") }, "\(notices)")
      #expect(try scratch.entries() == [])
    }

    @Test func `a worker that does not go on never holds the run up`() async throws {
      let scratch = try Scratch()
      let running = try Running([
        Program.tornlog, "run", Cells.file, "-t", "full", "-k", Cells.volume(50000), "--jobs", "1", "--storage", "ring",
        "--timeout", "1s",
        "--dir", try scratch.folder(),
      ])
      let worker = try await worker(of: running)
      kill(worker, SIGSTOP)
      let ended = try await running.end(within: 15)
      // Which of the two follows from who was at work when it was stopped: the engine, or the harness.
      let isHang = ended.code == 1 && ended.out.contains("no-hang: ")
      let hasNoVerdict = ended.code == 2 && ended.out.contains("ran out of time")
      #expect(isHang || hasNoVerdict, "\(ended)")
      #expect(processes { $0.pid == worker } == [])
      #expect(try scratch.entries() == [])
    }

    @Test func `workers do not survive their parent`() async throws {
      let scratch = try Scratch()
      let running = try longRun(scratch)
      _ = try await worker(of: running)
      let workers = running.children
      #expect(!workers.isEmpty)
      running.signal(SIGKILL)
      #expect(try await running.end().code == 128 + SIGKILL)
      for _ in 0..<100 where !processes({ workers.contains($0.pid) }).isEmpty {
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(processes { workers.contains($0.pid) } == [])
    }

    @Test(arguments: ["list -v -t full", "check", "list --defects", "--help"])
    func aReaderThatGoesAwayIsNoError(command: String) async throws {
      let ended = try await shell("\(Program.tornlog) \(command) | head -1; echo ${PIPESTATUS[0]}")
      #expect(
        ended.err == "" && ended.out.split(separator: "\n").count == 2 && ended.out.hasSuffix("\n0\n"), "\(ended)")
    }

    @Test func `a reader that goes away ends a run in order`() async throws {
      let scratch = try Scratch()
      let ended = try await shell(
        "\(Program.tornlog) run -v Scenarios/chronik --dir \(scratch.folder()) --report terminal --report "
          + "json=\(scratch.path("j")) | head -1; "
          + "echo ${PIPESTATUS[0]}")
      #expect(ended.err == "" && ended.out.hasSuffix("\n130\n"), "\(ended)")
      #expect(try scratch.entries() == [])
      #expect((try scratch.json("j")["summary"] as? [String: Any])?["interrupted"] as? Bool == true)
      let timeline = try await shell(
        "\(Program.tornlog) reproduce \(Cells.token()) --dir \(scratch.folder()) | head -1; echo ${PIPESTATUS[0]}")
      // The token is one of before there was a check sum: that is said, and nothing else.
      #expect(timeline.err.contains("check sum") && timeline.err.split(separator: "\n").count == 1, "\(timeline)")
      #expect(timeline.out.hasPrefix("ten-vs-hundred, seed 42"), "\(timeline)")
      #expect(try scratch.entries() == [])
    }

    @Test func `closed standard streams`() async throws {
      let scratch = try Scratch()
      let command = [Program.tornlog, "run", Cells.file, "-k", Cells.tiny, "--dir", try scratch.folder()]
      let silent = try await Running(command, closing: [2]).end()
      #expect(silent.code == 0 && silent.out.contains("all as expected"), "\(silent)")
      let mistaken = try await Running([Program.tornlog, "run", "-k", "messages=77"], closing: [0, 2]).end()
      #expect(mistaken.code == 3, "\(mistaken)")
      let deaf = try await Running(command, closing: [1]).end()
      #expect(deaf.code == 69 && deaf.err.contains("cannot write standard output"), "\(deaf)")
      #expect(try scratch.entries() == [])
    }

    private func shell(_ text: String) async throws -> Ended { try await Running(["bash", "-c", text]).end() }
  }
}
