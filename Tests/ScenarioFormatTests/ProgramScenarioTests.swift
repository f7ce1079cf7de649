import Foundation
import Testing

@testable import ScenarioFormat

@Suite struct ProgramScenarioTests {
  private static let words = ProgramVocabulary(
    models: ["log", "map"], allowances: ["suffix-loss", "refusal"], checks: ["no-acknowledged-loss", "opens"],
    profiles: ["xfs", "btrfs"], isPromise: { ["acknowledged", "nothing"].contains($0) })

  private func parse(_ text: String) -> (scenario: ProgramScenario?, errors: [String]) {
    do { return (try ProgramScenarioParser.parse(text, file: "a.yaml", Self.words), []) } catch {
      return (nil, error.errors.map(\.description))
    }
  }

  private static let whole = """
    name: engine
    title: It keeps what it promises
    seed: 7
    program:
      driver: [python3, driver.py, --fast]
      config: { cache: 10, mode: B, path: "a\\"b" }
      model: map
      promises: acknowledged
      allows: [refusal]
      source: its manual
    matrix:
      mode: [A, B]
      sync: [true, false]
    workload: { requests: 50, concurrency: 4, time-limit: 2s }
    search: { profiles: [xfs], budget: 20s, kills: 3, faults: 4, damage: 5 }
    exclude:
      - { mode: A, sync: false }
    overrides:
      - when: { sync: false }
        promises: nothing
        allows: [suffix-loss]
        source: another page
    expect:
      - when: { mode: B, sync: [true] }
        caught-by: opens
    suites:
      quick: { mode: A }
    """

  @Test func everyKeyIsRead() throws {
    let found = parse(Self.whole)
    let scenario = try #require(found.scenario, "\(found.errors)")
    #expect(scenario.driver == ["python3", "driver.py", "--fast"] && scenario.model == "map")
    let search = scenario.search
    #expect((search.seed, search.requests, search.concurrency) == (7, 50, 4))
    #expect((search.timeLimit, search.budget) == (.seconds(2), .seconds(20)))
    #expect((search.profiles, search.kills, search.faults, search.damage) == (["xfs"], 3, 4, 5))
    let cells = scenario.cells()
    #expect(
      cells.map(\.description) == ["engine mode=A sync=true", "engine mode=B sync=true", "engine mode=B sync=false"])
    #expect(cells.map(\.promises) == ["acknowledged", "acknowledged", "nothing"])
    #expect(cells.map(\.allows) == [["refusal"], ["refusal"], ["suffix-loss"]])
    #expect(cells.map(\.source) == ["its manual", "its manual", "another page"])
    #expect(cells.map(\.expectation) == [.held, .caught(by: "opens"), .held])
    #expect(cells.map(\.tags) == [["full", "quick"], ["full"], ["full"]])
    // What the matrix says replaces what the configuration says.
    let object = try JSONSerialization.jsonObject(with: Data(cells[2].configText.utf8)) as? [String: Any]
    #expect(object?["cache"] as? Int == 10 && object?["mode"] as? String == "B" && object?["sync"] as? Bool == false)
    #expect(object?["path"] as? String == "a\"b" && object?.count == 4)
  }

  @Test(arguments: [
    ("model: map", "model: tree", "a.yaml:7:10: unknown model 'tree'"),
    ("promises: acknowledged\n", "promises: all\n", "promises is 'all'"),
    ("allows: [refusal]", "allows: [loss]", "unknown allowance 'loss'"),
    ("driver: [python3, driver.py, --fast]", "driver: []", "driver is empty"),
    ("  driver: [python3, driver.py, --fast]\n", "", "program has no 'driver'"),
    ("profiles: [xfs]", "profiles: [ext3]", "unknown profile 'ext3'"),
    ("kills: 3", "kill: 3", "unknown key 'kill' in search; did you mean 'kills'?"),
    ("mode: [A, B]", "mode: [A, A, B]", "lists 'A' twice"),
    ("when: { sync: false }", "when: { sync: maybe }", "no cell has sync=maybe; the matrix has true, false"),
    ("when: { sync: false }", "when: { journal: x }", "unknown key 'journal' in when"),
    ("caught-by: opens", "caught-by: nobody", "unknown check 'nobody'"),
    ("caught-by: opens", "outcome: held\n    caught-by: opens", "'outcome' is given in caught-by and outcome"),
    ("requests: 50", "requests: 0", "requests is 0; it must be from 1 to 100000"),
    ("- { mode: A, sync: false }", "- { mode: [A, B] }", "exclude leaves no cell"),
    ("title: It keeps what it promises\n", "", "the scenario has no 'title'"),
  ]) func eachMistakeIsNamedWithItsPlace(_ old: String, _ new: String, _ message: String) {
    let text = Self.whole.replacing(old, with: new)
    #expect(text != Self.whole)
    let errors = parse(text).errors
    #expect(errors.contains { $0.contains(message) && $0.hasPrefix("a.yaml:") }, "\(errors)")
  }

  /// The page has every key of every mapping that the parser reads.
  @Test func everyKeyIsOnThePage() throws {
    let strange = """
      zzz: 1
      name: n
      title: t
      program: { driver: [a], zzz: 1 }
      workload: { zzz: 1 }
      search: { zzz: 1 }
      overrides: [{ zzz: 1 }]
      expect: [{ zzz: 1 }]
      """
    var known: [String: [String]] = [:]
    do throws(InvalidScenarios) {
      _ = try ProgramScenarioParser.parse(strange, file: "a.yaml", Self.words)
    } catch {
      for case .unknownKey("zzz", let mapping, let keys) in error.errors.map(\.problem) { known[mapping] = keys }
    }
    #expect(known.count == 6)
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    let page = try String(contentsOf: root.appendingPathComponent("docs/programs.md"), encoding: .utf8)
    for (mapping, keys) in known {
      for key in keys { #expect(page.contains("`\(key)`"), "\(key) of \(mapping)") }
    }
  }

  /// Each command takes its own of a folder, and says who takes the other where a file is named.
  @Test func bothKindsLiveInOneFolder() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-program-scenarios-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Self.whole.write(toFile: folder + "/program.yaml", atomically: true, encoding: .utf8)
    let trial = "name: trial\ntitle: t\nmatrix: { messages: [1], defect: [none] }\n"
    try trial.write(toFile: folder + "/trial.yaml", atomically: true, encoding: .utf8)
    let words = Vocabulary(checks: [], defects: [], profiles: [])
    #expect(try ScenarioFiles.load([folder], vocabulary: words).map(\.name) == ["trial"])
    #expect(try ScenarioFiles.loadPrograms([folder], Self.words).map(\.name) == ["engine"])
    let first = #expect(throws: InvalidScenarios.self) {
      try ScenarioFiles.load([folder + "/program.yaml"], vocabulary: words)
    }
    #expect("\(try #require(first))".contains("`tornlog test` takes it"))
    let second = #expect(throws: InvalidScenarios.self) {
      try ScenarioFiles.loadPrograms([folder + "/trial.yaml"], Self.words)
    }
    #expect("\(try #require(second))".contains("`tornlog run` takes it"))
  }
}
