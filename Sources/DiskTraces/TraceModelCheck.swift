import CrashStates
import LogModel

/// Holds the crash-state model against what a trace says of real file systems.
package struct TraceModelCheck: Sendable {
  /// Something that the model and a trace disagree on.
  package struct Disagreement: Hashable, Sendable, CustomStringConvertible {
    package var trace: String
    package var profile: String
    package var step: Int
    /// Whether the model forbids a state that is possible; otherwise it permits one that is forbidden.
    package var isTooStrict: Bool
    package var state: String
    package var source: String

    package var description: String {
      "\(trace), \(profile), after step \(step): the model \(isTooStrict ? "forbids" : "permits") \(state) (\(source))"
    }
  }

  package private(set) var claims = 0
  package private(set) var disagreements: [Disagreement] = []

  package init() {}

  /// - Throws: `DiskTraceError` where the trace cannot be carried out.
  package mutating func check(_ trace: DiskTrace) throws(DiskTraceError) {
    let recorded = try trace.recorded()
    for system in TracedFileSystem.allCases {
      var walk = CrashPointWalk(recorded.recording, system.profile, seed: 1)
      for (step, event) in recorded.ends.enumerated() {
        let point = walk.point(at: event)
        func isLegal(_ state: MountedImage) -> Bool {
          if case .legal = point.legality(of: state, recorded.recording.table) { true } else { false }
        }
        for claim in trace.possible where claim.after == step && claim.on.contains(system) {
          claims += 1
          if !isLegal(claim.state) { note(trace, system, step, claim, isTooStrict: true) }
        }
        for claim in trace.forbidden where claim.after <= step && binds(claim, system) {
          claims += 1
          if isLegal(claim.state) { note(trace, system, step, claim, isTooStrict: false) }
        }
      }
    }
  }

  /// What POSIX promises binds every file system.
  private func binds(_ claim: DiskTrace.Claim, _ system: TracedFileSystem) -> Bool {
    claim.on.contains(system) || claim.on.contains(.posix)
  }

  private mutating func note(
    _ trace: DiskTrace, _ system: TracedFileSystem, _ step: Int, _ claim: DiskTrace.Claim, isTooStrict: Bool
  ) {
    disagreements.append(
      Disagreement(
        trace: trace.name, profile: system.profile.name, step: step, isTooStrict: isTooStrict,
        state: claim.state.traceText, source: claim.source))
  }
}
