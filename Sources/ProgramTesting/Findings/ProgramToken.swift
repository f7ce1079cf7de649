import CrashStates
import Drivers
import FoundationEssentials
import LogModel
import ProgramOracle
import Storage
import Verification
import VolumeStates

/// A crash state of a program in one word that a shell leaves alone: `p1.`, a JSON object in base64url (RFC 4648, 5),
/// and a check sum.
///
/// It names the driver's command, the workload and the state. The program is run again: what it does must be the same
/// up to the crash, and the token says how to tell.
package struct ProgramToken: Sendable, Codable, Hashable {
  package static let version = "p1"
  static let seal = TokenSeal(field: "v")

  var command: [String]
  var config: String
  var model: String
  var promise: String
  var allows: [String]
  var requests: Int
  var seed: UInt64
  /// Numbers of the steps of the workload that are carried out; nil is all.
  var steps: [Int]?
  /// Requests in flight at the same time; nil is one.
  var concurrency: Int?
  /// What went wrong in the run before; nil for nothing.
  var disturbance: Disturbance?
  /// What came after the state's recovery; nil where the first reading of it is what counts.
  var again: Again?
  /// Nil is the kill.
  var profile: String?
  /// Events before the crash; -1 where nothing but the disturbance is to be judged.
  var event: Int
  var kept: String
  var check: String
  /// Name and version as `hello` gave them.
  var program: String
  /// Of what the program did to its files up to the crash.
  var trace: UInt64

  init(_ found: FindingShrinker.Found, _ spec: ProgramSpec, _ disturbance: Disturbance? = nil) {
    let (program, state) = (found.program, found.state)
    self.init(program, spec, check: state.check.check.rawValue)
    self.disturbance = disturbance
    profile = state.profile?.name
    event = state.event
    var walk = CrashPointWalk(program.recording, state.profile ?? .posixMinimal, seed: spec.seed)
    kept = KeptPieces(state.choice, of: walk.point(at: state.event)).description
    trace = program.fingerprint(until: state.event)
  }

  /// A second life: the state was opened, read, written to once more, closed and opened again; or cut off at a moment.
  struct Again: Sendable, Codable, Hashable {
    /// Events of the second life before the power cut; nil for an orderly end.
    var event: Int?
    var kept: String?
    /// Of what the program did up to there.
    var trace: UInt64?
  }

  /// Of a second life.
  init(_ life: SecondLives.BrokenLife, _ program: RecordedProgram, _ spec: ProgramSpec) {
    self.init(
      FindingShrinker.Found(
        program: program,
        state: BrokenState(
          profile: life.profile, event: life.event, choice: life.choice, check: life.check, log: life.log)), spec)
    again = Again(
      event: life.inner?.event, kept: life.inner.map { KeptPieces($0.choice, of: $0.point).description },
      trace: life.inner.map { $0.program.fingerprint(until: $0.event) })
  }

  /// Of a run in which something went wrong.
  init(_ program: RecordedProgram, _ spec: ProgramSpec, _ disturbance: Disturbance, _ check: ProgramCheck) {
    self.init(program, spec, check: check.rawValue)
    self.disturbance = disturbance
  }

  private init(_ program: RecordedProgram, _ spec: ProgramSpec, check: String) {
    command = spec.command.arguments
    config = spec.config
    model = program.workload.model.rawValue
    promise = "\(spec.promise)"
    allows = spec.allowances.map(\.rawValue).sorted()
    (requests, seed) = (spec.requests, spec.seed)
    concurrency = spec.concurrency == 1 ? nil : spec.concurrency
    steps = program.stepNumbers
    (event, kept, trace) = (-1, "", 0)
    self.check = check
    self.program = "\(program.hello.name) \(program.hello.version)"
  }

  package var text: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = (try? encoder.encode(self)) ?? Data()
    let word = json.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    return Self.seal.sealed(Self.version + "." + word)
  }

  /// Whether a word begins as such a token does.
  package static func isProgram(_ word: String) -> Bool { word.hasPrefix(version + ".") }

  /// - Throws: what is wrong with the word.
  package init(_ word: String) throws(Failure) {
    let body: String
    do throws(TokenSeal.Broken) { body = try Self.seal.body(of: word) } catch { throw Failure("\(error)") }
    var text = body.dropFirst(Self.version.count + 1).replacing("-", with: "+").replacing("_", with: "/")
    while text.utf8.count % 4 != 0 { text += "=" }
    guard let json = Data(base64Encoded: String(text)),
      let token = try? JSONDecoder().decode(ProgramToken.self, from: json)
    else { throw Failure("the token cannot be read; \(TokenSeal.Broken.remedy)") }
    self = token
  }

  package struct Failure: Error, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }
  }

  /// The program that it is about.
  /// - Parameter command: in place of the token's; nil takes that.
  package func spec(command: [String]? = nil) throws(Failure) -> ProgramSpec {
    var spec = ProgramSpec(DriverCommand(command ?? self.command))
    guard let model = ProgramModel(rawValue: model), let promise = ProgramPromise(promise) else {
      throw Failure("the token is of another version of Tornlog: its model is '\(model)', its promise '\(promise)'")
    }
    (spec.config, spec.model, spec.promise) = (config, model, promise)
    spec.allowances = Set(allows.compactMap { ProgramAllowance(rawValue: $0) })
    (spec.requests, spec.seed, spec.concurrency) = (requests, seed, concurrency ?? 1)
    return spec
  }
}

extension RecordedProgram {
  /// A number for what the program did to its files in so many events: kinds, names, places and sizes.
  func fingerprint(until event: Int) -> UInt64 {
    var hash: UInt64 = 0
    for what in recording.events.prefix(event) {
      guard case .submitted(let number) = what.what else { continue }
      hash = mix64(hash ^ stableHash(recording.text(recording.operations[number])))
    }
    return hash
  }
}
