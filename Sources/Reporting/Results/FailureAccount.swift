import LogModel
import Verification

/// What went wrong in one trial, in the order in which a person needs it: verdict, what was lost, first divergent
/// offset with segment and byte, fault receipt, one line to reproduce it.
struct FailureAccount {
  let result: TrialResult

  init(_ result: TrialResult) { self.result = result }

  /// `violated, expected held`
  var verdict: String {
    switch result.expectation {
    case .held: result.isExpected ? "held, as expected" : "\(result.verdict.rawValue), expected held"
    case .caught(let check):
      result.isExpected
        ? "violated, as expected: caught by \(check.rawValue)"
        : "\(result.verdict.rawValue), but \(check.rawValue) must catch it"
    }
  }

  /// `0 of 100 recovered, 100 acknowledged messages lost`
  var loss: String { Self.loss(result) }

  static func loss(_ result: TrialResult) -> String {
    let c = result.counts
    var parts = ["\(c.recovered) of \(c.attempted) recovered"]
    if c.lost > 0 { parts.append(lostText(c, result.verdict)) }
    let facts: [(Int, String, String)] = [
      (c.duplicated, "duplicated", "duplicated"), (c.reordered, "reordered", "reordered"),
      (c.phantom, "never sent", "never sent"), (c.corruptServed, "corrupt one served", "corrupt ones served"),
      (c.corruptReported, "reported corrupt", "reported corrupt"), (c.indeterminate, "indeterminate", "indeterminate"),
    ]
    parts += facts.filter { $0.0 > 0 }.map { "\($0) \($0 == 1 ? $1 : $2)" }
    return parts.joined(separator: ", ")
  }

  /// `110 acknowledged messages lost, 10 of them sent after a restart`: `attempted` counts those before the first
  /// crash.
  private static func lostText(_ c: MessageCounts, _ verdict: Verdict) -> String {
    let fate =
      switch verdict {
      case .violated: "lost"
      case .held: "gone, as sync policy and faults allow"
      case .unknown: "missing"
      }
    let text = "\(c.lost) acknowledged \(c.lost == 1 ? "message" : "messages") \(fate)"
    guard c.lostLater > 0 else { return text }
    return text + (c.lostLater == c.lost ? ", sent after a restart" : ", \(c.lostLater) of them sent after a restart")
  }

  /// The first divergence of all checks that were violated: the earliest restart, then partition, then offset.
  static func firstDivergence(_ result: TrialResult) -> Divergence? {
    result.checks.filter { $0.verdict == .violated }.compactMap(\.divergence)
      .min { ($0.restart, $0.partition, $0.offset) < ($1.restart, $1.partition, $1.offset) }
  }

  /// `partition 0 offset 4, orders/0/00000000000000000000.log byte 4096, after restart 1`
  static func place(_ d: Divergence) -> String {
    var text = "partition \(d.partition) offset \(d.offset)"
    if let segment = d.segment { text += ", \(segment)" }
    if let byte = d.byte { text += " byte \(byte)" }
    return text + (d.restart == 0 ? ", before any restart" : ", after restart \(d.restart)")
  }

  /// Label and text of each line, without colour.
  var rows: [(label: String, text: String)] {
    let isLost = result.verdict == .violated && result.counts.lost > 0
    var rows = [("verdict", verdict), (isLost ? "lost" : "messages", loss)]
    if let divergence = Self.firstDivergence(result) {
      rows.append(("first at", Self.place(divergence)))
    } else if result.verdict != .held {
      rows.append(("first at", "no divergent offset is known"))
    }
    for check in result.checks where check.verdict != .held {
      let doubt = check.verdict == .unknown ? " (unknown)" : ""
      rows.append(("check", "\(check.name.rawValue)\(doubt)\(check.detail.isEmpty ? "" : ": ")\(check.detail)"))
    }
    rows += result.notices.map { ("note", $0) }
    if result.faults.isEmpty { rows.append(("fault", "none was injected")) }
    for fault in result.faults {
      let places = fault.places.isEmpty ? "" : ": " + fault.places.joined(separator: "; ")
      rows.append(("fault", "\(fault.kind) fired \(fault.fired)x\(places)"))
    }
    if let kept = result.keptAt { rows.append(("kept", kept)) }
    rows.append(("reproduce", result.reproduce))
    return rows
  }

  var lines: [String] { rows.map { "\($0.label.padded(10)) \($0.text)" } }
}
