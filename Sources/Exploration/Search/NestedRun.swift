import CrashStates
import Foundation
import LogModel
import Verification

/// Depth 2: the recoveries that follow a crash are cut off too, at every operation that they make.
///
/// Of each behaviour group of the first depth one state is taken for each stage of what had been promised. Its recovery
/// is recorded as the workload was, and every state that a power cut during it may leave is recovered from and judged
/// as any other.
extension ProfileRun {
  /// A state of a crash inside the recovery of a state.
  struct Inner: Sendable {
    var outer: Int
    var point: Int
    var choice: [Alternative]
    var hash: UInt64
  }

  /// - Parameters:
  ///   - outer: one state of each group.
  ///   - moments: for each of them the moments of the recording at which it may be judged.
  ///   - all: the states of the first depth, and the numbers of those of each crash point: for calibration.
  func runNested(
    _ result: inout ProfileResult, _ outer: [Unique], _ moments: [[Int]], of all: [Unique], _ contents: [[Int32]],
    _ judge: StateJudge, _ progress: (String) -> Void
  ) {
    let begun = Date()
    let exploration = exploration
    let recorded = recordRecoveries(of: outer, &result.nested)
    let limits = RecordedRecovery.limits(options)
    let states = innerStates(recorded, limits, &result.nested)
    result.nested.recoveries = outer.count
    var base = exploration.recording
    base.table = recorded.table
    let worker: @Sendable () -> RecoveredIncarnation = { [base, profile] in
      exploration.worker(profile, on: base, boots: 2)
    }
    let started = Date()
    let hashes = recoverAll(states, of: outer, worker, &result)
    result.nested.judgingSeconds = Date().timeIntervalSince(started)
    let (groups, representatives) = Self.grouped(hashes)
    result.nested.groups = representatives.count
    let transcripts = Parallel.map(representatives.count, jobs: options.jobs, chunk: 8, worker: worker) {
      [self, states, representatives] worker, index in
      let state = states.uniques[representatives[index]]
      return exploration.watching(profile, order: index, { scene(state, in: outer[state.outer], states.owners) }) {
        worker.run(states.image(of: state), keeping: true)
      }
    }
    if options.calibration > 0 {
      let reduction = NestedReduction(
        points: states.points, owners: states.owners, uniques: states.uniques, pairs: states.pairs, moments: moments,
        groups: groups, transcripts: transcripts)
      result.nested.calibration = calibrateInside(reduction, judge, worker)
    }
    let shown = judgeInside(states.pairs, groups, moments, transcripts, judge, &result)
    show(shown, of: states, outer, limits, judge, &result)
    if options.calibration > 0 {
      let found = Set(result.violations.map(\.check))
      result.nested.others = calibrateOthers(than: Set(outer.map(\.hash)), all, contents, found, judge)
    }
    result.nested.seconds = Date().timeIntervalSince(begun)
    progress(
      "\(profile.name), depth 2: \(result.nested.visited) states of \(outer.count) recoveries visited, "
        + "\(result.nested.judged) recovered, \(result.nested.readAlike) read like one of them")
  }

  /// The crash points inside the recoveries of some states.
  private struct RecordedRecoveries {
    var points: [CrashPoint] = []
    /// For each of them the number of the state that is recovered.
    var owners: [Int] = []
    var table: PathTable
  }

  /// One after the other: what recovery writes is taken into the store, which the workers share.
  private func recordRecoveries(of outer: [Unique], _ counts: inout NestedCounts) -> RecordedRecoveries {
    let exploration = exploration
    let store = exploration.recording.store
    let recorder = exploration.worker(profile, boots: 2)
    let walker = walker()
    var recorded = RecordedRecoveries(table: exploration.recording.table)
    for (number, state) in outer.enumerated() {
      let table = recorded.table
      let point = walker.point(at: events[state.point])
      let image = point.image(choice(state, at: point))
      let recording = exploration.watching(profile, { [self] in scene(state) }) {
        recorder.recordRecovery(image, store, table)
      }
      recorded.table = recording.table
      if recording.isCutShort { counts.cutShort += 1 }
      let recovery = RecordedRecovery(recording, profile, seed: options.workload.seed)
      recorded.points += recovery.points
      recorded.owners += recovery.points.map { _ in number }
    }
    return recorded
  }

  /// What power cuts inside the recoveries may leave.
  private struct InnerStates: Sendable {
    var points: [CrashPoint]
    var owners: [Int]
    /// Distinct contents.
    var uniques: [Inner] = []
    /// Contents and the recoveries they were met in, once each.
    var pairs: [(content: Int, outer: Int)] = []

    func image(of state: Inner) -> DiskImage { points[state.point].image(state.choice) }
  }

  private func innerStates(
    _ recorded: RecordedRecoveries, _ limits: StateEnumeration.Limits, _ counts: inout NestedCounts
  ) -> InnerStates {
    let (points, owners, seed) = (recorded.points, recorded.owners, options.seed)
    let visits = Parallel.map(points.count, jobs: options.jobs, chunk: 16, worker: {}) { _, index in
      var visit = InnerVisit(visited: 0, sampled: 0, bound: 0, states: [])
      var seen: Set<UInt64> = []
      let enumeration = StateEnumeration(points[index], limits)
      var resolver = StateResolver(points[index])
      enumeration.forEach(seed: seed) { choice, isSample in
        visit.visited += 1
        if isSample { visit.sampled += 1 }
        let hash = resolver.contentHash(choice)
        if seen.insert(hash).inserted {
          visit.states.append(Inner(outer: owners[index], point: index, choice: choice, hash: hash))
        }
      }
      visit.bound = enumeration.bound
      return visit
    }
    var states = InnerStates(points: points, owners: owners)
    var numbers: [UInt64: Int] = [:]
    var seen: Set<UInt64> = []
    for visit in visits {
      counts.visited += visit.visited
      counts.sampled += visit.sampled
      counts.bound = min(counts.bound, visit.bound)
      for state in visit.states {
        let number = numbers[state.hash] ?? states.uniques.count
        if number == states.uniques.count {
          numbers[state.hash] = number
          states.uniques.append(state)
        }
        if seen.insert(UInt64(number) << 32 | UInt64(state.outer)).inserted {
          states.pairs.append((number, state.outer))
        }
      }
    }
    counts.crashPoints = points.count
    counts.mostPieces = points.reduce(0) { max($0, $1.pieces.count) }
    counts.unique = states.uniques.count
    return states
  }

  /// - Returns: how the engine behaves on each content.
  private func recoverAll(
    _ states: InnerStates, of outer: [Unique], _ worker: @escaping @Sendable () -> RecoveredIncarnation,
    _ result: inout ProfileResult
  ) -> [UInt64] {
    let exploration = exploration
    let known = options.comparesReadSets ? BehaviourCache(omitting: options.omittedQuestions) : nil
    let found = Parallel.map(states.uniques.count, jobs: options.jobs, chunk: 32, worker: worker) {
      [self, states] worker, index in
      let state = states.uniques[index]
      let image = states.image(of: state)
      return exploration.watching(profile, order: index, { scene(state, in: outer[state.outer], states.owners) }) {
        if let known { return worker.behaviour(of: image, knowing: known) }
        return ReadSetTree.Found(behaviour: worker.run(image, keeping: false).hash, readSet: 0)
      }
    }
    result.nested.judged = known == nil ? states.uniques.count : Set(found.map(\.readSet)).count
    result.nested.readAlike = states.uniques.count - result.nested.judged
    result.contradictions += known?.contradictions ?? 0
    return found.map(\.behaviour)
  }

  /// - Returns: for each behaviour the number of its group, and for each group the first that has it.
  private static func grouped(_ hashes: [UInt64]) -> (groups: [Int], representatives: [Int]) {
    var groupOf: [UInt64: Int] = [:]
    var representatives: [Int] = []
    let groups = hashes.indices.map { index in
      if let group = groupOf[hashes[index]] { return group }
      groupOf[hashes[index]] = representatives.count
      representatives.append(index)
      return representatives.count - 1
    }
    return (groups, representatives)
  }

  /// Judges each group once at each moment at which one of its contents may be found.
  private func judgeInside(
    _ pairs: [(content: Int, outer: Int)], _ groups: [Int], _ moments: [[Int]], _ transcripts: [Transcript],
    _ judge: StateJudge, _ result: inout ProfileResult
  ) -> [CheckName: Shown] {
    var judged: Set<UInt64> = []
    var shown: [CheckName: Shown] = [:]
    for pair in pairs {
      let group = groups[pair.content]
      for moment in moments[pair.outer] where judged.insert(UInt64(group) << 32 | UInt64(moment)).inserted {
        let verdict = judge.judge(transcripts[group], at: moment, interrupted: true)
        result.oracleJudgements += 1
        if verdict.verdict == .unknown { result.unknown += 1 }
        guard verdict.verdict == .violated, let check = verdict.check else { continue }
        result.violatedStates += 1
        let restart = check.restart ?? 0
        var best = shown[check.name] ?? Shown(content: pair.content, outer: pair.outer, moment: moment, check: check)
        if restart < best.check.restart ?? 0 {
          (best.content, best.outer, best.moment, best.check) = (pair.content, pair.outer, moment, check)
        }
        best.states += 1
        shown[check.name] = best
      }
    }
    return shown
  }

  /// Adds what was found to the violations, each as small as it gets.
  private func show(
    _ shown: [CheckName: Shown], of states: InnerStates, _ outer: [Unique], _ limits: StateEnumeration.Limits,
    _ judge: StateJudge, _ result: inout ProfileResult
  ) {
    let examiner = StateExaminer(exploration, profile, judge)
    for name in CheckName.allCases {
      guard let best = shown[name] else { continue }
      if let place = result.violations.firstIndex(where: { $0.check == name }) {
        // It needs no second power cut.
        result.violations[place].states += best.states
        continue
      }
      // Both contents may have been met first elsewhere: the choices are looked up where they are shown.
      let outerPoint = point(pointOfMoment[best.moment])
      guard let outerChoice = choice(of: outer[best.outer].hash, at: outerPoint) else { continue }
      var scene = CrashScene(
        recording: exploration.recording, seed: options.workload.seed, moment: best.moment, point: outerPoint,
        choice: outerChoice)
      scene.inner = innerCut(states.uniques[best.content].hash, examiner.recovery(outerPoint, outerChoice), limits)
      guard scene.inner != nil else { continue }
      let smallest = examiner.minimize(StateExaminer.Violation(scene: scene, check: best.check))
      result.violations.append(smallest.described(exploration, profile, states: best.states))
    }
  }

  /// For a watch: the recovery is recorded again.
  private func scene(_ inner: Inner, in outer: Unique, _ owners: [Int]) -> CrashScene {
    var scene = scene(outer)
    let recovery = StateExaminer(exploration, profile).recovery(scene.point, scene.choice)
    let event = inner.point - (owners.firstIndex(of: inner.outer) ?? 0) + 1
    scene.inner = CrashScene.RecoveryCut(recovery: recovery, event: event, choice: inner.choice)
    return scene
  }

  private func innerCut(
    _ hash: UInt64, _ recovery: RecordedRecovery, _ limits: StateEnumeration.Limits
  ) -> CrashScene.RecoveryCut? {
    for (index, point) in recovery.points.enumerated() {
      guard let choice = StateEnumeration(point, limits).choice(of: hash, seed: exploration.options.seed) else {
        continue
      }
      return CrashScene.RecoveryCut(recovery: recovery, event: index + 1, choice: choice)
    }
    return nil
  }

  private func choice(of hash: UInt64, at point: CrashPoint) -> [Alternative]? {
    StateEnumeration(point, limits).choice(of: hash, seed: exploration.options.seed)
  }

  /// The first violation of a check whose harm is shown soonest.
  private struct Shown {
    var content: Int
    var outer: Int
    var moment: Int
    var check: CheckResult
    var states = 0
  }

  private struct InnerVisit: Sendable {
    var visited: Int
    var sampled: Int
    var bound: Int
    var states: [Inner]
  }
}

/// What was done at the second depth.
public struct NestedCounts: Hashable, Sendable {
  /// Moments inside recoveries.
  public var crashPoints = 0
  /// Recoveries that were cut off: of each behaviour group, and all that had been promised by then, one.
  public var recoveries = 0
  public var visited = 0
  public var sampled = 0
  /// As `ProfileResult.bound`, inside recoveries.
  public var bound = Int.max
  /// The most pieces that a crash point inside a recovery has.
  public var mostPieces = 0
  public var boundText: String { bound == Int.max ? "exhaustive in these" : "exhaustive in these to bound \(bound)" }
  /// Different contents.
  public var unique = 0
  /// Contents that were recovered from; from the others recovery reads the same as from one of them.
  public var judged = 0
  public var readAlike = 0
  public var groups = 0
  /// Recoveries that made more operations than are looked at.
  public var cutShort = 0
  /// States inside recoveries, run again without any reduction; nil where none was asked for.
  public var calibration: Calibration.Comparison?
  /// The same of recoveries that were counted off, since the states before them behave as one whose recovery was cut
  /// off.
  public var others: Calibration.Comparison?
  public var judgingSeconds = 0.0
  public var seconds = 0.0

  var isClean: Bool { (calibration?.isClean ?? true) && (others?.missed ?? 0) == 0 }
}
