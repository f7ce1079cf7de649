import LogModel
import Testing

@testable import ScenarioFormat

@Suite struct MatrixTests {
  /// The name of the version before is taken, and is the one of now from there on.
  @Test func aCheckGoesByItsFormerNameToo() throws {
    let text = "name: a\ntitle: b\nmatrix: { messages: [1], defect: [C1] }\nexpect: [{ caught-by: ends }]\n"
    let vocabulary = Vocabulary(checks: ["makes-progress"], formerChecks: ["ends": "makes-progress"], defects: ["C1"])
    let scenario = try ScenarioParser.parse(text, file: "a.yaml", vocabulary: vocabulary)
    #expect(scenario.cells().map(\.expectation) == [.caught(by: "makes-progress")])
    #expect(throws: InvalidScenarios.self) {
      try ScenarioParser.parse(
        text, file: "a.yaml", vocabulary: Vocabulary(checks: ["makes-progress"], defects: ["C1"]))
    }
  }

  @Test func theLastAxisIsFastestAndExcludedCellsAreGone() throws {
    let cells = try parse(
      """
      name: a
      title: t
      matrix: { messages: [10, 20], sync: [never, interval], defect: [none, C1] }
      exclude: [{ defect: C1, sync: "!= never" }]
      """
    ).cells()
    #expect(
      cells.map(\.description) == [
        "a messages=10 sync=never defect=none", "a messages=10 sync=never defect=C1",
        "a messages=10 sync=interval(100ms) defect=none", "a messages=20 sync=never defect=none",
        "a messages=20 sync=never defect=C1", "a messages=20 sync=interval(100ms) defect=none",
      ])
    #expect(cells.map(\.index) == [0, 1, 2, 4, 5, 6])
  }

  @Test func fixedValuesReachTheCell() throws {
    let cell = try #require(
      try parse(
        """
        name: a
        title: t
        seed: 18446744073709551615
        workload: { topic: trades, producers: 3, batch: 7, message-size: 100B, append-between: 0, partitions: 2 }
        matrix: { messages: 37, storage: memory }
        crash: { kind: power-loss, at: 50% }
        faults: [bit-flip: { target: batch-payload, occurrence: 2 }]
        limits: { trial-seconds: 5 }
        """
      ).cells().first)
    #expect(cell.seed == .max && cell.topic == "trades" && cell.producers == 3 && cell.batch == 7)
    #expect(cell.messageSize == 100 && cell.appendBetween == 0 && cell.partitions == 2 && cell.storage == .memory)
    #expect(cell.crash == .powerLoss && cell.crashAt == .percent(50) && cell.limits.trialSeconds == 5)
    #expect(cell.messagesPerPartition == 19 && cell.batchesPerPartition == 3)
    #expect(cell.faults.first?["occurrence"] == "2")
    #expect(cell.tags == ["quick", "full"] && cell.expectation == .held && cell.defect == nil)
  }

  @Test func defaultsAreThoseOfTheTable() throws {
    let cell = try #require(try parse("name: a\ntitle: t\nmatrix: { messages: 1 }").cells().first)
    #expect(cell.topic == "orders" && cell.partitions == 1 && cell.producers == 4 && cell.batch == 10)
    #expect(cell.messageSize == 1000 && cell.sync == .always && cell.recovery == .skipCorrupted)
    #expect(cell.crash == .processKill && cell.crashAt == .end && cell.storage == nil && cell.appendBetween == 10)
  }

  @Test func theFirstMatchingRuleAndOverrideCount() throws {
    let cells = try parse(
      """
      name: a
      title: t
      matrix: { messages: [10, 11, 12], defect: [none, C1, C2] }
      overrides:
        - when: { messages: [10, 12] }
          append-between: 3
        - append-between: 4
          crash-at: 37
      expect:
        - when: { messages: 12, defect: C1 }
          outcome: held
        - when: { messages: ["< 11", "> 11"], defect: C1 }
          caught-by: no-gaps
      must-catch: { C2: no-duplicates }
      """
    ).cells()
    #expect(cells.map(\.appendBetween) == [3, 3, 3, 4, 4, 4, 3, 3, 3])
    #expect(cells[3].crashAt == .messages(37) && cells[0].crashAt == .end)
    #expect(
      cells.map(\.expectation) == [
        .held, .caught(by: "no-gaps"), .caught(by: "no-duplicates"),
        .held, .held, .caught(by: "no-duplicates"),
        .held, .held, .caught(by: "no-duplicates"),
      ])
  }

  @Test func axesCanBeReplacedFromTheCommandLine() throws {
    let scenario = try parse("name: a\ntitle: t\nmatrix: { messages: [10, 20], defect: [none, C1] }")
    let cells = scenario.cells(replacing: [.defect: [.text("C8")], .storage: [.text("memory")]])
    #expect(
      cells.map(\.description)
        == ["a messages=10 defect=C8 storage=memory", "a messages=20 defect=C8 storage=memory"])
    let one = scenario.cell(with: [AxisSetting(.defect, .text("C1")), AxisSetting(.messages, .integer(20))])
    #expect(one?.description == "a messages=20 defect=C1")
  }

  @Test func crashMoments() {
    #expect(CrashMoment("end")?.messages(of: 10) == 10)
    #expect(CrashMoment("25%")?.messages(of: 10) == 2)
    #expect(CrashMoment("37")?.messages(of: 10) == 10)
    #expect(CrashMoment("rotate")?.step == CrashStep(.rotate) && CrashMoment("rotate")?.messages(of: 10) == 10)
    #expect(CrashMoment("recover(3)")?.step == CrashStep(.recover, .operation(3)))
    #expect(CrashMoment("close+5ms")?.step == CrashStep(.close, .elapsed(.milliseconds(5))))
    for text in ["rotate", "recover(3)", "close+5ms"] { #expect(CrashMoment(text)?.description == text) }
    for text in [
      "rotate(0)", "rotate(x)", "rotate()", "rotate+5ms", "close+0ms", "close+2m", "closed", "close(1", "Rotate",
    ] { #expect(CrashMoment(text) == nil, "\(text)") }
    for text in ["0%", "100%", "-1", "half", "", "%"] { #expect(CrashMoment(text) == nil, "\(text)") }
  }
}

@Suite struct ShippedScenarioTests {
  @Test func theMatrixOfTenVersusHundred() throws {
    let cells = try shipped("chronik/ten-vs-hundred.yaml").cells()
    // 8 volumes * 3 partitions * (sound: 3 policies * 2 crashes; 8 defects: 3 after a kill + always after a cut)
    #expect(cells.count == 8 * 3 * (6 + 8 * 4))
    let quick = cells.filter { $0.tags.contains("quick") }
    #expect((120...180).contains(quick.count), "\(quick.count)")
    #expect(quick.allSatisfy { $0.messages <= 5000 })
    #expect(cells.allSatisfy { $0.tags.contains("full") })
  }

  /// By hand from "shows when", batches of ten: messages / partitions -> batches of the largest partition.
  @Test(arguments: [
    ("C1", 10, 1, nil), ("C1", 100, 6, "no-acknowledged-loss"),  // 1; ceil(17 / 10) = 2
    ("C2", 10, 6, "no-acknowledged-loss"),
    ("C2b", 10, 3, nil), ("C2b", 100, 3, "no-acknowledged-loss"),  // 4 messages: 1; 34 messages: 4
    ("C3", 10, 1, "high-watermark"),
    ("C4", 1000, 1, nil), ("C4", 5000, 1, "no-gaps"),  // 100 is not more than 100; 500
    ("C4", 5000, 6, nil), ("C4", 10000, 6, "no-gaps"),  // 84; 167
    ("C5", 100, 3, nil), ("C5", 100, 1, "consumer-makes-progress"),  // 4; 10
    ("C5", 500, 6, "consumer-makes-progress"),  // 84 messages: 9
    ("C8", 10, 6, "no-duplicates"), ("C12b", 10, 1, "content-intact"), ("none", 500_000, 6, nil),
  ])
  func expectationsOfTenVersusHundred(defect: String, messages: Int, partitions: Int, check: String?) throws {
    let cells = try shipped("chronik/ten-vs-hundred.yaml").cells().filter {
      $0.defect ?? "none" == defect && $0.messages == messages && $0.partitions == partitions
    }
    #expect(cells.count == (defect == "none" ? 6 : 4))
    for cell in cells {
      #expect(cell.expectation == check.map { .caught(by: $0) } ?? .held, "\(cell.description)")
      #expect(cell.faults.map(\.kind) == (defect == "C12b" ? ["bit-flip"] : []))
      #expect(cell.appendBetween == (["C1", "C2b", "C4", "C5"].contains(defect) ? 0 : 10))
      #expect(cell.limits.trialSeconds == (messages >= 50_000 ? 600 : 60))
    }
  }
}
