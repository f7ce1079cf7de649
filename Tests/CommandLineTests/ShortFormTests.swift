import Foundation
import Testing

extension CommandLineTests {
  /// `tornlog reproduce last`, `last:N`, `report.json#N`.
  @Suite struct ShortFormTests {
    @Test func `what the last run of this checkout found is run again by its number`() async throws {
      let scratch = try Scratch()
      let environment: [String: String?] = ["XDG_CACHE_HOME": scratch.path("cache")]
      func said(_ arguments: String..., in directory: String = Program.root) async throws -> Ended {
        try await Running([Program.tornlog] + arguments, in: directory, environment: environment).end()
      }
      let scenarios = Program.root + "/Scenarios/chronik/ten-vs-hundred.yaml"
      let run = try await said(
        "run", scenarios, "-t", "full", "--defect", "C2b", "-k",
        "partitions=3 and sync=always and crash=process-kill and (messages=10 or messages=100 or messages=1000)",
        "--storage", "memory", "--dir", scratch.folder(), "--report", "terminal", "--report",
        "json=\(scratch.path("j"))")
      #expect(run.code == 1, "\(run)")
      let trials = try scratch.trials("j")
      let found = trials.filter { $0["verdict"] as? String == "violated" }
      #expect(found.count >= 2 && trials.count > found.count)
      #expect(
        run.out.contains("\n  or         tornlog reproduce last:1\n")
          && run.out.contains("\n  or         tornlog reproduce last:\(found.count)\n"))
      #expect(run.out.hasSuffix("next: tornlog reproduce last\n"))
      let number = try #require(found[1]["number"] as? Int)
      let words = ["last:2", "\(scratch.path("j"))#\(number)"]
      for word in words {
        let again = try await said("reproduce", word, "--dir", scratch.folder())
        let command = try #require(found[1]["reproduce"] as? String)
        #expect(again.code == 1 && again.out.contains(command), "\(word): \(again)")
      }
      let first = try await said("reproduce", "last", "--dir", scratch.folder())
      let smallest = try #require(found[0]["reproduce"] as? String)
      #expect(first.code == 1 && first.out.contains(smallest), "\(first)")
      let shrunk = try await said("shrink", "last", "--output", scratch.path("s.yaml"), "--dir", scratch.folder())
      #expect(shrunk.code == 0 && shrunk.out.contains("VIOLATED"), "\(shrunk)")
      let beyond = try await said("reproduce", "last:\(found.count + 1)")
      #expect(
        beyond.code == 64
          && beyond.err.contains("the last run has \(found.count) findings, no number \(found.count + 1)"), "\(beyond)")
      // Another folder has runs of its own.
      let elsewhere = try await said("reproduce", "last", in: scratch.folder("other"))
      #expect(elsewhere.code == 64 && elsewhere.err.contains("nothing was run in this checkout yet"), "\(elsewhere)")
      // A run that finds nothing has no findings.
      _ = try await said("run", Cells.file, "-k", Cells.tiny, "--storage", "memory", "--dir", scratch.folder())
      let none = try await said("reproduce", "last")
      #expect(none.code == 64 && none.err.contains("every trial came out as expected"), "\(none)")
    }

    @Test func `an old token is warned of, a new one is not`() async throws {
      let scratch = try Scratch()
      let old = try await tornlog(
        "reproduce", Cells.token(), "--storage", "memory", "--dir", scratch.folder(), "--report",
        "json=\(scratch.path("j"))")
      #expect(old.code == 0 && old.err.contains("this token carries no check sum"), "\(old)")
      let command = try #require(try scratch.trials("j")[0]["reproduce"] as? String)
      let token = String(command.split(separator: " ")[2])
      let new = try await tornlog("reproduce", token, "--dir", scratch.folder())
      #expect(token.hasPrefix("t2.") && new.code == 0 && !new.err.contains("check sum"), "\(new)")
      let cut = try await tornlog("reproduce", String(token.dropLast(3)), "--dir", scratch.folder())
      #expect(cut.code == 64 && cut.err.contains("the token is not as it was printed"), "\(cut)")
    }

    @Test func `a report that is none is named`() async throws {
      let scratch = try Scratch()
      for text in ["", "{}", "[1]", "{\"trials\": [{}]}"] {
        let file = try scratch.write("r.json", text)
        let ended = try await tornlog("reproduce", file + "#1")
        #expect(ended.code == 64 && ended.err.contains("is no JSON report of `tornlog run`"), "\(ended)")
      }
    }
  }
}
