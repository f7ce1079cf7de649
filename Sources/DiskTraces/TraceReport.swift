import CrashStates
import Foundation

/// What traces have shown on real file systems, and in the model.
package struct TraceReport: Sendable {
  /// A state that was seen and is not permitted.
  package struct Finding: Hashable, Sendable, Codable {
    package var trace: String
    /// Steps that had completed.
    package var step: Int
    package var state: String
    package var reasons: [String]

    package var lines: [String] {
      ["\(trace), after step \(step): \(state)"] + reasons.map { "  \($0)" }
    }
  }

  package struct System: Sendable {
    package var fileSystem: TracedFileSystem
    package var profile: CrashProfile
    package var images = 0
    /// Different states at the same step of the same trace.
    package var states = 0
    package var findings: [Finding] = []
    package var undecided: [String] = []
    package var seconds = 0.0
  }

  package var traces: Int
  package var claims = 0
  package var disagreements: [TraceModelCheck.Disagreement] = []
  package var systems: [System] = []
  package var isCancelled = false

  init(traces: Int) { self.traces = traces }

  package var isViolated: Bool { !disagreements.isEmpty || systems.contains { !$0.findings.isEmpty } }
  /// Whether something keeps it from being a pass.
  package var isUnknown: Bool {
    isCancelled || systems.isEmpty || systems.contains { !$0.undecided.isEmpty || $0.images == 0 }
  }
  package var verdict: String { isViolated ? "violated" : isUnknown ? "unknown" : "held" }

  package var text: String {
    var lines = disagreements.prefix(20).map { "VIOLATED \($0)" }
    if disagreements.count > 20 { lines.append("and \(disagreements.count - 20) claims more") }
    for system in systems {
      lines.append(
        "\(system.fileSystem.rawValue) by \(system.profile.name): \(system.images) images, \(system.states) states, "
          + "\(system.findings.count) not permitted, \(Int(system.seconds.rounded())) s")
      lines += system.findings.prefix(10).flatMap { finding in finding.lines.map { "  \($0)" } }
      if system.findings.count > 10 { lines.append("  and \(system.findings.count - 10) states more") }
      lines += system.undecided.prefix(5).map { "  UNKNOWN \($0)" }
    }
    let states = systems.reduce(0) { $0 + $1.states }
    let bad = systems.reduce(0) { $0 + $1.findings.count }
    return
      (lines + [
        "\(verdict): \(traces) traces. \(claims - disagreements.count) of \(claims) claims agree with the model; "
          + "\(states - bad) of \(states) states of real file systems are permitted"
      ]).joined(separator: "\n")
  }
}

// MARK: JSON

/// The key `traces` of the JSON report: keys are added, never renamed.
extension TraceReport {
  private struct Document: Encodable {
    var version = 1
    var tool = "tornlog"
    var traces: Body
  }

  private struct Body: Encodable {
    var verdict: String
    var interrupted: Bool
    var traces, claims: Int
    var disagreements: [String]
    var systems: [SystemBody]
  }

  private struct SystemBody: Encodable {
    var fileSystem, profile: String
    var images, states: Int
    var seconds: Double
    var findings: [Finding]
    var unknown: [String]
  }

  package func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let document = Document(
      traces: Body(
        verdict: verdict, interrupted: isCancelled, traces: traces, claims: claims,
        disagreements: disagreements.map(\.description),
        systems: systems.map {
          SystemBody(
            fileSystem: $0.fileSystem.rawValue, profile: $0.profile.name, images: $0.images, states: $0.states,
            seconds: $0.seconds, findings: $0.findings, unknown: $0.undecided)
        }))
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}
