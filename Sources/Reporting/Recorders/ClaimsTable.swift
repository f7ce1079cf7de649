import Verification

/// Claims over all the cells that they speak of, and how figures are written in tables.
struct ClaimsTable {
  /// One claim, with what each of its cells came to.
  struct Row {
    var source: String
    var says: String
    var cells: [(result: TrialResult, claim: ClaimResult)]
  }

  var rows: [Row] = []
  /// Decided by no cell.
  var others: [ClaimResult] = []

  /// - Parameter wants: which figures; a claim belongs to the table where it has any of these.
  init(_ results: [TrialResult], _ cases: [CaseDescription], where wants: (ClaimResult.Figure) -> Bool, others: Bool) {
    var places: [String: Int] = [:]
    for result in results {
      for claim in result.claims where claim.figures.contains(where: wants) {
        let key = "\(claim.source)\n\(claim.says)"
        if places[key] == nil {
          places[key] = rows.count
          rows.append(Row(source: claim.source, says: claim.says, cells: []))
        }
        rows[places[key]!].cells.append((result, claim))
      }
    }
    if others { self.others = cases.flatMap(\.claims) }
  }

  var markdown: String {
    let header = ["source", "claim", "claimed", "expected from the receipts", "measured", "verdict"]
    return markdownTable([header] + rows.map(\.columns) + others.map(Self.columns))
  }

  private static func columns(_ claim: ClaimResult) -> [String] {
    let verdict =
      switch claim.outcome {
      case .beyondReach: "not reachable here"
      case .measuredElsewhere: "measured elsewhere"
      case .holds, .contradicted, .notMeasured: claim.outcome.rawValue
      }
    return [claim.source, claim.says, "-", "-", claim.reason ?? "-", "**\(verdict)**"]
  }
}

extension ClaimsTable.Row {
  fileprivate var columns: [String] {
    let measured = cells.filter { $0.claim.outcome == .holds || $0.claim.outcome == .contradicted }
    let names = cells.first?.claim.figures ?? []
    func range(_ figure: ClaimResult.Figure) -> String {
      let values = measured.compactMap { cell in cell.claim.figures.first { $0.name == figure.name }?.measured }
      guard let low = values.min(), let high = values.max() else { return "\(figure.name): -" }
      return "\(figure.name): \(rangeText(low, high, figure.unit))"
    }
    return [
      source, says, names.map { "\($0.name) \($0.claimed)" }.joined(separator: ", "), expected(names),
      names.map(range).joined(separator: ", "), verdict(measured),
    ]
  }

  /// Only losses follow from receipts.
  private func expected(_ figures: [ClaimResult.Figure]) -> String {
    let texts = figures.compactMap { figure -> String? in
      guard figure.name == "lost" || figure.name == "lost-share" else { return nil }
      let isShare = figure.name == "lost-share"
      let bounds = cells.map { cell in cell.result.expectedLoss(asShare: isShare) }
      guard let low = bounds.map(\.least).min(), let high = bounds.map(\.most).max() else { return nil }
      return "\(figure.name): \(rangeText(low, high, figure.unit))"
    }
    return texts.isEmpty ? "-" : texts.joined(separator: ", ")
  }

  private func verdict(_ measured: [(result: TrialResult, claim: ClaimResult)]) -> String {
    guard !measured.isEmpty else { return "**not measured**" }
    let against = measured.filter { $0.claim.outcome == .contradicted }
    let missing = cells.count - measured.count
    let tail = missing == 0 ? "" : "; \(missing) not measured"
    guard let first = against.first else { return "**holds** in all \(measured.count) cells\(tail)" }
    let figures = first.claim.figures.compactMap { figure in
      figure.measured.map { "\(figure.name) \(valueText($0, figure.unit))" }
    }
    return "**contradicted** in \(against.count) of \(measured.count) cells\(tail); first: \(first.result.axes): "
      + figures.joined(separator: ", ")
  }
}

extension TrialResult {
  /// The partitions that a claim of loss speaks of: those that a fault touched, or all where it touched none.
  public var lossesClaimed: [PartitionLoss] {
    let touched = losses.filter(\.isTouched)
    return touched.isEmpty ? losses : touched
  }

  /// What was lost in them.
  public var lossClaimed: (lost: Int, acknowledged: Int) {
    let lines = lossesClaimed
    return (lines.reduce(0) { $0 + $1.lost }, lines.reduce(0) { $0 + $1.acknowledged })
  }

  fileprivate func expectedLoss(asShare: Bool) -> (least: Double, most: Double) {
    let lines = lossesClaimed
    let (least, most) = (lines.reduce(0) { $0 + $1.least }, lines.reduce(0) { $0 + $1.most })
    guard asShare else { return (Double(least), Double(most)) }
    let all = Double(max(1, lines.reduce(0) { $0 + $1.acknowledged }))
    return (Double(least) / all * 100, Double(most) / all * 100)
  }
}

func valueText(_ value: Double, _ unit: ClaimResult.Unit) -> String {
  switch unit {
  case .count: value.fixed(0)
  case .percent: "\(significant(value)) %"
  case .seconds: secondsText(value)
  }
}

func rangeText(_ low: Double, _ high: Double, _ unit: ClaimResult.Unit) -> String {
  let (a, b) = (valueText(low, unit), valueText(high, unit))
  return a == b ? a : "\(a) to \(b)"
}

/// Two digits, or as many as a whole number has.
func significant(_ value: Double) -> String {
  if value == 0 || value >= 99.95 { return value.fixed(0) }
  if value >= 9.95 { return value.fixed(0) }
  if value >= 0.95 { return value.fixed(1) }
  return value >= 0.095 ? value.fixed(2) : value.fixed(4)
}

/// `0.4 ms`, `12 ms`, `1.3 s`
func secondsText(_ seconds: Double) -> String {
  if seconds < 0.00095 { return "\((seconds * 1e6).fixed(0)) µs" }
  if seconds < 0.0095 { return "\((seconds * 1000).fixed(1)) ms" }
  return seconds < 0.95 ? "\((seconds * 1000).fixed(0)) ms" : "\(seconds.fixed(1)) s"
}

/// The first row is the head.
func markdownTable(_ rows: [[String]]) -> String {
  func line(_ cells: [String]) -> String {
    "| " + cells.map { $0.printable.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
  }
  guard let head = rows.first else { return "" }
  return line(head) + line(head.map { _ in "---" }) + rows.dropFirst().map(line).joined()
}
