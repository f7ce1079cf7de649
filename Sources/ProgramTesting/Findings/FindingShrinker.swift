import CrashStates
import Drivers
import LogModel
import ProgramOracle
import Storage
import Verification
import VolumeStates

/// Repeats what was found, and makes it small: fewer requests, less that was lost, the profile with the least freedom.
struct FindingShrinker {
  let spec: ProgramSpec
  let pool: StatePool
  let record: ([Int]) throws(ProgramTestError) -> RecordedProgram
  let runner: (RecordedProgram) -> DisturbanceRunner
  let isCancelled: @Sendable () -> Bool
  /// Nanoseconds for one finding.
  let limit: UInt64

  /// A state with the run that it belongs to.
  struct Found {
    var program: RecordedProgram
    var state: BrokenState
    var repeats = true
  }

  func shrink(_ program: RecordedProgram, _ state: BrokenState) throws(ProgramTestError) -> Found {
    var found = Found(program: program, state: state)
    guard try repeats(&found) else { return found }
    let deadline = deadline(state.check.check)
    try weaken(&found)
    try shorten(&found, deadline)
    try keepMore(&found, deadline)
    return found
  }

  /// When the shrinking of a finding is over that begins now. Of hangs each try takes its time, and the story of a
  /// small one says no more.
  func deadline(_ check: ProgramCheck) -> UInt64 {
    DriverProcess.now + (check == .opensInTime ? min(limit, Self.mostForHang) : limit)
  }

  private static let mostForHang: UInt64 = 4_000_000_000

  /// Whether the state breaks the same promise three times more.
  func repeats(_ found: inout Found) throws(ProgramTestError) -> Bool {
    for _ in 0..<3 where found.repeats { found.repeats = try fails(found, found.state.choice) }
    return found.repeats
  }

  private func point(_ found: Found) -> CrashPoint {
    var walk = CrashPointWalk(found.program.recording, found.state.profile ?? .posixMinimal, seed: spec.seed)
    return walk.point(at: found.state.event)
  }

  /// Whether the state with this choice breaks the same promise.
  func fails(_ found: Found, _ choice: [Alternative], _ point: CrashPoint? = nil) throws(ProgramTestError)
    -> Bool
  {
    try check(found, choice, point) != nil
  }

  private func check(_ found: Found, _ choice: [Alternative], _ point: CrashPoint? = nil) throws(ProgramTestError)
    -> ProgramCheckResult?
  {
    let image = (point ?? self.point(found)).image(choice)
    let reading = try pool.read(
      [image], of: found.program, found.state.profile == nil ? .recorded : .second, isRepeat: true)[0]
    let history = CallerHistory(found.program.events, spec, found.program)
    return history.judge(reading, at: found.state.event).first {
      $0.verdict == .violated && $0.check == found.state.check.check
    }
  }

  /// The first profile, from the least freedom on, that permits the same content.
  func weaken(_ found: inout Found) throws(ProgramTestError) {
    guard let own = found.state.profile else { return }
    let content = point(found).contentHash(found.state.choice)
    for profile in CrashProfile.all {
      if profile == own { return }
      var walk = CrashPointWalk(found.program.recording, profile, seed: spec.seed)
      let point = walk.point(at: found.state.event)
      let limits = StateEnumeration.Limits(bound: 2, statesPerPoint: 2048, samples: 16)
      if let choice = StateEnumeration(point, limits).choice(of: content, seed: spec.seed) {
        (found.state.profile, found.state.choice) = (profile, choice)
        return
      }
    }
  }

  /// Fewer requests: the last ones before the crash, twice as many as in the try before.
  private func shorten(_ found: inout Found, _ deadline: UInt64) throws(ProgramTestError) {
    let moment = found.program.moment(at: found.state.event)
    var asked = 0
    for case .request(let record) in found.program.events where record.submitted < moment {
      if case .open = record.request { continue }
      asked += 1
    }
    // A restart is one step, of a `close` and an `open`.
    let numbers = found.program.stepNumbers ?? Array(found.program.workload.steps.indices)
    let before = Array(numbers.prefix(asked))
    var count = 1
    while count < before.count, DriverProcess.now < deadline, !isCancelled() {
      let last = Array(before.suffix(count))
      count *= 2
      let program = try record(last)
      let search = StateSearch(
        spec, program, pool, deadline: min(deadline, DriverProcess.now + limit / 4), isCancelled: isCancelled,
        note: { _ in })
      search.stopsAt = found.state.check.check
      search.isKillEnough = found.state.profile == nil
      try search.run(found.state.profile.map { [$0] } ?? [])
      let same = search.broken.filter {
        $0.check.check == found.state.check.check && ($0.profile == nil) == (found.state.profile == nil)
      }
      guard let smaller = same.first else { continue }
      let candidate = Found(program: program, state: smaller)
      if try fails(candidate, smaller.choice) {
        found = candidate
        return
      }
    }
  }

  /// Gives back what was lost, piece by piece, as long as the promise is still broken.
  func keepMore(_ found: inout Found, _ deadline: UInt64) throws(ProgramTestError) {
    guard found.state.profile != nil else { return }
    let point = point(found)
    var choice = found.state.choice
    var lost = choice.indices.filter { Int(choice[$0]) != point.pieces[$0].newest }
    var size = max(1, lost.count / 2)
    while !lost.isEmpty, DriverProcess.now < deadline, !isCancelled() {
      var start = 0
      while start < lost.count, DriverProcess.now < deadline {
        let part = lost[start..<min(start + size, lost.count)]
        var candidate = choice
        for piece in part { candidate[piece] = Alternative(point.pieces[piece].newest) }
        if point.permits(candidate), let check = try check(found, candidate, point) {
          choice = candidate
          found.state.check = check
          lost.removeAll { part.contains($0) }
        } else {
          start += size
        }
      }
      if size == 1 { break }
      size /= 2
    }
    found.state.choice = choice
  }
}
