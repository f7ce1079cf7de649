import LogModel
import Testing

@testable import ScenarioFormat

/// A name that the engine refuses is a mistake in the scenario, at its place and with the reason.
@Suite struct TopicNameTests {
  private static let rule = "use 1 to 249 of A-Z a-z 0-9 . _ -"

  @Test(arguments: [
    ("..", "it is a directory's own name"), (".", "it is a directory's own name"), ("../../escaped", "it holds '/'"),
    ("a/b", "it holds '/'"),
    ("with space", "it holds a space"), ("Größe", "it holds the character U+00F6"),
    ("☃", "it holds the character U+2603"),
    ("a:b", "it holds ':'"), ("a%2Eb", "it holds '%'"),
  ])
  func aNameThatIsNoneIsRefused(name: String, reason: String) {
    let head = "name: n\ntitle: t\nworkload:\n"
    #expect(
      errors("\(head)  topic: '\(name)'\nmatrix: { messages: 1 }") == [
        "a.yaml:4:10: topic '\(name)' is no valid name: \(reason); \(Self.rule)"
      ])
    #expect(
      errors("\(head)  other-topics: [a, '\(name)']\nmatrix: { messages: 1, partitions: 3 }") == [
        "a.yaml:4:21: other-topics '\(name)' is no valid name: \(reason); \(Self.rule)"
      ])
  }

  @Test func theLengthIsBounded() {
    func found(_ length: Int) -> [String] {
      errors(
        "name: n\ntitle: t\nworkload: { topic: \(String(repeating: "x", count: length)) }\nmatrix: { messages: 1 }")
    }
    #expect(found(249) == [])
    let shown = String(repeating: "x", count: 250).shortened()
    #expect(shown.count < 120)
    #expect(found(250) == ["a.yaml:3:20: topic '\(shown)' is no valid name: it has 250 bytes; \(Self.rule)"])
  }

  /// Where the name becomes one of files, fewer will do.
  @Test(arguments: [
    (
      "orders.v2", "delivery: {}",
      "topic of jobs 'orders.v2' is no valid name: it holds '.'; use 1 to 95 of A-Z a-z 0-9 _ -"
    ),
    (String(repeating: "x", count: 96), "delivery: {}", "it has 96 bytes; use 1 to 95 of A-Z a-z 0-9 _ -"),
  ])
  func jobsHaveNarrowerNames(name: String, rest: String, message: String) {
    let found = errors("name: n\ntitle: t\nworkload: { topic: \(name) }\nmatrix: { messages: 1 }\n\(rest)")
    #expect(found.count == 1 && found[0].hasPrefix("a.yaml:3:20: ") && found[0].hasSuffix(message), "\(found)")
  }

  @Test func dotsAreLegal() throws {
    let scenario = try parse(
      "name: n\ntitle: t\nworkload: { topic: orders.v2, other-topics: [orders, a.b.c] }\nmatrix: { messages: 1, "
        + "partitions: 3 }"
    )
    #expect(scenario.cells()[0].topic == "orders.v2" && scenario.cells()[0].otherTopics == ["orders", "a.b.c"])
  }
}
