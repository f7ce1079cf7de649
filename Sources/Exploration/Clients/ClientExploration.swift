import CrashStates
import Defects
import Foundation
import LogModel
import Storage
import Verification

/// A systematic exploration of the crash states of a client, as `Exploration` is one of the engine's.
///
/// What a client does after a crash depends on the world, a receiver that has some events already, and not on its disk
/// alone. So states are one only where their content and what the world knows are the same, and each is judged by
/// itself: the client lives twice on it, the power goes in between, and its oracle looks at all that came of it. At
/// depth 2 the first of these lives is recorded too, for some of the states, and cut off at each of its moments.
public struct ClientExploration: Sendable {
  let client: LogClient
  private let options: ExplorationOptions
  private let messages: Int
  private let recording: ClientRecording
  /// Recoveries of one profile that are cut off at depth 2, at the most.
  private static let cutRecoveries = 120
  /// Of a recovery those before anything has been recovered.
  private static let earlyMoments = 12

  /// Records the client's life.
  /// - Parameters:
  ///   - options: of the workload the seed only; everything else as in `Exploration`, but for read sets and
  ///     calibration: there is no such reduction.
  ///   - messages: see `LogClient.begin`; nil for the usual number.
  /// - Throws: `recordingFailed`, `neverEnds`.
  public init(_ client: LogClient, messages: Int? = nil, _ options: ExplorationOptions) throws(ExplorationError) {
    (self.client, self.options, self.messages) = (client, options, messages ?? LogClient.usualMessages)
    guard 4...1000 ~= self.messages else {
      throw .recordingFailed("\(self.messages) messages; a client takes 4 to 1000")
    }
    let (count, seed, defect) = (self.messages, options.seed, options.defect)
    recording = try options.watch.during("the client's life, before any power cut,") { () throws(ExplorationError) in
      try ClientRecording(client.begin(messages: count, seed: seed, defect), seed: seed, defect)
    }
  }

  /// Moments of the recording.
  public var events: Int { recording.recording.events.count }

  /// Explores one profile after the other.
  /// - Parameter progress: told a line of text now and then.
  public func run(progress: (String) -> Void = { _ in }) -> ExplorationReport {
    var results: [ProfileResult] = []
    for profile in options.profiles where !options.isCancelled() {
      let result = run(profile, progress)
      if !options.isCancelled() { results.append(result) }
    }
    return ExplorationReport(profiles: results, depth: options.depth, asked: options.profiles.count)
  }

  // MARK: One profile

  /// A content of the disk with what the world knew, and where it was first met.
  private struct Unit: Sendable {
    var moment: Int
    var choice: [Alternative]
  }

  private func run(_ profile: CrashProfile, _ progress: (String) -> Void) -> ProfileResult {
    let begun = Date()
    var result = ProfileResult(profile: profile)
    let points = recording.points(profile, seed: options.seed)
    let limits = StateEnumeration.Limits(
      bound: options.bound, statesPerPoint: options.statesPerPoint, samples: options.samples)
    let visits = visit(recording, points, limits)
    result.crashPoints = points.count
    result.mostPieces = points.reduce(0) { max($0, $1.pieces.count) }
    (result.visited, result.sampled, result.bound) = (visits.visited, visits.sampled, visits.bound)
    result.unique = visits.contents
    progress(
      "\(profile.name): \(visits.visited) states visited, \(visits.contents) contents, \(visits.units.count) to be "
        + "judged"
    )
    let started = Date()
    let judged = judge(visits.units, recording, points, profile, lives: 2, boots: 1)
    result.judgingSeconds = Date().timeIntervalSince(started)
    (result.judged, result.groups, result.oracleJudgements) = (judged.count, judged.count, judged.count)
    note(judged, &result) { scene(visits.units[$0], points) }
    progress("\(profile.name): \(judged.count) judged in \(String(format: "%.1f", result.judgingSeconds)) s")
    if options.depth > 1, !(options.stopsAtFirst && result.violatedStates > 0) {
      runNested(&result, visits.units, points, profile, progress)
    }
    result.seconds = Date().timeIntervalSince(begun)
    return result
  }

  private func scene(_ unit: Unit, _ points: [CrashPoint]) -> CrashScene {
    CrashScene(
      recording: recording.recording, seed: options.seed, moment: unit.moment, point: points[unit.moment],
      choice: unit.choice)
  }

  private struct Visits {
    var visited = 0
    var sampled = 0
    var bound = Int.max
    var contents = 0
    var units: [Unit] = []
  }

  private func visit(_ told: ClientRecording, _ points: [CrashPoint], _ limits: StateEnumeration.Limits) -> Visits {
    struct Found: Sendable {
      var (visited, sampled, bound) = (0, 0, Int.max)
      var states: [(hash: UInt64, choice: [Alternative])] = []
    }
    let found = Parallel.map(points.count, jobs: options.jobs, chunk: 4, worker: {}) { [options] _, index -> Found in
      var found = Found()
      let enumeration = StateEnumeration(points[index], limits)
      found.bound = enumeration.bound
      var seen: Set<UInt64> = []
      enumeration.forEach(seed: options.seed) { choice, isSample in
        found.visited += 1
        if isSample { found.sampled += 1 }
        let hash = points[index].contentHash(choice)
        if seen.insert(hash).inserted { found.states.append((hash, choice)) }
      }
      return found
    }
    var visits = Visits()
    var contents: Set<UInt64> = []
    var known: Set<UInt64> = []
    for (moment, one) in found.enumerated() {
      visits.visited += one.visited
      visits.sampled += one.sampled
      visits.bound = min(visits.bound, one.bound)
      for state in one.states {
        contents.insert(state.hash)
        guard known.insert(mix64(state.hash ^ mix64(UInt64(told.scripts[moment].version)))).inserted else { continue }
        visits.units.append(Unit(moment: moment, choice: state.choice))
      }
    }
    visits.contents = contents.count
    return visits
  }

  // MARK: Judging

  private func judge(
    _ units: [Unit], _ told: ClientRecording, _ points: [CrashPoint], _ profile: CrashProfile, lives: Int, boots: Int
  ) -> [StateJudgement] {
    Parallel.map(
      units.count, jobs: options.jobs, chunk: 16,
      worker: { ClientMachine(told.recording, profile, options.seed, options.defect) }
    ) { [options] machine, index in
      let unit = units[index]
      if options.isCancelled() { return StateJudgement(verdict: .unknown, check: nil) }
      return options.watch.during("the client, on what a power cut has left,", order: index) {
        machine.judge(
          points[unit.moment].image(unit.choice), told.scripts[unit.moment].copy(), after: told, at: unit.moment,
          lives: lives, boots: boots)
      }
    }
  }

  /// Takes verdicts into the result; of each check that was violated the first state is minimized and told.
  private func note(_ judged: [StateJudgement], _ result: inout ProfileResult, _ scene: (Int) -> CrashScene) {
    var first: [CheckName: (index: Int, states: Int)] = [:]
    for (index, judgement) in judged.enumerated() {
      switch judgement.verdict {
      case .held: break
      case .unknown: result.unknown += 1
      case .violated:
        result.violatedStates += 1
        if let check = judgement.check { first[check.name, default: (index, 0)].states += 1 }
      }
    }
    for name in CheckName.allCases {
      guard let found = first[name], let check = judged[found.index].check,
        !result.violations.contains(where: { $0.check == name })
      else { continue }
      result.violations.append(
        told(minimized(scene(found.index), check, result.profile), result.profile, states: found.states))
    }
  }

  /// Puts back piece after piece what the power cut took, as long as the same check fails.
  private func minimized(_ scene: CrashScene, _ check: CheckResult, _ profile: CrashProfile) -> (
    CrashScene, CheckResult
  ) {
    var (scene, check) = (scene, check)
    func tryNext(_ change: (inout CrashScene) -> Void) {
      var calmer = scene
      change(&calmer)
      let judgement = judge(calmer, profile)
      if judgement.verdict == .violated, let other = judgement.check, other.name == check.name {
        (scene, check) = (calmer, other)
      }
    }
    if let inner = scene.inner {
      for (piece, newest) in inner.point.everything.enumerated() where inner.choice[piece] != newest {
        tryNext { $0.inner?.choice[piece] = newest }
      }
    } else {
      for (piece, newest) in scene.point.everything.enumerated() where scene.choice[piece] != newest {
        tryNext { $0.choice[piece] = newest }
      }
    }
    return (scene, check)
  }

  private func told(_ found: (scene: CrashScene, check: CheckResult), _ profile: CrashProfile, states: Int)
    -> StateViolation
  {
    let story = FindingNarrative(found.scene, found.check)
    return StateViolation(
      check: found.check.name, detail: found.check.detail, divergence: found.check.divergence, states: states,
      moment: found.scene.moment, story: story.lines, storyOperations: story.operations,
      storyIsWhole: story.leftOut == 0,
      state: nil, reproduce: command(found.scene, profile))
  }

  private func command(_ scene: CrashScene, _ profile: CrashProfile) -> String {
    var state = "\(scene.moment):\(KeptPieces(scene.choice, of: scene.point))"
    if let inner = scene.inner { state += "/\(inner.event):\(KeptPieces(inner.choice, of: inner.point))" }
    let size = messages == LogClient.usualMessages ? "" : " --messages \(messages)"
    let defect = options.defect.map { " --defect \($0.id)" } ?? ""
    return
      "tornlog explore clients \(client.rawValue)\(size) --profile \(profile.name) --seed \(options.seed)\(defect) "
      + "--state \(state)"
  }

  private func judge(_ scene: CrashScene, _ profile: CrashProfile) -> StateJudgement {
    let machine = ClientMachine(recording.recording, profile, options.seed, options.defect)
    guard let inner = scene.inner else {
      return machine.judge(
        scene.image, recording.scripts[scene.moment].copy(), after: recording, at: scene.moment, lives: 2, boots: 1)
    }
    guard let recovery = recordRecovery(of: Unit(moment: scene.moment, choice: scene.choice), scene.point, profile)
    else {
      return StateJudgement(verdict: .unknown, check: nil)
    }
    return ClientMachine(recovery.recording, profile, options.seed, options.defect).judge(
      inner.point.image(inner.choice), recovery.scripts[inner.event].copy(), after: recovery, at: inner.event, lives: 2,
      boots: 2)
  }

  // MARK: Inside recoveries

  private func recordRecovery(of unit: Unit, _ point: CrashPoint, _ profile: CrashProfile) -> ClientRecording? {
    ClientRecording(
      recoveryOf: point.image(unit.choice), recording, at: unit.moment, profile, seed: options.seed, options.defect)
  }

  private func runNested(
    _ result: inout ProfileResult, _ units: [Unit], _ points: [CrashPoint], _ profile: CrashProfile,
    _ progress: (String) -> Void
  ) {
    let begun = Date()
    let step = max(1, units.count / Self.cutRecoveries)
    let outers = stride(from: 0, to: units.count, by: step).map { units[$0] }
    var found: [(judgement: StateJudgement, scene: CrashScene)] = []
    func cut(_ outer: Unit, at moments: Range<Int>) {
      guard let recovery = recordRecovery(of: outer, points[outer.moment], profile) else { return }
      if recovery.recording.isCutShort { result.nested.cutShort += 1 }
      result.nested.recoveries += 1
      let failed = cutOff(recovery, profile, &result.nested, at: moments)
      if failed.isEmpty { return }
      let recorded = RecordedRecovery(recovery.recording, profile, seed: options.seed)
      for (unit, judgement) in failed {
        var scene = scene(outer, points)
        scene.inner = CrashScene.RecoveryCut(recovery: recorded, event: unit.moment, choice: unit.choice)
        found.append((judgement, scene))
      }
    }
    // Whoever only asks whether there is a violation looks first at recoveries that were cut off before they had
    // recovered anything: the other cuts are twenty times as many.
    let parts = options.stopsAtFirst ? [0..<Self.earlyMoments, Self.earlyMoments..<Int.max] : [0..<Int.max]
    for moments in parts {
      for outer in outers where !options.isCancelled() {
        if options.stopsAtFirst, found.contains(where: { $0.judgement.verdict == .violated }) { break }
        cut(outer, at: moments)
      }
    }
    result.nested.judgingSeconds = Date().timeIntervalSince(begun)
    result.nested.seconds = result.nested.judgingSeconds
    note(found.map(\.judgement), &result) { found[$0].scene }
    progress(
      "\(profile.name), inside recoveries: \(result.nested.judged) judged in "
        + "\(String(format: "%.1f", result.nested.seconds)) s"
    )
  }

  /// - Returns: what did not hold of the states that a power cut inside a recovery may leave.
  private func cutOff(
    _ recovery: ClientRecording, _ profile: CrashProfile, _ nested: inout NestedCounts, at moments: Range<Int>
  ) -> [(Unit, StateJudgement)] {
    let points = recovery.points(profile, seed: options.seed)
    let visits = visit(recovery, points, RecordedRecovery.limits(options))
    let units = visits.units.filter { moments.contains($0.moment) }
    nested.crashPoints += points.count
    nested.visited += visits.visited
    nested.sampled += visits.sampled
    nested.unique += visits.contents
    nested.bound = min(nested.bound, visits.bound)
    nested.mostPieces = max(nested.mostPieces, points.reduce(0) { max($0, $1.pieces.count) })
    let judged = judge(units, recovery, points, profile, lives: 2, boots: 2)
    nested.judged += judged.count
    nested.groups += judged.count
    // Before the recovery's first operation the outer state is looked at, which has been judged.
    return Array(zip(units, judged).filter { $0.moment > 0 && $1.verdict != .held })
  }

  // MARK: One state

  /// The one state again.
  /// - Parameter text: as the report prints it behind `--state`.
  /// - Throws: `unknownCase`, `stateDoesNotFit`.
  public func run(state text: String) throws(ExplorationError) -> ExplorationReport {
    let cuts = text.split(separator: "/").map { $0.split(separator: ":", maxSplits: 1) }
    guard let profile = options.profiles.first, options.profiles.count == 1, 1...2 ~= cuts.count,
      cuts.allSatisfy({ $0.count == 2 })
    else {
      throw .unknownCase(text)
    }
    let points = recording.points(profile, seed: options.seed)
    let (moment, choice) = try Self.read(cuts[0], points)
    var scene = scene(Unit(moment: moment, choice: choice), points)
    if cuts.count == 2 {
      guard let recovery = recordRecovery(of: Unit(moment: moment, choice: choice), points[moment], profile) else {
        throw .stateDoesNotFit("the recovery hangs")
      }
      let (event, choice) = try Self.read(cuts[1], recovery.points(profile, seed: options.seed))
      guard event > 0 else { throw .unknownCase(text) }
      scene.inner = CrashScene.RecoveryCut(
        recovery: RecordedRecovery(recovery.recording, profile, seed: options.seed), event: event, choice: choice)
    }
    var result = ProfileResult(profile: profile)
    (result.crashPoints, result.visited, result.unique, result.judged, result.groups, result.bound) = (1, 1, 1, 1, 1, 0)
    let judgement = judge(scene, profile)
    if judgement.verdict == .unknown { result.unknown = 1 }
    if judgement.verdict == .violated, let check = judgement.check {
      (result.violatedStates, result.violations) = (1, [told((scene, check), profile, states: 1)])
    }
    return ExplorationReport(profiles: [result], depth: cuts.count)
  }

  private static func read(
    _ cut: [Substring], _ points: [CrashPoint]
  ) throws(ExplorationError) -> (moment: Int, choice: [Alternative]) {
    guard let moment = Int(cut[0]), let kept = KeptPieces(String(cut[1])) else {
      throw .unknownCase(cut.joined(separator: ":"))
    }
    guard points.indices.contains(moment), let choice = kept.choice(of: points[moment]) else {
      throw .stateDoesNotFit("event \(moment) has no such pieces")
    }
    return (moment, choice)
  }
}
