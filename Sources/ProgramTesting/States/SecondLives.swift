import CrashStates
import Drivers
import LogModel
import ProgramOracle
import Storage
import Verification
import VolumeStates

/// What a recovery does to its own disk: it is closed and opened again, it writes once more, and the power goes within
/// it and after it.
final class SecondLives {
  private let spec: ProgramSpec
  private let program: RecordedProgram
  private let history: CallerHistory
  private let pool: StatePool
  private let deadline: UInt64
  /// Recoveries that were looked into, and states of a power cut in or after one.
  private(set) var lives = 0
  private(set) var opened = 0
  private(set) var available = 0
  private(set) var broken: [BrokenLife] = []

  /// A broken promise after a second crash, or after a second start.
  struct BrokenLife {
    var profile: CrashProfile?
    var event: Int
    var choice: [Alternative]
    var check: ProgramCheckResult
    var log: [String]
    /// The power cut in the second life: nil for an orderly end.
    var inner: Inner?
  }

  /// A power cut in a recovery, or after it.
  struct Inner {
    var program: RecordedProgram
    var event: Int
    var point: CrashPoint
    var choice: [Alternative]
    /// What the recovery served, and what was written after it.
    var visit: StateWorker.SecondVisit
  }

  init(_ spec: ProgramSpec, _ program: RecordedProgram, _ pool: StatePool, deadline: UInt64) {
    (self.spec, self.program, self.pool, self.deadline) = (spec, program, pool, deadline)
    history = CallerHistory(program.events, spec, program)
  }

  /// - Parameters:
  ///   - torn: states in which the last write is torn. They are written to and opened again, and not cut off, so that
  ///     there is time for four times as many.
  ///   - most: of the others, spread over all that there are.
  func run(
    _ states: [(profile: CrashProfile?, event: Int, choice: [Alternative])],
    torn: [(profile: CrashProfile?, event: Int, choice: [Alternative])], most: Int, isCancelled: () -> Bool
  ) throws(ProgramTestError) {
    available = states.count + torn.count
    let (whole, short) = (Self.spread(states, most), Self.spread(torn, 4 * most))
    // By turns: where time runs out, there was some of both.
    for turn in 0..<max(whole.count, short.count) {
      if isCancelled() || DriverProcess.now >= deadline { return }
      if turn < short.count { _ = try live(short[turn]) }
      if turn < whole.count, let visit = try live(whole[turn]) { try cutAgain(visit, whole[turn], isCancelled) }
    }
  }

  private static func spread<State>(_ all: [State], _ most: Int) -> [State] {
    all.count <= most ? all : (0..<most).map { all[$0 * all.count / most] }
  }

  /// - Returns: nil where it does not open, which is known already.
  private func live(
    _ state: (profile: CrashProfile?, event: Int, choice: [Alternative])
  ) throws(ProgramTestError) -> StateWorker.SecondVisit? {
    var walk = CrashPointWalk(program.recording, state.profile ?? .posixMinimal, seed: spec.seed)
    let visit = try pool.visitTwice(
      walk.point(at: state.event).image(state.choice), of: program, state.profile == nil ? .recorded : .second)
    lives += 1
    guard visit.first.failure == nil else { return nil }
    note(judge(visit, at: state.event), state, visit.again)
    return visit
  }

  private func note(
    _ checks: [ProgramCheckResult], _ state: (profile: CrashProfile?, event: Int, choice: [Alternative]),
    _ reading: StateReading, _ inner: Inner? = nil
  ) {
    for check in checks where check.verdict == .violated {
      if broken.contains(where: { $0.check.check == check.check && ($0.inner == nil) == (inner == nil) }) { continue }
      broken.append(
        BrokenLife(
          profile: state.profile, event: state.event, choice: state.choice, check: check, log: reading.log,
          inner: inner))
    }
  }

  /// After an orderly end it must serve the same, and what was written in between.
  private func judge(_ visit: StateWorker.SecondVisit, at event: Int) -> [ProgramCheckResult] {
    history.after(event, read: visit.first, probe: visit.probe).judge(visit.again)
  }

  /// The same for a power cut in the second life.
  private func judge(_ reading: StateReading, _ inner: Inner, at event: Int) -> [ProgramCheckResult] {
    let visit = inner.visit
    if inner.event >= visit.probedAt, visit.probe != nil {
      return history.after(event, read: visit.first, probe: visit.probe).judge(reading)
    }
    return history.judge(reading, at: event, probe: visit.probe, read: visit.first)
  }

  /// What a program did in its second life, from the state on that it found.
  private func inner(of visit: StateWorker.SecondVisit) -> RecordedProgram {
    RecordedProgram(
      hello: program.hello, workload: program.workload, stepNumbers: nil, seed: spec.seed, recorded: visit.recording,
      events: program.events, begin: visit.preparedAt, folder: program.folder, mount: program.mount)
  }

  func token(of life: BrokenLife) -> String { ProgramToken(life, program, spec).text }

  /// A second life once more, as a token names it.
  /// - Returns: nil where the program did not do the same, or cannot be read the first time.
  func replay(
    _ profile: CrashProfile?, event: Int, _ choice: [Alternative], _ again: ProgramToken.Again
  ) throws(ProgramTestError) -> (checks: [ProgramCheckResult], story: [String], log: [String])? {
    var walk = CrashPointWalk(program.recording, profile ?? .posixMinimal, seed: spec.seed)
    let visit = try pool.visitTwice(
      walk.point(at: event).image(choice), of: program, profile == nil ? .recorded : .second)
    guard visit.first.failure == nil else { return nil }
    guard let cut = again.event else {
      let checks = judge(visit, at: event)
      return (checks, story(profile, event: event, choice, checks.first, nil), visit.again.log)
    }
    let own = inner(of: visit)
    guard let profile = profile ?? CrashProfile.named("ext4-ordered"), own.end >= cut,
      own.fingerprint(until: cut) == again.trace
    else { return nil }
    var inside = CrashPointWalk(own.recording, profile, seed: spec.seed)
    let point = inside.point(at: cut)
    guard let kept = again.kept.flatMap({ KeptPieces($0) })?.choice(of: point) else { return nil }
    let inner = Inner(program: own, event: cut, point: point, choice: kept, visit: visit)
    let reading = try pool.read([point.image(kept)], of: own, .third)[0]
    let checks = judge(reading, inner, at: event)
    return (checks, story(profile, event: event, choice, checks.first, inner), reading.log)
  }

  /// - Parameter inner: the power cut in the second life; nil for an orderly end.
  private func story(
    _ profile: CrashProfile?, event: Int, _ choice: [Alternative], _ check: ProgramCheckResult?, _ inner: Inner?
  ) -> [String] {
    let detail = check?.detail ?? "every promise is kept"
    if let inner {
      return ProgramStory(
        inner.program, until: inner.event, inner.point, inner.choice,
        outcome: "after a power cut in recovery, or after it: \(detail)"
      ).lines
    }
    var walk = CrashPointWalk(program.recording, profile ?? .posixMinimal, seed: spec.seed)
    return ProgramStory(
      program, until: event, profile == nil ? nil : walk.point(at: event), choice,
      outcome: "recovered, written to once more, closed, and opened again: \(detail)"
    ).lines
  }

  func story(of life: BrokenLife) -> [String] {
    story(life.profile, event: life.event, life.choice, life.check, life.inner)
  }

  /// Whether the same promise is broken three times more.
  func repeats(_ life: BrokenLife) throws(ProgramTestError) -> Bool {
    for _ in 0..<3 {
      let checks: [ProgramCheckResult]
      if let inner = life.inner {
        let reading = try pool.read(
          [inner.point.image(inner.choice)], of: inner.program, .third, isRepeat: true)[0]
        checks = judge(reading, inner, at: life.event)
      } else {
        var walk = CrashPointWalk(program.recording, life.profile ?? .posixMinimal, seed: spec.seed)
        let visit = try pool.visitTwice(
          walk.point(at: life.event).image(life.choice), of: program, life.profile == nil ? .recorded : .second)
        if visit.first.failure != nil { return false }
        checks = judge(visit, at: life.event)
      }
      if !checks.contains(where: { $0.verdict == .violated && $0.check == life.check.check }) { return false }
    }
    return true
  }

  /// Power goes while it recovers, and after it has written.
  private func cutAgain(
    _ visit: StateWorker.SecondVisit, _ state: (profile: CrashProfile?, event: Int, choice: [Alternative]),
    _ isCancelled: () -> Bool
  ) throws(ProgramTestError) {
    let recording = visit.recording.recording
    guard let profile = state.profile ?? CrashProfile.named("ext4-ordered"), !recording.events.isEmpty else { return }
    let inner = inner(of: visit)
    var walk = CrashPointWalk(recording, profile, seed: spec.seed)
    let limits = StateEnumeration.Limits(bound: 1, statesPerPoint: 64, samples: 2)
    var seen: Set<UInt64> = []
    for event in visit.preparedAt...max(visit.preparedAt, recording.events.count) {
      if isCancelled() || DriverProcess.now >= deadline { return }
      let point = walk.point(at: event)
      var resolver = StateResolver(point)
      var choices: [[Alternative]] = []
      let isAfterProbe = event >= visit.probedAt && visit.probe != nil
      StateEnumeration(point, limits).forEach(seed: spec.seed) { choice, _ in
        let key = mix64(resolver.contentHash(choice) ^ (isAfterProbe ? 1 : 0))
        if seen.insert(key).inserted, choices.count < 48 { choices.append(choice) }
      }
      let visits = try pool.visit(
        choices.map { resolver.image($0) }, of: inner, .third, knowing: nil, until: deadline)
      for (choice, visited) in zip(choices, visits) where visited.isReached {
        let reading = visited.reading!
        opened += 1
        let inner = Inner(program: inner, event: event, point: point, choice: choice, visit: visit)
        note(judge(reading, inner, at: state.event), state, reading, inner)
      }
    }
  }
}
