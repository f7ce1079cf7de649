import CrashStates
import Drivers
import Glibc
import LogModel
import ProgramOracle
import Verification
import Volume
import VolumeStates

/// What came of one run in which one thing went wrong.
package struct DisturbedRun: Sendable {
  package var what: Disturbance
  /// The operation that was hit, in words; nil where it did not come: then nothing was tested.
  package var hit: String?
  package var checks: [ProgramCheckResult]
  package var log: [String]
  /// What the program did up to there, and what came of it.
  package var story: [String] = []
  /// Whether three more tries gave the same.
  package var repeats = true
  /// How the program took it, where it did not go on.
  package var stop: WorkloadStop?
  /// Of damage: what the program made of it.
  package var response: DamageResponse?
  /// Where in the workload its operation came; nil where it did not.
  var spot: WorkloadSpot?

  package var verdict: Verdict {
    if hit == nil { return .unknown }
    if checks.contains(where: { $0.verdict == .violated }) { return .violated }
    return checks.contains { $0.verdict == .unknown } ? .unknown : .held
  }
}

/// What a program made of a damaged file.
package enum DamageResponse: String, Sendable, Hashable, CaseIterable {
  /// It served everything that was promised.
  case survived
  /// It refused, ended, or complained.
  case noticed
  /// It served less than was promised, and said nothing.
  case lostSilently
  /// It served what nobody had written.
  case servedDamage
}

/// An operation of a disturbed run, as its caller sees it.
struct WorkloadSpot: Sendable, Hashable {
  /// Steps that had been asked for by then; 0 is the first `open`.
  var steps: Int
  /// Which of the operations that match its place it was in the last of these steps, from 1.
  var sinceStep: Int
  /// Which of all of them it was, from 1.
  var occurrence: Int
}

/// Runs the workload with one thing that goes wrong, and opens what is left.
struct DisturbanceRunner {
  let spec: ProgramSpec
  let workload: ProgramWorkload
  let stepNumbers: [Int]?
  let name: String
  /// Nil waits for each request until the limit.
  var patience: Patience?

  /// Called with a run that is over, before its volume goes, with where in the trace it was hit, and where the last
  /// reading began, of which nobody was told.
  typealias Keep = (DisturbedRun, WorkloadRun, _ places: Range<Int>) throws(ProgramTestError) -> Void

  /// - Parameters:
  ///   - step: the place counts from the beginning of this step on, from 0; nil counts from the first operation.
  ///   - isRepeat: a hang that was waited for until the limit is tried again: it counts after a shorter wait too.
  ///   - export: a folder that is made and gets the files as the program finds them after it; nil where nobody wants
  ///     them.
  func run(
    _ what: Disturbance, fromStep step: Int? = nil, isRepeat: Bool = false, export: String? = nil,
    keep: Keep = { _, _, _ in }
  ) throws(ProgramTestError) -> DisturbedRun {
    let run = try WorkloadRun(spec, name: name, keepsCache: !what.isDamage, patience)
    _ = try run.start()
    var result = DisturbedRun(what: what, hit: nil, checks: [], log: [])
    try carryOut(what, run, fromStep: step, export, &result, keep)
    if run.isGivenUp, !isRepeat {
      for place in result.checks.indices where result.checks[place].check == .opensInTime {
        result.checks[place] = ProgramCheckResult(.opensInTime, .unknown, Patience.reason)
      }
    }
    return result
  }

  private func carryOut(
    _ what: Disturbance, _ run: WorkloadRun, fromStep step: Int?, _ export: String?, _ result: inout DisturbedRun,
    _ keep: Keep
  ) throws(ProgramTestError) {
    let trigger = OperationTrigger(isRelative: step != nil)
    // The first `open` may meet a fault: then there was nothing before.
    if what.fault != nil { set(what, trigger, run) }
    if let stop = run.open() {
      if what.fault == nil { throw .failsWithoutFault(stop.text, log: run.lastWords) }
      result.stop = stop
    } else {
      if case .killInClose = what {
        result.stop = run.run(workload.steps)
        if result.stop == nil {
          set(what, trigger, run)
          result.stop = run.ask(.close)
        }
      } else {
        if what.fault == nil { set(what, trigger, run) }
        let before = min(step ?? 0, workload.steps.count)
        result.stop = run.run(workload.steps[..<before])
        if step != nil { trigger.arm() }
        if result.stop == nil { result.stop = run.run(workload.steps[before...]) }
      }
    }
    run.volume.setDecider(nil)
    (run.volume.limit, run.volume.isReadOnly) = (nil, false)
    if let limit = run.volume.machineLimit { throw .machine(limit) }
    guard let met = trigger.met else { return }
    result.spot = run.spot(of: met, trigger)
    guard let hit = hit(what, met, run) else { return }
    result.hit = hit
    result.log = run.lastWords
    // Who is asked to end need not answer any more.
    if what.fault != nil, case .silent(let request) = result.stop {
      result.checks.append(
        ProgramCheckResult(.opensInTime, .violated, "after the fault '\(request)' was not answered in time"))
      result.story = story(run, met, hit, result.checks)
      return
    }
    run.end(isCrash: true)
    // Without an answer to the first `open` nobody has anything in it.
    guard run.firstOpen != nil else { return }
    if what.isDamage { try damage(run, what, met, &result) }
    if let export {
      do throws(VolumeFolderError) { try run.volume.export("/data", to: export) } catch {
        throw .machine("the files cannot be written to \(export): \(error)")
      }
    }
    var end = run.volume.trace.count
    if what.isDamage {
      try openDamaged(run, &result)
    } else {
      end = try reopen(run, &result)
    }
    if result.verdict == .violated { result.story = story(run, met, hit, result.checks) }
    try keep(result, run, met.sequence..<max(met.sequence, end))
  }

  private func set(_ what: Disturbance, _ trigger: OperationTrigger, _ run: WorkloadRun) {
    let target = Weak(run)
    let volume = run.volume
    func killer(_ place: OperationPlace, _ trigger: OperationTrigger) -> VolumeDecider {
      let once = trigger.decider(place, volume, below: "/data") { _ in
        target.run?.kill()
        return .proceed
      }
      return { request in
        guard trigger.met != nil else { return once(request) }
        // The kernel writes a mapped page back: no process asks for it, and a kill loses no page. Were it to fail, the
        // next program would be told.
        if request.flags.contains(.writeBack) { return .proceed }
        // What a process asks for that the kernel has not killed yet does not happen any more.
        return .delayed(nanoseconds: 50_000_000, then: .fail(EIO))
      }
    }
    let decider: VolumeDecider
    switch what {
    case .kill(let place): decider = killer(place, trigger)
    case .killInClose(let occurrence): decider = killer(OperationPlace(occurrence: occurrence), trigger)
    case .terminate(let place, let grace):
      let last = killer(OperationPlace(occurrence: grace + 1), OperationTrigger())
      let first = trigger.decider(place, volume, below: "/data") { _ in
        target.run?.terminate()
        return .proceed
      }
      decider = { request in
        _ = first(request)
        return trigger.met == nil ? .proceed : last(request)
      }
    case .fault(let cell):
      let once = trigger.decider(cell.place, run.volume, below: "/data") { [weak volume = run.volume] request in
        volume.map { cell.fault.decision(request, $0) } ?? .proceed
      }
      guard cell.fault == .lyingSync else {
        decider = once
        break
      }
      decider = { request in
        let decision = once(request)
        return trigger.met != nil && request.kind.isSync ? .syncLies : decision
      }
    }
    run.volume.setDecider(decider)
  }

  /// The operation in words; nil where what lasts was not met by any.
  private func hit(_ what: Disturbance, _ met: OperationTrigger.Met, _ run: WorkloadRun) -> String? {
    let name = met.path.dropFirst("/data/".count)
    let place = "\(met.kind.text) of \(name.isEmpty ? "the program's folder" : String(name))"
    switch what {
    case .kill: return "kill -9 at \(place)"
    case .killInClose: return "kill -9 in close, at \(place)"
    case .terminate(_, let grace): return "SIGTERM at \(place), kill -9 at most \(grace) operations later"
    case .fault(let cell):
      let code: Int32
      switch cell.fault {
      case .full: code = ENOSPC
      case .readOnly: code = EROFS
      default: return "\(cell.fault.rawValue) at \(place)"
      }
      let failed = run.volume.trace.operations(from: met.sequence).contains { $0.error == code }
      return failed ? "\(cell.fault.rawValue) from \(place) on" : nil
    }
  }

  // MARK: Judging

  /// - Returns: where in the trace the last reading began.
  private func reopen(_ run: WorkloadRun, _ result: inout DisturbedRun) throws(ProgramTestError) -> Int {
    let begin = run.volume.trace.count
    let reading = try reading(run)
    result.log = reading.log
    let history = CallerHistory(run.events, spec, workload)
    result.checks += history.judge(reading)
    guard reading.failure == nil else {
      run.end()
      return begin
    }
    // What is written after a recovery must survive the next crash.
    run.noteReading(reading, since: begin)
    for number in 1...3 { if run.ask(workload.probe(number)) != nil { break } }
    run.end(isCrash: true)
    let end = run.volume.trace.count
    let last = try self.reading(run)
    let whole = CallerHistory(run.events, spec, workload)
    let again = whole.judge(last)
    result.checks += again.filter { $0.verdict != .held }
    if !last.log.isEmpty { result.log = last.log }
    run.end()
    return end
  }

  private func reading(_ run: WorkloadRun) throws(ProgramTestError) -> StateReading {
    _ = try run.start()
    if let stop = run.open() { return StateReading(stop, log: run.lastWords) }
    return run.read(workload)
  }

  /// What happens to files that nobody has open.
  private func damage(
    _ run: WorkloadRun, _ what: Disturbance, _ met: OperationTrigger.Met, _ result: inout DisturbedRun
  ) throws(ProgramTestError) {
    switch what.fault {
    case .flippedAtRest:
      let bit = (met.offset &* 31 &+ met.length / 2 * 8) % (max(1, met.length) * 8)
      if !run.volume.flip(bit: Int(bit % 8), at: met.offset + bit / 8, of: met.inode) { result.hit = nil }
    case .unreadable:
      let (inode, first, last) = (met.inode, met.offset / 512 * 512, met.offset + max(1, met.length) - 1)
      run.volume.dropCaches(of: inode)
      run.volume.setDecider { request in
        request.kind == .read && request.inode == inode && request.offset <= last
          && request.offset + request.length > first ? .fail(EIO) : .proceed
      }
    case .lyingSync, .reportedLate: try cutPower(run)
    default: break
    }
  }

  /// No program has to survive damage. None should serve what nobody has written, or hang.
  private func openDamaged(_ run: WorkloadRun, _ result: inout DisturbedRun) throws(ProgramTestError) {
    guard result.hit != nil else { return run.end() }
    let reading = try reading(run)
    run.volume.setDecider(nil)
    run.end()
    result.log = reading.log
    let checks = CallerHistory(run.events, spec, workload).judge(reading)
    (result.response, result.checks) = Self.judge(checks, reading)
  }

  /// - Returns: what the program made of damage, and which of the checks stand.
  static func judge(_ checks: [ProgramCheckResult], _ reading: StateReading) -> (DamageResponse?, [ProgramCheckResult])
  {
    if case .hung = reading.failure { return (.noticed, checks) }
    if case .driver = reading.failure { return (nil, checks) }
    if reading.failure != nil { return (.noticed, []) }
    let served = checks.filter {
      $0.verdict == .violated && ($0.check == .contentIntact || $0.check == .noPhantom)
    }
    if !served.isEmpty { return (.servedDamage, served) }
    let doubts = checks.filter { $0.verdict == .unknown }
    if !doubts.isEmpty { return (nil, doubts) }
    if let words = reading.check, !words.isEmpty { return (.noticed, []) }
    return (checks.isEmpty ? .survived : .lostSilently, [])
  }

  /// Leaves what the disk has without the syncs that lied: all that may be lost is lost.
  private func cutPower(_ run: WorkloadRun) throws(ProgramTestError) {
    let recorded = VolumeRecording(run.volume.trace)
    var walk = CrashPointWalk(recorded.recording, .ext4Ordered, seed: spec.seed)
    let point = walk.point(at: recorded.recording.events.count)
    do throws(VolumeFolderError) { try run.volume.replaceAll(by: point.image(point.nothing), of: recorded) } catch {
      throw .machine("\(error)")
    }
  }

  // MARK: Stories

  private func story(
    _ run: WorkloadRun, _ met: OperationTrigger.Met, _ hit: String, _ checks: [ProgramCheckResult]
  ) -> [String] {
    let program = run.recorded(workload, stepNumbers)
    let before = ProgramStory.steps(program, until: program.recorded.event(at: met.sequence))
    let room = ProgramStory.mostLines - 4
    let shown = before.count > room ? ["... \(before.count - room + 1) lines before"] + before.suffix(room - 1) : before
    let outcome = checks.first { $0.verdict == .violated }.map { "after recovery: \($0.detail)" } ?? ""
    var lines = shown + [hit]
    let answers = program.acknowledged(after: met.sequence)
    if let answers { lines.append(answers) }
    return lines + ["kill -9, and a restart", outcome]
  }

  private final class Weak: @unchecked Sendable {
    // The run outlives the decider that asks for it.
    weak var run: WorkloadRun?
    init(_ run: WorkloadRun) { self.run = run }
  }
}

extension WorkloadRun {
  /// What was done from the operation on that was hit, up to where the last reading began.
  func recorded(_ program: RecordedProgram, around places: Range<Int>) -> RecordedProgram {
    var own = recorded(program.workload, program.stepNumbers, end: places.upperBound)
    own.begin = max(own.begin, own.recorded.event(at: places.lowerBound))
    return own
  }

  fileprivate func spot(of met: OperationTrigger.Met, _ trigger: OperationTrigger) -> WorkloadSpot {
    var (steps, begin) = (0, 0)
    for case .request(let record) in events where record.submitted <= met.sequence {
      // A restart is one step, of a `close` and an `open`.
      if case .open = record.request { continue }
      (steps, begin) = (steps + 1, record.submitted)
    }
    return WorkloadSpot(
      steps: steps, sinceStep: met.occurrence - trigger.counted(before: begin), occurrence: met.occurrence)
  }
}

extension VolumeOperationKind {
  /// Whether it makes something durable.
  var isSync: Bool {
    self == .sync || self == .syncDirectory || self == .syncWritten || self == .syncAll
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
