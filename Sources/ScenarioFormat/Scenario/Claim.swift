import LogModel

// # Claims: what a document promises of a case, put to the test
//
// | key | value |
// |---|---|
// | `source` | the document and its place; required |
// | `says` | its words; required |
// | `when` | condition: the cells that it speaks of; none: all |
// | a figure of `ClaimFigure` | the bounds that its words set; several figures must all hold |
// | `arithmetic` | `{ part, whole, percent }`: a share that the document itself computed |
// | `beyond-reach` | why nothing here can measure it |
// | `measured-by` | the command that measures it, and where its figures are: no trial decides it |
//
// Bounds: `0`, `1-10`, `< 0.1%`, `<= 5%`, `>= 1`, `10%-50%`, `1s-10s`, `< 30s`, in the unit of the figure.

/// What can be measured of a trial for a claim.
public enum ClaimFigure: String, Hashable, Sendable, CaseIterable {
  /// Acknowledged messages lost in the partitions that a fault touched; in all of them where it touched none.
  case lost
  /// Their share of what was acknowledged there, in percent.
  case lostShare = "lost-share"
  /// Acknowledged messages lost in partitions that no fault touched, where it touched others.
  case lostElsewhere = "lost-elsewhere"
  /// Lost messages beyond what the sync policy and the faults' receipts allow.
  case lostBeyondPolicy = "lost-beyond-policy"
  /// Lost messages that the engine has not reported as damaged.
  case unreported
  /// Distinct messages that were consumed before any crash.
  case consumed
  /// Distinct messages that came back after the first restart.
  case recovered
  /// Messages whose sending was not answered with success.
  case refused
  /// Runs of offsets that consumption skipped after the first restart.
  case gaps
  /// From opening the engine to its being ready, in seconds; on real files only.
  case recoveryTime = "recovery-time"
  /// From the stop of the engine to the first answered fetch and first acknowledged append of every partition, an
  /// operator's commands between them included, in seconds; on real files only.
  case outageTime = "outage-time"
  /// Of the time from sending a request to its acknowledgement, the 99th percentile; on real files only.
  case appendP99 = "append-p99"
  /// Requests, or records, that a bit flip at rest has damaged and that the recovery report does not name with the
  /// checksum that stands on the medium and the one that the damaged bytes have.
  case checksumsUnnamed = "checksums-unnamed"
  /// Messages that are served after the first restart although they stand behind the first one that damage at rest has
  /// destroyed.
  case servedBehindDamage = "served-behind-damage"
  /// Batches, or records, that the engine says it has recovered in the first restart.
  case recoveredByReport = "recovered-by-report"
  /// Checks of the oracle that are violated.
  case checksViolated = "checks-violated"
  /// Byte of a log file at which the magic of the system's document stands; of several files the worst.
  case magicAt = "magic-at"
  /// The four bytes behind the magic, as a number, little-endian.
  case fileVersion = "file-version"
  /// Byte of a log file at which its first record begins; of several files the highest.
  case firstRecord = "first-record"
  // Of trials of a client; see TrialClient.
  /// Transactions that the first restart has replayed.
  case replayed
  /// Entries that were answered and that the second restart has not read.
  case entriesUnread = "entries-unread"
  /// Completed files that are compressed once the first recovery is over.
  case compressedFiles = "compressed-files"
  /// Bytes of the largest file that the log has gone on from.
  case largestFile = "largest-file"
  /// Files that were removed before their time: before a recovery, or before the retention was over.
  case removedEarly = "removed-early"
  /// Files that were removed after it.
  case removedExpired = "removed-expired"
  /// What compression has saved, in percent.
  case saved
  /// Pauses between two attempts to send.
  case pauses
  /// Pauses that are not half of, or up to, what doubling from 1 s to 60 s makes of them, and never shorter than 1 s.
  case pausesOffCourse = "pauses-off-course"
  /// Failures in a row until the store, still away, was first left alone for 10 s; 0 where it never was.
  case failuresBeforeOpen = "failures-before-open"
  /// From the store's return until the first object begun after it was there, in virtual seconds.
  case recoversWithin = "recovers-within"
  /// Minutes in which Prometheus has the alert firing.
  case alertMinutes = "alert-minutes"
  /// Minutes in which what the alert is about had been so for long enough, and it was silent.
  case alertSilent = "alert-silent"
  /// Minutes in which it had not been so for long enough, and the alert was firing.
  case alertFalse = "alert-false"

  public enum Unit: Hashable, Sendable { case count, percent, seconds }

  public var unit: Unit {
    switch self {
    case .lost, .lostElsewhere, .lostBeyondPolicy, .unreported, .consumed, .recovered, .refused, .gaps: .count
    case .checksumsUnnamed, .servedBehindDamage, .recoveredByReport, .checksViolated, .magicAt, .fileVersion,
      .firstRecord:
      .count
    case .replayed, .entriesUnread, .compressedFiles, .largestFile, .removedEarly, .removedExpired, .pauses,
      .pausesOffCourse:
      .count
    case .failuresBeforeOpen, .alertMinutes, .alertSilent, .alertFalse: .count
    case .lostShare, .saved: .percent
    case .recoveryTime, .outageTime, .appendP99, .recoversWithin: .seconds
    }
  }
}

/// `low` to `high` in the unit of a figure, with or without the ends.
public struct ClaimBounds: Hashable, Sendable {
  public var low: Double
  public var high: Double
  public var excludesHigh = false
  public var excludesLow = false
  /// As the scenario has it.
  public var text: String

  public func contains(_ value: Double) -> Bool {
    (excludesLow ? value > low : value >= low) && (excludesHigh ? value < high : value <= high)
  }

  /// Nil where the text is no such bound.
  init?(_ text: String, _ unit: ClaimFigure.Unit) {
    self.text = text
    (low, high) = (-.infinity, .infinity)
    func number(_ text: Substring) -> Double? {
      let text = String(text.drop { $0 == " " })
      switch unit {
      case .seconds: return DurationText.parse(text)?.inSeconds
      case .percent: return text.hasSuffix("%") ? Self.decimal(text.dropLast()) : nil
      case .count: return Self.decimal(text[...])
      }
    }
    for (sign, isUpper, isOpen) in [("<=", true, false), (">=", false, false), ("<", true, true), (">", false, true)]
    where text.hasPrefix(sign) {
      guard let bound = number(text.dropFirst(sign.count)) else { return nil }
      if isUpper { (high, excludesHigh) = (bound, isOpen) } else { (low, excludesLow) = (bound, isOpen) }
      return
    }
    let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = number(ends[0]), let last = number(ends[ends.count - 1]), first <= last else { return nil }
    (low, high) = (first, last)
  }

  /// Digits and at most one point.
  private static func decimal(_ text: Substring) -> Double? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) || $0 == 46 }), text.first != "." else { return nil }
    return Double(text)
  }
}

/// One promise of a document.
public struct Claim: Hashable, Sendable {
  public struct Measure: Hashable, Sendable {
    public var figure: ClaimFigure
    public var bounds: ClaimBounds
  }

  /// `12 of 1535 is 1.2 %`: right where the share rounds to what is written.
  public struct Arithmetic: Hashable, Sendable {
    public var part: Int
    public var whole: Int
    /// As written: its digits after the point say how it was rounded.
    public var percent: String

    /// The share in percent.
    public var share: Double { Double(part) / Double(whole) * 100 }

    public var isRight: Bool {
      guard let said = Double(percent) else { return false }
      let digits = percent.split(separator: ".").dropFirst().first?.count ?? 0
      let half = (0..<digits).reduce(0.5) { n, _ in n / 10 }
      return abs(said - share) <= half
    }
  }

  public enum Test: Hashable, Sendable {
    case measures([Measure])
    case arithmetic(Arithmetic)
    case beyondReach(String)
    case measuredBy(String)
  }

  public var source: String
  public var says: String
  var condition: Condition
  public var test: Test

  /// Whether cells decide it.
  public var isMeasured: Bool { if case .measures = test { true } else { false } }
}

extension SourceReader {
  mutating func claims(_ node: SourceNode, _ choices: Choices) -> [Claim] {
    (list(node, "claims") ?? []).compactMap { claim($0, choices) }
  }

  private mutating func claim(_ node: SourceNode, _ choices: Choices) -> Claim? {
    let before = errors.count
    let figures = ClaimFigure.allCases.map(\.rawValue)
    let known = ["source", "says", "when", "arithmetic", "beyond-reach", "measured-by"] + figures
    guard let keys = mapping(node, "a claim", known: known) else { return nil }
    for key in ["source", "says"] where keys[key] == nil { note(node.position, .missingKey(key, in: "a claim")) }
    let cells = keys["when"].map { condition($0.value, "when", choices) } ?? Condition(terms: [])
    var measures: [Claim.Measure] = []
    for figure in ClaimFigure.allCases {
      guard let entry = keys[figure.rawValue], let text = text(entry.value, figure.rawValue) else { continue }
      guard let bounds = ClaimBounds(text, figure.unit) else {
        let example =
          switch figure.unit {
          case .count: "0, 1-10 or >= 1";
          case .percent: "< 0.1% or 10%-50%";
          case .seconds: "< 30s or 1s-10s"
          }
        note(entry.value.position, .malformed(text, of: figure.rawValue, expected: "bounds like \(example)"))
        continue
      }
      measures.append(Claim.Measure(figure: figure, bounds: bounds))
    }
    var tests: [Claim.Test] = measures.isEmpty ? [] : [.measures(measures)]
    if let entry = keys["arithmetic"] { tests += arithmetic(entry.value).map { [.arithmetic($0)] } ?? [] }
    if let entry = keys["beyond-reach"] { tests += text(entry.value, "beyond-reach").map { [.beyondReach($0)] } ?? [] }
    if let entry = keys["measured-by"] { tests += text(entry.value, "measured-by").map { [.measuredBy($0)] } ?? [] }
    guard tests.count == 1, let source = keys["source"].flatMap({ text($0.value, "source") }),
      let says = keys["says"].flatMap({ text($0.value, "says") }), let cells
    else {
      if tests.isEmpty, errors.count == before {
        note(node.position, .missingKey("figure, arithmetic, beyond-reach or measured-by", in: "a claim"))
      } else if tests.count > 1 {
        note(
          node.position,
          .givenTwice(
            "what tests the claim", places: "figures, arithmetic, beyond-reach and measured-by: one kind"))
      }
      return nil
    }
    return Claim(source: source, says: says, condition: cells, test: tests[0])
  }

  private mutating func arithmetic(_ node: SourceNode) -> Claim.Arithmetic? {
    guard let keys = mapping(node, "arithmetic", known: ["part", "whole", "percent"]) else { return nil }
    for key in ["part", "whole", "percent"] where keys[key] == nil {
      note(node.position, .missingKey(key, in: "arithmetic"))
    }
    guard let part = keys["part"].flatMap({ number($0.value, "part", 0...1_000_000_000) }),
      let whole = keys["whole"].flatMap({ number($0.value, "whole", 1...1_000_000_000) }),
      let entry = keys["percent"], let percent = text(entry.value, "percent")
    else { return nil }
    guard Double(percent) != nil else {
      note(entry.value.position, .malformed(percent, of: "percent", expected: "a number like 1.2"))
      return nil
    }
    return Claim.Arithmetic(part: part, whole: whole, percent: percent)
  }
}
