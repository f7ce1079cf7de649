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
    case judged([ProgramCheckResult], story: [String], log: [String])
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

  /// - Parameter export: a folder that is made and gets the state's files; nil where nobody wants them.
  package func run(export: String?) throws(ProgramTestError) -> Outcome {
    var program = try test.record(numbered: token.steps)
    let name = "\(program.hello.name) \(program.hello.version)"
    if name != token.program { return .differs("the program is \(name), and was \(token.program)") }
    if let disturbance = token.disturbance {
      var own: RecordedProgram?
      let result = try test.runner(program).run(disturbance) { (run, _) throws(ProgramTestError) in
        own = run.recorded(program.workload, program.stepNumbers)
      }
      guard result.hit != nil else { return .differs("'\(disturbance)' did not come about this time") }
      if token.event < 0 {
        guard export == nil else { return .differs("there is no crash state to export: '\(disturbance)' is enough") }
        return .judged(result.checks.filter { $0.verdict != .held }, story: result.story, log: result.log)
      }
      guard let own else { return .differs("after '\(disturbance)' the program did not open again") }
      program = own
    }
    guard program.end >= token.event, program.fingerprint(until: token.event) == token.trace else {
      return .differs(
        "\(name) did not do the same to its files as when this was found: it made \(program.recording.operations.count)"
          + " operations; the state cannot be built again. 'tornlog test' looks anew")
    }
    let profile: CrashProfile?
    if let name = token.profile {
      guard let found = CrashProfile.named(name) else { return .differs("there is no profile '\(name)' any more") }
      profile = found
    } else {
      profile = nil
    }
    var walk = CrashPointWalk(program.recording, profile ?? .posixMinimal, seed: spec.seed)
    let point = walk.point(at: token.event)
    guard let choice = KeptPieces(token.kept)?.choice(of: point) else {
      return .differs("the profile \(token.profile ?? "") has other rules than when this was found")
    }
    let image = point.image(choice)
    if let export { try Self.export(image, program, to: export) }
    let pool = try StatePool(
      spec, program.workload, name: "tornlog-\(getpid())-replay", jobs: 1)
    let reading = try pool.visit([image], of: program)[0].reading
    let checks = CallerHistory(program.events, spec, program).judge(reading, at: token.event)
    let broken = checks.filter { $0.verdict == .violated }
    let outcome = broken.first.map { "after recovery: \($0.detail)" } ?? "after recovery every promise is kept"
    let story = ProgramStory(program, until: token.event, profile == nil ? nil : point, choice, outcome: outcome)
    return .judged(checks.filter { $0.verdict != .held }, story: story.lines, log: reading.log)
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
