import CrashStates
import Drivers
import LogModel
import ProgramOracle
import Storage
import Verification

/// What a test of a program has found.
package struct ProgramReport: Sendable {
  package let spec: ProgramSpec
  package private(set) var hello: DriverHello?
  package private(set) var model: ProgramModel?
  /// Requests of the workload, and operations of the program on its files.
  package private(set) var requests = 0
  package private(set) var operations = 0
  package private(set) var profiles: [ProfileProgress] = []
  /// Different states that were opened, and the seconds that it took.
  package private(set) var opened = 0
  /// A hash of each of these, of the names and contents of all files: two runs count what they share once by it.
  package private(set) var contents: [UInt64] = []
  /// States that differ from them in nothing that the program reads, and were not opened.
  package private(set) var alike = 0
  package private(set) var searchSeconds = 0.0
  package private(set) var driverStarts = 0
  /// Recoveries that were looked into, of so many that differ, and states of power cuts in or after them.
  package private(set) var lives = 0
  package private(set) var livesAvailable = 0
  package private(set) var statesOfLives = 0
  package private(set) var runs: [DisturbedRun] = []
  /// Runs after which a power cut was tried, and the states that were opened of them.
  package private(set) var cutRuns = 0
  package private(set) var statesOfCuts = 0
  /// Runs that were planned: with a fault, and with damage.
  package var faultCells = 0
  package var damageCells = 0
  package private(set) var findings: [ProgramFinding] = []
  /// Why there is no verdict of some, and of how many.
  package private(set) var unknowns: [String: Int] = [:]
  package var wasInterrupted = false
  package var seconds = 0.0
  /// They hold the volumes of their programs.
  private var brokenCuts: [DisturbedStates] = []

  init(_ spec: ProgramSpec) { self.spec = spec }

  package var verdict: Verdict {
    if findings.contains(where: { $0.repeats }) { return .violated }
    if wasInterrupted || opened == 0 || !unknowns.isEmpty || !findings.isEmpty { return .unknown }
    return .held
  }

  /// Whether a kill or a fault has broken this promise.
  func hasViolated(_ check: ProgramCheck?) -> Bool {
    runs.contains { $0.checks.contains { $0.check == check && $0.verdict == .violated } }
  }

  // MARK: Taking results

  /// A program that closes in order, and does not open again: no crash is tried then.
  mutating func addRestart(_ stop: WorkloadStop, _ log: [String], repeats: Bool) {
    let detail = "after an orderly restart, without any fault: \(stop.text)"
    findings.append(
      ProgramFinding(
        check: (stop.check ?? .opens).rawValue, detail: detail, cause: "orderly restart", repeats: repeats,
        story: ["close", "open", stop.text], log: log))
  }

  mutating func take(_ program: RecordedProgram) {
    (hello, model) = (program.hello, program.workload.model)
    requests = program.workload.steps.count
    operations = program.recording.operations.count
  }

  mutating func take(_ search: StateSearch, seconds: Double, starts: Int) {
    (profiles, opened, searchSeconds, driverStarts) = (search.progress, search.opened, seconds, starts)
    (alike, contents) = (search.alike, search.contents)
    for (reason, count) in search.unknowns { unknowns[reason, default: 0] += count }
    let missed = profiles.filter { $0.visited == 0 && $0.moments > 0 }.map(\.name)
    if !missed.isEmpty {
      unknowns["no state of \(missed.joined(separator: ", ")) was opened: give more time with --budget"] = 1
    }
  }

  mutating func take(_ lives: SecondLives) {
    (self.lives, livesAvailable, statesOfLives) = (lives.lives, lives.available, lives.opened)
  }

  mutating func take(_ states: DisturbedStates, _ search: StateSearch) {
    if search.opened > 0 { cutRuns += 1 }
    statesOfCuts += search.opened
    for (reason, count) in search.unknowns { unknowns[reason, default: 0] += count }
    if !states.broken.isEmpty { brokenCuts.append(states) }
  }

  mutating func take(_ run: DisturbedRun) {
    runs.append(run)
    for check in run.checks where check.verdict == .unknown { unknowns[check.detail, default: 0] += 1 }
  }

  mutating func addFindings(
    _ search: StateSearch, _ program: RecordedProgram, _ lives: SecondLives, _ shrinker: FindingShrinker,
    isCancelled: () -> Bool, note: (String) -> Void
  ) throws(ProgramTestError) {
    // Of each check one: that of a kill, for no lost operation is to blame then; else of the first profile.
    var seen: Set<String> = []
    let ordered = search.broken.filter { $0.profile == nil } + search.broken.filter { $0.profile != nil }
    for state in ordered where seen.insert(state.check.check.rawValue).inserted {
      if isCancelled() { return }
      note("shrinking \(state.check.check.rawValue)")
      var found = FindingShrinker.Found(program: program, state: state)
      // A program that behaves otherwise each time may not get through a shorter workload.
      do { found = try shrinker.shrink(program, state) } catch ProgramTestError.failsWithoutFault {
      } catch ProgramTestError.failsToRestart {}
      var finding = Self.finding(found, cause: found.state.profile?.name ?? "killed")
      finding.count = search.broken.count { $0.check.check == state.check.check }
      finding.token = ProgramToken(found, spec).text
      findings.append(finding)
    }
    try addLives(lives, &seen, isCancelled)
    try addCuts(program, shrinker, &seen, isCancelled, note)
    try addRuns(program, shrinker, &seen, isCancelled, note)
  }

  private static func finding(_ found: FindingShrinker.Found, cause: String) -> ProgramFinding {
    var finding = ProgramFinding(
      check: found.state.check.check.rawValue, detail: found.state.check.detail, cause: cause, repeats: found.repeats,
      story: story(found), log: found.state.log)
    let isNew = !found.program.hasAcknowledged(before: found.program.moment(at: found.state.event))
    let notes = [
      found.state.profile.flatMap(permits), isNew ? "nothing but its creation had been acknowledged" : nil,
    ].compactMap { $0 }
    finding.permits = notes.isEmpty ? nil : notes.joined(separator: "; ")
    return finding
  }

  /// What a profile stands for, where that is less than a file system in use.
  private static func permits(_ profile: CrashProfile) -> String? {
    switch profile.name {
    case "posix-minimal", "posix-minimal-eio":
      "found with the letter of POSIX only, and not with ext4, xfs or btrfs"
    case "ext4-writeback": "ext4 permits this state with data=writeback, and not by default"
    case "raw-512-eio", "raw-512-eio-any": "a drive permits this state that leaves sectors unreadable"
    case "raw-4k", "raw-512": "any disk with a volatile cache permits this state, whatever the file system"
    default: nil
    }
  }

  private static func story(_ found: FindingShrinker.Found) -> [String] {
    let state = found.state
    var point: CrashPoint?
    if let profile = state.profile {
      var walk = CrashPointWalk(found.program.recording, profile, seed: found.program.seed)
      point = walk.point(at: state.event)
    }
    return ProgramStory(
      found.program, until: state.event, point, state.choice, outcome: "after recovery: \(state.check.detail)"
    ).lines
  }

  private mutating func addLives(
    _ lives: SecondLives, _ seen: inout Set<String>, _ isCancelled: () -> Bool
  ) throws(ProgramTestError) {
    for life in lives.broken where seen.insert(life.check.check.rawValue).inserted {
      if isCancelled() { return }
      findings.append(
        ProgramFinding(
          check: life.check.check.rawValue, detail: life.check.detail,
          cause: (life.profile?.name ?? "killed") + ", second life", repeats: try lives.repeats(life),
          story: lives.story(of: life), log: life.log, token: lives.token(of: life)))
    }
  }

  /// Of power cuts after something went wrong.
  private mutating func addCuts(
    _ program: RecordedProgram, _ shrinker: FindingShrinker, _ seen: inout Set<String>, _ isCancelled: () -> Bool,
    _ note: (String) -> Void
  ) throws(ProgramTestError) {
    for states in brokenCuts {
      for state in states.broken where seen.insert(state.check.check.rawValue).inserted {
        if isCancelled() { return }
        note("shrinking \(state.check.check.rawValue)")
        let (found, what) = try shrinker.shrink(states, state, program)
        var finding = Self.finding(
          found, cause: (found.state.profile?.name ?? "killed") + ", after \(what.cause)")
        finding.token = ProgramToken(found, spec, what).text
        findings.append(finding)
      }
    }
    brokenCuts.removeAll()
  }

  private mutating func addRuns(
    _ program: RecordedProgram, _ shrinker: FindingShrinker, _ seen: inout Set<String>, _ isCancelled: () -> Bool,
    _ note: (String) -> Void
  ) throws(ProgramTestError) {
    for run in runs {
      for check in run.checks where check.verdict == .violated {
        guard seen.insert("\(check.check.rawValue) \(run.what.cause)").inserted else { continue }
        var found = FindingShrinker.DisturbedFound(program: program, run: run)
        if run.repeats, !isCancelled() {
          note("shrinking \(check.check.rawValue)")
          found = try shrinker.shrink(program, run, check.check)
        }
        let small = found.run
        findings.append(
          ProgramFinding(
            check: check.check.rawValue,
            detail: small.checks.first { $0.check == check.check && $0.verdict == .violated }?.detail ?? check.detail,
            cause: small.hit ?? small.what.cause, repeats: run.repeats, story: small.story, log: small.log,
            token: ProgramToken(found.program, spec, small.what, check.check).text))
      }
    }
  }
}

/// Broken promises after a power cut that came after something else had gone wrong.
struct DisturbedStates {
  var result: DisturbedRun
  var program: RecordedProgram
  var broken: [BrokenState]
}
