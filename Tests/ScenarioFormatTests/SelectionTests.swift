import Testing

@testable import ScenarioFormat

@Suite struct SelectionTests {
  let scenario: Scenario

  init() throws {
    scenario = try parse(
      """
      name: ladder
      title: t
      matrix: { messages: [10, 100], sync: [always, interval(100ms)], defect: [none, C2, C2b] }
      suites:
        quick: { messages: 10 }
        slow: { messages: 100, defect: none }
        full: {}
      """)
  }

  func chosen(_ text: String) throws -> [String] {
    let expression = try SelectionExpression(text, vocabulary: vocabulary)
    return ScenarioSelection(tags: ["full"], expression: expression).cells(of: [scenario])
      .map { String($0.description.dropFirst("ladder ".count)) }
  }

  @Test func aTermWithAnAxisIsExactAndAWordIsNot() throws {
    #expect(try chosen("messages=10").count == 6)
    #expect(try chosen("c2").count == 8)
    #expect(try chosen("defect=C2").count == 4)
    #expect(try chosen("'messages=10'").count == 12)
    #expect(try chosen("message-size=1KB").count == 12)
    #expect(try chosen("message-size=1KiB").isEmpty)
  }

  @Test func operatorsBindAsInTheGrammar() throws {
    #expect(
      try chosen("messages=10 and sync=interval(100ms) and not (defect=C2 or defect=none)")
        == ["messages=10 sync=interval(100ms) defect=C2b"])
    // `and` before `or`: (none and 10) or C2b
    #expect(try chosen("defect=none and messages=10 or defect=C2b").count == 2 + 4)
    #expect(try chosen("defect=none and (messages=10 or defect=C2b)").count == 2)
    #expect(try chosen("not(C2)").count == 4)
    #expect(try chosen("not not ladder").count == 12)
  }

  @Test(arguments: [
    ("", 1, "expected a term, found the end"),
    ("a and", 6, "expected a term, found the end"),
    ("a b", 3, "expected 'and' or 'or' before 'b'"),
    ("(a or b", 1, "this '(' is not closed"),
    ("a)", 2, "')' closes nothing"),
    ("and a", 1, "expected a term, found 'and'"),
    ("a and 'b", 7, "this quote is not closed"),
    ("a or partition=3", 6, "unknown axis 'partition'; did you mean 'partitions'?"),
    ("defect=C9x", 8, "unknown defect 'C9x'"),
    ("not messages=ten", 14, "messages is 'ten'; expected a whole number"),
  ])
  func errorsNameTheColumn(text: String, column: Int, message: String) throws {
    let error = try #require(throws: SelectionError.self) { try SelectionExpression(text, vocabulary: vocabulary) }
    #expect(error.column == column)
    #expect(error.message.hasPrefix(message), "\(error)")
  }

  /// As conditions of scenarios have them, with or without spaces.
  @Test(arguments: [
    ("messages<=10", 6), ("messages < 100", 6), ("messages>10", 6), ("messages >=10", 12), ("messages!= 100", 6),
    ("messages = 10", 6),
    ("defect!=none", 8), ("sync != interval(100ms)", 6), ("message-size >= 1KB and messages<=1000", 12),
    ("message-size > 1KB", 0),
    ("not (messages<100 or defect != C2)", 2), ("batches-per-partition > 1", 6), ("messages-per-partition<=10", 6),
    ("(messages<100)", 6),
  ])
  func comparisons(text: String, count: Int) throws { #expect(try chosen(text).count == count) }

  @Test(arguments: [
    ("messages<=", 11, "expected a value after '<='"), ("<5", 1, "expected an axis before '<'"),
    ("(messages<)", 11, "expected a value after '<'"),
    ("mesages<=10", 1, "unknown axis 'mesages'; did you mean 'messages'?"),
    ("a and sync<always", 7, "sync is a word, and words have no order: compare it with = or !="),
    ("crash-at >= 50%", 1, "crash-at is a word, and words have no order"),
    ("messages <= ten", 13, "messages is 'ten'; expected a whole number"),
    ("defect!=C9x", 9, "unknown defect 'C9x'"),
  ])
  func comparisonsThatCannotBe(text: String, column: Int, message: String) throws {
    let error = try #require(throws: SelectionError.self) { try SelectionExpression(text, vocabulary: vocabulary) }
    #expect(error.column == column, "\(error)")
    #expect(error.message.hasPrefix(message), "\(error)")
  }

  @Test func tagsAreAlternativesAndQuickIsTheDefault() throws {
    #expect(ScenarioSelection().cells(of: [scenario]).count == 6)
    #expect(ScenarioSelection(tags: ["slow"]).cells(of: [scenario]).count == 2)
    #expect(ScenarioSelection(tags: ["slow", "quick"]).cells(of: [scenario]).count == 8)
    let error = try #require(throws: SelectionError.self) {
      try ScenarioSelection(tags: ["slo"]).checkTags(of: [scenario])
    }
    #expect(error.message == "unknown tag 'slo'; did you mean 'slow'?")
  }

  @Test(arguments: ["slice", "hash"]) func shardsPartitionTheSelection(kind: String) throws {
    let all = ScenarioSelection(tags: ["full"]).cells(of: [scenario]).map(\.description)
    var seen: [String] = []
    for m in 1...3 {
      let part = ScenarioSelection(tags: ["full"], shard: try Shard("\(kind):\(m)/3")).cells(of: [scenario])
      if kind == "slice" { #expect(part.count == 4) }
      seen += part.map(\.description)
    }
    #expect(seen.sorted() == all.sorted())
  }

  @Test func shardNotation() throws {
    #expect(try Shard("slice:1/1") == .slice(1, of: 1))
    #expect(try Shard("auto:4") == .auto(of: 4))
    for text in [
      "", "slice", "slice:", "slice:0/3", "slice:4/3", "slice:1/0", "slice:1/3/5", "hash:a/b", "auto:0", "auto:1/2",
      "slice:+1/3",
    ] {
      #expect(throws: SelectionError.self, "\(text)") { try Shard(text) }
    }
  }

  @Test func nearWords() {
    #expect(nearestWord(to: "mesages", among: ["partitions", "messages"]) == "messages")
    #expect(nearestWord(to: "snyc", among: ["sync"]) == "sync")
    #expect(nearestWord(to: "ALWAYS", among: ["never", "always"]) == "always")
    #expect(nearestWord(to: "colour", among: ["messages", "sync"]) == nil)
    #expect(nearestWord(to: "x", among: ["C1"]) == nil)
  }
}
