import Drivers
import Glibc
import LogModel
import ProgramOracle
import Verification
import Volume
import VolumeStates

/// What came of one run with a kill or a fault.
package struct FaultRun: Sendable {
  package enum What: Sendable, Hashable {
    case kill(OperationPlace)
    case fault(FaultCell)
  }

  package var what: What
  /// The operation that was hit, in words; nil where it did not come: then nothing was tested.
  package var hit: String?
  package var checks: [ProgramCheckResult]
  package var log: [String]
  /// Whether three more tries gave the same.
  package var repeats = true
  /// How the program took it, where it did not go on.
  package var stop: WorkloadStop?

  package var verdict: Verdict {
    if hit == nil { return .unknown }
    if checks.contains(where: { $0.verdict == .violated }) { return .violated }
    return checks.contains { $0.verdict == .unknown } ? .unknown : .held
  }
}

/// Runs the workload with one thing that goes wrong, and opens what is left.
struct FaultRunner {
  let spec: ProgramSpec
  let workload: ProgramWorkload
  let name: String

  /// Kills the program at an operation, restarts it on what it has written, and goes on.
  /// - Parameter keep: is called with the run before its volume goes.
  func kill(at place: OperationPlace, keep: (WorkloadRun) throws(ProgramTestError) -> Void = { _ in })
    throws(ProgramTestError) -> FaultRun
  {
    let run = try WorkloadRun(spec, name: name)
    _ = try run.start()
    if let stop = run.open() { throw .failsWithoutFault(stop.text, log: run.lastWords) }
    let trigger = OperationTrigger()
    let killer = Weak(run)
    run.volume.setDecider(
      trigger.decider(place, below: "/data") { _ in
        killer.run?.kill()
        return .proceed
      })
    let stop = run.run(workload.steps)
    run.volume.setDecider(nil)
    let hit = trigger.met.map { "killed at \($0.kind.text) of \($0.path)" }
    var result = FaultRun(what: .kill(place), hit: hit, checks: [], log: [], stop: stop)
    guard trigger.met != nil else { return result }
    run.end(isCrash: true)
    try reopen(run, &result)
    try keep(run)
    return result
  }

  /// Has one operation fail. The program goes on as it can; then it is killed, and opened again without any fault.
  func fail(_ cell: FaultCell) throws(ProgramTestError) -> FaultRun {
    let run = try WorkloadRun(spec, name: name)
    _ = try run.start()
    let trigger = OperationTrigger()
    run.volume.setDecider(trigger.decider(cell.place, below: "/data") { cell.fault.decision($0) })
    // The first `open` may meet the fault: then there was nothing before.
    let refusal = run.open()
    let stop = refusal ?? run.run(workload.steps)
    run.volume.setDecider(nil)
    let hit = trigger.met.map { "\(cell.fault.rawValue) at \($0.kind.text) of \($0.path)" }
    var result = FaultRun(what: .fault(cell), hit: hit, checks: [], log: run.lastWords, stop: stop)
    guard trigger.met != nil else { return result }
    if case .silent(let request) = stop {
      result.checks.append(
        ProgramCheckResult(.opensInTime, .violated, "after the fault '\(request)' was not answered in time"))
      return result
    }
    run.end(isCrash: true)
    if run.firstOpen == nil {
      // Its caller was told that it could not be made: nobody has anything in it.
      return result
    }
    try reopen(run, &result)
    return result
  }

  private func reopen(_ run: WorkloadRun, _ result: inout FaultRun) throws(ProgramTestError) {
    _ = try run.start()
    let reading: StateReading
    if let stop = run.open() {
      reading = StateReading(stop, log: run.lastWords)
    } else {
      reading = run.read(workload)
    }
    result.log = reading.log
    let history = CallerHistory(run.events, spec, workload)
    result.checks += history.judge(reading)
    guard reading.failure == nil else { return }
    // What is written after a recovery must survive the next crash.
    run.noteReading(reading)
    for number in 1...3 { if run.ask(workload.probe(number)) != nil { break } }
    run.end(isCrash: true)
    _ = try run.start()
    let last: StateReading
    if let stop = run.open() { last = StateReading(stop, log: run.lastWords) } else { last = run.read(workload) }
    let whole = CallerHistory(run.events, spec, workload)
    let again = whole.judge(last)
    result.checks += again.filter { $0.verdict != .held }
    if !last.log.isEmpty { result.log = last.log }
    run.end()
  }

  private final class Weak: @unchecked Sendable {
    // The run outlives the decider that asks for it.
    weak var run: WorkloadRun?
    init(_ run: WorkloadRun) { self.run = run }
  }
}

extension StateReading {
  /// Of a program that did not open.
  init(_ stop: WorkloadStop, log: [String]) {
    let failure: Failure =
      switch stop {
      case .died(let how): .died(how, request: "open")
      case .silent(let request): .hung(request: request)
      case .refused(let error): .refused(error)
      case .driver(let problem): .driver(problem)
      case .interrupted: .driver("interrupted")
      }
    self.init(failure: failure, log: log)
  }
}
