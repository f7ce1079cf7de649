import ArgumentParser
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Trials
import Verification

struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Show in seconds what this tool does: seven real trials, and the bug that it began with.",
    discussion: """
      Nothing is prepared: each line is a trial that runs now, on this machine. The command ends with exit code 1 where a trial \
      came out otherwise than the story says.
      """)

  @OptionGroup var place: TrialDirectory
  @Option(help: "The engine's storage: io_uring (ring), system calls (posix), a model in virtual time (memory).")
  var storage = StorageChoice.auto

  private static let introduction = [
    "A log keeps what it has acknowledged, whatever happens to it. Tornlog tests",
    "that: it sends messages, breaks something, restarts the log, and reads it back.", "",
  ]

  func run() throws {
    var execution = ExecutionOptions.parseOrExit([])
    execution.place = place
    let trials = try DemoTrial.all.map { try $0.planned(storage) }
    Console.print(Self.introduction + [DemoTrial.head])
    let recorder = DemoRecorder()
    let code = execution.execute(
      trials, recorders: [recorder], failFast: false, deadline: nil, memory: nil, findings: LastFindings(),
      showsNotices: false)
    guard [0, ExitStatus.violated, ExitStatus.unknown].contains(code) else { throw ExitCode(code) }
    Console.print(recorder.conclusion)
    throw ExitCode(recorder.isAsTold ? 0 : ExitStatus.violated)
  }
}

/// One line of the demonstration.
private struct DemoTrial {
  var messages: Int
  var event: String
  /// The defect that is switched on; nil for the unmodified engine.
  var defect: String?
  /// Lines of the scenario beside messages and defect.
  var matrix: String
  var faults = ""
  /// The story: how many of the acknowledged messages come back. Nil where that is left open.
  var recovered: Int?
  var verdict = Verdict.held

  /// The bug that chronik found in 2025, beside the unmodified engine; then two other ways to break a log.
  static let all: [DemoTrial] = [
    DemoTrial(messages: 10, event: "process killed", matrix: kill, recovered: 10),
    DemoTrial(messages: 100, event: "process killed", matrix: kill, recovered: 100),
    DemoTrial(messages: 10, event: "process killed", defect: "C2b", matrix: kill, recovered: 10),
    DemoTrial(messages: 100, event: "process killed", defect: "C2b", matrix: kill, recovered: 0, verdict: .violated),
    DemoTrial(
      messages: 100, event: "power cut, sync always", matrix: "{ crash: power-loss, sync: always", recovered: 100),
    DemoTrial(messages: 100, event: "power cut, sync never", matrix: "{ crash: power-loss, sync: never"),
    DemoTrial(
      messages: 100, event: "a write torn in half", matrix: kill,
      faults:
        "faults: [torn-write: { target: batch, phase: produce, occurrence: 2, kept: prefix, rest: old, answer: error }]"
    ),
  ]

  private static let kill = "{ crash: process-kill, sync: always"

  static let head = row("log", "sent", "what happens", "acknowledged", "read back", "verdict")

  private static func row(
    _ log: String, _ sent: String, _ event: String, _ acknowledged: String, _ recovered: String, _ verdict: String
  ) -> String {
    func left(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    let numbers = "\(right(acknowledged, 12))  \(right(recovered, 9))"
    return "  \(left(log, 10))  \(right(sent, 4))  \(left(event, 22))  \(numbers)  \(verdict)"
  }

  func planned(_ storage: StorageChoice) throws -> PlannedTrial {
    let text = """
      name: demo
      title: a line of the demonstration
      workload: { topic: orders, producers: 4, batch: 10, message-size: 1KB, append-between: 0 }
      matrix: \(matrix), messages: \(messages), partitions: 3, defect: \(defect ?? "none") }
      \(faults)
      """
    let scenario = try ScenarioParser.parse(text, file: "demo", vocabulary: TrialPlanner.vocabulary)
    return try TrialPlanner.trial(
      scenario.cells()[0], storage: storage, seed: nil, phaseSeconds: nil, expectsSound: true)
  }

  func line(_ result: TrialResult) -> String {
    let counts = result.counts
    let word =
      switch result.verdict {
      case .held: counts.lost > 0 ? "held*" : "held"
      case .violated: "VIOLATED"
      case .unknown: "unknown"
      }
    return Self.row(
      defect.map { "defect \($0)" } ?? "unmodified", "\(messages)", event, "\(counts.acknowledged)",
      "\(counts.recovered)", word)
  }

  func isAsTold(_ result: TrialResult) -> Bool {
    result.verdict == verdict && recovered.map { $0 == result.counts.recovered } ?? true
  }
}

/// Prints each line once the lines before it are there.
private final class DemoRecorder: RunRecorder {
  private var results: [Int: TrialResult] = [:]
  private var printed = 0

  func record(_ event: RunEvent) throws {
    guard case .trialFinished(let index, let result) = event else { return }
    results[index] = result
    while let next = results[printed] {
      Console.print([DemoTrial.all[printed].line(next)])
      printed += 1
    }
  }

  private var strays: [(trial: DemoTrial, result: TrialResult)] {
    DemoTrial.all.indices.compactMap { index in
      guard let result = results[index], !DemoTrial.all[index].isAsTold(result) else { return nil }
      return (DemoTrial.all[index], result)
    }
  }

  var isAsTold: Bool { strays.isEmpty && results.count == DemoTrial.all.count }

  var conclusion: [String] { isAsTold ? story : disappointment }

  /// Of the trial that loses everything.
  private var story: [String] {
    guard let lost = results[3] else { return [] }
    var lines = [
      "", "C2b is a bug of the project chronik, October 2025: 10 of 10 messages survive a",
      "restart, 0 of 100 do. After a restart its readers see a partition only if its",
      "log holds one batch. Ten messages in three partitions are one batch each; a",
      "hundred are several. The unmodified engine keeps 10 of 10 and 100 of 100.", "",
    ]
    if let check = lost.checks.first(where: { $0.verdict == .violated && $0.divergence != nil }),
      let at = check.divergence
    {
      lines += [
        "The first message that is missing: partition \(at.partition.index), offset \(at.offset), after restart "
          + "\(at.restart)",
        "(check \(check.name.rawValue)).", "",
      ]
    }
    return lines + [
      "A power cut takes what was not synced. With sync always it takes nothing. *With",
      "sync never the log promises nothing, so the loss is no violation. A torn write",
      "takes nothing that was acknowledged.", "", "Next:",
      "  tornlog reproduce last   run the lost trial again, with every disk operation",
      "  tornlog shrink last      find the smallest scenario that still loses a message",
      "  tornlog run              run the quick suite of scenarios (make suite)",
      "  docs/tutorial.md         ten steps, from this bug to CI",
    ]
  }

  private var disappointment: [String] {
    var lines = [""]
    for (trial, result) in strays {
      lines.append(
        "NOT AS TOLD: \(trial.messages) messages, \(trial.event), defect \(trial.defect ?? "none"): "
          + "\(trial.verdict.rawValue) was expected"
      )
      for check in result.checks.filter({ $0.verdict != .held }).prefix(2) {
        lines.append("  \(check.name.rawValue): \(check.detail)")
      }
      lines += result.notices.map { "  \($0)" } + ["  \(result.reproduce)"]
    }
    return lines + ["The story does not hold on this machine. `tornlog doctor` says what the machine allows."]
  }
}
