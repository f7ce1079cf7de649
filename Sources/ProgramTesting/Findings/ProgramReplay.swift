import CrashStates
import Drivers
import Glibc
import LogModel
import ProgramOracle
import Storage
import Verification
import Volume
import VolumeStates

/// A token's state once more.
package struct ProgramReplay {
  package enum Outcome: Sendable {
    /// The same check, or whatever else is broken; empty where every promise is kept.
    /// - Parameter isAnother: the program did not do the same, and this is a state of what it did now.
    case judged([ProgramCheckResult], story: [String], log: [String], isAnother: Bool = false)
    /// The program did not do the same as before: what is different.
    case differs(String)
  }

  private let token: ProgramToken
  private let spec: ProgramSpec
  private let test: ProgramTest

  package init(_ token: ProgramToken, _ spec: ProgramSpec, _ options: ProgramTestOptions) {
    (self.token, self.spec) = (token, spec)
    test = ProgramTest(spec, options, note: { _ in })
  }

  /// - Parameter export: a folder that is made and gets the files as the program finds them; nil where nobody wants
  ///   them.
  package func run(export: String?) throws(ProgramTestError) -> Outcome {
    var program = try test.record(numbered: token.steps)
    let name = "\(program.hello.name) \(program.hello.version)"
    if name != token.program { return .differs("the program is \(name), and was \(token.program)") }
    if let disturbance = token.disturbance {
      var own: RecordedProgram?
      let runner = test.runner(program)
      let result = try runner.run(
        disturbance, export: token.event < 0 ? export : nil,
        keep: { (_, run, places) throws(ProgramTestError) in own = run.recorded(program, around: places) })
      guard result.hit != nil else { return .differs("'\(disturbance)' did not come about this time") }
      if token.event < 0 {
        return .judged(result.checks.filter { $0.verdict != .held }, story: result.story, log: result.log)
      }
      guard let own else { return .differs("after '\(disturbance)' the program did not open again") }
      program = own
    }
    let profile: CrashProfile?
    if let name = token.profile {
      guard let found = CrashProfile.named(name) else { return .differs("there is no profile '\(name)' any more") }
      profile = found
    } else {
      profile = nil
    }
    let pool = try StatePool(spec, program.workload, name: "tornlog-\(getpid())-replay", jobs: 1)
    if program.end >= token.event, program.fingerprint(until: token.event) == token.trace {
      var walk = CrashPointWalk(program.recording, profile ?? .posixMinimal, seed: spec.seed)
      guard let choice = KeptPieces(token.kept)?.choice(of: walk.point(at: token.event)) else {
        return .differs("the profile \(token.profile ?? "") has other rules than when this was found")
      }
      if let again = token.again {
        if let export { try Self.export(walk.point(at: token.event).image(choice), program, to: export) }
        let lives = SecondLives(spec, program, pool, deadline: .max)
        guard let found = try lives.replay(profile, event: token.event, choice, again) else {
          return .differs("\(name) did not do the same in its second life as when this was found")
        }
        return .judged(found.checks.filter { $0.verdict != .held }, story: found.story, log: found.log)
      }
      return try judge(program, profile, event: token.event, choice, pool, export: export, isAnother: false)
    }
    if token.again != nil {
      return .differs("\(name) did not do the same to its files as when this was found; 'tornlog test' looks anew")
    }
    // Its files are not the same each time: names, sizes or an order that it draws anew.
    guard let state = try another(program, profile, pool) else {
      return .differs(
        "\(name) did not do the same to its files as when this was found: it made \(program.recording.operations.count)"
          + " operations; the state cannot be built again, and no other was found that breaks \(token.check)."
          + " 'tornlog test' looks anew")
    }
    return try judge(
      program, state.profile, event: state.event, state.choice, pool, export: export, isAnother: true)
  }

  /// Nanoseconds of the search for another state.
  private static let searchLimit: UInt64 = 30_000_000_000

  /// A state of what the program did this time that breaks the same promise.
  private func another(
    _ program: RecordedProgram, _ profile: CrashProfile?, _ pool: StatePool
  ) throws(ProgramTestError) -> BrokenState? {
    let search = StateSearch(
      spec, program, pool, deadline: DriverProcess.now + Self.searchLimit, isCancelled: test.options.isCancelled,
      note: { _ in })
    search.stopsAt = ProgramCheck(rawValue: token.check)
    search.isKillEnough = profile == nil
    try search.run(profile.map { [$0] } ?? [])
    return search.broken.first { $0.check.check.rawValue == token.check && ($0.profile == nil) == (profile == nil) }
  }

  private func judge(
    _ program: RecordedProgram, _ profile: CrashProfile?, event: Int, _ choice: [Alternative], _ pool: StatePool,
    export: String?, isAnother: Bool
  ) throws(ProgramTestError) -> Outcome {
    var walk = CrashPointWalk(program.recording, profile ?? .posixMinimal, seed: spec.seed)
    let point = walk.point(at: event)
    let image = point.image(choice)
    if let export { try Self.export(image, program, to: export) }
    let reading = try pool.read([image], of: program, profile == nil ? .recorded : .second)[0]
    let checks = CallerHistory(program.events, spec, program).judge(reading, at: event)
    let broken = checks.filter { $0.verdict == .violated }
    let outcome = broken.first.map { "after recovery: \($0.detail)" } ?? "after recovery every promise is kept"
    let story = ProgramStory(program, until: event, profile == nil ? nil : point, choice, outcome: outcome)
    return .judged(
      checks.filter { $0.verdict != .held }, story: story.lines, log: reading.log, isAnother: isAnother)
  }

  private static func export(_ image: DiskImage, _ program: RecordedProgram, to folder: String) throws(ProgramTestError)
  {
    var options = VolumeOptions()
    options.records = false
    let volume = Volume(options)
    do throws(VolumeFolderError) {
      try volume.put(StateServer.rootNodes(image, program.recorded))
      try volume.export(to: folder)
    } catch { throw .machine("the state cannot be written to \(folder): \(error)") }
  }
}
