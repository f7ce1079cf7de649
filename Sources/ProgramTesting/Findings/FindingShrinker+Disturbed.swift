import Drivers
import ProgramOracle
import Verification

/// Makes runs small in which something went wrong: fewer requests before the operation that was hit, and after it.
extension FindingShrinker {
  /// A run with something that goes wrong, and the program with the workload that it had.
  struct DisturbedFound {
    var program: RecordedProgram
    var run: DisturbedRun
  }

  /// - Parameter first: a run that broke a promise, with the whole workload of the program.
  /// - Returns: the smallest that broke the same one, twice.
  func shrink(_ program: RecordedProgram, _ first: DisturbedRun, _ check: ProgramCheck) throws(ProgramTestError)
    -> DisturbedFound
  {
    let deadline = deadline(check)
    var best = DisturbedFound(program: program, run: first)
    guard let spot = first.spot else { return best }
    try shorten(program, spot, deadline) { (smaller, step) throws(ProgramTestError) in
      guard let run = try again(smaller, first.what, spot, from: step, { $0.breaks(check) }) else { return false }
      best = DisturbedFound(program: smaller, run: run)
      return true
    }
    return best
  }

  /// The same for a power cut after it.
  /// - Returns: also what went wrong in the smaller run.
  func shrink(_ states: DisturbedStates, _ state: BrokenState, _ program: RecordedProgram) throws(ProgramTestError)
    -> (found: Found, what: Disturbance)
  {
    var found = Found(program: states.program, state: state)
    var what = states.result.what
    guard try repeats(&found) else { return (found, what) }
    let deadline = deadline(state.check.check)
    try weaken(&found)
    if let spot = states.result.spot {
      try shorten(program, spot, deadline) { (smaller, step) throws(ProgramTestError) in
        var own: RecordedProgram?
        let run = try again(
          smaller, what, spot, from: step, { _ in own != nil },
          keep: { (_, run, places) throws(ProgramTestError) in own = run.recorded(smaller, around: places) })
        guard let run, let own, let same = try broken(own, found.state, deadline) else { return false }
        let candidate = Found(program: own, state: same)
        guard try fails(candidate, same.choice) else { return false }
        (found, what) = (candidate, run.what)
        return true
      }
    }
    try keepMore(&found, deadline)
    return (found, what)
  }

  /// A run of a smaller workload in which the same operation is hit: found by its place in its step first, and then
  /// once more by its number among all, as a token has it.
  /// - Parameter isSame: whether a run is what is looked for.
  private func again(
    _ smaller: RecordedProgram, _ what: Disturbance, _ spot: WorkloadSpot, from step: Int?,
    _ isSame: (DisturbedRun) -> Bool, keep: DisturbanceRunner.Keep = { _, _, _ in }
  ) throws(ProgramTestError) -> DisturbedRun? {
    do throws(ProgramTestError) {
      var moved = what
      if step != nil { moved = what.moved(to: spot.sinceStep) }
      let run = try runner(smaller).run(moved, fromStep: step, isRepeat: true, keep: keep)
      guard run.hit != nil, isSame(run), let found = run.spot else { return nil }
      if step == nil { return run }
      let last = try runner(smaller).run(what.moved(to: found.occurrence), isRepeat: true, keep: keep)
      return last.hit != nil && isSame(last) ? last : nil
    } catch {
      // A program that behaves otherwise each time may not get through a shorter workload.
      switch error {
      case .failsWithoutFault, .failsToRestart: return nil
      default: throw error
      }
    }
  }

  /// A state of the smaller run that breaks the same promise.
  private func broken(
    _ program: RecordedProgram, _ state: BrokenState, _ deadline: UInt64
  ) throws(ProgramTestError) -> BrokenState? {
    let search = StateSearch(
      spec, program, pool, deadline: min(deadline, DriverProcess.now + limit / 8), isCancelled: isCancelled,
      note: { _ in })
    search.stopsAt = state.check.check
    search.isKillEnough = state.profile == nil
    try search.run(state.profile.map { [$0] } ?? [])
    return search.broken.first { $0.check.check == state.check.check && ($0.profile == nil) == (state.profile == nil) }
  }

  /// Leaves out steps: all after the one that was hit, all before it, then each that is left.
  /// - Parameters:
  ///   - program: with the whole workload.
  ///   - attempt: whether a smaller workload will do. Its second parameter is the step that is hit; nil where it is the
  ///     first `open`, or the last `close`.
  private func shorten(
    _ program: RecordedProgram, _ spot: WorkloadSpot, _ deadline: UInt64,
    _ attempt: (RecordedProgram, Int?) throws(ProgramTestError) -> Bool
  ) throws(ProgramTestError) {
    let whole = program.workload.steps
    // Before the step that was hit, that step, and behind it.
    var before = Array(0..<min(max(0, spot.steps - 1), whole.count))
    let hit = spot.steps > 0 && spot.steps <= whole.count ? [spot.steps - 1] : []
    var after = Array(min(spot.steps, whole.count)..<whole.count)
    func fits(_ before: [Int], _ after: [Int]) throws(ProgramTestError) -> Bool {
      if DriverProcess.now >= deadline || isCancelled() { return false }
      let numbers = before + hit + after
      var smaller = program
      smaller.workload.steps = numbers.map { whole[$0] }
      smaller.stepNumbers = numbers
      return try attempt(smaller, hit.isEmpty ? nil : before.count)
    }
    func fewest(_ all: [Int], _ part: (Int) -> [Int], _ fits: ([Int]) throws(ProgramTestError) -> Bool)
      throws(ProgramTestError) -> [Int]
    {
      var count = 0
      while count < all.count {
        if try fits(part(count)) { return part(count) }
        count = max(1, count * 2)
      }
      return all
    }
    after = try fewest(
      after, { Array(after.prefix($0)) }, { (part) throws(ProgramTestError) in try fits(before, part) })
    before = try fewest(
      before, { Array(before.suffix($0)) }, { (part) throws(ProgramTestError) in try fits(part, after) })
    for number in after.reversed() {
      let fewer = after.filter { $0 != number }
      if try fits(before, fewer) { after = fewer }
    }
    for number in before {
      let fewer = before.filter { $0 != number }
      if try fits(fewer, after) { before = fewer }
    }
  }
}

extension DisturbedRun {
  func breaks(_ check: ProgramCheck) -> Bool { checks.contains { $0.check == check && $0.verdict == .violated } }
}
