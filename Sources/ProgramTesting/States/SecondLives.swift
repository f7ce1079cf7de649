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
    var inner: (program: RecordedProgram, event: Int, point: CrashPoint, choice: [Alternative])?
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
    let visit = try pool.visitTwice(walk.point(at: state.event).image(state.choice), of: program)
    lives += 1
    guard visit.first.failure == nil else { return nil }
    judge(visit, state)
    return visit
  }

  private func note(
    _ checks: [ProgramCheckResult], _ state: (profile: CrashProfile?, event: Int, choice: [Alternative]),
    _ reading: StateReading,
    _ inner: (program: RecordedProgram, event: Int, point: CrashPoint, choice: [Alternative])? = nil
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
  private func judge(
    _ visit: StateWorker.SecondVisit, _ state: (profile: CrashProfile?, event: Int, choice: [Alternative])
  ) {
    let extended = history.after(state.event, read: visit.first, probe: visit.probe)
    note(extended.judge(visit.again), state, visit.again)
  }

  /// Power goes while it recovers, and after it has written.
  private func cutAgain(
    _ visit: StateWorker.SecondVisit, _ state: (profile: CrashProfile?, event: Int, choice: [Alternative]),
    _ isCancelled: () -> Bool
  ) throws(ProgramTestError) {
    let recording = visit.recording.recording
    guard let profile = state.profile ?? CrashProfile.named("ext4-ordered"), !recording.events.isEmpty else { return }
    let inner = RecordedProgram(
      hello: program.hello, workload: program.workload, stepNumbers: nil, seed: spec.seed, recorded: visit.recording,
      events: program.events,
      begin: visit.preparedAt, folder: program.folder, mount: program.mount)
    let extended = history.after(state.event, read: visit.first, probe: visit.probe)
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
      let visits = try pool.visit(choices.map { resolver.image($0) }, of: inner)
      for (choice, result) in zip(choices, visits) {
        opened += 1
        let checks =
          isAfterProbe
          ? extended.judge(result.reading)
          : history.judge(result.reading, at: state.event, probe: visit.probe, read: visit.first)
        note(checks, state, result.reading, (inner, event, point, choice))
      }
    }
  }
}
