import Foundation
import Testing

extension CommandLineTests {
  /// What runs of single cells say, and with which exit code.
  @Suite struct Verdicts {
    @Test(arguments: ["ring", "posix", "memory"])
    func aSoundEngineHolds(storage: String) async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "-k", Cells.tiny, "--storage", storage, "--dir", scratch.folder(), "--report",
        "json=\(scratch.path("j"))")
      #expect(ended.code == 0, "\(ended)")
      #expect(try scratch.entries() == [])
      let run = try scratch.json("j")["run"] as? [String: Any]
      #expect(run?["storage"] as? String == (storage == "ring" ? "io_uring" : storage))
      let trial = try scratch.trials("j")[0]
      #expect(trial["verdict"] as? String == "held")
      #expect((trial["counts"] as? [String: Int])?["recovered"] == 10)
    }

    @Test func `all of ten messages come back`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "--defect", "C2b", "-k", Cells.volume(10, defect: "C2b"), "--dir", scratch.folder())
      #expect(ended.code == 0, "\(ended)")
      #expect(try scratch.entries() == [])
    }

    @Test func `none of a hundred comes back, and the reports say where`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "--defect", "C2b", "-k", Cells.volume(100, defect: "C2b"), "--dir", scratch.folder(),
        "--report",
        "terminal",
        "--report", "json=\(scratch.path("j"))", "--report", "junit=\(scratch.path("x"))")
      #expect(ended.code == 1, "\(ended)")
      #expect(ended.out.contains("100 acknowledged messages lost") && ended.out.contains("tornlog reproduce t2."))
      #expect(!ended.out.contains("\u{1B}"), "no colours into a file")
      #expect(ended.err == "", "nothing but progress, and there was no time for any")
      #expect(try scratch.entries() == [])
      let trial = try scratch.trials("j")[0]
      #expect(trial["verdict"] as? String == "violated")
      let counts = try #require(trial["counts"] as? [String: Int])
      #expect((counts["acknowledged"], counts["lost"], counts["recovered"]) == (100, 100, 0))
      let checks = try #require(trial["checks"] as? [[String: Any]])
      let loss = try #require(checks.first { $0["name"] as? String == "no-acknowledged-loss" })
      #expect(loss["verdict"] as? String == "violated")
      let place = try #require(loss["divergence"] as? [String: Any])
      #expect(place["partition"] as? Int == 0 && place["offset"] as? Int == 0 && place["restart"] as? Int == 1)
      #expect((place["segment"] as? String)?.hasSuffix(".log") == true && place["byte"] is Int)
      let command = try #require(trial["reproduce"] as? String)
      #expect(command.hasPrefix("tornlog reproduce t2."))
      let junit = try JUnit(scratch.text("x"))
      #expect((junit.cases, junit.failures, junit.errors) == (1, 1, 0))

      let again = try await tornlog(
        "reproduce", String(command.split(separator: " ")[2]), "--storage", "memory", "--dir", scratch.folder())
      #expect(again.code == 1, "\(again)")
      #expect(again.out.contains("100 acknowledged messages lost") && again.out.contains("timeline"))
      #expect(try scratch.entries() == [])
    }

    @Test func `the reports of a sound run are valid`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", Cells.file, "-k", Cells.tiny, "--storage", "memory", "--dir", scratch.folder(), "--report", "json")
      #expect(ended.code == 0, "\(ended)")
      let report = try #require(try JSONSerialization.jsonObject(with: Data(ended.out.utf8)) as? [String: Any])
      #expect(report["version"] as? Int == 1)
      #expect((report["summary"] as? [String: Any])?["held"] as? Int == 1)
      let reproduced = try await tornlog(
        "reproduce", Cells.token(), "--storage", "memory", "--dir", scratch.folder(), "--report", "json")
      let timeline = try JSONSerialization.jsonObject(with: Data(reproduced.out.utf8))
      #expect(timeline is [String: Any])
    }

    /// Finding 16: a third of the kills that were to come in mid-flight found nothing in flight, and counted.
    @Test(arguments: ["ring", "posix"])
    func aKillInMidFlightFindsOperationsInFlight(storage: String) async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", "Scenarios/regressions/kill-mid-flight.yaml", "-k",
        "kill-mid-flight and messages=1000 and partitions=3 and crash=process-kill and crash-at=50%",
        "--seeds", "6", "--storage", storage, "--jobs", "1", "--dir", scratch.folder(), "--report",
        "json=\(scratch.path("j"))")
      #expect(ended.code == 0 || ended.code == 2, "\(ended)")
      let trials = try scratch.trials("j")
      #expect(trials.count == 18)
      var hits = 0
      for trial in trials {
        let faults = try #require(trial["faults"] as? [[String: Any]])
        let places = try #require(faults.first { $0["kind"] as? String == "process-kill" }?["places"] as? [String])
        let count = try #require(places[1].split(separator: " ").first.flatMap { Int($0) })
        if count > 0 { hits += 1 }
        #expect(trial["verdict"] as? String == (count > 0 ? "held" : "unknown"), "\(places)")
      }
      #expect(hits >= 16, "\(hits) of 18")
    }

    /// Each at the smallest cell of the scenario at which it must show.
    @Test func `every listed defect is caught by its check`() async throws {
      let scratch = try Scratch()
      let listed = try await tornlog("list", "--defects")
      let defects = listed.out.split(separator: "\n").filter { !$0.hasPrefix(" ") }.compactMap {
        $0.split(separator: " ").first
      }
      // Crash states show these: Scenarios/exploration has them, and `DefectScenarioTests` runs them.
      let explored: Set = ["A4", "P3", "P35", "P36", "P7", "R2", "R2b", "R3", "R4"]
      let ended = try await tornlog(
        "run", "Scenarios/defects", "-t", "full", "--storage", "memory", "--dir", scratch.folder(),
        "--report", "json=\(scratch.path("j"))", within: 300)
      #expect(ended.code == 0, "\(ended)")
      let trials = try scratch.trials("j")
      var caught: Set<String> = []
      for trial in trials {
        let defect = try #require((trial["axes"] as? [String: Any])?["defect"] as? String)
        let isSound = defect == "none"
        #expect(trial["verdict"] as? String == (isSound ? "held" : "violated"), "\(defect): \(trial)")
        #expect((trial["reproduce"] as? String)?.hasPrefix("tornlog reproduce t2.") == true)
        if !isSound { caught.insert(defect) }
      }
      #expect(Set(defects.map(String.init)) == caught.union(explored))
    }
  }
}

/// A JUnit report, its tags counted and their nesting checked: attributes and text hold no bare angle brackets.
struct JUnit {
  var cases = 0
  var failures = 0
  var errors = 0

  init(_ text: String) throws {
    var rest = text[...]
    var open: [Substring] = []
    while let start = rest.firstIndex(of: "<") {
      let end = try #require(rest[start...].firstIndex(of: ">"))
      let tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.hasPrefix("?") { continue }
      if tag.hasPrefix("/") {
        let last = open.popLast()
        let name = try #require(last)
        #expect(name == tag.dropFirst())
        continue
      }
      let name = tag.prefix { $0 != " " && $0 != "/" }
      if !tag.hasSuffix("/") { open.append(name) }
      switch name {
      case "testcase": cases += 1
      case "failure": failures += 1
      case "error": errors += 1
      default: break
      }
    }
    #expect(open.isEmpty && text.hasPrefix("<?xml"))
  }
}
