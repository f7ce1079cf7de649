import CrashStates
import LogModel
import Verification

/// Looks at single states, each from the beginning and with nothing left out: the states of findings, of tokens, of
/// scenarios. `ProfileRun` looks at all of them, with reductions.
final class StateExaminer {
  let exploration: Exploration
  let profile: CrashProfile
  private let judge: StateJudge
  private let begin: CrashPointWalk
  private let worker: RecoveredIncarnation
  /// The machine boots once more before it is looked at.
  private let recoverer: RecoveredIncarnation

  init(_ exploration: Exploration, _ profile: CrashProfile, _ judge: StateJudge? = nil) {
    self.exploration = exploration
    self.profile = profile
    self.judge = judge ?? StateJudge(exploration)
    begin = CrashPointWalk(exploration.recording, profile, seed: exploration.options.workload.seed)
    worker = exploration.worker(profile)
    recoverer = exploration.worker(profile, boots: 2)
  }

  /// - Parameter moment: events of the recording before the power cut.
  func point(at moment: Int) -> CrashPoint {
    var walk = begin
    return walk.point(at: moment)
  }

  /// Records the recovery from a state.
  func recovery(_ point: CrashPoint, _ choice: [Alternative]) -> RecordedRecovery {
    let scene = CrashScene(
      recording: exploration.recording, seed: exploration.options.workload.seed, moment: point.event, point: point,
      choice: choice)
    let recording = exploration.watching(profile, { scene }) {
      recoverer.recordRecovery(point.image(choice), exploration.recording.store, exploration.recording.table)
    }
    return RecordedRecovery(recording, profile, seed: exploration.options.workload.seed)
  }

  func judge(_ scene: CrashScene) -> StateJudgement {
    guard let inner = scene.inner else {
      let transcript = exploration.watching(profile, { scene }) { worker.run(scene.image, keeping: true) }
      return judge.judge(transcript, at: scene.moment)
    }
    var base = exploration.recording
    base.table = inner.recovery.recording.table
    let machine = exploration.worker(profile, on: base, boots: 2)
    let transcript = exploration.watching(profile, { scene }) { machine.run(scene.image, keeping: true) }
    return judge.judge(transcript, at: scene.moment, interrupted: true)
  }

  /// - Throws: `ExplorationError.stateDoesNotFit` where the recording has no such state any more.
  func scene(of state: CrashState) throws(ExplorationError) -> CrashScene {
    let recording = exploration.recording
    guard state.cut.event <= recording.events.count else {
      throw .stateDoesNotFit(
        "its power cut comes after event \(state.cut.event), and there are \(recording.events.count)")
    }
    let point = point(at: state.cut.event)
    guard let choice = state.cut.kept.choice(of: point) else {
      throw .stateDoesNotFit(
        "it keeps `\(state.cut.kept)`, and the power cut decides over \(point.pieces.count) pieces")
    }
    var scene = CrashScene(
      recording: recording, seed: state.workload.seed, moment: state.cut.event, point: point, choice: choice)
    if let cut = state.recoveryCut {
      let recovery = recovery(point, choice)
      guard (1...max(1, recovery.points.count)).contains(cut.event), !recovery.points.isEmpty else {
        throw .stateDoesNotFit(
          "its recovery is cut off after event \(cut.event), and has \(recovery.points.count)")
      }
      guard let choice = cut.kept.choice(of: recovery.point(at: cut.event)) else {
        throw .stateDoesNotFit("in its recovery it keeps `\(cut.kept)`, and there are not so many pieces")
      }
      scene.inner = CrashScene.RecoveryCut(recovery: recovery, event: cut.event, choice: choice)
    }
    guard scene.fingerprint == state.fingerprint else {
      throw .stateDoesNotFit(
        "what was recorded differs: fingerprint \(CrashStateToken.fingerprint(scene.fingerprint)), not "
          + CrashStateToken.fingerprint(state.fingerprint))
    }
    return scene
  }
}

// MARK: Smaller states

extension StateExaminer {
  /// A state that violates a check, with what the oracle said.
  struct Violation {
    var scene: CrashScene
    var check: CheckResult

    /// A check that is of no restart is as early as can be.
    var restart: Int { check.restart ?? 0 }
  }

  /// - Returns: nil where another check is violated, or the same only after a later restart, or none.
  private func violation(_ scene: CrashScene, like wanted: Violation) -> Violation? {
    let verdict = judge(scene)
    guard verdict.verdict == .violated, let check = verdict.check, check.name == wanted.check.name else { return nil }
    let found = Violation(scene: scene, check: check)
    return found.restart <= wanted.restart ? found : nil
  }

  /// Gives back what the violation does not need (`FlyingOperations.calmed`), as long as the same check is violated
  /// after the same restart: first of the power cut inside recovery, then of the one before it, whose recovery is
  /// another one then.
  func minimize(_ start: Violation) -> Violation {
    var found = calmedInside(start)
    let scene = found.scene
    _ = scene.flying.calmed(scene.choice) { choice in
      var calmer = found.scene
      calmer.choice = choice
      let other =
        calmer.inner == nil ? violation(calmer, like: found) : firstViolation(insideRecoveryOf: calmer, like: found)
      if let other { found = other }
      return other != nil
    }
    return calmedInside(found)
  }

  private func calmedInside(_ start: Violation) -> Violation {
    guard let inner = start.scene.inner else { return start }
    var found = start
    _ = start.scene.flyingInside(inner).calmed(inner.choice) { choice in
      var calmer = found.scene
      calmer.inner?.choice = choice
      let other = violation(calmer, like: found)
      if let other { found = other }
      return other != nil
    }
    return found
  }

  private func firstViolation(insideRecoveryOf outer: CrashScene, like wanted: Violation) -> Violation? {
    let recovery = recovery(outer.point, outer.choice)
    let limits = RecordedRecovery.limits(exploration.options)
    for (index, point) in recovery.points.enumerated() {
      var found: Violation?
      var seen: Set<UInt64> = []
      StateEnumeration(point, limits).forEach(seed: exploration.options.seed) { choice, _ in
        guard found == nil, seen.insert(point.contentHash(choice)).inserted else { return }
        var scene = outer
        scene.inner = CrashScene.RecoveryCut(recovery: recovery, event: index + 1, choice: choice)
        found = violation(scene, like: wanted)
      }
      if let found { return found }
    }
    return nil
  }
}
