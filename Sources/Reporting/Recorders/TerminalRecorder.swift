import Verification

/// How the terminal's report looks.
public struct TerminalStyle: Hashable, Sendable {
  public enum Verbosity: Hashable, Sendable {
    /// `-q`: trials that did not come out as expected, and the last line.
    case quiet
    case normal
    /// `-v`: a line for each trial too.
    case verbose
  }

  public var colour: Bool
  public var verbosity: Verbosity
  /// Whether `tornlog reproduce last:N` means the Nth trial that did not come out as expected, and is shown beside its
  /// token.
  public var showsShortForms: Bool
  /// Whether the run is one of random trials; see `RandomRunRecorder`.
  public var isOfRandomTrials = false

  public init(colour: Bool = false, verbosity: Verbosity = .normal, showsShortForms: Bool = false) {
    self.colour = colour
    self.verbosity = verbosity
    self.showsShortForms = showsShortForms
  }

  /// What this report writes to steer a terminal, and nothing else does.
  var sequences: [String] {
    colour ? Paint.allCases.map(\.sequence) + [Self.plain] : []
  }

  private static let plain = "\u{1B}[0m"

  enum Paint: String, CaseIterable {
    case good = "32"
    case bad = "1;31"
    case doubtful = "33"
    case strong = "1"

    var sequence: String { "\u{1B}[\(rawValue)m" }
  }

  func paint(_ text: String, _ paint: Paint) -> String {
    colour ? paint.sequence + text + Self.plain : text
  }
}

/// Results for a person. A trial that did not come out as expected is printed in full as soon as it ends;
/// everything else is a table at the end.
public final class TerminalRecorder: RunRecorder {
  private let sink: any ReportSink
  private let style: TerminalStyle
  private var run: RunDescription?
  private var trials: [(index: Int, result: TrialResult)] = []
  /// Trials that did not come out as expected, until now.
  private var findings = 0

  public init(_ sink: any ReportSink, style: TerminalStyle = TerminalStyle()) {
    self.sink = sink
    self.style = style
  }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let description):
      run = description
      if style.verbosity != .quiet { try started(description) }
    case .trialStarted: break
    case .trialFinished(let index, let result):
      trials.append((index, result))
      if !result.isExpected {
        findings += 1
        try sink.write(account(of: result))
      } else if style.verbosity == .verbose {
        try sink.write(line(for: result))
      }
    case .document(let document):
      try sink.write(document.text.map { "\($0)\n" }.joined())
      try sink.finish()
    case .notice(let text): try sink.write("\(style.paint("note", .doubtful)): \(text.printable)\n")
    case .finished(let summary):
      let results = trials.sorted { $0.index < $1.index }.map(\.result)
      if style.verbosity != .quiet, !results.isEmpty {
        try sink.write(TerminalSummary(results: results, style: style).text)
      }
      try sink.write(conclusion(summary, results))
      try sink.finish()
    }
  }

  private func started(_ run: RunDescription) throws(ReportError) {
    let place = run.storage == run.filesystem ? run.storage : "\(run.storage) on \(run.filesystem)"
    let jobs = run.jobs > 1 ? ", \(run.jobs) at a time" : ""
    try sink.write("tornlog: \(counted(run.trials, "trial")), seed \(run.seed), \(place.printable)\(jobs)\n")
  }

  private func line(for result: TrialResult) -> String {
    var word = result.verdict.rawValue
    if case .caught = result.expectation { word = "caught" }
    let name = "\(result.scenario) \(result.axes)".printable
    let counts = "\(result.counts.recovered)/\(result.counts.attempted)"
    return "\(style.paint(word.padded(8), .good)) \(name)  \(counts)  \(durationText(result.seconds))\n"
  }

  /// One trial in full.
  private func account(of result: TrialResult) -> String {
    let paint: TerminalStyle.Paint = result.verdict == .unknown ? .doubtful : .bad
    let word: String =
      switch result.verdict {
      case .held: "NOT CAUGHT"
      case .violated: "VIOLATED"
      case .unknown: "UNKNOWN"
      }
    let title = "\(style.paint(word, paint))  \(style.paint("\(result.scenario) \(result.axes)".printable, .strong))"
    var lines = FailureAccount(result).lines
    if style.showsShortForms { lines.append("\("or".padded(10)) tornlog reproduce last:\(findings)") }
    return "\n\(title)\n" + indented(lines) + "\n"
  }

  private func conclusion(_ summary: RunSummary, _ results: [TrialResult]) -> String {
    let planned = run.map { $0.trials > summary.trials ? " of \($0.trials)" : "" } ?? ""
    var facts = ["\(summary.held) held", "\(summary.violated) violated", "\(summary.unknown) unknown"]
    let caught = results.count { $0.isExpected && $0.verdict == .violated }
    if caught > 0 { facts[1] += " (\(caught) expected)" }
    let (word, paint): (String, TerminalStyle.Paint) =
      if summary.unexpected > 0 {
        ("\(counted(summary.unexpected, "trial")) not as expected", .bad)
      } else if summary.stoppedBy != nil {
        ("as expected so far", .doubtful)
      } else {
        ("all as expected", .good)
      }
    let reason: String? =
      switch summary.stoppedBy {
      case nil: nil
      case .signal: "interrupted: "
      case .deadline: "stopped at the deadline: "
      case .failFast: "stopped by --fail-fast: "
      case .failure: "stopped by an error: "
      }
    let cut = reason.map { style.paint($0, .doubtful) } ?? ""
    let time = durationText(summary.seconds)
    let trials = planned.isEmpty ? counted(summary.trials, "trial") : "\(summary.trials)\(planned) trials"
    var text = "\(cut)\(trials): \(facts.joined(separator: ", ")); "
    text += "\(style.paint(word, paint)), \(time)\n"
    if let first = results.first(where: { !$0.isExpected }) {
      text += "next: \(style.showsShortForms ? "tornlog reproduce last" : first.reproduce.printable)\n"
    }
    return text
  }
}

func indented(_ lines: [String]) -> String { lines.map { "  \($0.printable)\n" }.joined() }

func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }
