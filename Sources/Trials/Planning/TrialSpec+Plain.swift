import LogModel
import Storage

extension TrialSpec {
  /// One message in the model, a kill at the end, and nothing else: what generators begin with.
  package static func plain(scenario: String, seed: UInt64, phaseSeconds: Double) -> TrialSpec {
    TrialSpec(
      scenario: scenario, file: "", seed: seed, storage: .memory, messages: 1, partitions: 1,
      sync: SyncPolicy.always.description, recovery: .skipCorrupted, crash: .processKill, crashAt: .end, defect: "none",
      batch: 1, producers: 1, messageSize: 100, appendBetween: 0, faults: [], phaseSeconds: phaseSeconds)
  }
}
