import Drivers
import Foundation
import LogModel
import ProgramOracle
import ProgramTesting
import Reporting
import Testing
import Tuning
import Verification
import Volume

@testable import ProgramTuning

/// A program whose latencies and losses are known: the right answer is known too.
@Suite(.enabled(if: Known.refusal == nil, "\(Known.refusal ?? "")"), .serialized) struct KnownProgramTests {
  /// `always` takes 20 ms an append, the others 1 ms. The first interval is kept, the second is a lie. Bounds are wide:
  /// the machine may be busy.
  private static let result = Result {
    try Known.tune(
      [
        Known("always", "acknowledged", sync: "\"always\"", pause: 20), Known("honest", "interval(500ms)", sync: "40"),
        Known("liar", "interval(20ms)", sync: "1000"), Known("never", "nothing", sync: "\"never\""),
      ], rate: 60, loss: .time(.milliseconds(600)))
  }

  private func point(_ name: String) throws -> ProgramTuningPoint {
    try #require(try Self.result.get().points.first { $0.setting.name == name })
  }

  @Test func theOneThatIsFastAndKeepsItsPromiseIsRecommended() throws {
    let result = try Self.result.get()
    let chosen = result.recommendation.chosen.map { result.points[$0].setting.name }
    #expect(chosen == "honest", "\(result.points) \(result.notes ?? [])")
    #expect(result.recommendation.always.map { result.points[$0].setting.name } == "always")
  }

  @Test func throughputAndLatencyAreThoseOfTheProgram() throws {
    let always = try point("always")
    #expect((10...50).contains(always.capacity), "\(always.capacity)")
    #expect(always.atRate.latency.p50 >= 20_000_000)
    // 60 a second are more than it carries: the backlog counts.
    #expect(always.atRate.unsent > 0 && always.atRate.latency.p99 > 50_000_000)
    #expect(try point("honest").capacity > 2 * always.capacity)
  }

  @Test func whatIsSyncedBeforeTheAnswerIsNeverLost() throws {
    let always = try point("always")
    let loss = try #require(always.loss)
    #expect(loss.cuts == 40 && loss.messages.longest == 0 && always.isSound)
    #expect(always.atRate.exposedMessages.longest == 0)
  }

  /// A sync every 40 ms: what was acknowledged since the last one is lost, and the trace shows the same.
  @Test func anIntervalLosesWhatTheTraceShows() throws {
    let honest = try point("honest")
    let loss = try #require(honest.loss)
    #expect(honest.isSound && honest.keepsPromise)
    #expect(loss.messages.longest > 0 && loss.time.longest > 5_000_000)
    #expect(loss.messages.median == loss.exposedMessages.median && loss.time == loss.exposedTime, "\(loss)")
    #expect(honest.atRate.exposedTime.longest >= loss.time.longest)
  }

  @Test func whoKeepsNoIntervalIsFoundOut() throws {
    let liar = try point("liar")
    #expect(!liar.isSound && !liar.keepsPromise)
    #expect((liar.loss?.time.longest ?? 0) > 500_000_000)
    let document = try Self.result.get().document()
    #expect(document.text.contains { $0.hasPrefix("FINDING: liar lost up to ") })
    #expect(document.cases.first { $0.name == "liar" }?.verdict == .violated)
  }

  @Test func whoNeverSyncsLosesAllAndIsNotAccused() throws {
    let never = try point("never")
    let loss = try #require(never.loss)
    #expect(never.isSound && never.worstTime == nil)
    #expect(loss.messages.longest > 30)
    #expect(loss.time.longest > 500_000_000)
  }

  @Test func theReportIsThatOfTune() throws {
    let result = try Self.result.get()
    let document = try result.document()
    #expect(document.text[3] == "Use honest.")
    #expect(document.text.contains { $0.contains("always would lose nothing, but it carries ") })
    #expect(document.json.contains("\"tuneProgram\""))
    #expect(try ProgramTuningResult.read(document.json, from: "x").points == result.points)
    #expect(document.html?.contains("<svg") == true && document.page?.contains("## Loss and exposure") == true)
  }

  @Test func whoMayLoseNothingIsTold() throws {
    var result = try Self.result.get()
    result.requirements.loss = .nothing
    result.choose()
    #expect(result.recommendation.chosen == nil)
    // The figures are those at 60 a second; the rule is what is tested.
    result.requirements.workload.rate = 5
    result.choose()
    #expect(result.recommendation.chosen.map { result.points[$0].setting.name } == "always")
  }
}

/// One configuration of `known.py`.
private struct Known {
  var name: String
  var promise: String
  var config: String

  init(_ name: String, _ promise: String, sync: String, pause: Int = 1) {
    (self.name, self.promise) = (name, promise)
    config = "{\"sync\":\(sync),\"pause\":\(pause)}"
  }

  /// Why no volume can be mounted here, or nil.
  static let refusal: String? = {
    do {
      let folder = try TuningFolder(in: "/tmp")
      try VolumeMount(Volume(), at: folder.path + "/probe").unmount()
      return nil
    } catch { return "\(error)" }
  }()

  static func tune(_ settings: [Known], rate: Double, loss: Requirements.Loss) throws -> ProgramTuningResult {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/known.py"
    let folder = try TuningFolder(in: "/tmp")
    let candidates = settings.map { known in
      var spec = ProgramSpec(DriverCommand(["python3", script]))
      (spec.config, spec.directory) = (known.config, folder.path)
      spec.promise = ProgramPromise(known.promise)!
      return ProgramTuning.Candidate(
        ProgramSetting(name: known.name, config: known.config, promises: known.promise), spec)
    }
    var disk = TuningEffort.quick
    (disk.probe, disk.strip) = (.milliseconds(5), .milliseconds(5))
    let effort = ProgramEffort(
      disk: disk, flatOut: .milliseconds(200), atRate: .milliseconds(800), warmUp: .milliseconds(20), rounds: 1,
      recorded: .milliseconds(1200), intervals: 1, mostRecorded: .seconds(2), cuts: 40, cutTime: .seconds(30))
    let requirements = Requirements(
      loss: loss, p99: .seconds(3), workload: Workload(rate: rate, messageSize: 50, partitions: 1), producers: 1,
      batch: 1)
    let result = try ProgramTuning(candidates, program: "known.py", in: folder.path, requirements, effort).run()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    return result
  }
}
