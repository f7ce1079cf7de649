import CrashStates
import Foundation
import ProgramOracle
import ProgramTesting
import Testing
import Verification

/// The log of Examples/buggy-log: each of its bugs is found, and the sound version is not accused.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")"), .serialized) struct BuggyLogTests {
  private static let expected: [(bug: Int, checks: Set<ProgramCheck>, isKill: Bool)] = [
    (1, [.noAcknowledgedLoss], false), (2, [.noAcknowledgedLoss], false), (3, [.opens], false),
    (4, [.noAcknowledgedLoss], true), (5, [.contentIntact, .opens], false), (6, [.noAcknowledgedLoss], true),
  ]

  @Test(arguments: expected.indices) func eachBugIsFound(_ index: Int) throws {
    let (bug, checks, isKill) = Self.expected[index]
    let report = try Programs.test(Programs.buggyLog(bug))
    #expect(report.verdict == .violated)
    let found = report.findings.filter { finding in checks.contains { $0.rawValue == finding.check } }
    #expect(!found.isEmpty)
    #expect(found.contains { $0.repeats && ($0.cause == "killed") == isKill })
    for finding in report.findings { #expect(finding.story.count <= 10) }
  }

  @Test func theSoundVersionIsNotAccused() throws {
    let report = try Programs.test(Programs.buggyLog(0), Programs.options([.btrfs, .xfs, .ext4Ordered, .posixMinimal]))
    #expect(report.verdict == .held, "\(report.lines(isVerbose: true).joined(separator: "\n"))")
    #expect(report.opened > 500)
  }

  /// The token builds the same state again, and its files can be had.
  @Test func aTokenGivesTheSameState() throws {
    let report = try Programs.test(Programs.buggyLog(2))
    let finding = try #require(report.findings.first { $0.check == ProgramCheck.noAcknowledgedLoss.rawValue })
    let token = try ProgramToken(#require(finding.token))
    let scratch = Scratch()
    var spec = try token.spec()
    spec.directory = scratch.path
    let export = scratch.path + "/export"
    let outcome = try ProgramReplay(token, spec, Programs.options()).run(export: export)
    guard case .judged(let checks, let story, _, false) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(checks.map(\.check.rawValue) == [finding.check])
    #expect(checks.map(\.detail) == [finding.detail])
    #expect(story == finding.story)
    #expect(FileManager.default.fileExists(atPath: export))
  }

  /// Another version of the program does other things: the token does not pretend.
  @Test func aTokenOfAnotherProgramSaysSo() throws {
    let report = try Programs.test(Programs.buggyLog(4))
    let token = try ProgramToken(#require(report.findings.first?.token))
    var spec = try token.spec()
    spec.command = Programs.buggyLog(1).command
    let outcome = try ProgramReplay(token, spec, Programs.options()).run(export: nil)
    guard case .differs = outcome else {
      Issue.record("\(outcome)")
      return
    }
  }

  @Test func aTokenThatWasChangedIsNone() throws {
    #expect(throws: ProgramToken.Failure.self) { try ProgramToken("p1.eyJ9.v=00000000") }
    #expect(throws: ProgramToken.Failure.self) { try ProgramToken("p1.e30") }
  }
}
