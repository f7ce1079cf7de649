import LogModel
import Testing

@testable import ScenarioFormat

@Suite struct CheckpointKeyTests {
  private func parse(_ lines: String) -> (scenario: Scenario?, errors: [String]) {
    let text = "name: n\ntitle: t\n\(lines)\nmatrix: { messages: [1] }\n"
    do {
      return (try ScenarioParser.parse(text, file: "a.yaml", vocabulary: Vocabulary(checks: [], defects: [])), [])
    } catch {
      return (nil, error.errors.map(\.description))
    }
  }

  @Test func everyKeyIsRead() throws {
    let found = parse(
      "checkpoint: { every: 5ms, bytes: 16KB, object-bytes: 4KiB, timeout: 3s, waiting: 1MB, patience: 7ms }")
    let cell = try #require(found.scenario?.cells().first, "\(found.errors)")
    var terms = CheckpointTerms()
    (terms.every, terms.bytes, terms.objectBytes) = (.milliseconds(5), 16_000, 4096)
    (terms.timeout, terms.mostWaiting, terms.patience) = (.seconds(3), 1_000_000, .milliseconds(7))
    #expect(cell.checkpointTerms == terms)
    #expect(cell.checkpoint == .background)
  }

  @Test func withoutTheKeyThereIsNoStore() throws {
    #expect(parse("").scenario?.cells().first?.checkpoint == CheckpointSetup.none)
    let text = "name: n\ntitle: t\nmatrix: { messages: [1], checkpoint: [none, background, flushed] }\n"
    let scenario = try ScenarioParser.parse(text, file: "a.yaml", vocabulary: Vocabulary(checks: [], defects: []))
    #expect(scenario.cells().map(\.checkpoint) == [.none, .background, .flushed])
    #expect(scenario.cells()[2].description == "n messages=1 checkpoint=flushed")
  }

  @Test(arguments: [
    ("checkpoint: { evry: 5ms }", "a.yaml:3:15: unknown key 'evry' in checkpoint; did you mean 'every'?"),
    ("checkpoint: { every: 0s }", "a.yaml:3:22: every is '0s'; expected a time like 100ms or 2s, a day at most"),
    ("checkpoint: { bytes: 0B }", "a.yaml:3:22: bytes is 0; it must be from 1 to 1099511627776"),
    ("checkpoint: { object-bytes: 49MiB }", "a.yaml:3:29: object-bytes is 51380224; it must be from 1 to 50331648"),
    ("checkpoint: { waiting: much }", "a.yaml:3:24: waiting is 'much'; expected a size like 100B, 1KB or 1KiB"),
  ])
  func aMistakeIsShown(_ lines: String, _ expected: String) {
    #expect(parse(lines).errors == [expected])
  }
}
