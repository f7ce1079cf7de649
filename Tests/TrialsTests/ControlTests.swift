import Foundation
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Sound variants that look suspicious: what looks so really happens, and nobody is accused.
@Suite struct ControlTests {
  static let scenarios: [Scenario] = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Scenarios").path
    do {
      return try ScenarioFiles.load(["\(root)/controls"], vocabulary: Planning.vocabulary)
    } catch {
      Issue.record(error)
      return []
    }
  }()
  static let seeds: UInt64 = 30

  private func judgements(_ name: String) throws -> [(Judgement, PhaseReply)] {
    let cell = try #require(Self.scenarios.first { $0.name == name }?.cells().first)
    return try (0..<Self.seeds).map { seed in
      let spec = try Planning.trial(cell, storage: .memory, seed: 42 + seed, phaseSeconds: nil, expectsSound: true).spec
      let scratch = try TrialScratch()
      let reply = try ModelTrial(spec, scratch.folder).run()
      let judgement = try #require(reply.judgement)
      #expect(judgement.verdict == .held && reply.hang == nil && reply.refusal == nil, "\(name), seed \(42 + seed): \(judgement)")
      #expect(spec.unfired(reply.seamReceipts) == [], "\(name), seed \(42 + seed)")
      return (judgement, reply)
    }
  }

  @Test func allOfThemAreHere() {
    #expect(Set(Self.scenarios.map(\.name)) == Set(Self.lossless + Self.others))
  }

  static let others = ["torn-tail-cut", "never-loses-a-suffix", "interval-loses-its-window", "indeterminate-and-there", "error-then-success"]
  static let lossless = [
    "interleaved-producers", "never-written", "one-record-a-segment", "segment-exactly-full", "segment-one-byte-over",
  ]

  @Test(arguments: lossless) func nothingIsLost(name: String) throws {
    for (judgement, _) in try judgements(name) { #expect(judgement.counts.lost == 0 && judgement.counts.corruptReported == 0) }
  }

  @Test func aTornTailIsCut() throws {
    let found = try judgements("torn-tail-cut")
    let torn = found.filter { _, reply in
      reply.receipts.flatMap(\.places).contains { $0.contains("in flight: write topics/") && !$0.contains(" 0 of ") }
    }
    #expect(!torn.isEmpty)
    for (judgement, _) in found { #expect(judgement.counts.lost == 0) }
  }

  @Test(arguments: ["never-loses-a-suffix", "interval-loses-its-window"]) func whatMayGoGoes(name: String) throws {
    let lost = try judgements(name).count { judgement, _ in judgement.counts.lost > 0 }
    #expect(lost >= Int(Self.seeds) / 2)
  }

  @Test func whatNobodyKnewIsThere() throws {
    let there = try judgements("indeterminate-and-there").count { judgement, _ in
      judgement.counts.indeterminate > 0 && judgement.counts.recovered > judgement.counts.acknowledged
    }
    #expect(there >= Int(Self.seeds) / 2)
  }

  @Test func theErrorCostsOnlyItsOwn() throws {
    for (judgement, _) in try judgements("error-then-success") {
      #expect(judgement.counts.indeterminate > 0 && judgement.counts.lost == 0)
    }
  }
}
