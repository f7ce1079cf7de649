import CrashStates
import Drivers
import Foundation
import Glibc
import ProgramOracle
import ProgramTesting
import Testing
import Verification

/// Programs and drivers with one thing wrong.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")"), .serialized) struct MisbehaviourTests {
  private func checks(_ report: ProgramReport) -> Set<String> { Set(report.findings.map(\.check)) }

  @Test(arguments: ["sound", "sync", "syncfs"]) func whatIsDurableIsNotAccused(_ how: String) throws {
    let report = try Programs.test(Programs.misbehaving(how))
    #expect(report.verdict == .held, "\(report.lines(isVerbose: true).joined(separator: "\n"))")
  }

  @Test func whatIsNeverSyncedIsLost() throws {
    let report = try Programs.test(Programs.misbehaving("never-syncs"))
    #expect(report.verdict == .violated && checks(report).contains(ProgramCheck.noAcknowledgedLoss.rawValue))
  }

  @Test(arguments: [
    ("refuses", ProgramCheck.opens, "too old"), ("crashes", .opens, "signal 11"), ("exits", .opens, "exit code 3"),
    ("invents", .noPhantom, "nobody"),
  ]) func whatGoesWrongAfterACrashIsFound(_ how: String, _ check: ProgramCheck, _ words: String) throws {
    var spec = Programs.misbehaving(how)
    spec.requests = 6
    let report = try Programs.test(spec, Programs.options([.ext4Ordered], seconds: 6))
    let finding = try #require(report.findings.first { $0.check == check.rawValue })
    #expect(report.verdict == .violated && finding.detail.contains(words), "\(finding.detail)")
  }

  /// A hang is a finding, and nothing of the program is left, its children neither.
  @Test(arguments: ["hangs", "hangs-with-child"]) func aHangIsFound(_ how: String) throws {
    var spec = Programs.misbehaving(how)
    (spec.requests, spec.requestLimit) = (3, 300_000_000)
    var options = Programs.options([.ext4Ordered], seconds: 4)
    (options.kills, options.faults, options.secondLives) = (0, 0, 0)
    let report = try Programs.test(spec, options)
    #expect(report.verdict == .violated && checks(report) == [ProgramCheck.opensInTime.rawValue])
    #expect(report.findings.allSatisfy { $0.detail.contains("'open'") })
  }

  /// A kill keeps what was stored in a shared mapping, and the trace does not say when that was: no kill is blamed.
  @Test func storesInAMappingAreNotLostByAKill() throws {
    let report = try Programs.test(Programs.misbehaving("maps-and-forgets"))
    let text = report.lines(isVerbose: true).joined(separator: "\n")
    #expect(checks(report).contains(ProgramCheck.noAcknowledgedLoss.rawValue), "\(text)")
    #expect(report.findings.allSatisfy { !$0.cause.hasPrefix("killed") }, "\(text)")
  }

  /// After a power cut the machine has another boot ID; after a kill it has the same.
  @Test(.enabled(if: geteuid() == 0, "a boot ID of its own needs root"), arguments: [false, true])
  func aPowerCutIsAnotherBoot(_ isAnother: Bool) throws {
    var place = DriverPlace()
    (place.isIsolated, place.isOfAnotherBoot) = (true, isAnother)
    let process = try DriverProcess(DriverCommand(["cat", "/proc/sys/kernel/random/boot_id"]), place)
    guard case .line(let line) = process.next(until: DriverProcess.now + 10_000_000_000) else {
      Issue.record("no boot ID")
      return
    }
    let own = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8).prefix(36)
    #expect(line.count == 36 && (String(decoding: line, as: UTF8.self) == own) == !isAnother)
    process.end()
  }

  /// What does not happen again is no sound finding.
  @Test func whatDoesNotRepeatIsFlaky() throws {
    let scratch = Scratch()
    var options = Programs.options([.ext4Ordered])
    (options.kills, options.faults, options.secondLives, options.jobs) = (0, 0, 0, 1)
    let report = try Programs.test(Programs.misbehaving("loses-once", memory: scratch.path + "/done"), options)
    #expect(report.verdict == .unknown)
    #expect(report.findings.map(\.repeats) == [false])
  }

  @Test(arguments: [("dies-first", "no such library"), ("chatters", "Welcome"), ("driver-fails", "no such table")])
  func aDriverThatFailsIsNoFinding(_ how: String, _ words: String) throws {
    let error = #expect(throws: ProgramTestError.self) { try Programs.test(Programs.misbehaving(how)) }
    #expect("\(try #require(error))".contains(words))
  }

  @Test func aProgramThatIsNotThereIsNamed() throws {
    let error = #expect(throws: ProgramTestError.self) {
      try Programs.test(ProgramSpec(DriverCommand(["no-such-program"])))
    }
    #expect("\(try #require(error))".contains("no-such-program"))
  }

  @Test func aStopIsNoPass() throws {
    var options = Programs.options()
    options.isCancelled = { true }
    #expect(try Programs.test(Programs.misbehaving("sound"), options).verdict == .unknown)
  }

  // MARK: driver check

  @Test(arguments: ["sound", "dies-first", "chatters", "driver-fails"]) func driversAreChecked(_ how: String) throws {
    let check = try DriverCheck(
      Programs.misbehaving(how).command, config: "{}", limit: 2_000_000_000, directory: "/tmp")
    check.run()
    #expect(check.isConformant == (how == "sound"), "\(check.steps)")
  }
}
