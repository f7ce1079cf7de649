import CrashStates
import Foundation
import LogModel
import Synchronization
import Verification

/// The exploration of one profile.
struct ProfileRun: Sendable {
  let exploration: Exploration
  let profile: CrashProfile
  /// For each crash point the number of events before it: an event that changes nothing on the disk has none of its
  /// own.
  let events: [Int]
  /// For each moment of the recording the crash point with its disk.
  let pointOfMoment: [Int]
  private let begin: CrashPointWalk

  var options: ExplorationOptions { exploration.options }

  init(_ exploration: Exploration, _ profile: CrashProfile) {
    self.exploration = exploration
    self.profile = profile
    begin = CrashPointWalk(exploration.recording, profile, seed: exploration.options.workload.seed)
    var events = [0]
    var pointOfMoment = [0]
    for (index, event) in exploration.recording.events.enumerated() {
      if case .fact = event.what {} else { events.append(index + 1) }
      pointOfMoment.append(events.count - 1)
    }
    (self.events, self.pointOfMoment) = (events, pointOfMoment)
  }

  // MARK: Crash points

  /// Of one thread: crash points are made as they are come to.
  func walker() -> CrashPointWalker { CrashPointWalker(begin) }

  func point(_ number: Int) -> CrashPoint { walker().point(at: events[number]) }

  /// How far the states of one crash point are enumerated.
  var limits: StateEnumeration.Limits {
    StateEnumeration.Limits(bound: options.bound, statesPerPoint: options.statesPerPoint, samples: options.samples)
  }

  /// States of one crash point: each content once.
  private struct Visit: Sendable {
    var visited = 0
    var sampled = 0
    var bound = Int.max
    var pieces = 0
    var hashes: [UInt64] = []
    /// Where among all that were visited each was met first.
    var places: [Int] = []
  }

  private func visit(_ point: CrashPoint) -> Visit {
    var visit = Visit()
    let enumeration = StateEnumeration(point, limits)
    var resolver = StateResolver(point)
    (visit.bound, visit.pieces) = (enumeration.bound, point.pieces.count)
    var seen: Set<UInt64> = []
    enumeration.forEach(seed: options.seed) { choice, isSample in
      visit.visited += 1
      if isSample { visit.sampled += 1 }
      let hash = resolver.contentHash(choice)
      guard seen.insert(hash).inserted else { return }
      visit.hashes.append(hash)
      visit.places.append(visit.visited - 1)
    }
    return visit
  }

  /// A distinct content, and where it was first met.
  struct Unique: Sendable {
    var hash: UInt64
    var point: Int
    /// Among the states that are visited at the point.
    var place: Int
  }

  func choice(_ unique: Unique, at point: CrashPoint) -> [Alternative] {
    StateEnumeration(point, limits).choices(at: [unique.place], seed: options.seed)[0]
  }

  /// The state in which a content was first met, at the first moment of its crash point.
  func scene(_ unique: Unique) -> CrashScene {
    let point = point(unique.point)
    return CrashScene(
      recording: exploration.recording, seed: options.workload.seed,
      moment: pointOfMoment.firstIndex(of: unique.point) ?? 0, point: point, choice: choice(unique, at: point))
  }

  /// Works on states, those of one crash point by the same thread.
  /// - Parameter states: in the order of their points.
  private func mapStates<Worker, Value: Sendable>(
    _ states: [Unique], worker: @Sendable () -> Worker,
    _ body: @escaping @Sendable (Worker, Int, DiskImage) -> Value
  ) -> [Value] {
    var groups: [Range<Int>] = []
    for index in states.indices {
      if let last = groups.last, states[last.lowerBound].point == states[index].point {
        groups[groups.count - 1] = last.lowerBound..<index + 1
      } else {
        groups.append(index..<index + 1)
      }
    }
    let values = Parallel.map(groups.count, jobs: options.jobs, chunk: 1, worker: { (worker(), walker()) }) {
      [self, groups] own, number -> [Value] in
      let group = groups[number]
      let point = own.1.point(at: events[states[group.lowerBound].point])
      var resolver = StateResolver(point)
      let places = states[group].map(\.place)
      let choices = StateEnumeration(point, limits).choices(at: places, seed: options.seed)
      return zip(group, choices).map { body(own.0, $0, resolver.image($1)) }
    }
    return values.flatMap { $0 }
  }

  func run(_ known: inout KnownStates, _ progress: (String) -> Void) -> ProfileResult {
    var result = ProfileResult(profile: profile)
    result.crashPoints = pointOfMoment.count
    let begun = Date()
    let visits = Parallel.map(events.count, jobs: options.jobs, chunk: 4, worker: { walker() }) { walker, index in
      visit(walker.point(at: events[index]))
    }
    result.mostPieces = visits.reduce(0) { max($0, $1.pieces) }
    let states = distinctStates(visits, &result)
    let uniques = states.uniques
    progress("\(profile.name): \(result.visited) states visited, \(uniques.count) contents")
    let alike = recoverFresh(uniques, &known, &result)
    progress(
      "\(profile.name): \(result.judged) recovered in \(String(format: "%.1f", result.judgingSeconds)) s, "
        + "\(result.readAlike) read like one of them")
    let (groups, representatives) = grouped(uniques, known)
    result.groups = representatives.count
    let exploration = exploration
    let shown = representatives.map { uniques[$0] }
    let transcripts = mapStates(shown, worker: { exploration.worker(profile) }) { [self] worker, index, image in
      exploration.watching(profile, order: index, { scene(shown[index]) }) { worker.run(image, keeping: true) }
    }
    let judge = StateJudge(exploration)
    let places = visits.map(\.places)
    let reduced = self.judge(&result, places, states.contents, groups, transcripts, judge)
    if options.calibration > 0 {
      let reduction = Reduction(
        numbers: states.numbers, groups: groups, behaviours: transcripts.map(\.hash), verdicts: reduced)
      result.calibration = calibrate(reduction, alike: alike?.map { uniques[$0] }, judge)
    }
    if options.depth > 1 {
      let outer = outerStates(representatives, groups, states.contents)
      let moments = moments(of: outer, states.contents)
      runNested(&result, outer.map { uniques[$0] }, moments, of: uniques, states.contents, judge, progress)
    }
    result.seconds = Date().timeIntervalSince(begun)
    return result
  }

  /// The states of all crash points, each content once.
  private struct DistinctStates {
    var uniques: [Unique] = []
    var numbers: [UInt64: Int32] = [:]
    /// For each point the distinct contents, by number.
    var contents: [[Int32]] = []
  }

  private func distinctStates(_ visits: [Visit], _ result: inout ProfileResult) -> DistinctStates {
    var states = DistinctStates()
    for (index, visit) in visits.enumerated() {
      states.contents.append(
        visit.hashes.indices.map { k in
          if let number = states.numbers[visit.hashes[k]] { return number }
          let number = Int32(states.uniques.count)
          states.numbers[visit.hashes[k]] = number
          states.uniques.append(Unique(hash: visit.hashes[k], point: index, place: visit.places[k]))
          return number
        })
    }
    for point in pointOfMoment {
      result.visited += visits[point].visited
      result.sampled += visits[point].sampled
      result.bound = min(result.bound, visits[point].bound)
    }
    result.unique = states.uniques.count
    return states
  }

  /// In `KnownStates`: what a profile with the same promises has met is known.
  private func key(_ hash: UInt64) -> UInt64 { mix64(hash ^ profile.promises) }

  /// Recovers from the contents that no profile with the same promises has met.
  /// - Returns: those from which recovery reads the same as from another; nil where read sets are not compared.
  private func recoverFresh(_ uniques: [Unique], _ known: inout KnownStates, _ result: inout ProfileResult) -> [Int]? {
    let started = Date()
    let promises = profile.promises
    let fresh = uniques.indices.filter { known.byContent[key(uniques[$0].hash)] == nil }
    let behaviours = known.behaviours(promises, options)
    var alike: [Int] = []
    for (index, found) in zip(fresh, recoverAll(fresh.map { uniques[$0] }, behaviours)) {
      known.byContent[key(uniques[index].hash)] = found.behaviour
      if behaviours != nil, !known.isFirst(found.readSet, promises) { alike.append(index) }
    }
    result.judged = fresh.count - alike.count
    result.readAlike = alike.count
    result.contradictions = behaviours?.contradictions ?? 0
    result.judgingSeconds = Date().timeIntervalSince(started)
    return behaviours == nil ? nil : alike
  }

  /// Behaviour groups, in the order of their first content.
  private func grouped(_ uniques: [Unique], _ known: KnownStates) -> (groups: [Int32], representatives: [Int]) {
    var groupOfHash: [UInt64: Int32] = [:]
    var representatives: [Int] = []
    let groups = uniques.indices.map { index -> Int32 in
      let hash = known.byContent[key(uniques[index].hash)]!
      if let group = groupOfHash[hash] { return group }
      groupOfHash[hash] = Int32(representatives.count)
      representatives.append(index)
      return Int32(representatives.count - 1)
    }
    return (groups, representatives)
  }

  private func recoverAll(_ states: [Unique], _ known: BehaviourCache?) -> [ReadSetTree.Found] {
    let exploration = exploration
    let isCancelled = Cancellation()
    return mapStates(states, worker: { exploration.worker(profile) }) { [self] worker, index, image in
      if index % 64 == 0, exploration.options.isCancelled() { isCancelled.set() }
      if isCancelled.isSet { return ReadSetTree.Found(behaviour: 0, readSet: 0) }
      return exploration.watching(profile, order: index, { scene(states[index]) }) {
        if let known { return worker.behaviour(of: image, knowing: known) }
        return ReadSetTree.Found(behaviour: worker.run(image, keeping: false).hash, readSet: 0)
      }
    }
  }

  /// The contents whose recoveries are cut off: of each group, for everything that callers may have been promised when
  /// it is found, one that may be found then. Of a group that is met before and after an acknowledgement the disk holds
  /// more after it, and recovery has more to lose.
  private func outerStates(_ representatives: [Int], _ groups: [Int32], _ contents: [[Int32]]) -> [Int] {
    var chosen = Set(representatives.map { Int32($0) })
    var covered: Set<UInt64> = []
    let answers = exploration.recording.answersBefore
    for isChoosing in [false, true] {
      for (moment, point) in pointOfMoment.enumerated() {
        for content in contents[point] {
          let key = UInt64(UInt32(bitPattern: groups[Int(content)])) << 32 | UInt64(answers[moment])
          if chosen.contains(content) {
            covered.insert(key)
          } else if isChoosing, covered.insert(key).inserted {
            chosen.insert(content)
          }
        }
      }
    }
    return chosen.map { Int($0) }.sorted()
  }

  /// The first and the last moment at which each of the contents may be found: the least and the most that callers had
  /// been promised.
  func moments(of numbers: [Int], _ contents: [[Int32]]) -> [[Int]] {
    var places: [Int32: Int] = [:]
    for (place, number) in numbers.enumerated() { places[Int32(number)] = place }
    var moments = [[Int]](repeating: [], count: numbers.count)
    for (moment, point) in pointOfMoment.enumerated() {
      for content in contents[point] {
        guard let place = places[content] else { continue }
        if moments[place].count == 2 { moments[place][1] = moment } else { moments[place].append(moment) }
      }
    }
    return moments
  }

  // MARK: Judging

  private struct Case: Sendable {
    var moment: Int
    var group: Int32
    /// The first content of the group at that moment.
    var content: Int32
    var states: Int
  }

  private func judge(
    _ result: inout ProfileResult, _ places: [[Int]], _ contents: [[Int32]], _ groups: [Int32],
    _ transcripts: [Transcript], _ judge: StateJudge
  ) -> Verdicts {
    var cases: [Case] = []
    for (moment, point) in pointOfMoment.enumerated() {
      var places: [Int32: Int] = [:]
      for content in contents[point] {
        let group = groups[Int(content)]
        if let place = places[group] {
          cases[place].states += 1
        } else {
          places[group] = cases.count
          cases.append(Case(moment: moment, group: group, content: content, states: 1))
        }
      }
    }
    let verdicts = Parallel.map(cases.count, jobs: options.jobs, chunk: 16, worker: {}) { [cases] _, index in
      judge.judge(transcripts[Int(cases[index].group)], at: cases[index].moment)
    }
    result.oracleJudgements = cases.count
    // The story is of the first state in which the first recovery shows the harm; of the second's, if there is none.
    var shown: [CheckName: (index: Int, restart: Int, states: Int)] = [:]
    for (index, verdict) in verdicts.enumerated() {
      switch verdict.verdict {
      case .held: break
      case .unknown: result.unknown += cases[index].states
      case .violated:
        result.violatedStates += cases[index].states
        guard let check = verdict.check else { continue }
        let restart = check.restart ?? 0
        var best = shown[check.name] ?? (index, restart, 0)
        if restart < best.restart { (best.index, best.restart) = (index, restart) }
        best.states += cases[index].states
        shown[check.name] = best
      }
    }
    let examiner = StateExaminer(exploration, profile, judge)
    for name in CheckName.allCases {
      guard let best = shown[name] else { continue }
      // A content may be met at several points, at each by another choice: the story is of this one.
      let worst = cases[best.index]
      let point = pointOfMoment[worst.moment]
      guard let state = contents[point].firstIndex(of: worst.content), let check = verdicts[best.index].check else {
        continue
      }
      var scene = scene(Unique(hash: 0, point: point, place: places[point][state]))
      scene.moment = worst.moment
      let smallest = examiner.minimize(StateExaminer.Violation(scene: scene, check: check))
      result.violations.append(smallest.described(exploration, profile, states: best.states))
    }
    result.violations.sort { $0.moment < $1.moment }
    var byCase: Verdicts = [:]
    for (index, verdict) in verdicts.enumerated() {
      byCase[CaseKey(moment: cases[index].moment, group: cases[index].group)] = verdict
    }
    return byCase
  }

  /// What the oracle said of each group at each moment.
  typealias Verdicts = [CaseKey: StateJudgement]
  struct CaseKey: Hashable, Sendable {
    var moment: Int
    var group: Int32
  }
}

/// That no more states are wanted, told to all threads.
private final class Cancellation: Sendable {
  private let isRequested = Atomic<Bool>(false)
  var isSet: Bool { isRequested.load(ordering: .relaxed) }
  func set() { isRequested.store(true, ordering: .relaxed) }
}
