import CrashStates
import Defects

extension CrashScene {
  func state(_ exploration: Exploration, _ profile: CrashProfile) -> CrashState {
    CrashState(
      workload: exploration.options.workload, defect: exploration.options.defect?.id, profile: profile,
      cut: CrashState.Cut(event: moment, kept: KeptPieces(choice, of: point)),
      recoveryCut: inner.map { CrashState.Cut(event: $0.event, kept: KeptPieces($0.choice, of: $0.point)) },
      fingerprint: fingerprint)
  }
}

extension RecordedRecovery {
  /// How far the states of one of its crash points are enumerated.
  static func limits(_ options: ExplorationOptions) -> StateEnumeration.Limits {
    StateEnumeration.Limits(
      bound: min(2, options.bound), statesPerPoint: min(16, options.statesPerPoint), samples: min(4, options.samples))
  }
}
