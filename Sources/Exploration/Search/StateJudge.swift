import CrashStates
import LogModel
import Verification

/// Judges transcripts by what callers knew at a moment.
struct StateJudge: Sendable {
  private let histories: [History]
  private let instants: [Instant]
  /// At each moment what the device had kept waiting by then; see Verification/Contract.swift, note 5.
  private let slow: [SlowOperations]
  private let start: Instant
  private let contract: Contract
  private let appendedSequence: Int

  init(_ exploration: Exploration) {
    let recording = exploration.recording
    let workload = exploration.subject.workload
    let failedSyncs = recording.failedSyncs(workload)
    histories = (0...recording.events.count).map { recording.history(workload, upTo: $0, failedSyncs) }
    instants = (0...recording.events.count).map { $0 == 0 ? Instant(nanoseconds: 0) : recording.events[$0 - 1].time }
    slow = Self.slowOperations(recording)
    start = exploration.start
    contract = Contract(sync: workload.syncPolicy, recovery: workload.recoveryPolicy)
    appendedSequence = workload.appendedSequence
  }

  /// By the number of events before: writes and syncs that took the longest, those in flight among them. Others keep
  /// nobody from syncing.
  static func slowOperations(_ recording: Recording) -> [SlowOperations] {
    var submitted: [Int: Instant] = [:]
    var ended = SlowOperations()
    var all = [ended]
    for event in recording.events {
      switch event.what {
      case .fact, .changed: break
      case .submitted(let number):
        switch recording.operations[number] {
        case .write, .sync: submitted[number] = event.time
        default: break
        }
      case .completed(let number, _, _):
        if let time = submitted.removeValue(forKey: number) {
          ended.note(SlowOperation(endedAt: event.time, took: event.time - time))
        }
      }
      all.append(
        submitted.values.reduce(into: ended) { $0.note(SlowOperation(endedAt: event.time, took: event.time - $1)) })
    }
    return all
  }

  /// - Parameter interrupted: whether a recovery came before those in the transcript, and was cut off.
  func judge(_ transcript: Transcript, at moment: Int, interrupted: Bool = false) -> StateJudgement {
    var history = histories[moment]
    history.crash(
      .powerLoss, at: instants[moment], deviceDelay: slow[moment].longest, slowOperations: slow[moment].all)
    if interrupted { history.crash(.powerLoss, at: start + .seconds(5)) }
    return transcript.judge(
      history, appendedSequence: appendedSequence, clock: { start + .seconds($0 * 10) }, contract)
  }
}
