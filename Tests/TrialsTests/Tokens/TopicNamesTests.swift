import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// What `check` lets pass the engine takes, and every name that is legal is legal everywhere.
@Suite struct TopicNamesTests {
  private func judge(_ spec: TrialSpec) throws -> Judgement {
    let scratch = try TrialScratch()
    return try #require(try SimulatedTrial(spec, scratch.folder).run().judgement)
  }

  private func trial(_ topic: String, partitions: Int = 2, faults: [FaultSpec] = []) -> TrialSpec {
    var trial = spec(messages: 20, partitions: partitions, crash: .processKill, storage: .memory, faults: faults)
    trial.topic = topic
    return trial
  }

  private func scenario(_ topic: String, _ rest: String) throws(InvalidScenarios) -> Scenario {
    try ScenarioParser.parse(
      "name: n\ntitle: t\nworkload: { topic: '\(topic)' }\nmatrix: { messages: 20\(rest) }", file: "a.yaml",
      vocabulary: TrialPlanner.vocabulary)
  }

  static let names = [
    "orders.v2", "a..b", ".a", "a.", "...", "-", "_", "1", "A-Z", "metadata", "topics",
    String(repeating: "x", count: 249),
  ]

  @Test(arguments: names) func theEngineTakesThem(topic: String) throws {
    #expect(try scenario(topic, "").cells()[0].topic == topic)
    var trial = trial(topic)
    trial.file = ""
    trial.phaseSeconds = 120
    #expect(try Token.decode(Token.encode(trial)) == trial)
    let judgement = try judge(trial)
    #expect(judgement.verdict == .held && judgement.counts.recovered == 20, "\(judgement)")
  }

  @Test(arguments: LogSystem.allCases) func soDoOtherSystems(system: LogSystem) throws {
    let longest = NameRule.topic(of: system).longest
    for topic in ["orders.v2", "a.wal.1", String(repeating: "x", count: longest)] {
      #expect(try scenario(topic, ", system: \(system.rawValue)").cells()[0].topic == topic)
      var trial = trial(topic)
      trial.system = system
      let judgement = try judge(trial)
      #expect(judgement.verdict == .held && judgement.counts.recovered == 20, "\(system) \(topic): \(judgement)")
    }
    if system != .tornlog {
      #expect(throws: InvalidScenarios.self) {
        try scenario(String(repeating: "x", count: longest + 1), ", system: \(system.rawValue)")
      }
    }
  }

  /// Damage, a store, several topics and a defect that is caught where the name has a full stop.
  @Test func aDottedTopicIsLegalEverywhere() throws {
    let damaged = trial(
      "orders.v2", faults: [FaultSpec(kind: "bit-flip", parameters: ["target": "batch-payload", "at": "rest"])])
    #expect(try judge(damaged).verdict == .held)
    var stored = trial("orders.v2")
    (stored.checkpoint, stored.messages) = (.flushed, 200)
    #expect(try judge(stored).verdict == .held)
    var several = trial("orders.v2", partitions: 4)
    several.otherTopics = ["orders", "orders.v2.old"]
    #expect(try judge(several).verdict == .held)
    var broken = trial("orders.v2")
    broken.defect = "C2"
    let violated = try judge(Token.decode(Token.encode(broken)))
    #expect(violated.verdict == .violated && violated.counts.acknowledged == 20, "\(violated)")
  }
}
