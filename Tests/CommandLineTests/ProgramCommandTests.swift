import Foundation
import Glibc
import Testing

extension CommandLineTests {
  /// `tornlog test`, `audit`, `driver check` and `reproduce` of programs.
  @Suite(.enabled(if: geteuid() == 0, "a volume for others needs root")) struct ProgramCommands {
    private static let buggyLog = ["python3", "Examples/buggy-log/driver.py"]

    private func mounts(below folder: String) throws -> Int {
      try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n")
        .count { $0.contains(folder) }
    }

    /// The exit code says what was found, the token gives it again, and nothing is left.
    @Test func aBugIsFoundAndFoundAgain() async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      let ended = try await Running(
        [
          Program.tornlog, "test", "--dir", folder, "--requests", "6", "--profile", "ext4-ordered", "--budget", "30s",
          "--kills", "1", "--faults", "1",
        ]
          + ["--"] + Self.buggyLog + ["--bug", "1"]
      ).end(within: 90)
      #expect(ended.code == 1 && ended.out.contains("violated: no-acknowledged-loss"), "\(ended)")
      #expect(ended.out.split(separator: "\n").count <= 40, "\(ended)")
      let token = try #require(
        ended.out.split(separator: " ").first { $0.hasPrefix("p1.") }?.split(separator: "\n").first)
      let export = scratch.path("export")
      let again = try await Running(
        [Program.tornlog, "reproduce", String(token), "--dir", folder, "--export", export]
      ).end(within: 60)
      #expect(again.code == 1 && again.out.contains("violated: no-acknowledged-loss"), "\(again)")
      #expect(FileManager.default.fileExists(atPath: export))
      #expect(try mounts(below: folder) == 0)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test func aSoundProgramIsNotAccused() async throws {
      let scratch = try Scratch()
      let ended = try await Running(
        [Program.tornlog, "test", "--dir", scratch.folder(), "--requests", "6", "--budget", "30s", "--kills", "1"]
          + ["--profile", "ext4-ordered", "--faults", "2", "--"] + Self.buggyLog
      ).end(within: 90)
      #expect(ended.code == 0 && ended.out.contains("held: no promise was broken"), "\(ended)")
    }

    /// However it ends, no mount and no driver stays.
    @Test(arguments: [SIGINT, SIGTERM, SIGKILL]) func anEndLeavesNothing(_ signal: Int32) async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      let mark = "--mark-\(UInt32.random(in: 0 ... .max))"
      let running = try Running(
        [Program.tornlog, "test", "--dir", folder, "--budget", "60s", "--config", "{\"mark\": \"\(mark)\"}"]
          + ["--"] + Self.buggyLog + ["--bug", "0"])
      for _ in 0..<200 where try mounts(below: folder) < 2 { usleep(20_000) }
      #expect(try mounts(below: folder) >= 2)
      running.signal(signal)
      let ended = try await running.end(within: 60)
      if signal != SIGKILL { #expect(ended.code == 130, "\(ended)") }
      for _ in 0..<300 where try mounts(below: folder) > 0 { usleep(20_000) }
      #expect(try mounts(below: folder) == 0)
      for _ in 0..<100 where !(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty) { usleep(20_000) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    @Test(arguments: [
      (["test"], "name a driver"), (["test", "--profile", "ntfs", "--", "true"], "ntfs"),
      (["test", "--promise", "always", "--", "true"], "acknowledged"),
      (["test", "--config", "[", "--", "true"], "JSON"),
      (["test", "--model", "tree", "--", "true"], "queue"), (["test", "--allow", "all", "--", "true"], "suffix-loss"),
      (["test", "Scenarios/programs", "--", "true"], "not both"),
      (["test", "Scenarios/programs", "--promise", "nothing"], "the scenarios say this"),
      (["test", "--shard", "slice:1/2", "--", "true"], "of scenarios only"),
      (["test", "--fault", "EWHAT", "--", "true"], "bit flip at rest"),
      (["test", "Scenarios/nowhere"], "there is no Scenarios/nowhere"),
      (["audit"], "name a command"), (["audit", "--ack-pattern", "(", "--", "true"], "regular expression"),
      (["driver", "check"], "name a driver"),
    ]) func wrongUsageIsExplained(_ words: [String], _ hint: String) async throws {
      let ended = try await Running([Program.tornlog] + words).end(within: 30)
      #expect(ended.code == 64 && ended.err.contains(hint), "\(ended)")
    }

    /// A cell that comes out as its scenario says is a pass, however it comes out; any other is none.
    @Test func scenariosSayWhatIsExpected() async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      let scenario = """
        name: buggy
        title: A log that never syncs
        program: { driver: [python3, Examples/buggy-log/driver.py, --bug, 1] }
        matrix: { part: [one, two] }
        workload: { requests: 6 }
        search: { budget: 30s, kills: 0, faults: 0, profiles: [ext4-ordered] }
        expect:
          - when: { part: one }
            caught-by: no-acknowledged-loss
        """
      try scenario.write(toFile: folder + "/a.yaml", atomically: true, encoding: .utf8)
      let command = [Program.tornlog, "test", folder, "--dir", folder]
      let good = try await Running(command + ["-k", "part=one"]).end(within: 60)
      #expect(good.code == 0 && good.out.contains("caught by no-acknowledged-loss, as expected"), "\(good)")
      let all = try await Running(command + ["--report", "junit=\(folder)/junit.xml", "--report", "terminal"])
        .end(within: 90)
      #expect(all.code == 1 && all.out.contains("2 cells: 1 not as expected"), "\(all)")
      #expect(try String(contentsOfFile: folder + "/junit.xml", encoding: .utf8).contains("buggy part=two"))
      let none = try await Running(command + ["-k", "part=three"]).end(within: 30)
      #expect(none.code == 3 && none.err.contains("nothing selected"), "\(none)")
    }

    @Test func aProgramThatIsNotThereIsNamed() async throws {
      let ended = try await Running([Program.tornlog, "test", "--", "no-such-driver"]).end(within: 30)
      #expect(ended.code == 2 && ended.err.contains("no-such-driver"), "\(ended)")
    }

    @Test func driversAreChecked() async throws {
      let good = try await Running([Program.tornlog, "driver", "check", "--"] + Self.buggyLog).end(within: 60)
      #expect(good.code == 0 && good.out.contains("keeps to the protocol"), "\(good)")
      let bad = try await Running([Program.tornlog, "driver", "check", "--time-limit", "1s", "--", "cat"]).end(
        within: 60)
      #expect(bad.code == 1 && bad.out.contains("FAILS"), "\(bad)")
    }

    /// The command works on a copy; a file that is rewritten in place may be left empty.
    @Test func anAuditLeavesTheFolderAlone() async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      let text = (0..<2000).reversed().map { "\($0)" }.joined(separator: "\n") + "\n"
      try text.write(toFile: folder + "/numbers", atomically: true, encoding: .utf8)
      func audit(_ script: String) async throws -> Ended {
        try await Running([Program.tornlog, "audit", "--folder", folder, "--", "sh", "-c", script]).end(within: 60)
      }
      let rewritten = try await audit("sort -n -o numbers numbers")
      #expect(rewritten.code == 1 && rewritten.out.contains("numbers: a crash may leave it"), "\(rewritten)")
      let unsynced = try await audit("sort -n numbers > new && mv new numbers")
      #expect(unsynced.code == 1 && unsynced.out.contains("renamed over another"), "\(unsynced)")
      let careful = try await audit("sort -n numbers > new && sync new && mv new numbers")
      #expect(careful.code == 0 && careful.out.contains("held"), "\(careful)")
      #expect(try String(contentsOfFile: folder + "/numbers", encoding: .utf8) == text)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["numbers"])
    }

    /// What was not synced is gone after a cut, and faults are met.
    @Test func aMountedVolumeIsCut() async throws {
      let scratch = try Scratch()
      let folder = try scratch.folder()
      let volume = folder + "/volume"
      let mount = try Running([Program.tornlog, "mount", volume])
      for _ in 0..<200 where try mounts(below: volume) == 0 { usleep(20_000) }
      func act(_ words: [String]) async throws -> Ended {
        try await Running([Program.tornlog, "volume", volume] + words).end(within: 30)
      }
      let kept = open(volume + "/kept", O_WRONLY | O_CREAT, 0o644)
      #expect(write(kept, "one", 3) == 3 && fsync(kept) == 0)
      #expect(write(kept, "two", 3) == 3 && close(kept) == 0)
      close(open(volume + "/lost", O_WRONLY | O_CREAT, 0o644))
      let cut = try await act(["cut"])
      #expect(cut.code == 0 && cut.out.contains("never durable: create lost"), "\(cut)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: volume) == ["kept"])
      #expect(try String(contentsOfFile: volume + "/kept", encoding: .utf8) == "one")
      #expect(try await act(["fail", "create", "--path", "*.wal", "--error", "ENOSPC", "--count", "1"]).code == 0)
      #expect(open(volume + "/a.wal", O_WRONLY | O_CREAT, 0o644) < 0 && errno == ENOSPC)
      close(open(volume + "/a.wal", O_WRONLY | O_CREAT, 0o644))
      #expect(try await act(["snapshot", folder + "/copy"]).code == 0)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/copy").sorted() == ["a.wal", "kept"])
      let stats = try await act(["stats"])
      #expect(stats.code == 0 && stats.out.contains("operations failed 1, power cuts 1"), "\(stats)")
      mount.signal(SIGINT)
      #expect(try await mount.end(within: 30).code == 0)
      #expect(try mounts(below: folder) == 0)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["copy"])
    }
  }
}
