import CrashStates
import Foundation
import LogModel
import Synchronization
import Verification

/// The exploration of one profile.
struct ProfileRun: Sendable {
  let exploration: Exploration
  let profile: CrashProfile
  let points: [CrashPoint]
  /// For each moment of the recording the crash point with its disk: moments that change nothing on it share one.
  let pointOfMoment: [Int]

  var options: ExplorationOptions { exploration.options }

  init(_ exploration: Exploration, _ profile: CrashProfile) {
    self.exploration = exploration
    self.profile = profile
    let recording = exploration.recording
    let foreign = ForeignBytes(recording, seed: exploration.options.workload.seed)
    var disk = VolatileDisk(recording, profile)
    var points = [CrashPoint(disk, recording, at: 0, foreign: foreign)]
    var pointOfMoment = [0]
    for index in recording.events.indices {
      disk.apply(index, of: recording)
      if case .fact = recording.events[index].what {
      } else {
        points.append(CrashPoint(disk, recording, at: index + 1, foreign: foreign))
      }
      pointOfMoment.append(points.count - 1)
    }
    self.points = points
    self.pointOfMoment = pointOfMoment
  }

  /// States of one crash point: each content once, with the first choice that leads to it.
  private struct Visit: Sendable {
    var visited = 0
    var sampled = 0
    var bound = Int.max
    var hashes: [UInt64] = []
    var choices: [[Alternative]] = []
  }

  /// How far the states of one crash point are enumerated.
  var limits: StateEnumeration.Limits {
    StateEnumeration.Limits(bound: options.bound, statesPerPoint: options.statesPerPoint, samples: options.samples)
  }

  private func visit(_ point: CrashPoint) -> Visit {
    var visit = Visit()
    let enumeration = StateEnumeration(point, limits)
    visit.bound = enumeration.bound
    var seen: Set<UInt64> = []
    enumeration.forEach(seed: options.seed) { choice, isSample in
      visit.visited += 1
      if isSample { visit.sampled += 1 }
      let hash = point.contentHash(choice)
      guard seen.insert(hash).inserted else { return }
      visit.hashes.append(hash)
      visit.choices.append(choice)
    }
    return visit
  }

  /// A distinct content, and where it was first met.
  struct Unique: Sendable {
    var hash: UInt64
    var point: Int
    var choice: [Alternative]
  }

  /// The state in which a content was first met, at the first moment of its crash point.
  func scene(_ unique: Unique) -> CrashScene {
    CrashScene(
      recording: exploration.recording, seed: options.workload.seed,
      moment: pointOfMoment.firstIndex(of: unique.point) ?? 0,
      point: points[unique.point], choice: unique.choice)
  }

  func run(_ known: inout KnownStates, _ progress: (String) -> Void) -> ProfileResult {
    var result = ProfileResult(profile: profile)
    result.crashPoints = pointOfMoment.count
    result.mostPieces = points.reduce(0) { max($0, $1.pieces.count) }
    let begun = Date()
    let visits = Parallel.map(points.count, jobs: options.jobs, chunk: 4, worker: {}) { _, index in visit(points[index])
    }
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
    let transcripts = Parallel.map(
      representatives.count, jobs: options.jobs, chunk: 8, worker: { exploration.worker(profile) }
    ) { [self, uniques, representatives] worker, index in
      let unique = uniques[representatives[index]]
      return exploration.watching(profile, order: index, { scene(unique) }) {
        worker.run(points[unique.point].image(unique.choice), keeping: true)
      }
    }
    let judge = StateJudge(exploration)
    let choices = visits.map(\.choices)
    let reduced = self.judge(&result, choices, states.contents, groups, transcripts, judge)
    if options.calibration > 0 {
      let reduction = Reduction(
        numbers: states.numbers, groups: groups, behaviours: transcripts.map(\.hash), verdicts: reduced)
      let places = alike.map { alike in
        alike.map {
          StatePlace(moment: pointOfMoment.firstIndex(of: uniques[$0].point) ?? 0, choice: uniques[$0].choice)
        }
      }
      result.calibration = calibrate(reduction, alike: places, judge)
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
          states.uniques.append(Unique(hash: visit.hashes[k], point: index, choice: visit.choices[k]))
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
    let isCancelled = Atomic<Bool>(false)
    return Parallel.map(states.count, jobs: options.jobs, chunk: 32, worker: { exploration.worker(profile) }) {
      [self] worker, index in
      let state = states[index]
      if index % 64 == 0, exploration.options.isCancelled() { isCancelled.store(true, ordering: .relaxed) }
      if isCancelled.load(ordering: .relaxed) { return ReadSetTree.Found(behaviour: 0, readSet: 0) }
      let image = points[state.point].image(state.choice)
      return exploration.watching(profile, order: index, { scene(state) }) {
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
    _ result: inout ProfileResult, _ choices: [[[Alternative]]], _ contents: [[Int32]], _ groups: [Int32],
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
      let scene = CrashScene(
        recording: exploration.recording, seed: options.workload.seed, moment: worst.moment, point: points[point],
        choice: choices[point][state])
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
