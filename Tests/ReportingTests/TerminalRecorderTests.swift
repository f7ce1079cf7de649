import LogModel
import Testing
import Verification

@testable import Reporting

@Suite struct TerminalRecorderTests {
  func text(_ results: [TrialResult], _ style: TerminalStyle = TerminalStyle(), interrupted: Bool = false) throws
    -> String
  {
    let sink = TextSink()
    try run(TerminalRecorder(sink, style: style), results, interrupted: interrupted)
    return sink.text
  }

  @Test func aFailureReadsInTheOrderOfTheContract() throws {
    let lines = try text([lostAll()], TerminalStyle(verbosity: .quiet)).split(separator: "\n").map(String.init)
    #expect(
      lines == [
        "VIOLATED  ten-vs-hundred messages=100 partitions=3 sync=always defect=none",
        "  verdict    violated, expected held",
        "  lost       0 of 100 recovered, 100 acknowledged messages lost",
        "  first at   partition 0 offset 4, orders/0/00000000000000000000.log byte 4096, after restart 1",
        "  check      high-watermark: expected 34, found 0",
        "  check      no-acknowledged-loss: offset 4 is returned by no fetch",
        "  fault      process-kill fired 1x: pid 7",
        "  reproduce  tornlog reproduce t1none-100",
        "1 trial: 0 held, 1 violated, 0 unknown; 1 trial not as expected, 1.5 s",
        "next: tornlog reproduce t1none-100",
      ])
  }

  /// Of 100 attempted no 110 can be lost; and under `held` nothing is.
  @Test func whatIsGoneIsToldByItsFate() {
    func loss(_ verdict: Verdict, lost: Int, later: Int) -> (String, String) {
      var result = trial(verdict: verdict)
      (result.counts.attempted, result.counts.recovered, result.counts.lost, result.counts.lostLater) = (
        100, 0, lost, later
      )
      let row = FailureAccount(result).rows[1]
      return (row.label, row.text)
    }
    #expect(
      loss(.violated, lost: 110, later: 10) == (
        "lost", "0 of 100 recovered, 110 acknowledged messages lost, 10 of them sent after a restart"
      ))
    #expect(
      loss(.violated, lost: 1, later: 1) == (
        "lost", "0 of 100 recovered, 1 acknowledged message lost, sent after a restart"
      ))
    #expect(loss(.violated, lost: 0, later: 0) == ("messages", "0 of 100 recovered"))
    #expect(
      loss(.held, lost: 100, later: 0) == (
        "messages", "0 of 100 recovered, 100 acknowledged messages gone, as sync policy and faults allow"
      ))
    #expect(loss(.held, lost: 0, later: 0) == ("messages", "0 of 100 recovered"))
    #expect(loss(.unknown, lost: 3, later: 0) == ("messages", "0 of 100 recovered, 3 acknowledged messages missing"))
  }

  @Test func shortFormsAreShownWhereTheyMeanSomething() throws {
    let long = try text([trial(), lostAll(), lostAll(messages: 1000)])
    #expect(!long.contains("reproduce last") && long.contains("\nnext: tornlog reproduce t1none-100\n"))
    let short = try text([trial(), lostAll(), lostAll(messages: 1000)], TerminalStyle(showsShortForms: true))
    #expect(
      short.contains("  reproduce  tornlog reproduce t1none-100\n  or         tornlog reproduce last:1\n"), "\(short)")
    #expect(
      short.contains("  or         tornlog reproduce last:2\n") && short.hasSuffix("\nnext: tornlog reproduce last\n"),
      "\(short)")
  }

  @Test func aDefectThatWasNotCaughtIsAFailure() throws {
    let text = try text([trial(defect: "C4", expectation: .caught(by: .noGaps))])
    #expect(text.contains("NOT CAUGHT  ten-vs-hundred"))
    #expect(text.contains("held, but no-gaps must catch it"))
  }

  @Test func catchesAreSummarisedForEachDefect() throws {
    let loss = Expectation.caught(by: .noAcknowledgedLoss)
    let text = try text([
      trial(messages: 10, defect: "C2b"), trial(messages: 10, partitions: 6, defect: "C2b"),
      lostAll(messages: 1000, partitions: 1, defect: "C2b", expectation: loss),
      lostAll(messages: 100, partitions: 6, defect: "C2b", expectation: loss),
      lostAll(messages: 100, partitions: 3, defect: "C2b", expectation: loss),
      trial(messages: 100, partitions: 1, defect: "C2b", expectation: loss),
      trial(messages: 10),
    ])
    #expect(
      text.contains(
        "  C2b  caught by no-acknowledged-loss in 3 of 4 cells where it must show, held in 2 of 2 below it;"
          + " smallest: messages=100 partitions=3\n"))
    // defect, trials, held, caught, unknown, unexpected
    #expect(text.contains("C2b          6     2       3        0           1"))
    #expect(text.contains("none         1     1       0        0           0"))
  }

  @Test func oneDefectAloneIsExplained() throws {
    let loss = Expectation.caught(by: .noAcknowledgedLoss)
    let text = try text([
      trial(messages: 10, defect: "C2b"), lostAll(messages: 100, defect: "C2b", expectation: loss),
      trial(messages: 10), trial(messages: 100),
    ])
    #expect(
      text.contains("why: 10 of 10 at messages=10 partitions=3, 0 of 100 at messages=100 partitions=3\n"))
    #expect(
      text.contains(
        "     100           3          0           100   100  no-acknowledged-loss  partition 0 offset 4, "))
    #expect(text.contains("  next: tornlog reproduce t1C2b-100\n"))
    #expect(text.contains("all as expected"))
  }

  @Test func twoDefectsAreNotExplained() throws {
    let text = try text([trial(defect: "C1"), trial(defect: "C2")])
    #expect(!text.contains("why"))
  }

  /// All as expected: a line a scenario, and of many scenarios a line a folder.
  @Test func manyScenariosAreShort() throws {
    let few = (1...5).flatMap { [trial(scenario: "s\($0)"), trial(scenario: "s\($0)", messages: 10)] }
    let text = try text(few)
    #expect(
      text.contains("\n  scenario  trials  held  caught   time\n  s1             2     2       0  0.5 s\n  s2 "),
      "\(text)")
    #expect(text.split(separator: "\n").count == 8, "\(text)")
    let mixed = try self.text(few + [lostAll(), trial()])
    #expect(mixed.contains("  scenario        trials  held  caught  unknown  unexpected   time\n"), "\(mixed)")
    #expect(mixed.contains("  ten-vs-hundred       2     1       0        0           1  0.5 s\n"), "\(mixed)")
    #expect(!mixed.contains("  defect") && !mixed.contains("\ns1\n"), "\(mixed)")
    let many = try self.text((1...100).map { trial(scenario: "s\($0)") })
    #expect(many.contains("  Scenarios/chronik        100     100   100       0  25 s\n"), "\(many)")
    #expect(many.split(separator: "\n").count == 4, "\(many)")
    let broken = try self.text((1...100).map { trial(scenario: "s\($0)") } + [lostAll()])
    #expect(broken.contains("  Scenarios/chronik        100     100   100       0        0           0 "), "\(broken)")
    #expect(broken.contains("  ten-vs-hundred             1       1     0       0        0           1 "), "\(broken)")
    let verbose = try self.text(few, TerminalStyle(verbosity: .verbose))
    #expect(verbose.contains("\ns1\n  defect  trials"), "\(verbose)")
  }

  @Test func verbosity() throws {
    let normal = try text([trial(), trial(messages: 10)])
    #expect(!normal.contains("messages=100 partitions=3 sync=always"))
    let verbose = try text([trial(), trial(messages: 10)], TerminalStyle(verbosity: .verbose))
    #expect(
      verbose.contains("held     ten-vs-hundred messages=100 partitions=3 sync=always defect=none  100/100  0.3 s"))
    let quiet = try text([trial(), trial(messages: 10)], TerminalStyle(verbosity: .quiet))
    #expect(quiet == "2 trials: 2 held, 0 violated, 0 unknown; all as expected, 1.5 s\n")
  }

  @Test func colourAndControlCharacters() throws {
    #expect(try !text([lostAll()]).contains("\u{1B}"))
    #expect(try text([lostAll()], TerminalStyle(colour: true)).contains("\u{1B}[1;31mVIOLATED\u{1B}[0m"))
    let hostile = try text([trial(verdict: .unknown, notices: ["a\u{1B}[2Jb\nc"])])
    #expect(hostile.contains("a\\u001b[2Jb\\u000ac"))
    #expect(hostile.contains("UNKNOWN  ten-vs-hundred"))
  }

  @Test func whenToColour() {
    #expect(Presence.auto.colours(isTerminal: true, environment: [:]))
    #expect(Presence.auto.colours(isTerminal: true, environment: ["NO_COLOR": ""]))
    #expect(!Presence.auto.colours(isTerminal: true, environment: ["NO_COLOR": "1"]))
    #expect(!Presence.auto.colours(isTerminal: true, environment: ["TERM": "dumb"]))
    #expect(!Presence.auto.colours(isTerminal: false, environment: [:]))
    #expect(Presence.always.colours(isTerminal: false, environment: ["NO_COLOR": "1"]))
    #expect(!Presence.never.colours(isTerminal: true, environment: [:]))
  }

  @Test func anInterruptedRunIsCalledSo() throws {
    #expect(try text([trial(), trial()], interrupted: true).contains("interrupted: 2 trials"))
  }
}

@Suite struct ProgressTests {
  @Test func linesWithoutATerminalComeEveryFewSeconds() throws {
    let sink = TextSink()
    var time = 100.0
    let recorder = ProgressRecorder(sink, inPlace: false) { time }
    try recorder.record(.started(RunDescription(seed: 1, storage: "", filesystem: "", trials: 10, jobs: 2)))
    for index in 0..<10 {
      try recorder.record(.trialStarted(index: index, title: "cell \(index)"))
      time += 2
      try recorder.record(.trialFinished(index: index, trial()))
    }
    #expect(
      sink.pieces == [
        "[3 of 10, 30 %] 6.0 s, about 14 s left\n", "[6 of 10, 60 %] 12 s, about 8.0 s left\n",
        "[9 of 10, 90 %] 18 s, about 2.0 s left\n",
      ])
  }

  @Test func inPlaceItWipesItsLineBeforeAFailureIsPrinted() throws {
    let sink = TextSink()
    var time = 0.0
    let recorder = ProgressRecorder(sink, inPlace: true, width: 40) { time }
    try recorder.record(.started(RunDescription(seed: 1, storage: "", filesystem: "", trials: 2, jobs: 1)))
    try recorder.record(.trialStarted(index: 0, title: String(repeating: "x", count: 100)))
    let drawn = try #require(sink.pieces.last)
    #expect(drawn.hasPrefix("\r\u{1B}[K[0 of 2, 0 %] 0.0 s: xxx"))
    #expect(drawn.count == 4 + 39)
    time = 0.01
    try recorder.record(.trialStarted(index: 1, title: "too early to draw again"))
    #expect(sink.pieces.count == 1)
    time = 1
    try recorder.record(.trialFinished(index: 0, lostAll()))
    #expect(sink.pieces.last == "\r\u{1B}[K")
    try recorder.record(.finished(RunSummary()))
    #expect(sink.pieces.count == 2)
  }
}
