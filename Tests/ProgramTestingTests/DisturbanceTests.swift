import CrashStates
import Drivers
import Foundation
import ProgramOracle
import ProgramTesting
import Testing
import Verification

/// Kills, faults and damage, each with a program that cannot take it, and with one that can.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")"), .serialized) struct DisturbanceTests {
  private func options(_ faults: [OperationFault], kills: Int = 0, damage: Int = 0) -> ProgramTestOptions {
    var options = Programs.options([.ext4Ordered], seconds: 12)
    (options.kills, options.faults, options.secondLives) = (kills, damage > 0 ? 0 : 4, 0)
    (options.faultKinds, options.damage) = (faults, damage)
    return options
  }

  private func text(_ report: ProgramReport) -> String { report.lines(isVerbose: true).joined(separator: "\n") }

  struct Case: Sendable, CustomTestStringConvertible {
    var how: String
    var faults: [OperationFault]
    var kills = 0
    var damage = 0
    var check: ProgramCheck
    var cause: String
    var testDescription: String { "\(how), \(cause)" }
  }

  @Test(arguments: [
    Case(
      how: "ignores-failed-sync", faults: [.pagesKept], check: .noAcknowledgedLoss,
      cause: "after EIO, pages kept"),
    Case(how: "ignores-failed-sync", faults: [.pagesDropped], check: .noAcknowledgedLoss, cause: "EIO, pages dropped"),
    Case(how: "syncs-again", faults: [.pagesDropped], check: .noAcknowledgedLoss, cause: "after EIO, pages dropped"),
    Case(
      how: "reads-and-syncs-again", faults: [.pagesDropped], check: .noAcknowledgedLoss,
      cause: "after EIO, pages dropped"),
    Case(how: "syncs-again", faults: [.pagesReverted], check: .noAcknowledgedLoss, cause: "EIO, pages reverted"),
    Case(
      how: "takes-read-error-for-end", faults: [.inputOutputError], check: .noAcknowledgedLoss, cause: "EIO at read"),
    Case(how: "ignores-failed-writes", faults: [.shortWrite], check: .noAcknowledgedLoss, cause: "short write"),
    Case(how: "ignores-failed-writes", faults: [.full], check: .noAcknowledgedLoss, cause: "disk full"),
    Case(how: "trusts-the-cache", faults: [], kills: 12, check: .opens, cause: "after killed"),
    Case(how: "rewrites-at-end", faults: [], kills: 12, check: .noAcknowledgedLoss, cause: "SIGTERM"),
    Case(how: "has-no-checksum", faults: [.flippedAtRest], damage: 3, check: .contentIntact, cause: "at rest"),
    Case(how: "has-no-checksum", faults: [.flippedWrite], damage: 3, check: .contentIntact, cause: "in flight"),
  ]) func eachIsFoundAndReproduced(_ one: Case) throws {
    let spec = Programs.misbehaving(one.how)
    let report = try Programs.test(spec, options(one.faults, kills: one.kills, damage: one.damage))
    let finding = try #require(
      report.findings.first { $0.check == one.check.rawValue && $0.cause.contains(one.cause) }, "\(text(report))")
    #expect(report.verdict == .violated && finding.repeats && finding.story.count <= 10, "\(text(report))")
    let scratch = Scratch()
    let token = try ProgramToken(try #require(finding.token))
    var again = try token.spec()
    again.directory = scratch.path
    switch try ProgramReplay(token, again, ProgramTestOptions()).run(export: nil) {
    case .judged(let checks, _, _, _):
      #expect(checks.contains { $0.verdict == .violated && $0.check == one.check }, "\(checks)")
    case .differs(let reason): Issue.record("\(reason)")
    }
  }

  /// The sound program meets each of them, and takes it.
  @Test func theSoundProgramHolds() throws {
    var options = options(OperationFault.allCases, damage: 12)
    (options.faults, options.budget) = (28, 60_000_000_000)
    let report = try Programs.test(Programs.misbehaving("sound"), options)
    #expect(report.verdict == .held, "\(text(report))")
    let met = Set(report.runs.filter { $0.hit != nil }.compactMap(\.what.fault))
    // It opens its file once only, and allocates nothing.
    #expect(Set(OperationFault.allCases).subtracting(met).isSubset(of: [.tooManyFiles]), "\(text(report))")
    #expect(report.runs.allSatisfy { !$0.what.isDamage || $0.hit == nil || $0.response != nil })
  }

  /// A second fsync is enough where the pages stay dirty. Where they do not, the record has to be written again.
  @Test(arguments: [
    ("syncs-again", [OperationFault.pagesKept]), ("writes-and-syncs-again", [.pagesDropped, .pagesReverted]),
    ("sound", [.pagesDropped, .pagesReverted, .pagesKept]),
  ]) func whoTakesAFailedSyncWellIsNotAccused(_ how: String, _ faults: [OperationFault]) throws {
    let report = try Programs.test(Programs.misbehaving(how), options(faults))
    #expect(report.verdict == .held, "\(text(report))")
    #expect(Set(report.runs.filter { $0.hit != nil }.compactMap(\.what.fault)) == Set(faults), "\(text(report))")
  }

  /// What was damaged and is gone is not served as something else, and the report tells which it was.
  @Test func damageIsNoticedByASum() throws {
    let report = try Programs.test(Programs.misbehaving("sound"), options([.flippedAtRest, .lostWrite], damage: 8))
    #expect(report.verdict == .held)
    #expect(report.runs.contains { $0.response == .lostSilently }, "\(text(report))")
    #expect(text(report).contains("lost something and said nothing"))
  }

  /// A queue that is read by taking is not blamed for what the reading took: not after a kill, not in a second life.
  @Test func aReadingByTakingIsNoLoss() throws {
    var options = options([], kills: 6)
    (options.secondLives, options.budget) = (8, 20_000_000_000)
    var spec = Programs.misbehaving("queue")
    (spec.requests, spec.model) = (12, .queue)
    let report = try Programs.test(spec, options)
    #expect(report.verdict == .held, "\(text(report))")
    #expect(report.cutRuns > 0 && report.statesOfLives > 0, "\(text(report))")
  }

  /// The kernel writes back what a killed program has mapped. Were that to fail, the next program would be told.
  @Test func whatAKilledProgramHasMappedIsWrittenBack() throws {
    var spec = Programs.misbehaving("maps-and-syncs-at-start")
    spec.promise = .nothing
    let report = try Programs.test(spec, options([], kills: 12))
    let hit = report.runs.filter { $0.hit != nil }
    #expect(hit.count > 3 && hit.allSatisfy { $0.verdict == .held }, "\(text(report))")
  }

  /// Who is asked to end by SIGTERM need not answer requests any more.
  @Test func silenceAfterSIGTERMIsNoHang() throws {
    var spec = Programs.misbehaving("says-nothing-at-end")
    spec.requestLimit = 1_000_000_000
    let report = try Programs.test(spec, options([], kills: 3))
    #expect(report.verdict == .held, "\(text(report))")
    // That it fell silent was seen.
    #expect(report.runs.contains { if case .silent = $0.stop { true } else { false } }, "\(text(report))")
  }

  /// What a second life shows can be seen again by its token.
  @Test func aSecondLifeHasAToken() throws {
    var options = options([])
    (options.secondLives, options.profiles) = (24, [.raw512])
    var program = Programs.misbehaving("keeps-torn-tail")
    program.requests = 19
    let report = try Programs.test(program, options)
    let finding = try #require(report.findings.first { $0.cause.contains("second life") }, "\(text(report))")
    let token = try ProgramToken(try #require(finding.token))
    let scratch = Scratch()
    var spec = try token.spec()
    spec.directory = scratch.path
    guard case .judged(let checks, let story, _, false) = try ProgramReplay(token, spec, options).run(export: nil)
    else {
      Issue.record("not the same")
      return
    }
    #expect(checks.contains { $0.verdict == .violated && $0.check.rawValue == finding.check } && !story.isEmpty)
  }

  /// Of a program whose files have other names each time the same promise is seen broken once more, and the files are
  /// written out.
  @Test func aTokenOfAProgramThatDrawsNamesFindsAnotherState() throws {
    let report = try Programs.test(Programs.misbehaving("names-at-random"), options([]))
    let token = try ProgramToken(try #require(report.findings.first?.token))
    let scratch = Scratch()
    var spec = try token.spec()
    spec.directory = scratch.path
    let export = scratch.path + "/export"
    guard
      case .judged(let checks, let story, _, true) = try ProgramReplay(token, spec, ProgramTestOptions()).run(
        export: export)
    else {
      Issue.record("no other state")
      return
    }
    #expect(checks.contains { $0.verdict == .violated && $0.check == .noAcknowledgedLoss } && !story.isEmpty)
    #expect(FileManager.default.fileExists(atPath: export))
  }

  @Test(arguments: [("threads", Verdict.held), ("threads-race", .violated)])
  func severalRequestsAreInFlight(_ how: String, _ verdict: Verdict) throws {
    var spec = Programs.misbehaving(how)
    (spec.concurrency, spec.requests) = (4, 16)
    let report = try Programs.test(spec, Programs.options([.ext4Ordered], seconds: 8))
    #expect(report.verdict == verdict, "\(text(report))")
  }
}
