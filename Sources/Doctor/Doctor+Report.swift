import FoundationEssentials

extension Doctor {
  /// One line a finding, remedies below their finding, and a closing sentence.
  public static func renderText(_ findings: [Finding]) -> String {
    let width = findings.map(\.check.count).max() ?? 0
    let labels: [Finding.Status: String] = [.ok: "ok      ", .warning: "warning ", .failure: "FAILURE "]
    var lines: [String] = []
    for finding in findings {
      let check = finding.check + String(repeating: " ", count: width - finding.check.count)
      lines.append("\(labels[finding.status]!) \(check)  \(finding.detail)")
      if let remedy = finding.remedy {
        lines.append(String(repeating: " ", count: 9 + width + 2) + "-> \(remedy)")
      }
    }
    return lines.joined(separator: "\n") + "\n\n" + summary(findings) + "\n"
  }

  private static func summary(_ findings: [Finding]) -> String {
    func count(_ status: Finding.Status, _ word: String) -> String {
      let n = findings.count { $0.status == status }
      return "\(n) \(word)\(n == 1 ? "" : "s")"
    }
    let counts = "\(count(.failure, "failure")), \(count(.warning, "warning"))"
    return exitCode(findings) == 0 ? "tornlog can run here (\(counts))" : "tornlog cannot run here (\(counts))"
  }

  /// `{"version": 1, "tool": "tornlog", "doctor": {"canRun": true, "findings": [...]}}`
  public static func renderJSON(_ findings: [Finding]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(Report(findings)), as: UTF8.self) + "\n"
  }

  private struct Report: Encodable {
    struct Body: Encodable {
      var canRun: Bool
      var findings: [Finding]
    }

    let version = 1
    let tool = "tornlog"
    let doctor: Body

    init(_ findings: [Finding]) { doctor = Body(canRun: exitCode(findings) == 0, findings: findings) }
  }
}
