import Verification

/// What a run came to: one line for each scenario. With `-v`, and of a scenario that ran alone, a table, the catches of
/// each defect, and, where one defect is all that it ran with, why.
struct TerminalSummary {
  let results: [TrialResult]
  let style: TerminalStyle

  /// More lines would not fit a screen: folders of scenarios have one line each then.
  static let limit = 30

  var text: String {
    let scenarios = unique(results.map(\.scenario)).map { name in
      (name: name, cells: results.filter { $0.scenario == name })
    }
    var text = ""
    if style.verbosity == .verbose || scenarios.count == 1 {
      for scenario in scenarios { text += details(scenario.name, scenario.cells) }
    } else {
      text += "\n" + indented(overview(scenarios))
    }
    if results.count == 1, results[0].isExpected {
      text += "\n\(style.paint("why", .strong))\n" + indented(FailureAccount(results[0]).lines)
    }
    return text + "\n"
  }

  private func details(_ scenario: String, _ cells: [TrialResult]) -> String {
    let defects = unique(cells.map(\.defect))
    var text = "\n\(style.paint(scenario.printable, .strong))\n"
    text += indented(table(cells, defects))
    let historical = defects.filter { $0 != "none" }
    let caught = historical.compactMap { defect in catches(of: defect, in: cells.filter { $0.defect == defect }) }
    if !caught.isEmpty { text += "\n" + indented(caught) }
    if cells.count > 1, historical.count == 1 {
      text += Ladder(defect: historical[0], results: cells.filter { $0.defect == historical[0] }).text(style)
    }
    return text
  }

  /// A line for each scenario. Of many, a line for each folder of those that came out as expected.
  private func overview(_ scenarios: [(name: String, cells: [TrialResult])]) -> [String] {
    let isLong = scenarios.count > Self.limit
    var groups: [(name: String, scenarios: Int, cells: [TrialResult])] = []
    for scenario in scenarios {
      let isFolder = isLong && scenario.cells.allSatisfy(\.isExpected)
      let name = isFolder ? scenario.cells[0].folder : scenario.name
      if let at = groups.firstIndex(where: { $0.name == name }) {
        groups[at].scenarios += 1
        groups[at].cells += scenario.cells
      } else {
        groups.append((name, 1, scenario.cells))
      }
    }
    let isSound = results.allSatisfy(\.isExpected)
    let head =
      [isLong ? "folder" : "scenario"] + (isLong ? ["scenarios"] : []) + ["trials", "held", "caught"]
      + (isSound ? [] : ["unknown", "unexpected"]) + ["time"]
    let rows = groups.map { group in
      let met = group.cells.filter(\.isExpected)
      var counts = [group.cells.count, met.count { $0.verdict == .held }, met.count { $0.verdict == .violated }]
      if !isSound { counts += [group.cells.count { $0.verdict == .unknown }, group.cells.count - met.count] }
      return [group.name] + (isLong ? ["\(group.scenarios)"] : []) + counts.map(String.init)
        + [durationText(group.cells.reduce(0) { $0 + $1.seconds })]
    }
    return alignedTable([head] + rows, leading: 1)
  }

  private func table(_ cells: [TrialResult], _ defects: [String]) -> [String] {
    let rows = defects.map { defect in
      let group = cells.filter { $0.defect == defect }
      let met = group.filter(\.isExpected)
      return [
        defect, "\(group.count)", "\(met.count { $0.verdict == .held })", "\(met.count { $0.verdict == .violated })",
        "\(group.count { $0.verdict == .unknown })", "\(group.count - met.count)",
        durationText(group.reduce(0) { $0 + $1.seconds }),
      ]
    }
    return alignedTable([["defect", "trials", "held", "caught", "unknown", "unexpected", "time"]] + rows, leading: 1)
  }

  /// `C2b  caught by no-acknowledged-loss in 12 of 12 cells where it must show, held in 3 of 3 below it; smallest: ...`
  private func catches(of defect: String, in cells: [TrialResult]) -> String? {
    var checks: [String] = []
    for case .caught(let check) in cells.map(\.expectation) where !checks.contains(check.rawValue) {
      checks.append(check.rawValue)
    }
    guard !checks.isEmpty else { return nil }
    let showing = cells.filter { $0.expectation != .held }
    let caught = showing.filter(\.isExpected)
    let below = cells.filter { $0.expectation == .held }
    var text = "\(defect)  caught by \(checks.joined(separator: ", ")) in \(caught.count) of \(showing.count)"
    text += " cells where it must show"
    if !below.isEmpty { text += ", held in \(below.count(where: \.isExpected)) of \(below.count) below it" }
    if let smallest = caught.min(by: { $0.numbers.lexicographicallyPrecedes($1.numbers) }) {
      text += "; smallest: \(smallest.volume)"
    }
    return text
  }
}

/// Volume against what came back, for one defect: where it breaks, what broke, what to type next.
struct Ladder {
  let defect: String
  let results: [TrialResult]

  /// More would not fit a screen.
  static let limit = 15

  /// One result for each volume, the worst of those that differ in policy or crash only.
  private var rungs: [TrialResult] {
    let sorted = results.sorted { $0.numbers.lexicographicallyPrecedes($1.numbers) }
    return unique(sorted.map(\.volume)).compactMap { volume in
      sorted.filter { $0.volume == volume }.max { $0.badness < $1.badness }
    }
  }

  func text(_ style: TerminalStyle) -> String {
    let rungs = rungs
    guard let first = rungs.first else { return "" }
    let names = first.axes.entries.compactMap { $0.value.isInteger ? $0.name : nil }
    let header = names + ["recovered", "acknowledged", "lost", "check", "first divergent offset"]
    let rows = rungs.prefix(Self.limit).map { rung in
      rung.numbers.map(String.init) + [
        "\(rung.counts.recovered)", "\(rung.counts.acknowledged)", "\(rung.counts.lost)", rung.blamedCheck,
        FailureAccount.firstDivergence(rung).map(FailureAccount.place) ?? "-",
      ]
    }
    var text = "\n\(style.paint("why", .strong)): \(headline(rungs))\n"
    text += indented(table([header] + rows))
    if rungs.count > Self.limit { text += "  ... and \(rungs.count - Self.limit) larger\n" }
    let next = rungs.first { $0.verdict == .violated } ?? first
    return text + "  next: \(next.reproduce.printable)\n"
  }

  /// `10 of 10 at messages=10 partitions=3, 0 of 100 at messages=100 partitions=3`
  private func headline(_ rungs: [TrialResult]) -> String {
    func recovered(_ rung: TrialResult) -> String {
      "\(rung.counts.recovered) of \(rung.counts.attempted) at \(rung.volume)"
    }
    guard let broken = rungs.firstIndex(where: { $0.verdict == .violated }) else {
      return "\(defect) does not show up to \(rungs.last.map(recovered) ?? "")"
    }
    // The last that held and differs in the number of messages only, if there is one.
    let last = rungs[..<broken].last {
      $0.verdict == .held && $0.numbers.dropFirst() == rungs[broken].numbers.dropFirst()
    }
    return (last.map { recovered($0) + ", " } ?? "") + recovered(rungs[broken])
  }

  /// Numbers flush right, the last two columns flush left.
  private func table(_ rows: [[String]]) -> [String] {
    let numbers = alignedTable(rows.map { Array($0.dropLast(2)) }, leading: 0)
    let words = alignedTable(rows.map { Array($0.suffix(2)) }, leading: 2)
    return zip(numbers, words).map { "\($0)  \($1)" }
  }
}

extension TrialResult {
  var defect: String { axes["defect"]?.description ?? "none" }

  /// The folder of its scenario's file: `Scenarios/chronik`.
  fileprivate var folder: String { file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "." }

  /// The axes that are numbers, in order: the size of a trial.
  fileprivate var numbers: [Int] {
    axes.entries.compactMap { if case .integer(let n) = $0.value { n } else { nil } }
  }

  /// `messages=100 partitions=3`
  fileprivate var volume: String {
    axes.entries.filter(\.value.isInteger).map { "\($0.name)=\($0.value)" }.joined(separator: " ")
  }

  fileprivate var badness: Int {
    switch verdict {
    case .held: 0
    case .unknown: 1
    case .violated: 2
    }
  }

  /// The check that was expected to catch it, if it did; else the first that was violated.
  fileprivate var blamedCheck: String {
    let violated = checks.filter { $0.verdict == .violated }.map(\.name)
    if case .caught(let check) = expectation, violated.contains(check) { return check.rawValue }
    return violated.first?.rawValue ?? verdict.rawValue
  }
}

extension Axes.Value {
  fileprivate var isInteger: Bool { if case .integer = self { true } else { false } }
}
