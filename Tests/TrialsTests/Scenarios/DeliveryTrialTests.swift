import EventReceivers
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Trials of the job log and its sender, in the model.
@Suite struct DeliveryTrialTests {
  static func spec(
    _ faults: [FaultSpec] = [], crash: CrashKind = .processKill, at: CrashMoment = .end, seed: UInt64 = 1,
    _ change: (inout DeliverySettings) -> Void = { _ in }
  ) -> TrialSpec {
    var settings = DeliverySettings()
    settings.eventsFor = .seconds(2)
    change(&settings)
    var spec = TrialSpec(scenario: "delivery", file: "", seed: seed, storage: .memory, phaseSeconds: 60)
    (spec.topic, spec.messages, spec.partitions, spec.producers) = ("build", 60, 2, 3)
    (spec.batch, spec.messageSize, spec.appendBetween) = (7, 100, 5)
    (spec.recovery, spec.crash, spec.crashAt) = (.truncateAtCorruption, crash, at)
    (spec.faults, spec.delivery) = (faults, settings)
    return spec
  }

  static func fault(_ kind: String, _ parameters: [String: String]) -> FaultSpec {
    FaultSpec(kind: kind, parameters: parameters)
  }

  static func run(_ spec: TrialSpec) throws -> PhaseReply {
    let scratch = try TrialScratch()
    return try SimulatedDelivery(spec, scratch.folder).run()
  }

  @Test(arguments: [CrashKind.none, .processKill, .powerLoss], [1, 2, 3] as [UInt64])
  func everyEventArrivesOnceInOrder(_ crash: CrashKind, _ seed: UInt64) throws {
    let spec = Self.spec(
      [Self.fault("receiver-refuses", ["after": "500ms", "for": "30s"])], crash: crash,
      at: crash == .none ? .end : .percent(50), seed: seed)
    let reply = try Self.run(spec)
    #expect(reply.judgement?.verdict == .held, "\(reply)")
    #expect(reply.faultMissed == nil && reply.receipts.contains { $0.kind == "receiver-refuses" && $0.fired > 0 })
    let counts = try #require(reply.judgement?.counts)
    #expect(
      counts.acknowledged >= (crash == .none ? 70 : 30) && counts.lost == 0 && counts.recovered >= counts.acknowledged)
  }

  /// A receiver that misbehaves when nobody sends puts nothing to the test.
  @Test func aFaultThatNobodyMetLeavesNoVerdict() throws {
    let reply = try Self.run(Self.spec([Self.fault("receiver-refuses", ["after": "5h", "for": "1s"])]))
    #expect(reply.faultMissed == "receiver-refuses: no attempt to send was made 5h to 18001s after the start")
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "").take(reply, &findings)
    #expect(findings.judged().verdict == .unknown)
  }

  /// The same seed, the same attempts at the same moments, and the same trace.
  @Test func oneSeedOneTrial() throws {
    var traces: [String] = []
    for _ in 0..<2 {
      let scratch = try TrialScratch()
      var spec = Self.spec(
        [Self.fault("receiver-disconnects", ["for": "1s"])], crash: .powerLoss, at: .percent(50), seed: 7)
      spec.traceTo = scratch.folder.path + "/trace"
      let reply = try SimulatedDelivery(spec, scratch.folder).run()
      #expect(reply.judgement?.verdict == .held)
      traces.append(try String(contentsOfFile: scratch.folder.path + "/trace", encoding: .utf8))
    }
    #expect(traces[0] == traces[1] && traces[0].count > 1000)
  }

  /// A receiver that is not well until after the last stop keeps events from it by no fault of the sender's.
  @Test func aReceiverThatIsNeverWellLeavesNoVerdict() throws {
    let reply = try Self.run(
      Self.spec([Self.fault("receiver-refuses", ["for": "20h"])], crash: .none) { $0.stopWithin = .seconds(60) })
    #expect(reply.judgement?[.deliveredAtStop]?.verdict == .unknown)
  }

  @Test func aTokenCarriesIt() throws {
    let faults = [
      Self.fault("receiver-rate-limits", ["after": "1s", "for": "1500ms", "retry-after": "2s"]),
      Self.fault("receiver-responds", ["for": "1s", "status": "503"]),
    ]
    let spec = Self.spec(faults) { ($0.isRetried, $0.longestBackOff) = (true, .seconds(90)) }
    var decoded = try Token.decode(Token.encode(spec))
    decoded.phaseSeconds = spec.phaseSeconds
    #expect(decoded == spec)
    #expect(throws: Token.Failure.badField("dl=xx-1s")) {
      try Token.decode(edited(Token.encode(spec).replacing(#/dl=[^.]*/#, with: "dl=xx-1s")))
    }
  }

  @Test func theScheduleOfAReceiver() throws {
    let schedule = try ReceiverFaultGrammar.schedule(
      Self.spec([
        Self.fault("receiver-refuses", ["after": "1s", "for": "2s"]),
        Self.fault("receiver-stalls", ["after": "2s", "for": "4s"]),
      ]))
    let behaviors = [0, 1, 2, 3, 5, 6].map { schedule.behavior(at: .seconds($0)) }
    #expect(behaviors == [.accepts, .refuses, .refuses, .stalls, .stalls, .accepts] && schedule.end == .seconds(6))
  }

  @Test func jobLogsLosePowerInTheModel() throws {
    let text = "name: n\ntitle: t\nmatrix: { messages: 1, crash: power-loss }\ndelivery: {}\n"
    let cell = try #require(
      try ScenarioParser.parse(text, file: "a.yaml", vocabulary: TrialPlanner.vocabulary).cells().first)
    #expect(TrialPlanner.isPossible(cell, on: .memory) && !TrialPlanner.isPossible(cell, on: .posix))
  }
}
