import Foundation
import Testing

extension CommandLineTests {
  /// `--defect` where the defect can act, and where it cannot: "held" would be a pass for nothing.
  @Suite struct DefectPlaces {
    @Test(arguments: [
      (
        ["explore", "--client", "delivery", "--defect", "C2b", "--profile", "raw-512"],
        "defect C2b is a part of the partition engine and cannot act in the job log"
      ),
      (
        ["explore", "--client", "transactions", "--defect", "C2b"], "cannot act in the transactions of a replay buffer"
      ),
      (["explore", "--client", "transactions", "--defect", "A9"], "it acts in scenarios with the key `delivery`"),
      (
        ["explore", "--reference", "--defect", "A9", "--profile", "raw-4k"],
        "defect A9 is a part of the job log and its sender"
      ),
      (["explore", "--reference", "--defect", "C4+H1"], "defect H1 cannot act without an object store"),
      (["explore", "crashes", "--reference", "--defect", "H11"], "crashes --reference --takeover"),
      (["explore", "--reference", "--defect", "H9"], "cannot act without several topics"),
      (["explore", "--schedules", "--scenario", "writers", "--defect", "A9"], "cannot act in the partition engine"),
      (["explore", "--schedules", "--defect", "R4"], "cannot act in the partition engine"),
      (["explore", "schedules", "--schedule", "always/-/cut end", "--defect", "H11"], "schedules --scenario takeover"),
      (["explore", "--errors", "--scenario", "produce", "--defect", "A9"], "cannot act in the partition engine"),
      (
        ["explore", "--errors", "--case", "produce/open EIO once/1", "--defect", "A9"],
        "cannot act in the partition engine"
      ),
      (["explore", "--real", "ext4", "--defect", "A9"], "cannot act in the partition engine"),
      (["explore", "--reference", "--defect", "X1"], "there is no defect X1"),
    ])
    func whereItCannotActItIsRefused(arguments: [String], message: String) async throws {
      let ended = try await Running([Program.tornlog] + arguments).end()
      #expect(ended.code == 64 && ended.out == "", "\(ended)")
      #expect(ended.err.contains(message), "\(ended)")
    }

    @Test func `a search leaves out the situations in which it cannot act, and says how many`() async throws {
      let ended = try await tornlog(
        "explore", "--errors", "--defect", "A9", "--stride", "40", "--report", "json", within: 120)
      #expect(ended.code == 1, "\(ended)")
      #expect(
        ended.err.contains("left out: 34 of 36 scenarios of the search: defect A9 is a part of the job log"), "\(ended)"
      )
      let one = try await tornlog("explore", "--schedules", "--defect", "H11", "--count", "20")
      #expect(
        one.err.contains("left out: 4 of 6 scenarios of the search: defect H11 cannot act without a second writer"),
        "\(one)")
    }

    /// A folder has cells of all kinds; one that cannot take the defect stops nothing.
    @Test func `a run leaves out the cells in which it cannot act, and says how many`() async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", "Scenarios/chronik", "Scenarios/airunner", "--defect", "C2b", "--storage", "memory", "-k",
        "messages<=100 and sync=always and crash=process-kill", "--dir", scratch.folder(), "--report",
        "json=\(scratch.path("j"))")
      #expect(ended.code == 1, "\(ended)")
      #expect(
        ended.err.contains("cells: defect C2b is one of Tornlog's own format; the log here has the format of chronik"),
        "\(ended)")
      #expect(
        ended.err.contains("cells: defect C2b is a part of the partition engine and cannot act in the job log"),
        "\(ended)")
      let trials = try scratch.trials("j")
      #expect(!trials.isEmpty)
      for trial in trials { #expect((trial["axes"] as? [String: Any])?["defect"] as? String == "C2b") }
    }

    @Test(arguments: [
      ["run", "Scenarios/airunner/receiver-misbehaves.yaml", "--defect", "C2b"],
      ["run", "Scenarios/chronik", "--defect", "A9"],
      ["run", "Scenarios/chronik", "--defect", "H1"],
    ])
    func whereNothingIsLeftNothingIsSelected(arguments: [String]) async throws {
      let ended = try await Running([Program.tornlog] + arguments).end()
      #expect(ended.code == 3 && ended.out == "", "\(ended)")
      #expect(ended.err.contains("nothing selected: in none of the ") && ended.err.contains("left out: "), "\(ended)")
    }

    @Test func `explorations of scenarios leave them out too`() async throws {
      let paths = ["Scenarios/exploration/takeover.yaml", "Scenarios/exploration/transactions.yaml"]
      let ended = try await Running([Program.tornlog, "explore"] + paths + ["--defect", "A9"]).end()
      #expect(ended.code == 3, "\(ended)")
      for place in ["the partition engine", "the transactions of a replay buffer"] {
        #expect(
          ended.err.contains("defect A9 is a part of the job log and its sender and cannot act in \(place)"), "\(ended)"
        )
      }
      #expect(ended.err.contains("no cell is an exploration in which defect A9 can act"), "\(ended)")
    }

    /// What contradicts itself in a scenario is the scenario's mistake.
    @Test func `a scenario that asks for it is invalid`() async throws {
      let scratch = try Scratch()
      let file = try scratch.write("a.yaml", "name: a\ntitle: b\nmatrix: { messages: [10], defect: [A9] }\n")
      let check = try await tornlog("check", file)
      #expect(
        check.code == 65 && check.out.contains("a.yaml: ") && check.out.contains("cannot act in the partition engine"),
        "\(check)")
      let ended = try await tornlog("run", file, "--dir", scratch.folder())
      #expect(
        ended.code == 65 && ended.err.contains("a.yaml: ") && ended.err.contains("defect A9 is a part of the job log"),
        "\(ended)")
    }
  }
}
