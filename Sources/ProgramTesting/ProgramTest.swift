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
  /// Kills at operations of the trace.
  package var kills = 12
  /// Operations that are made to fail, at most.
  package var faults = 40
  /// Those that they may meet.
  package var faultKinds = OperationFault.usual
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
  private var recordings = 0
  private var report: ProgramReport
  private var operationCounts: [VolumeOperationKind: Int] = [:]

  package init(_ spec: ProgramSpec, _ options: ProgramTestOptions, note: @escaping (String) -> Void) {
    (self.spec, self.options, self.note) = (spec, options, note)
    names = "tornlog-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    report = ProgramReport(spec)
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
      spec, program.workload, name: names + "-states", jobs: options.jobs)
    let search = StateSearch(
      spec, program, pool, deadline: began + options.budget * 6 / 10, isCancelled: options.isCancelled, note: note)
    (search.mostPieces, search.stopsAt, search.isKillEnough) = (options.mostPieces, options.stopsAt, true)
    let searched = DriverProcess.now
    try search.run(options.profiles)
    report.take(search, seconds: Double(DriverProcess.now - searched) / 1e9, starts: pool.starts)
    let lives = SecondLives(spec, program, pool, deadline: began + options.budget * 7 / 10)
    try lives.run(
      search.representatives, torn: search.torn, most: options.secondLives, isCancelled: options.isCancelled)
    report.take(lives)
    try runKills(program, deadline: began + options.budget * 8 / 10)
    try runFaults(program, deadline: began + options.budget)
    let shrinker = FindingShrinker(
      spec: spec, pool: pool, record: { numbers throws(ProgramTestError) in try self.record(numbered: numbers) },
      isCancelled: options.isCancelled, limit: options.shrinking)
    try report.addFindings(search, program, shrinker, isCancelled: options.isCancelled, note: note)
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
    let run = try WorkloadRun(spec, name: "\(names)-run-\(recordings)")
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
    if let stop = run.run(workload.steps, isCancelled: options.isCancelled), stop != .interrupted {
      if run.isAtRestart, stop.check != nil { throw .failsToRestart(stop, log: run.lastWords) }
      try complain(stop)
    }
    if let stop = run.ask(.close) { try complain(stop) }
    run.end()
    if let limit = run.volume.machineLimit { throw .machine(limit) }
    let recorded = VolumeRecording(run.volume.trace, root: run.root)
    if numbers == nil { operationCounts = counter.counts }
    return RecordedProgram(
      hello: hello, workload: workload, stepNumbers: numbers, seed: spec.seed, recorded: recorded, events: run.events,
      begin: recorded.event(at: run.firstOpen ?? 0) + 1, folder: run.folder, mount: run.mount)
  }

  // MARK: Kills and faults

  private func runner(_ program: RecordedProgram) -> FaultRunner {
    FaultRunner(spec: spec, workload: program.workload, name: names + "-fault")
  }

  /// A run; where it breaks a promise, three times more.
  private func repeated(_ run: () throws(ProgramTestError) -> FaultRun) throws(ProgramTestError) -> FaultRun {
    var first = try run()
    guard first.verdict == .violated else { return first }
    let checks = Set(first.checks.filter { $0.verdict == .violated }.map(\.check))
    for _ in 0..<3 where first.repeats && !isCancelled {
      let again = Set(try run().checks.filter { $0.verdict == .violated }.map(\.check))
      if again.isDisjoint(with: checks) { first.repeats = false }
    }
    return first
  }

  private func runKills(_ program: RecordedProgram, deadline: UInt64) throws(ProgramTestError) {
    let all = operationCounts.filter { $0.key.isChange }.values.reduce(0, +)
    guard all > 0 else { return }
    var random = SeededGenerator(seed: spec.seed, stream: "kills")
    for number in 0..<options.kills {
      if isCancelled || DriverProcess.now >= deadline { return }
      note("kill \(number + 1) of \(options.kills)")
      let place = OperationPlace(occurrence: Int.random(in: 1...all, using: &random))
      report.take(try repeated { () throws(ProgramTestError) in try runner(program).kill(at: place) })
    }
  }

  private func runFaults(_ program: RecordedProgram, deadline: UInt64) throws(ProgramTestError) {
    let cells = FaultCell.matrix(operationCounts, options.faultKinds, most: options.faults, seed: spec.seed)
    report.faultCells = cells.count
    for (number, cell) in cells.enumerated() {
      if isCancelled || DriverProcess.now >= deadline || report.hasViolated(options.stopsAt) { return }
      note("fault \(number + 1) of \(cells.count): \(cell)")
      report.take(try repeated { () throws(ProgramTestError) in try runner(program).fail(cell) })
    }
  }
}
