import Verification

/// What a command has found that runs no trials: an exploration, a benchmark, the doctor. It is an event of the one
/// stream of events (`RunEvent.document`), so every recorder serves every command.
public struct ReportDocument: Sendable {
  /// The command: `tornlog explore errors`.
  public var title: String
  /// Lines for a terminal.
  public var text: [String]
  /// One sentence: what it came to.
  public var conclusion: String
  /// The whole report as JSON, as `docs/report.schema.json` describes it.
  public var json: String
  /// What JUnit and Markdown show, in order.
  public var cases: [ReportCase]
  /// A page of its own in place of the table of cases; nil for most commands.
  public var page: String?
  /// A page with plots; nil where a command has none.
  public var html: String?

  /// - Parameter conclusion: nil for the last line of the text.
  public init(
    title: String, text: [String], conclusion: String? = nil, json: String, cases: [ReportCase], page: String? = nil,
    html: String? = nil
  ) {
    self.title = title
    self.text = text
    self.conclusion = conclusion ?? text.last { !$0.isEmpty } ?? ""
    self.json = json
    self.cases = cases
    self.page = page
    self.html = html
  }
}

/// One thing that was judged: a cell of a scenario, a crash profile, a row of a benchmark.
public struct ReportCase: Hashable, Sendable {
  /// The scenario, or the search.
  public var group: String
  public var name: String
  /// The scenario's file; nil where there is none.
  public var file: String?
  public var verdict: Verdict
  /// Whether it came out as it should; the exit code follows from this.
  public var isExpected: Bool
  /// Nil where nobody has measured it.
  public var seconds: Double?
  /// One sentence.
  public var message: String
  /// What a reader needs who looks into it; the command that repeats it is in here.
  public var lines: [String]

  public init(
    group: String, name: String, file: String? = nil, verdict: Verdict, isExpected: Bool, seconds: Double? = nil,
    message: String = "", lines: [String] = []
  ) {
    self.group = group
    self.name = name
    self.file = file
    self.verdict = verdict
    self.isExpected = isExpected
    self.seconds = seconds
    self.message = message
    self.lines = lines
  }

  /// A case that must hold.
  public init(
    group: String, name: String, mustHold verdict: Verdict, seconds: Double? = nil, message: String = "",
    lines: [String] = []
  ) {
    self.init(
      group: group, name: name, verdict: verdict, isExpected: verdict == .held, seconds: seconds, message: message,
      lines: lines)
  }
}

extension ReportCase {
  /// A trial as JUnit and Markdown show it.
  init(_ trial: TrialResult) {
    let account = FailureAccount(trial)
    self.init(
      group: trial.scenario, name: trial.axes.entries.isEmpty ? trial.scenario : trial.axes.description,
      file: trial.file,
      verdict: trial.verdict, isExpected: trial.isExpected, seconds: trial.seconds, message: account.loss,
      lines: account.lines)
  }
}
