import Foundation
import Testing

extension CommandLineTests {
  /// From a finding to its smallest scenario and back, by commands alone.
  @Suite struct Shrinking {
    private func finding(_ scratch: Scratch) async throws -> String {
      let report = scratch.path("report.json")
      let found = try await tornlog(
        "explore", "Scenarios/exploration/power-cut-anywhere.yaml", "-k", "defect=C8", "--profile", "raw-4k",
        "--report", "json=\(report)")
      #expect(found.code == 0, "\(found)")
      let exploration = try #require(try scratch.json("report.json")["exploration"] as? [String: Any])
      let findings = try #require(exploration["findings"] as? [[String: Any]])
      let command = try #require(findings.first?["reproduce"] as? String)
      return try #require(command.split(separator: " ").last.map(String.init))
    }

    @Test func `a crash state is shrunk, and shown again from its scenario and its token`() async throws {
      let scratch = try Scratch()
      let token = try await finding(scratch)
      let again = try await tornlog("reproduce", token)
      #expect(again.code == 1 && again.out.contains("violated no-duplicates"), "\(again)")
      #expect(again.out.contains("first divergent offset: partition") && again.out.contains("timeline"), "\(again)")

      let file = scratch.path("small.yaml")
      let shrunk = try await tornlog("shrink", token, "--output", file)
      #expect(shrunk.code == 0 && shrunk.out.contains("VIOLATED no-duplicates, weakest profile raw-4k"), "\(shrunk)")
      #expect(shrunk.err.contains("candidate 1"), "\(shrunk)")
      #expect(try await tornlog("check", file).code == 0)
      let shown = try await tornlog("explore", file)
      #expect(shown.code == 0 && shown.out.contains("2 of 2 cells came out as expected"), "\(shown)")
      // Switched on by the user it is expected to do no harm.
      #expect(try await tornlog("explore", file, "--defect", "C8").code == 1)
      #expect(try await tornlog("explore", file, "--defect", "none").code == 0)
      // A crash state is no trial.
      let run = try await tornlog("run", file)
      #expect(run.code == 3 && run.err.contains("no trials"), "\(run)")
      // A fingerprint of another recording.
      let text = try scratch.text("small.yaml")
      let print = try #require(text.split(separator: "\n").first { $0.contains("fingerprint: ") })
      let other = try scratch.write("other.yaml", text.replacing(print, with: "    fingerprint: 00000000"))
      let refused = try await tornlog("explore", other)
      #expect(refused.code == 65 && refused.err.contains("does not fit"), "\(refused)")
    }

    @Test func `a file that is not its own is left alone`() async throws {
      let scratch = try Scratch()
      let file = try scratch.write("notes.yaml", "name: mine\n")
      let token = Cells.token(messages: 100, defect: "C2b")
      let refused = try await tornlog("shrink", token, "--output", file)
      #expect(refused.code == 64 && refused.err.contains("was not written by `tornlog shrink`"), "\(refused)")
      #expect(try scratch.text("notes.yaml") == "name: mine\n")
      let told = try await tornlog("shrink", token, "--output", file, "--overwrite", "--dir", scratch.folder())
      #expect(told.code == 0, "\(told)")
      // Two batches of one message: the defect's whole condition.
      #expect(told.out.contains("2 messages of 24 bytes to 1 partitions in batches of 1"), "\(told)")
      #expect(try scratch.entries() == [])
      let run = try await tornlog("run", file, "--dir", scratch.folder("again"))
      #expect(run.code == 0 && run.out.contains("caught by no-acknowledged-loss"), "\(run)")
      #expect(try await tornlog("shrink", token, "--output", file, "--dir", scratch.folder()).code == 0)
    }

    @Test func `what cannot be shrunk is refused`() async throws {
      let scratch = try Scratch()
      let sound = try await tornlog("shrink", Cells.token(), "--output", scratch.path("f"), "--dir", scratch.folder())
      #expect(sound.code == 2 && sound.err.contains("nothing to shrink: the trial is held"), "\(sound)")
      for word in ["x1.m=1", "t1.m=1", "x2.m=1", "t2.m=1", "nonsense"] {
        #expect(try await tornlog("shrink", word, "--output", scratch.path("f")).code == 64)
        #expect(try await tornlog("reproduce", word).code == 64)
      }
      let token = Cells.token(messages: 100, defect: "C2b")
      let other = try await tornlog(
        "shrink", token, "--check", "no-hang", "--output", scratch.path("f"), "--dir", scratch.folder())
      #expect(
        other.code == 2 && other.err.contains("the trial does not violate no-hang, but no-acknowledged-loss"),
        "\(other)")
      let unknown = try await tornlog("shrink", token, "--check", "no-such", "--output", scratch.path("f"))
      #expect(unknown.code == 64 && unknown.err.contains("no check has this name"), "\(unknown)")
      #expect(!FileManager.default.fileExists(atPath: scratch.path("f")))
      let mixed = try await tornlog("explore", "--takeover")
      #expect(mixed.code == 64 && mixed.err.contains("describe the reference workload"), "\(mixed)")
    }
  }
}
