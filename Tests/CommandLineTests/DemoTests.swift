import Foundation
import Testing

extension CommandLineTests {
  /// `tornlog demo`: what a newcomer sees first.
  @Suite struct Demo {
    @Test func theStoryIsTold() async throws {
      let scratch = try Scratch()
      let environment: [String: String?] = ["XDG_CACHE_HOME": scratch.path("cache")]
      let ended = try await Running([Program.tornlog, "demo", "--dir", scratch.folder()], environment: environment).end(
        within: 60)
      #expect(ended.code == 0, "\(ended)")
      let lines = ended.out.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count <= 41 && lines.allSatisfy { $0.count <= 80 }, "\(ended)")
      for (log, sent, found, word) in [
        ("unmodified", 10, 10, "held"), ("unmodified", 100, 100, "held"), ("defect C2b", 10, 10, "held"),
        ("defect C2b", 100, 0, "VIOLATED"),
      ] {
        let isThere = lines.contains { line in
          let words = line.split(separator: " ").map(String.init)
          return line.hasPrefix("  \(log) ") && line.contains("process killed")
            && words.suffix(3) == ["\(sent)", "\(found)", word]
        }
        #expect(isThere, "\(log) \(sent): \(ended)")
      }
      #expect(try scratch.entries() == [])
      let again = try await Running(
        [Program.tornlog, "reproduce", "last", "--dir", scratch.folder()], environment: environment
      ).end()
      #expect(again.code == 1 && again.out.contains("0 of 100 recovered"), "\(again)")
    }

    /// Where trials cannot run there is no story.
    @Test func aMachineThatCannotRunItIsSaid() async throws {
      let ended = try await Running([Program.tornlog, "demo", "--dir", "/nonexistent"]).end(within: 60)
      #expect(ended.code == 69 && !ended.out.contains("VIOLATED"), "\(ended)")
    }
  }

  /// Words of version 0.1, accepted for one version more.
  @Suite struct FormerSpellings {
    @Test(arguments: [
      (
        [
          "explore", "--reference", "--profile", "raw-4k", "--bound", "1", "--states-per-point", "1", "--samples", "0",
          "--mishaps",
        ],
        [
          "explore", "crashes", "--reference", "--profile", "raw-4k", "--bound", "1", "--states-per-point", "1",
          "--samples", "0", "--device-faults",
        ]
      ),
      (
        ["explore", "--errors", "--case", "produce/open EIO once/1"],
        ["explore", "errors", "--case", "produce/open EIO once/1"]
      ),
      (
        ["explore", "--scenario", "always", "--schedules", "--count", "20"],
        ["explore", "schedules", "--scenario", "always", "--count", "20"]
      ),
      (
        ["explore", "--client=transactions", "--messages", "4", "--profile", "raw-512"],
        ["explore", "clients", "transactions", "--messages", "4", "--profile", "raw-512"]
      ),
      (
        ["defects", "--smoke", "--only", "C2", "--way", "own-scenario"],
        ["defects", "--smoke", "--only", "C2", "--strategy", "dedicated-scenario"]
      ),
    ])
    func bothSayTheSame(former: [String], current: [String]) async throws {
      let (old, new) = (
        try await Running([Program.tornlog] + former).end(), try await Running([Program.tornlog] + current).end()
      )
      func timeless(_ text: String) -> String {
        text.replacing(/\d+(\.\d+)? s\b/, with: "T").replacing(/\d+ a second/, with: "R")
      }
      #expect(old.code == new.code && timeless(old.out) == timeless(new.out) && !new.out.isEmpty, "\(old)\n\(new)")
    }

    @Test func noHelpShowsThem() async throws {
      for words in [
        ["explore", "--help"], ["explore", "crashes", "--help"], ["explore", "errors", "--help"],
        ["defects", "--help"],
      ] {
        let ended = try await Running([Program.tornlog] + words).end()
        #expect(ended.code == 0, "\(ended)")
        for former in ["--mishaps", "--way", "own-scenario", "--errors", "--schedules", "--client ", "--real"] {
          #expect(!ended.out.contains(former), "\(words) shows \(former)")
        }
      }
    }
  }
}
