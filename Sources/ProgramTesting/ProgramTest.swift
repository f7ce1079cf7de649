import CrashStates
import Drivers
import Foundation
import Glibc
import LogModel
import ProgramOracle
import Storage
import Verification
import Volume
import VolumeStates

/// How far a test goes.
package struct ProgramTestOptions: Sendable {
  /// From the least freedom to the most.
  package var profiles: [CrashProfile] = [.btrfs, .xfs, .ext4Ordered, .posixMinimal]
  /// Nanoseconds for all of it, beside the shrinking of what is found.
  package var budget: UInt64 = 40_000_000_000
  package var jobs = 2
  /// Kills at operations of the trace: every third after SIGTERM, every fourth in `close`.
  package var kills = 12
  /// Operations that are made to fail, at most. Nil: of each kind of file, operation and fault the first, the last and
  /// a middle one.
  package var faults: Int?
  /// Those that they may meet; of damage there are more runs.
  package var faultKinds = OperationFault.usual
  /// Runs in which the disk damages what it had been given, at most.
  package var damage = 0
  /// States whose recovery is looked into: cut off, and followed by one more crash.
  package var secondLives = 24
  /// The test ends once this check is violated.
  package var stopsAt: ProgramCheck?
  /// In how many pieces states differ at most: 0, the plain ones, to 2.
  package var mostPieces = 2
  /// Nanoseconds for the shrinking of each finding.
  package var shrinking: UInt64 = 10_000_000_000
  package var isCancelled: @Sendable () -> Bool = { false }

  package init() {}
}

/// Tests a program: a recorded run, every crash state of it, kills, and operations that fail.
package final class ProgramTest {
  let spec: ProgramSpec
  let options: ProgramTestOptions
  let note: (String) -> Void
  private let names: String
  private let patience: Patience
  private var recordings = 0
  private var runs = 0
  private var report: ProgramReport
  /// Of the recorded run: operations before the last `close`, changes among them after the first `open`, and changes
  /// in that `close`.
  private var operations: [OperationCounter.Group: [Int]] = [:]
  private var changesAtWork = 0
  private var changesInClose = 0

  package init(_ spec: ProgramSpec, _ options: ProgramTestOptions, note: @escaping (String) -> Void) {
    (self.spec, self.options, self.note) = (spec, options, note)
    names = "tornlog-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    report = ProgramReport(spec)
    patience = Patience(spec.requestLimit)
  }

  private var isCancelled: Bool { options.isCancelled() }

  package func run() throws(ProgramTestError) -> ProgramReport {
    let began = DriverProcess.now
    note("recording \(spec.requests) requests")
    let program: RecordedProgram
    do throws(ProgramTestError) { program = try record(numbered: nil) } catch {
      guard case .failsToRestart(let stop, let log) = error else { throw error }
      report.addRestart(stop, log, repeats: failsToRestartAgain(stop))
      report.seconds = Double(DriverProcess.now - began) / 1e9
      return report
    }
    report.take(program)
    let recorded = DriverProcess.now - began
    note("recorded in \(recorded / 1_000_000) ms; about \(options.budget / 1_000_000_000) s to go")
    let pool = try StatePool(
      spec, program.workload, name: names + "-states", jobs: options.jobs, patience)
    let search = StateSearch(
      spec, program, pool, deadline: began + options.budget * 50 / 100, isCancelled: options.isCancelled, note: note)
    (search.mostPieces, search.stopsAt, search.isKillEnough) = (options.mostPieces, options.stopsAt, true)
    let searched = DriverProcess.now
    try search.run(options.profiles)
    report.take(search, seconds: Double(DriverProcess.now - searched) / 1e9, starts: pool.starts)
    let lives = SecondLives(spec, program, pool, deadline: began + options.budget * 58 / 100)
    try lives.run(
      search.representatives, torn: search.torn, most: options.secondLives, isCancelled: options.isCancelled)
    report.take(lives)
    try runKills(program, pool, deadline: began + options.budget * 72 / 100)
    let cells = faultCells
    try runFaults(
      cells.filter { !$0.fault.isDamage }, program, pool,
      deadline: began + options.budget * (report.damageCells == 0 ? 100 : 88) / 100)
    try runFaults(cells.filter(\.fault.isDamage), program, pool, deadline: began + options.budget)
    let shrinker = FindingShrinker(
      spec: spec, pool: pool, record: { numbers throws(ProgramTestError) in try self.record(numbered: numbers) },
      runner: { self.runner($0) },
      isCancelled: options.isCancelled, limit: options.shrinking)
    try report.addFindings(search, program, lives, shrinker, isCancelled: options.isCancelled, note: note)
    report.wasInterrupted = isCancelled
    report.seconds = Double(DriverProcess.now - began) / 1e9
    return report
  }

  // MARK: The recorded run

  /// Whether the program fails to come back from an orderly restart three times more.
  private func failsToRestartAgain(_ first: WorkloadStop) -> Bool {
    (0..<3).allSatisfy { _ in
      do throws(ProgramTestError) { _ = try record(numbered: nil) } catch {
        if case .failsToRestart(let stop, _) = error { return stop.check == first.check }
      }
      return false
    }
  }

  /// Runs a workload without any fault.
  /// - Parameter numbers: of the steps of the spec's workload that are carried out; nil takes all.
  func record(numbered numbers: [Int]?) throws(ProgramTestError) -> RecordedProgram {
    recordings += 1
    let run = try WorkloadRun(spec, name: "\(names)-run-\(recordings)", patience)
    let hello = try run.start()
    let model = try ProgramModel.chosen(spec.model, offered: hello.operations)
    var workload = ProgramWorkload(model, requests: spec.requests, seed: spec.seed, can: hello.operations)
    if let numbers { workload.steps = numbers.filter(workload.steps.indices.contains).map { workload.steps[$0] } }
    func complain(_ stop: WorkloadStop) throws(ProgramTestError) {
      throw .failsWithoutFault(stop.text, log: run.lastWords)
    }
    let counter = OperationCounter()
    if numbers == nil { run.volume.setDecider(counter.decider(below: "/data")) }
    if let stop = run.open() { try complain(stop) }
    let opened = counter.changes
    if let stop = run.run(workload.steps, isCancelled: options.isCancelled), stop != .interrupted {
      if run.isAtRestart, stop.check != nil { throw .failsToRestart(stop, log: run.lastWords) }
      try complain(stop)
    }
    let (worked, groups) = (counter.changes, counter.groups)
    if let stop = run.ask(.close) { try complain(stop) }
    run.end()
    if let limit = run.volume.machineLimit { throw .machine(limit) }
    if numbers == nil {
      operations = groups
      (changesAtWork, changesInClose) = (worked - opened, counter.changes - worked)
    }
    return run.recorded(workload, numbers)
  }

  // MARK: Kills and faults

  func runner(_ program: RecordedProgram) -> DisturbanceRunner {
    runs += 1
    return DisturbanceRunner(
      spec: spec, workload: program.workload, stepNumbers: program.stepNumbers, name: names + "-fault-\(runs)",
      patience: patience)
  }

  /// A run; where it breaks a promise, three times more.
  /// - Parameter keep: as the runner's, of the first.
  private func repeated(
    _ what: Disturbance, _ program: RecordedProgram, keep: DisturbanceRunner.Keep = { _, _, _ in }
  ) throws(ProgramTestError) {
    var what = what
    var first = try runner(program).run(what, keep: keep)
    if first.spot == nil, let other = what.withoutFile {
      what = other
      first = try runner(program).run(what, keep: keep)
    }
    if first.verdict == .violated {
      let checks = Set(first.checks.filter { $0.verdict == .violated }.map(\.check))
      for _ in 0..<3 where first.repeats && !isCancelled {
        let violated = try runner(program).run(what, isRepeat: true).checks.filter { $0.verdict == .violated }
        let again = Set(violated.map(\.check))
        if again.isDisjoint(with: checks) { first.repeats = false }
      }
    }
    report.take(first)
  }

  /// Opens what a power cut may leave at each moment after something went wrong.
  private func cutPower(
    after result: DisturbedRun, _ run: WorkloadRun, _ places: Range<Int>, _ program: RecordedProgram,
    _ pool: StatePool, until deadline: UInt64
  ) throws(ProgramTestError) {
    let what = result.what
    let own = run.recorded(program, around: places)
    let search = StateSearch(
      spec, own, pool, deadline: deadline, isCancelled: options.isCancelled,
      note: { [note] in note("after \(what): \($0)") })
    try search.run(options.profiles)
    report.take(DisturbedStates(result: result, program: own, broken: search.broken), search)
  }

  private func runKills(_ program: RecordedProgram, _ pool: StatePool, deadline: UInt64) throws(ProgramTestError) {
    guard changesAtWork > 0, options.kills > 0 else { return }
    var random = SeededGenerator(seed: spec.seed, stream: "kills")
    for number in 0..<options.kills {
      if isCancelled || DriverProcess.now >= deadline { return }
      note("kill \(number + 1) of \(options.kills)")
      let place = OperationPlace(occurrence: Int.random(in: 1...changesAtWork, using: &random))
      let what: Disturbance
      if number % 3 == 2 {
        what = .terminate(place, grace: Int.random(in: 1...8, using: &random))
      } else if number % 4 == 1, changesInClose > 0 {
        what = .killInClose(occurrence: Int.random(in: 1...changesInClose, using: &random))
      } else {
        what = .kill(place)
      }
      try repeated(what, program) { (result, run, places) throws(ProgramTestError) in
        if number >= Self.mostCuts { return }
        let left = deadline - min(deadline, DriverProcess.now)
        try self.cutPower(
          after: result, run, places, program, pool,
          until: DriverProcess.now + max(left / UInt64(Self.mostCuts - number) / 2, Self.leastCut))
      }
    }
  }

  /// Kills after which a power cut is tried, and nanoseconds that each such try has at least.
  private static let mostCuts = 4
  private static let leastCut: UInt64 = 300_000_000

  private var faultCells: [FaultCell] {
    let damage = options.faultKinds.filter(\.isDamage)
    let kinds = damage.isEmpty ? OperationFault.allCases.filter(\.isDamage) : damage
    let damaged = FaultCell.matrix(operations, kinds, most: options.damage, seed: spec.seed)
    let cells = FaultCell.matrix(
      operations, options.faultKinds.filter { !$0.isDamage }, most: options.faults, seed: spec.seed)
    (report.faultCells, report.damageCells) = (cells.count, damaged.count)
    return cells + damaged
  }

  private func runFaults(
    _ cells: [FaultCell], _ program: RecordedProgram, _ pool: StatePool, deadline: UInt64
  ) throws(ProgramTestError) {
    for (number, cell) in cells.enumerated() {
      if isCancelled || DriverProcess.now >= deadline || report.hasViolated(options.stopsAt) { return }
      note("fault \(number + 1) of \(cells.count): \(cell)")
      let what = Disturbance.fault(cell)
      try repeated(what, program) { (result, run, places) throws(ProgramTestError) in
        guard what.leavesUnsynced else { return }
        let left = deadline - min(deadline, DriverProcess.now)
        try self.cutPower(
          after: result, run, places, program, pool,
          until: DriverProcess.now + max(left / UInt64(cells.count - number), Self.leastCut))
      }
    }
  }
}
