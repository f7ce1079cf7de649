import FaultInjection
import LogModel
import ScenarioFormat
import Storage
import SystemUnderTest
import Testing
import Verification
import WriteAheadLog

@testable import Trials

/// What recovery reports of damage at rest names the file and the bytes, in every format (E1).
@Suite struct DamageReportTests {
  static let faults = [
    FaultSpec(kind: "bit-flip", parameters: ["target": "batch", "at": "rest"]),
    FaultSpec(kind: "bit-flip", parameters: ["target": "batch-header", "at": "rest"]),
    FaultSpec(kind: "bit-flip", parameters: ["target": "batch-payload", "at": "rest"]),
    FaultSpec(kind: "truncate-file", parameters: ["cut": "mid-record"]),
    FaultSpec(kind: "truncate-file", parameters: ["cut": "boundary"]),
    FaultSpec(kind: "delete-file", parameters: ["files": "last"]),
    FaultSpec(kind: "zero-sectors", parameters: ["share": "5"]),
    FaultSpec(kind: "garbage", parameters: ["share": "5"]),
  ]

  private static func trial(_ system: LogSystem, _ fault: FaultSpec, _ recovery: RecoveryPolicy, seed: UInt64)
    -> TrialSpec
  {
    var spec = spec(messages: 60, partitions: 1, crash: .processKill, storage: .memory, seed: seed, faults: [fault])
    (spec.system, spec.recovery, spec.messageSize) = (system, recovery, 200)
    return spec
  }

  @Test(arguments: LogSystem.allCases, [RecoveryPolicy.skipCorrupted, .truncateAtCorruption])
  func theReportNamesThePlace(_ system: LogSystem, _ recovery: RecoveryPolicy) throws {
    var damaged = 0
    // Streamhouse's records carry no number: where whole records are gone, nobody can say how many.
    let counted = ["zero-sectors", "garbage", "delete-file"]
    for fault in Self.faults where system != .streamhouse || !counted.contains(fault.kind) {
      for seed in [7] as [UInt64] {
        let scratch = try TrialScratch()
        let spec = Self.trial(system, fault, recovery, seed: seed)
        let reply = try SimulatedTrial(spec, scratch.folder).run()
        let judgement = try #require(reply.judgement, "\(reply)")
        let check = try #require(judgement[.damageReported])
        #expect(check.verdict != .violated, "\(fault.kind) \(fault.parameters), seed \(seed): \(check.detail)")
        for range in reply.recovery?.damage ?? [] {
          damaged += 1
          #expect(range.path.hasPrefix("topics/orders/"), "\(fault.kind), seed \(seed): \(range)")
        }
      }
    }
    #expect(damaged >= 2, "most of these faults are damage that something testifies for")
  }

  /// A log of two files or more, in its first, its last, and the one before that.
  @Test func theSegmentThatIsNamedIsHit() throws {
    func places(_ segment: String, messages: Int) throws -> String {
      let fault = FaultSpec(kind: "bit-flip", parameters: ["target": "batch", "segment": segment])
      var trial = spec(messages: messages, partitions: 1, crash: .processKill, storage: .memory, faults: [fault])
      trial.messageSize = 1000
      let scratch = try TrialScratch()
      let reply = try SimulatedTrial(trial, scratch.folder).run()
      let judgement = try #require(reply.judgement, "\(reply)")
      #expect(judgement.checks.allSatisfy { $0.verdict != .violated })
      return reply.receipts.filter { $0.kind == "bit-flip" }.flatMap(\.places).joined()
    }
    // A place begins with the path of its file, and names of files go by offsets.
    func file(_ place: String) -> String { String(place.prefix { $0 != " " }) }
    let (first, last) = (file(try places("first", messages: 1000)), file(try places("last", messages: 1000)))
    let lastButOne = file(try places("last-but-one", messages: 1000))
    #expect(first.contains("/00000000000000000000-"))
    #expect(first <= lastButOne && lastButOne < last, "\(first) \(lastButOne) \(last)")
    #expect(throws: TrialError.self) { try places("second", messages: 20) }
    #expect(SegmentPlace.lastButOne.choose(in: ["a"]) == nil)
    #expect(SegmentPlace.lastButOne.choose(in: ["a", "b", "c"]) == "b")
  }
}
