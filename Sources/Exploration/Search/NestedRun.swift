import Foundation
import LogModel
import Verification

/// Depth 2: the recoveries that follow a crash are cut off too, at every operation that they make.
///
/// Of each behaviour group of the first depth one state is taken for each stage of what had been promised. Its recovery is recorded as the workload was, and every
/// state that a power cut during it may leave is recovered from and judged as any other.
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
    let options = exploration.options
    let store = exploration.recording.store
    var table = exploration.recording.table
    let recorder = exploration.worker(profile, boots: 2)
    var inner: [CrashPoint] = []
    var owners: [Int] = []
    // One after the other: what recovery writes is taken into the store, which the workers share.
    for (number, state) in outer.enumerated() {
      let recording = exploration.watching(profile, { [self] in scene(state) }) { [table] in
        recorder.recordRecovery(points[state.point].image(state.choice), store, table)
      }
      table = recording.table
      if recording.isCutShort { result.nested.cutShort += 1 }
      let recovery = RecordedRecovery(recording, profile, seed: options.workload.seed)
      inner += recovery.points
      owners += recovery.points.map { _ in number }
    }
    let limits = RecordedRecovery.limits(options)
    let visits = Parallel.map(inner.count, jobs: options.jobs, chunk: 16, worker: {}) { [inner, owners] _, index in
      var visited = 0
      var sampled = 0
      var states: [Inner] = []
      var seen: Set<UInt64> = []
      let enumeration = StateEnumeration(inner[index], limits)
      enumeration.forEach(seed: options.seed) { choice, isSample in
        visited += 1
        if isSample { sampled += 1 }
        let hash = inner[index].contentHash(choice)
        if seen.insert(hash).inserted {
          states.append(Inner(outer: owners[index], point: index, choice: choice, hash: hash))
        }
      }
      return InnerVisit(visited: visited, sampled: sampled, bound: enumeration.bound, states: states)
    }
    var uniques: [Inner] = []
    var numbers: [UInt64: Int] = [:]
    // Contents and the recoveries they were met in, once each.
    var pairs: [(content: Int, outer: Int)] = []
    var seen: Set<UInt64> = []
    for visit in visits {
      result.nested.visited += visit.visited
      result.nested.sampled += visit.sampled
      result.nested.bound = min(result.nested.bound, visit.bound)
      for state in visit.states {
        let number = numbers[state.hash] ?? uniques.count
        if number == uniques.count {
          numbers[state.hash] = number
          uniques.append(state)
        }
        if seen.insert(UInt64(number) << 32 | UInt64(state.outer)).inserted { pairs.append((number, state.outer)) }
      }
    }
    result.nested.crashPoints = inner.count
    result.nested.recoveries = outer.count
    result.nested.mostPieces = inner.reduce(0) { max($0, $1.pieces.count) }
    result.nested.unique = uniques.count
    var base = exploration.recording
    base.table = table
    let worker: @Sendable () -> RecoveredIncarnation = { [base, profile] in
      exploration.worker(profile, on: base, boots: 2)
    }
    let started = Date()
    let known = options.comparesReadSets ? BehaviourCache(omitting: options.omittedQuestions) : nil
    let found = Parallel.map(uniques.count, jobs: options.jobs, chunk: 32, worker: worker) {
      [self, uniques, inner, owners] worker, index in
      let state = uniques[index]
      let image = inner[state.point].image(state.choice)
      return exploration.watching(profile, order: index, { scene(state, in: outer[state.outer], owners) }) {
        if let known { return worker.behaviour(of: image, knowing: known) }
        return ReadSetTree.Found(behaviour: worker.run(image, keeping: false).hash, readSet: 0)
      }
    }
    let hashes = found.map(\.behaviour)
    result.nested.judged = known == nil ? uniques.count : Set(found.map(\.readSet)).count
    result.nested.readAlike = uniques.count - result.nested.judged
    result.contradictions += known?.contradictions ?? 0
    result.nested.judgingSeconds = Date().timeIntervalSince(started)
    var groupOf: [UInt64: Int] = [:]
    var representatives: [Int] = []
    for (index, hash) in hashes.enumerated() where groupOf[hash] == nil {
      groupOf[hash] = representatives.count
      representatives.append(index)
    }
    result.nested.groups = representatives.count
    let transcripts = Parallel.map(representatives.count, jobs: options.jobs, chunk: 8, worker: worker) {
      [self, uniques, inner, representatives, owners] worker, index in
      let state = uniques[representatives[index]]
      return exploration.watching(profile, order: index, { scene(state, in: outer[state.outer], owners) }) {
        worker.run(inner[state.point].image(state.choice), keeping: true)
      }
    }
    if options.calibration > 0 {
      let reduction = NestedReduction(
        points: inner, owners: owners, uniques: uniques, pairs: pairs, moments: moments,
        groups: hashes.map { groupOf[$0] ?? 0 }, transcripts: transcripts)
      result.nested.calibration = calibrateInside(reduction, judge, worker)
    }
    var judged: Set<UInt64> = []
    var shown: [CheckName: Shown] = [:]
    for pair in pairs {
      guard let group = groupOf[hashes[pair.content]] else { continue }
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
    let examiner = StateExaminer(exploration, profile, judge)
    for name in CheckName.allCases {
      guard let best = shown[name] else { continue }
      if let place = result.violations.firstIndex(where: { $0.check == name }) {
        // It needs no second power cut.
        result.violations[place].states += best.states
        continue
      }
      // Both contents may have been met first elsewhere: the choices are looked up where they are shown.
      let outerPoint = points[pointOfMoment[best.moment]]
      guard let outerChoice = choice(of: outer[best.outer].hash, at: outerPoint) else { continue }
      var scene = CrashScene(
        recording: exploration.recording, seed: options.workload.seed, moment: best.moment, point: outerPoint, choice: outerChoice)
      scene.inner = innerCut(uniques[best.content].hash, examiner.recovery(outerPoint, outerChoice), limits)
      guard scene.inner != nil else { continue }
      let smallest = examiner.minimize(StateExaminer.Violation(scene: scene, check: best.check))
      result.violations.append(smallest.described(exploration, profile, states: best.states))
    }
    if options.calibration > 0 {
      let found = Set(result.violations.map(\.check))
      result.nested.others = calibrateOthers(than: Set(outer.map(\.hash)), all, contents, found, judge)
    }
    result.nested.seconds = Date().timeIntervalSince(begun)
    progress(
      "\(profile.name), depth 2: \(result.nested.visited) states of \(outer.count) recoveries visited, "
        + "\(result.nested.judged) recovered, \(result.nested.readAlike) read like one of them")
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
      guard let choice = StateEnumeration(point, limits).choice(of: hash, seed: exploration.options.seed) else { continue }
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
  public var boundText: String { bound == Int.max ? "exhaustive in these" : "exhaustive in these to k=\(bound)" }
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
  /// The same of recoveries that were counted off, since the states before them behave as one whose recovery was cut off.
  public var others: Calibration.Comparison?
  public var judgingSeconds = 0.0
  public var seconds = 0.0

  var isClean: Bool { (calibration?.isClean ?? true) && (others?.missed ?? 0) == 0 }
}
