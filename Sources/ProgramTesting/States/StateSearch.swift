import CrashStates
import Drivers
import LogModel
import ProgramOracle
import Storage
import Verification
import Volume
import VolumeStates

/// A state that broke a promise.
package struct BrokenState: Sendable {
  /// Nil: everything that the program did is there, as after a kill.
  package var profile: CrashProfile?
  package var event: Int
  package var choice: [Alternative]
  package var check: ProgramCheckResult
  package var log: [String]
}

/// How far one profile has been explored.
package struct ProfileProgress: Sendable {
  /// Nil is the kill of the program.
  package var profile: CrashProfile?
  /// Moments of the recording that were looked at.
  package var moments = 0
  package var visited = 0
  /// States that differ from all others of the run, whatever profile was first to make them.
  package var opened = 0
  /// Of the states that differ: those that were not opened, because nothing differs in them that the program reads.
  package var alike = 0
  package var violations = 0
  package var unknown = 0
  /// Every state is among them that differs in at most so many pieces from a state that keeps everything, or nothing;
  /// nil where not even those were finished.
  package var bound: Int?
  /// Of the level that was not finished: the share of its moments.
  package var share = 0.0

  package var name: String { profile?.name ?? "killed" }
}

/// Goes through the crash states of a recorded program, the plain ones first.
final class StateSearch {
  /// How far a level goes.
  private struct Level {
    var bound: Int
    var statesPerPoint: Int
    var samples: Int
  }

  private static let levels = [
    Level(bound: 0, statesPerPoint: 64, samples: 0), Level(bound: 1, statesPerPoint: 512, samples: 8),
    Level(bound: 2, statesPerPoint: 4096, samples: 32),
  ]
  /// States that are served at once, before the next are chosen: as many as take about half a second.
  private var batch = 4
  private let foreign: ForeignBytes

  private let spec: ProgramSpec
  private let program: RecordedProgram
  private let history: CallerHistory
  private let pool: StatePool
  private let deadline: UInt64
  private let isCancelled: @Sendable () -> Bool
  private let note: (String) -> Void
  private(set) var progress: [ProfileProgress] = []
  private(set) var broken: [BrokenState] = []
  private(set) var unknowns: [String: Int] = [:]
  /// States with other readings than those before them, for a second look.
  private(set) var representatives: [(profile: CrashProfile?, event: Int, choice: [Alternative])] = []
  /// Of each moment a state in which the last write is torn: a recovery that leaves it where it is does the same as
  /// without it.
  private(set) var torn: [(profile: CrashProfile?, event: Int, choice: [Alternative])] = []

  /// What is known by what the program asked for: of kills, and of power cuts, after which the machine is another. Nil
  /// once the program was seen to read otherwise where nothing differed.
  private var known: (kills: BehaviourCache, powerCuts: BehaviourCache)?
  /// Contents that were not opened.
  private var derived: Set<UInt64> = []
  /// Whether what was found out has to be found out once more.
  private var mustRepeat = false
  /// Whether the reduction was given up.
  private(set) var hasContradicted = false

  /// By content of the disk.
  private var readings: [UInt64: UInt64] = [:]
  private var byHash: [UInt64: StateReading] = [:]
  private var behaviours: Set<UInt64> = []
  private var tornAt: Set<Int> = []
  private var judged: Set<UInt64> = []
  private var pending: [Pending] = []
  private var waiting: Set<UInt64> = []
  /// The time was over before a state that was chosen was opened.
  private var hasMissed = false

  private struct Pending {
    var profile: CrashProfile?
    var event: Int
    var choice: [Alternative]
    var content: UInt64
    /// Nil where another of the batch has the same content.
    var image: DiskImage?
    /// The beginning of the last write is there, and its end is not.
    var isTorn: Bool
    var place: Int
  }

  init(
    _ spec: ProgramSpec, _ program: RecordedProgram, _ pool: StatePool, deadline: UInt64,
    isCancelled: @escaping @Sendable () -> Bool, note: @escaping (String) -> Void
  ) {
    (self.spec, self.program, self.pool, self.deadline) = (spec, program, pool, deadline)
    (self.isCancelled, self.note) = (isCancelled, note)
    history = CallerHistory(program.events, spec, program)
    foreign = ForeignBytes(program.recording, seed: spec.seed)
    known = (BehaviourCache(), BehaviourCache())
  }

  /// The search ends once this check is violated.
  var stopsAt: ProgramCheck?
  /// States that differ in more pieces are not visited.
  var mostPieces = 2
  /// Of the search that ends there: a kill will do, or only a power cut.
  var isKillEnough = false

  private var hasFound: Bool {
    guard let stopsAt else { return false }
    return broken.contains { $0.check.check == stopsAt && (isKillEnough || $0.profile != nil) }
  }

  var isOver: Bool { isCancelled() || DriverProcess.now >= deadline || hasFound }
  /// States that were opened.
  var opened: Int { readings.count - derived.count }
  var alike: Int { derived.count }
  /// Hashes of the disks that were opened, in order.
  var contents: [UInt64] { readings.keys.filter { !derived.contains($0) }.sorted() }

  /// All kills first, then each level of all profiles. Each has its share of the time; what one does not need the
  /// others get.
  func run(_ profiles: [CrashProfile]) throws(ProgramTestError) {
    repeat {
      mustRepeat = false
      try runOnce(profiles)
    } while mustRepeat && !isOver
  }

  private func runOnce(_ profiles: [CrashProfile]) throws(ProgramTestError) {
    hasMissed = false
    progress = [ProfileProgress(profile: nil)] + profiles.map { ProfileProgress(profile: $0) }
    for place in progress.indices { progress[place].moments = moments(of: place).count }
    // Each level of each profile; kills have one.
    var open = [(place: 0, level: 0)]
    for level in Self.levels.indices where Self.levels[level].bound <= mostPieces {
      open += profiles.indices.map { ($0 + 1, level) }
    }
    while !open.isEmpty, !isOver, !mustRepeat {
      var left: [(place: Int, level: Int)] = []
      for (number, one) in open.enumerated() {
        if isOver || mustRepeat { return }
        let now = DriverProcess.now
        let share = (deadline - now) / UInt64(open.count - number)
        let isWhole = try visit(one.place, level: one.level, until: now + max(share, 200_000_000))
        if !isWhole { left.append(one) }
      }
      open = left
    }
  }

  private func moments(of place: Int) -> [Int] {
    let all = progress[place].profile.map { program.powerCuts($0) } ?? program.kills
    if program.readings.isEmpty { return all }
    return all.filter { event in !program.readings.contains { $0.contains(program.moment(at: event)) } }
  }

  /// Moments spread over all, then those between: of a search that does not get to its end too, no part is left out.
  private static func rounds(_ moments: [Int]) -> [[Int]] {
    var rounds: [[Int]] = []
    var stride = 1
    while stride * 2 <= moments.count { stride *= 2 }
    rounds.append(moments.indices.filter { $0 % stride == 0 }.map { moments[$0] })
    while stride > 1 {
      rounds.append(moments.indices.filter { $0 % stride == stride / 2 }.map { moments[$0] })
      stride /= 2
    }
    return rounds
  }

  /// - Returns: whether all of it was visited.
  private func visit(_ place: Int, level: Int, until end: UInt64) throws(ProgramTestError) -> Bool {
    let profile = progress[place].profile
    let reach = Self.levels[level]
    let limits = StateEnumeration.Limits(
      bound: reach.bound, statesPerPoint: reach.statesPerPoint, samples: reach.samples)
    let moments = moments(of: place)
    var done = 0
    // Moments all of whose states were opened.
    var whole = 0
    for round in Self.rounds(moments) {
      // Whatever the profile, what keeps everything is the same.
      var walk = CrashPointWalk(program.recording, profile ?? .posixMinimal, foreign)
      for event in round {
        if isOver || DriverProcess.now >= end {
          if try settle() { whole = done }
          if progress[place].bound == nil || level > 0 {
            progress[place].share = Double(whole) / Double(moments.count)
          }
          return false
        }
        let point = walk.point(at: event)
        var resolver = StateResolver(point)
        if profile == nil {
          take(point.everything, point, &resolver, place)
        } else {
          StateEnumeration(point, limits).forEach(seed: spec.seed) { choice, _ in take(choice, point, &resolver, place)
          }
        }
        done += 1
        if waiting.count >= batch || pending.count >= 4096, try settle() { whole = done }
        note("\(progress[place].name), level \(level): \(done * 100 / moments.count)%, \(opened) states opened")
      }
    }
    guard try settle() else {
      progress[place].share = Double(whole) / Double(moments.count)
      return false
    }
    progress[place].bound = profile == nil ? Int.max : max(progress[place].bound ?? 0, reach.bound)
    progress[place].share = 0
    return true
  }

  private func take(_ choice: [Alternative], _ point: CrashPoint, _ resolver: inout StateResolver, _ place: Int) {
    let event = point.event
    progress[place].visited += 1
    let content = resolver.contentHash(choice)
    // The same state with what the caller knows at the moment: once.
    guard judged.insert(mix64(content ^ history.knowledge(at: event))).inserted else { return }
    let isNew = readings[content] == nil && waiting.insert(content).inserted
    pending.append(
      Pending(
        profile: progress[place].profile, event: event, choice: choice, content: content,
        image: isNew ? resolver.image(choice) : nil, isTorn: isNew && point.tearsLastWrite(choice), place: place))
  }

  /// Opens the states that wait, and judges all that were chosen.
  /// - Returns: false where the time was over before all were opened.
  private func settle() throws(ProgramTestError) -> Bool {
    let fresh = pending.filter { $0.image != nil }
    let began = DriverProcess.now
    // All of a batch are of one profile, or of none.
    let isKill = fresh.first?.profile == nil
    let visits = try pool.visit(
      fresh.map { $0.image! }, of: program, isKill ? .recorded : .second,
      knowing: isKill ? known?.kills : known?.powerCuts, until: deadline)
    if fresh.count >= batch / 2, fresh.count > 0 {
      let each = (DriverProcess.now - began) / UInt64(fresh.count)
      batch = max(2, min(64, Int(500_000_000 / max(1, each))))
    }
    let reached = zip(fresh, visits).filter(\.1.isReached)
    for (state, visit) in reached {
      readings[state.content] = visit.hash
      if let reading = visit.reading, byHash[visit.hash] == nil { byHash[visit.hash] = reading }
      if visit.reading == nil {
        derived.insert(state.content)
        progress[state.place].alike += 1
      } else {
        progress[state.place].opened += 1
      }
    }
    if visits.contains(where: \.contradicts) {
      distrust()
      return false
    }
    for (state, visit) in reached where byHash[visit.hash]!.failure == nil {
      // What is written after the recovery may lay bare what that did not read.
      if state.isTorn, tornAt.insert(state.event).inserted {
        torn.append((state.profile, state.event, state.choice))
      } else if visit.reading != nil, behaviours.insert(visit.behaviour).inserted {
        representatives.append((state.profile, state.event, state.choice))
      }
    }
    for state in pending { judge(state) }
    pending.removeAll(keepingCapacity: true)
    waiting.removeAll(keepingCapacity: true)
    if reached.count < fresh.count { hasMissed = true }
    return !hasMissed
  }

  /// The program is no function of what it asks for. So every state is opened, and all is judged anew.
  private func distrust() {
    (known, hasContradicted, mustRepeat) = (nil, true, true)
    for content in derived { readings[content] = nil }
    derived.removeAll()
    judged.removeAll()
    broken.removeAll()
    unknowns.removeAll()
    pending.removeAll()
    waiting.removeAll()
  }

  private func judge(_ state: Pending) {
    // Of what was not reached before the time was over nothing is known.
    guard let hash = readings[state.content], let reading = byHash[hash] else { return }
    for check in history.judge(reading, at: state.event) {
      switch check.verdict {
      case .held: break
      case .unknown:
        progress[state.place].unknown += 1
        unknowns[check.detail, default: 0] += 1
      case .violated:
        progress[state.place].violations += 1
        // A few of each kind: the first is seldom the plainest.
        let same = broken.count { $0.check.check == check.check && $0.profile == state.profile }
        if same < 8 {
          broken.append(
            BrokenState(
              profile: state.profile, event: state.event, choice: state.choice, check: check, log: reading.log))
        }
      }
    }
  }
}
