import Testing

@testable import ScenarioFormat

/// Files that editors, other tools and enemies write.
@Suite struct HostileScenarioTests {
  private let small = "name: a\ntitle: b\nmatrix: { messages: [10] }\n"

  @Test func aByteOrderMarkIsNoPartOfTheText() throws {
    #expect(try parse("\u{FEFF}" + small).name == "a")
    // Positions are those that an editor shows.
    #expect(
      errors("\u{FEFF}nam: a\ntitle: b\nmatrix: { messages: [10] }\n").contains {
        $0.hasPrefix("a.yaml:1:1: unknown key 'nam'")
      })
    #expect(
      !errors("name: a\n\u{FEFF}title: b\nmatrix: { messages: [10] }\n").isEmpty, "in the middle it is not YAML's")
  }

  @Test(arguments: [
    "name: a\ntitle: b\nmatrix:\n\tmessages: [10]\n", "name: a\ntitle:\tb\nmatrix: {\n\tmessages: [10] }\n\t- x\n",
  ])
  func aTabIsCalledATab(text: String) {
    let found = errors(text)
    #expect(found.count == 1 && found[0].contains("a tab stands here; YAML is indented with spaces"), "\(found)")
  }

  @Test(arguments: ["@", "`"]) func aCharacterThatBeginsNothingIsNamed(character: String) {
    let found = errors("name: \(character)x\ntitle: b\n")
    #expect(
      found.count == 1 && found[0].hasSuffix("a value cannot begin with '\(character)'; put it in quotes"), "\(found)")
  }

  @Test func manyMistakesAreCounted() throws {
    let keys = (0..<500).map { "key\($0): 1\n" }.joined()
    let error = try #require(throws: InvalidScenarios.self) { try parse(small + keys) }
    #expect(error.errors.count == 500)
    #expect(error.lines.count == InvalidScenarios.mostShown + 1 && error.lines.last == "... and 480 more mistakes")
    #expect("\(error)".utf8.count < 10_000)
    #expect(InvalidScenarios(Array(error.errors.prefix(21))).lines.last == "... and 1 more mistake")
    #expect(InvalidScenarios(Array(error.errors.prefix(20))).lines.count == 20)
  }

  @Test func longWordsAreCut() {
    let long = String(repeating: "x", count: 100_000)
    for text in [
      "name: \(long)\ntitle: b\nmatrix: { messages: [10] }\n", small + "\(long): 1\n",
      "name: a\ntitle: b\nmatrix: { messages: [\(long)] }\n", "name: a\ntitle: b\nmatrix: \(long)\n",
      "name: a\ntitle: b\nmatrix: { messages: [10], sync: [\(long)] }\n",
      "name: a\ntitle: b\nmatrix: { messages: [10], defect: [\(long)] }\n",
      small + "expect: [{ when: { sync: \(long) }, outcome: held }]\n", small + "suites: { \(long)X: {} }\n",
      small + "name: \(long)\n",
    ] {
      let found = errors(text)
      #expect(!found.isEmpty && found.allSatisfy { $0.utf8.count < 1500 }, "\(found.map(\.utf8.count))")
    }
  }

  @Test(arguments: ["\\e]0;pwned\\a\\e[2J", "\\u202Etxt", "a\\0b", "a\\nb\\rc", "\\u2066\\u200F"])
  func controlCharactersInValuesAreShownByTheirNumbers(value: String) {
    for text in [
      "name: \"\(value)\"\ntitle: b\nmatrix: { messages: [10] }\n",
      "name: a\ntitle: b\nmatrix: { messages: [\"\(value)\"] }\n",
      small + "\"\(value)\": 1\n", "name: a\ntitle: b\nmatrix: \"\(value)\"\n",
      small + "workload: { topic: \"\(value)\", batch: x }\n",
      "name: a\ntitle: b\nmatrix: { messages: [10], defect: [\"\(value)\"] }\n",
    ] {
      let found = errors(text)
      #expect(!found.isEmpty)
      for line in found {
        #expect(
          line.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x200E...0x206F).contains($0.value) },
          "\(line.debugDescription)")
      }
    }
  }
}
