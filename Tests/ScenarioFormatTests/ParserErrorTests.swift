import Testing

@testable import ScenarioFormat

@Suite struct ParserErrorTests {
  @Test func everyErrorOfAFileIsReportedAtItsPlace() {
    let found = errors(
      """
      name: Ten
      title: t
      worklod: {}
      matrix:
        mesages: [10]
        messages: [10, twelve]
        sync: [alway]
        defect: [C2c, none]
        crash: power-los
        storage: memry
      expect:
        - when: { defct: C1 }
          caught-by: no-gaps
        - caught-by: no-gap
      faults:
        - bit-flp: {}
        - bit-flip: { target: batch-paylod, at: rest }
        - bit-flip: { at: rest }
      """)
    #expect(
      found == [
        "a.yaml:1:7: name is 'Ten'; expected lower-case letters, digits and hyphens",
        "a.yaml:3:1: unknown key 'worklod' in the scenario; did you mean 'workload'?",
        "a.yaml:5:3: unknown key 'mesages' in matrix; did you mean 'messages'?",
        "a.yaml:6:18: messages is 'twelve'; expected a whole number",
        "a.yaml:7:10: unknown sync policy 'alway'; did you mean 'always'?",
        "a.yaml:8:12: unknown defect 'C2c'; did you mean 'C2'?",
        "a.yaml:9:10: unknown crash kind 'power-los'; did you mean 'power-loss'?",
        "a.yaml:10:12: unknown storage 'memry'; did you mean 'memory'?",
        "a.yaml:12:13: unknown key 'defct' in when; did you mean 'defect'?",
        "a.yaml:14:16: unknown check 'no-gap'; did you mean 'no-gaps'?",
        "a.yaml:16:5: unknown fault 'bit-flp'; did you mean 'bit-flip'?",
        "a.yaml:17:25: unknown target 'batch-paylod'; did you mean 'batch-payload'?",
        "a.yaml:18:5: bit-flip has no 'target'",
      ])
  }

  @Test func duplicateKeysAreErrorsBesideAllOthers() {
    let found = errors(
      """
      name: a
      title: t
      "title": u
      matrix:
        messages: 10
        sync: always
        messages: 12
        messages: 14
      sed: 1
      """)
    #expect(
      found == [
        "a.yaml:3:1: duplicate key 'title': it stands in line 2 already",
        "a.yaml:7:3: duplicate key 'messages': it stands in line 5 already",
        "a.yaml:8:3: duplicate key 'messages': it stands in line 5 already",
        "a.yaml:9:1: unknown key 'sed' in the scenario; did you mean 'seed'?",
      ])
  }

  @Test(arguments: [
    ("name: [a", "a.yaml:2:1: not YAML:"),
    ("name: a\n\ttitle: b", "a.yaml:2:1: not YAML:"),
    ("name: *nowhere", "a.yaml:1:7: not YAML: found undefined alias"),
    ("name: a\n--- \nname: b", "a.yaml:2:1: not YAML:"),
    ("name: a\nti\u{1}tle: b", "a.yaml:2:3: not YAML: control characters are not allowed"),
    ("", "a.yaml:1:1: empty"),
    ("- a", "a.yaml:1:1: the scenario is a list; expected a mapping"),
  ])
  func syntaxErrorsHaveAPlace(text: String, start: String) throws {
    let found = errors(text)
    #expect(found.count == 1)
    #expect(try #require(found.first).hasPrefix(start), "\(found)")
  }

  @Test func valuesThatYAMLWouldRewriteStayText() throws {
    #expect(errors("name: no\ntitle: t\nmatrix: { messages: 10 }") == [])
    #expect(try parse("name: no\ntitle: yes\nmatrix: { messages: 10 }").title == "yes")
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: 22:30 }")
        == ["a.yaml:3:21: messages is '22:30'; expected a whole number"])
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: 0x10 }")
        == ["a.yaml:3:21: messages is '0x10'; expected a whole number"])
  }

  @Test func nothingToRunIsAnError() {
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: [] }")
        == ["a.yaml:3:21: axis 'messages' is empty: this gives no trial"])
    #expect(errors("name: a\ntitle: t\nmatrix: {}").first == "a.yaml:3:9: matrix is empty: this gives no trial")
    #expect(errors("name: a\ntitle: t").first == "a.yaml:1:1: the scenario has no 'matrix'")
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: [1, 2] }\nexclude:\n  - { messages: \"> 0\" }").count == 1)
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: [1, 2] }\nexclude:\n  - { messages: \">= 1\" }")
        == ["a.yaml:4:1: exclude leaves no cell: this gives no trial"])
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: [1, 2] }\nsuites:\n  full: {}\n  quick: { messages: \"> 2\" }")
        == ["a.yaml:6:10: this selection of suite 'quick' matches no cell: this gives no trial"])
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: [1, 2] }\nsuites:\n  quick: []")
        == ["a.yaml:5:10: suite 'quick' is empty: this gives no trial"])
  }

  @Test func aRuleThatNoCellCanMeetIsAnError() {
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: 10, defect: [none, C1] }\nmust-catch: { C2: no-gaps }")
        == ["a.yaml:4:15: no cell has defect=C2; the matrix has none, C1"])
  }

  @Test func aValueGivenTwiceIsAnError() {
    #expect(
      errors("name: a\ntitle: t\nworkload: { batch: 10 }\nmatrix: { messages: 10, batch: [1, 10, 1] }") == [
        "a.yaml:4:25: 'batch' is given in matrix and workload", "a.yaml:4:40: batch lists '1' twice",
      ])
  }

  @Test func sizesAndRanges() throws {
    let head = "name: a\ntitle: t\nmatrix: { messages: 10, message-size: "
    #expect(errors(head + "67108865 }") == ["a.yaml:3:39: message-size is 67108865; it must be from 0 to 67108864"])
    #expect(errors(head + "1kb }") == ["a.yaml:3:39: message-size is '1kb'; expected a size like 100B, 1KB or 1KiB"])
    #expect(try parse(head + "[100B, 1KB, 1KiB] }").cells().map(\.messageSize) == [100, 1000, 1024])
    #expect(
      errors("name: a\ntitle: t\nmatrix: { messages: 0 }") == [
        "a.yaml:3:21: messages is 0; it must be from 1 to 1000000000"
      ])
  }

  @Test func hostileFilesEndInAnError() {
    #expect(errors(String(repeating: "[", count: 500_000)).first?.contains("nested more than 64 deep") == true)
    #expect(errors(String(repeating: "- ", count: 20_000)).first?.hasPrefix("a.yaml:1:") == true)
    let bomb = (1...9).map { n in
      "b\(n): &b\(n) [\(Array(repeating: "*b\(n - 1)", count: 9).joined(separator: ", "))]\n"
    }
    #expect(errors("b0: &b0 x\n" + bomb.joined()).first?.contains("more than 100000 values") == true)
  }
}
