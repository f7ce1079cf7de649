import LogModel
import Testing
import Verification

@testable import Reporting

/// The tables that operators read.
struct ClaimReportTests {
  static func cell(_ messages: Int, lost: Int, least: Int, most: Int, reported: Int, outcome: ClaimResult.Outcome)
    -> TrialResult
  {
    var result = trial(scenario: "one-bit", messages: messages, partitions: 1)
    result.losses = [
      PartitionLoss(
        partition: 0, acknowledged: messages, lost: lost, reported: reported, least: least, most: most, isTouched: true)
    ]
    result.recovery.seconds = 0.02
    result.claims = [
      ClaimResult(
        source: "Streamhouse runbook", says: "at most | one in a hundred", outcome: outcome,
        figures: [
          .init(name: "lost-share", unit: .percent, claimed: "<= 1%", measured: Double(lost) / Double(messages) * 100)
        ]),
      ClaimResult(
        source: "Streamhouse runbook", says: "takes 1-10 s", outcome: .contradicted,
        figures: [.init(name: "recovery-time", unit: .seconds, claimed: "1s-10s", measured: 0.02)]),
    ]
    return result
  }

  static func text(_ recorder: (TextSink) -> any RunRecorder, _ results: [TrialResult]) throws -> String {
    let sink = TextSink()
    let recorder = recorder(sink)
    let beyond = ClaimResult(
      source: "replay-buffer plan", says: "gzip", outcome: .beyondReach, reason: "no archive yet")
    try recorder.record(
      .started(
        RunDescription(
          seed: 42, storage: "io_uring", filesystem: "ext4", trials: results.count, jobs: 1,
          cases: [CaseDescription(scenario: "one-bit", title: "One bit", remedy: "Send it again.", claims: [beyond])])))
    for (index, result) in results.enumerated() { try recorder.record(.trialFinished(index: index, result)) }
    var summary = RunSummary()
    for result in results { summary.count(result) }
    try recorder.record(.finished(summary))
    return sink.text
  }

  @Test func contradictionsAreShownAndCounted() throws {
    let text = try Self.text(
      DataLossRecorder.init,
      [
        Self.cell(10, lost: 10, least: 10, most: 10, reported: 10, outcome: .contradicted),
        Self.cell(10_000, lost: 10, least: 10, most: 10, reported: 10, outcome: .holds),
      ])
    #expect(
      text.contains(
        "| Streamhouse runbook | at most \\| one in a hundred | lost-share <= 1% | lost-share: 0.10 % to 100 % | "
          + "lost-share: 0.10 % to 100 % | **contradicted** in 1 of 2 cells; first: messages=10 partitions=1 "
          + "sync=always defect=none: lost-share 100 % |"
      ))
    #expect(text.contains("| replay-buffer plan | gzip | - | - | no archive yet | **not reachable here** |"))
    #expect(text.contains("| 10 | 10 (100 %) |") && text.contains("| 10000 | 10 (0.10 %) |"))
    #expect(text.contains("all 2 cells came out as the receipts demand") && text.contains("What to do: Send it again."))
    #expect(text.contains("in 2 of 2 cells with a loss the engine named every lost offset"))
  }

  /// A process kill takes nothing that was written: where a device lied, that is the reason, and not the crash.
  @Test(arguments: [
    (10, 0, 0, "the device said that it had stored it"), (0, 10, 0, "nothing on the medium testified"),
    (0, 0, 10, "the sync policy lets a crash take it"),
  ])
  func theReasonForNoReportIsTheOraclesOwn(hidden: Int, untestified: Int, crash: Int, reason: String) throws {
    var cell = Self.cell(10, lost: 10, least: 0, most: 10, reported: 0, outcome: .contradicted)
    cell.losses[0].unreported.hidden = hidden
    cell.losses[0].unreported.untestified = untestified
    cell.losses[0].unreported.crash = crash
    let text = try Self.text(DataLossRecorder.init, [cell])
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("- Reported: ") })
    #expect(line.contains(": \(reason)") && !line.contains(";"), "\(line)")
  }

  @Test func aLossWithoutAReasonIsNotExplainedAway() throws {
    let cell = Self.cell(10, lost: 10, least: 0, most: 10, reported: 0, outcome: .contradicted)
    #expect(try Self.text(DataLossRecorder.init, [cell]).contains("**no reason is known: see the cells**"))
  }

  @Test(arguments: [5, 11])
  func whatIsNotAsExpectedStandsOut(lost: Int) throws {
    let text = try Self.text(
      DataLossRecorder.init,
      [
        Self.cell(100, lost: lost, least: 10, most: 10, reported: 0, outcome: .contradicted)
      ])
    #expect(text.contains(" !") && text.contains("**only 0 of 1 cells**"))
    #expect(text.contains("in 0 of 1 cells with a loss the engine named every lost offset"))
  }

  @Test func timesHaveATableOfTheirOwn() throws {
    let text = try Self.text(
      RecoveryTimeRecorder.init,
      [
        Self.cell(10, lost: 0, least: 0, most: 0, reported: 0, outcome: .holds)
      ])
    #expect(
      text.contains(
        "| Streamhouse runbook | takes 1-10 s | recovery-time 1s-10s | - | recovery-time: 20 ms | **contradicted** in "
          + "1 of 1 cells"
      ))
    #expect(text.contains("| 10 | 18432 | 1 | 20 ms, 20 ms |") && !text.contains("lost-share"))
  }
}
