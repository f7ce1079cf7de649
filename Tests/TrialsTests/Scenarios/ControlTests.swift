import Foundation
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Sound variants that look suspicious: what looks so really happens, and nobody is accused.
@Suite struct ControlTests {
  static let scenarios: [Scenario] = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../Scenarios")
      .path
    do {
      return try ScenarioFiles.load(["\(root)/controls"], vocabulary: TrialPlanner.vocabulary)
    } catch {
      Issue.record(error)
      return []
    }
  }()
  static let seeds: UInt64 = 30

  private func cell(_ name: String) throws -> ScenarioFormat.Cell {
    try #require(Self.scenarios.first { $0.name == name }?.cells().first)
  }

  private func reply(_ spec: TrialSpec) throws -> (Judgement, PhaseReply) {
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    return (try #require(reply.judgement), reply)
  }

  /// Of the seeds in which it has happened.
  private func judgements(_ name: String) throws -> [Judgement] {
    let cell = try cell(name)
    return try (0..<Self.seeds).compactMap { seed in
      let spec = try TrialPlanner.trial(cell, storage: .memory, seed: 42 + seed, phaseSeconds: nil, expectsSound: true)
        .spec
      let (judgement, reply) = try reply(spec)
      #expect(
        judgement.verdict == .held && reply.hang == nil && reply.refusal == nil,
        "\(name), seed \(42 + seed): \(judgement)")
      #expect(spec.unfired(reply.storageFaults) == [], "\(name), seed \(42 + seed)")
      return reply.doubts.isEmpty ? judgement : nil
    }
  }

  @Test func allOfThemAreHereAndEachSaysWhatMustHappen() {
    #expect(Set(Self.scenarios.map(\.name)) == Set(Self.lossless + Self.others))
    #expect(Self.scenarios.allSatisfy { !$0.onlyIf.isEmpty })
    #expect(Set(Self.scenarios.flatMap(\.onlyIf)) == Set(TrialCondition.allCases))
  }

  static let others = [
    "edge-of-a-batch", "never-loses-a-suffix", "interval-loses-its-window", "load-outlasts-the-window",
    "indeterminate-and-there",
    "error-then-success",
  ]
  static let lossless = [
    "torn-tail-cut", "empty-partition", "interleaved-producers", "never-written", "one-record-a-segment",
    "segment-exactly-full",
    "segment-one-byte-over", "closed-then-power-loss", "killed-then-power-loss", "request-ends-with-zeros",
    "offsets-outgrow-integers",
    "messages-of-no-bytes", "deleted-for-good", "lease-outlives-its-terms",
  ]

  @Test(arguments: lossless) func nothingIsLost(name: String) throws {
    let found = try judgements(name)
    #expect(found.count >= Int(Self.seeds) * 2 / 3, "it happens seldom")
    for judgement in found { #expect(judgement.counts.lost == 0 && judgement.counts.corruptReported == 0) }
  }

  @Test(arguments: ["never-loses-a-suffix", "interval-loses-its-window", "edge-of-a-batch"])
  func whatMayGoGoes(name: String) throws {
    let found = try judgements(name)
    #expect(found.count >= Int(Self.seeds) / 2 && found.allSatisfy { $0.counts.lost > 0 })
  }

  /// With some seeds the log had just been synced.
  @Test func theWindowHoldsUnderALoadWithoutEnd() throws {
    let found = try judgements("load-outlasts-the-window")
    #expect(found.count >= Int(Self.seeds) / 2)
    #expect(found.count { $0.counts.lost > 0 } >= found.count / 2)
  }

  @Test func whatNobodyKnewIsThere() throws {
    let found = try judgements("indeterminate-and-there")
    #expect(found.count >= Int(Self.seeds) / 2)
    #expect(found.allSatisfy { $0.counts.indeterminate > 0 && $0.counts.recovered > $0.counts.acknowledged })
  }

  @Test func theErrorCostsOnlyItsOwn() throws {
    let found = try judgements("error-then-success")
    #expect(found.count >= Int(Self.seeds) / 2)
    for judgement in found { #expect(judgement.counts.indeterminate > 0 && judgement.counts.lost == 0) }
  }

  // MARK: Conditions

  /// Five messages of one producer to one partition, and an orderly end: nothing of all that happens, and there is no
  /// verdict.
  @Test(arguments: TrialCondition.allCases) func withoutItThereIsNoVerdict(condition: TrialCondition) throws {
    var spec = spec(messages: 5, storage: .memory)
    (spec.producers, spec.batch, spec.onlyIf) = (1, 1, [condition])
    let (judgement, reply) = try reply(spec)
    #expect(judgement.verdict == .held)
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "").take(reply, &findings)
    #expect(
      findings.judged().verdict == .unknown
        && findings.doubts == ["\(condition.rawValue) has not happened in this trial"])
  }

  /// A violation is one, whether or not it has happened.
  @Test func whatIsViolatedStaysViolated() throws {
    var spec = spec(messages: 5, crash: .processKill, storage: .memory)
    (spec.defect, spec.onlyIf) = ("C2", [.tornWrite])
    let (_, reply) = try reply(spec)
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "").take(reply, &findings)
    #expect(findings.judged().verdict == .violated && findings.doubts.count == 1)
  }

  @Test func aTokenCarriesTheCondition() throws {
    let spec = try TrialPlanner.trial(
      cell("torn-tail-cut"), storage: .memory, seed: 1, phaseSeconds: nil, expectsSound: true
    ).spec
    #expect(try Token.decode(Token.encode(spec)).onlyIf == [.tornWrite])
    #expect(
      throws: Token.Failure.notOfSystem(
        "storage is 'posix'; expected memory, and trials of the engine's own log, with only-if")
    ) {
      try Token.decode(edited(Token.encode(spec), "st=memory", "st=posix"))
    }
  }
}
