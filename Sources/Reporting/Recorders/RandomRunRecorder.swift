import Verification

/// A run of so many trials that nobody reads a table of them: what was violated in full, what is unknown by its reason
/// with one trial of each, and the sums. Nothing is kept of a trial that held.
public final class RandomRunRecorder: RunRecorder {
  private struct Reason {
    var text: String
    var trials = 0
    var reproduce: String
  }

  /// Kinds of reasons that are listed; the others are counted.
  static let mostReasons = 200

  private let sink: any ReportSink
  private var reasons: [String: Reason] = [:]
  private var order: [String] = []
  private var others = 0

  public init(_ sink: any ReportSink) { self.sink = sink }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let run):
      try sink.write("tornlog: \(run.trials) random trials, seed \(run.seed), \(run.storage.printable)\n")
    case .trialStarted, .document: break
    case .trialFinished(_, let result): try take(result)
    case .notice(let text): try sink.write("note: \(text.printable)\n")
    case .finished(let summary):
      try sink.write(Self.text(of: order.compactMap { reasons[$0] }, others))
      let cut = summary.stoppedBy.map { "stopped by \($0.rawValue): " } ?? ""
      try sink.write(
        "\(cut)\(summary.trials) trials: \(summary.held) held, \(summary.violated) violated, \(summary.unknown) "
          + "unknown, "
          + "\(durationText(summary.seconds))\n")
      try sink.finish()
    }
  }

  private func take(_ result: TrialResult) throws {
    switch result.verdict {
    case .held: return
    case .violated:
      let lines = FailureAccount(result).lines.map { "  \($0)\n" }.joined()
      try sink.write("\nVIOLATED  \("\(result.axes)".printable)\n\(lines)\n")
    case .unknown:
      let text = Self.reason(of: result)
      let kind = Self.kind(of: text)
      guard reasons[kind] != nil || reasons.count < Self.mostReasons else {
        others += 1
        return
      }
      if reasons[kind] == nil {
        order.append(kind)
        reasons[kind] = Reason(text: text, reproduce: result.reproduce)
      }
      reasons[kind]?.trials += 1
    }
  }

  /// Why there is no verdict.
  static func reason(of result: TrialResult) -> String {
    if let check = result.checks.first(where: { $0.verdict == .unknown }), result.notices.isEmpty {
      return "\(check.name.rawValue): \(check.detail)"
    }
    return result.notices.first ?? result.checks.first { $0.verdict == .unknown }.map {
      "\($0.name.rawValue): \($0.detail)"
    } ?? "nobody said"
  }

  /// The same text with other numbers is the same reason.
  static func kind(of text: String) -> String {
    var kind = ""
    for character in text where !(character.isNumber && kind.hasSuffix("#")) {
      kind.append(character.isNumber ? "#" : character)
    }
    return kind
  }

  private static func text(of reasons: [Reason], _ others: Int) -> String {
    guard !reasons.isEmpty else { return "" }
    var text = "\nunknown, by the reason:\n"
    for reason in reasons.sorted(by: { ($1.trials, $0.text) < ($0.trials, $1.text) }) {
      text +=
        "  \(reason.trials) \(reason.trials == 1 ? "trial" : "trials"): \(reason.text.printable)\n      "
        + "\(reason.reproduce)\n"
    }
    if others > 0 { text += "  \(others) trials: other reasons\n" }
    return text + "\n"
  }
}
