import LogModel
import Testing

@testable import ScenarioFormat

@Suite struct DeliveryKeyTests {
  private static let vocabulary = Vocabulary(
    checks: ["no-gaps"], defects: ["A9"],
    faults: [
      .bitFlip,
      FaultDescriptor(
        "receiver-refuses", .receiver, "refuses", [FaultParameter("for", .duration, "how long", isRequired: true)],
        isOfDelivery: true),
    ])

  private func parse(_ rest: String, matrix: String = "messages: 1") -> (scenario: Scenario?, errors: [String]) {
    let text = "name: n\ntitle: t\nmatrix: { \(matrix) }\n" + rest
    do {
      return (try ScenarioParser.parse(text, file: "a.yaml", vocabulary: Self.vocabulary), [])
    } catch {
      return (nil, error.errors.map(\.description))
    }
  }

  @Test func everyKeyIsRead() throws {
    let found = parse(
      """
      delivery:
        events-for: 0s
        first-back-off: 200ms
        longest-back-off: 2s
        timeout: 1s
        stop-within: 5m
        executions: each-life
        archive: false
      faults: [receiver-refuses: { for: 3s }]
      """)
    let cell = try #require(found.scenario?.cells().first, "\(found.errors)")
    var expected = DeliverySettings()
    (expected.eventsFor, expected.firstBackOff, expected.longestBackOff) = (.zero, .milliseconds(200), .seconds(2))
    (expected.timeout, expected.stopWithin, expected.isRetried) = (.seconds(1), .seconds(300), true)
    #expect(cell.delivery == expected && cell.faults.map(\.kind) == ["receiver-refuses"])
    #expect(parse("delivery: {}").scenario?.delivery == DeliverySettings())
    #expect(parse("").scenario.map { $0.delivery == nil } == true)
  }

  @Test(arguments: [
    ("delivery: { event-for: 1s }", "a.yaml:4:13: unknown key 'event-for' in delivery; did you mean 'events-for'?"),
    ("delivery: { timeout: 0s }", "a.yaml:4:22: timeout is '0s'; expected a duration like 30s"),
    ("delivery: { stop-within: soon }", "a.yaml:4:26: stop-within is 'soon'; expected a duration like 30s"),
    (
      "delivery: { executions: each-life, archive: true }",
      "a.yaml:4:1: executions is 'each-life'; expected one, where logs are archived"
    ),
    ("delivery: { executions: two }", "a.yaml:4:25: unknown executions 'two'; known: one, each-life"),
    (
      "delivery: { longest-back-off: 10ms }",
      "a.yaml:4:31: back-off is 'longest-back-off'; expected the longest to be no shorter than the first"
    ),
    (
      "faults: [receiver-refuses: { for: 3s }]",
      "a.yaml:4:10: receiver-refuses: nothing is sent in this trial: say delivery, or choose another fault"
    ),
    (
      "delivery: {}\nfaults: [bit-flip: { target: batch-payload }]",
      "a.yaml:5:10: bit-flip: a trial of delivery has no faults of the disk: choose receiver-... or "
        + "recover-disk-space, or leave delivery away"
    ),
  ])
  func mistakesAreNamedAtTheirPlace(_ text: String, _ error: String) {
    #expect(parse(text).errors == [error])
  }

  @Test(arguments: [
    (
      "messages: 1, writers: lock-removed",
      "a.yaml:4:1: writers is 'lock-removed'; expected one, in a trial of delivery"
    ),
    (
      "messages: 1, crash: power-loss, sync: never",
      "a.yaml:4:1: sync is 'never'; expected always, in a trial of delivery with a power loss"
    ),
  ])
  func whatATrialOfDeliveryCannotDo(_ matrix: String, _ error: String) {
    #expect(parse("delivery: {}", matrix: matrix).errors == [error])
  }
}
