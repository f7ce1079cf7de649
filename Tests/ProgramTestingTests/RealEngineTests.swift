import CrashStates
import Drivers
import Foundation
import Glibc
import ProgramOracle
import ProgramTesting
import Testing

/// A smoke of the bench of real engines (docs/engines.md): two in the driver's process, and a server. As each
/// documentation recommends it nothing may be lost; with syncs switched off the same search must find a loss.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")")) struct RealEngineTests {
  /// Scripts/setup.sh unpacks a server there.
  private static let path =
    "PATH=\(ProcessInfo.processInfo.environment["PATH"] ?? ""):\(Programs.repository)/.build/tools"

  private static func isThere(_ words: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    (process.arguments, process.standardOutput, process.standardError) = (
      words, FileHandle.nullDevice, FileHandle.nullDevice
    )
    do { try process.run() } catch { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  private static let hasLevelDB = isThere(["/usr/bin/python3", "-c", "import plyvel"])
  private static let hasBeanstalkd = isThere([path, "beanstalkd", "-v"])

  private func report(_ driver: [String], _ config: String, requests: Int) throws -> ProgramReport {
    let script = "\(Programs.repository)/Examples/drivers/\(driver[1])"
    var spec = ProgramSpec(DriverCommand(["env", Self.path, driver[0], script]))
    (spec.config, spec.requests) = (config, requests)
    // The search ends by itself: the plain states of a few requests. Its time is for a machine that is very busy.
    var options = Programs.options([.ext4Ordered], seconds: 120)
    (options.kills, options.faults, options.secondLives) = (0, 0, 0)
    (options.mostPieces, options.shrinking, options.stopsAt) = (0, 200_000_000, .noAcknowledgedLoss)
    return try Programs.test(spec, options)
  }

  private func check(_ driver: [String], sound: String, lossy: String, requests: Int = 8) throws {
    let held = try report(driver, sound, requests: requests)
    #expect(held.opened > 0 && held.findings.filter { $0.check == "no-acknowledged-loss" }.isEmpty, "\(held)")
    #expect(Set(held.contents).count == held.opened, "each state has a hash, by which runs are compared")
    let lost = try report(driver, lossy, requests: requests)
    #expect(lost.findings.contains { $0.check == "no-acknowledged-loss" && $0.repeats }, "\(lost)")
  }

  @Test func sqlite() throws {
    try check(
      ["python3", "sqlite.py"], sound: #"{"journal_mode": "DELETE", "synchronous": "EXTRA"}"#,
      lossy: #"{"journal_mode": "WAL", "synchronous": "NORMAL"}"#)
  }

  @Test(.enabled(if: hasLevelDB, "LevelDB: apt-get install python3-plyvel"))
  func levelDB() throws {
    try check(["/usr/bin/python3", "leveldb.py"], sound: #"{"sync": true}"#, lossy: #"{"sync": false}"#)
  }

  @Test(.enabled(if: hasBeanstalkd, "beanstalkd: apt-get install beanstalkd"))
  func beanstalkd() throws {
    try check(
      ["python3", "beanstalkd.py"], sound: #"{"arguments": "-f0 -s65536"}"#, lossy: #"{"arguments": "-F -s65536"}"#,
      requests: 4)
  }
}
