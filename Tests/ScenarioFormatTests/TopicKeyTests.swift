import LogModel
import Testing

@testable import ScenarioFormat

@Suite struct TopicKeyTests {
  private static let head = "name: n\ntitle: t\n"

  @Test func theyAreRead() throws {
    let scenario = try parse(
      "\(Self.head)workload: { topic: a, other-topics: [a-0, b_1] }\nmatrix: { messages: 1, partitions: [3, 4] }")
    #expect(scenario.cells().map(\.otherTopics) == [["a-0", "b_1"], ["a-0", "b_1"]])
    #expect(try parse("\(Self.head)matrix: { messages: 1 }").cells()[0].otherTopics == [])
  }

  @Test(arguments: [
    (
      "workload: { other-topics: [orders] }\nmatrix: { messages: 1, partitions: 2 }",
      "a.yaml:3:28: topics lists 'orders' twice"
    ),
    (
      "workload: { other-topics: [a/b] }\nmatrix: { messages: 1, partitions: 2 }",
      "a.yaml:3:28: other-topics 'a/b' is no valid name: it holds '/'; use 1 to 249 of A-Z a-z 0-9 . _ -"
    ),
    (
      "workload: { other-topics: [b, c] }\nmatrix: { messages: 1, partitions: [3, 2] }",
      "a.yaml:3:1: partitions is '2'; expected at least one for each of the 3 topics, with other-topics"
    ),
    (
      "workload: { other-topics: [b] }\nmatrix: { messages: 1, partitions: 2 }\nfaults: [bit-flip: { target: "
        + "batch-payload }]",
      "a.yaml:3:1: faults is 'bit-flip'; expected none, with other-topics"
    ),
    (
      "workload: { other-topics: [b] }\nmatrix: { messages: 1, partitions: 2, writers: lock-removed }",
      "a.yaml:3:1: writers is 'lock-removed'; expected one, with other-topics"
    ),
    (
      "workload: { other-topics: [b] }\nmatrix: { messages: 1, partitions: 2, system: chronik }",
      "a.yaml:3:1: system is 'chronik'; expected tornlog, with other-topics"
    ),
    (
      "workload: { other-topics: [b] }\nmatrix: { messages: 1, partitions: 2 }\ndelivery: {}",
      "a.yaml:3:1: delivery is 'given'; expected none, with other-topics"
    ),
  ])
  func mistakesAreNamedAtTheirPlace(_ text: String, _ error: String) {
    #expect(errors(Self.head + text) == [error])
  }
}

@Suite struct DefectsTogetherParsingTests {
  private static let clashing = Vocabulary(
    checks: [], defects: ["C1", "C2"], defectClash: { $0 == "C1+C2" ? nil : "they do not go together" })

  @Test func severalAtOnceAreAWord() throws {
    #expect(try Axis.defect.parse("C1+C2", vocabulary: Self.clashing) == .text("C1+C2"))
    #expect(throws: ScenarioProblem.unknownWord("C9", of: "defect", known: ["C1", "C2"])) {
      try Axis.defect.parse("C1+C9", vocabulary: Self.clashing)
    }
    #expect(throws: ScenarioProblem.unknownWord("none", of: "defect", known: ["C1", "C2"])) {
      try Axis.defect.parse("C1+none", vocabulary: Self.clashing)
    }
    #expect(throws: ScenarioProblem.impossibleWord("C2+C1", of: "defect", because: "they do not go together")) {
      try Axis.defect.parse("C2+C1", vocabulary: Self.clashing)
    }
  }
}

@Suite struct TrialConditionTests {
  private static let head = "name: n\ntitle: t\nmatrix: { messages: 1, storage: [memory] }\n"

  @Test func theyAreRead() throws {
    #expect(
      try parse("\(Self.head)only-if: [torn-write, partition-empty]").cells()[0].onlyIf == [
        .tornWrite, .partitionEmpty,
      ])
    #expect(try parse(Self.head).cells()[0].onlyIf == [])
  }

  @Test func mistakesAreNamedAtTheirPlace() {
    let known = TrialCondition.allCases.map(\.rawValue).joined(separator: ", ")
    #expect(
      errors("\(Self.head)only-if: [rain]") == ["a.yaml:4:11: unknown condition of a trial 'rain'; known: \(known)"])
    #expect(
      errors("\(Self.head)only-if: [torn-write, torn-write]") == ["a.yaml:4:23: only-if lists 'torn-write' twice"])
    #expect(
      errors("name: n\ntitle: t\nmatrix: { messages: 1 }\nonly-if: [torn-write]") == [
        "a.yaml:4:1: storage is 'auto'; expected memory, and trials of the engine's own log, with only-if"
      ])
  }
}
