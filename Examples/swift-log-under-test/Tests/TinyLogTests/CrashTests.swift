import Testing
import TinyLog
import TornlogKit

/// Power is cut at every moment of a life of the log; see `CrashTest`.
struct CrashTests {
  @Test func whatIsAcknowledgedSurvivesEveryPowerCut() throws {
    let report = try CrashTest { TinyLogFactory($0) }.run()
    print(report)
    #expect(report.verdict == .held)
    #expect(report.recovered > 100)
  }

  /// The test must be able to fail: each forgotten line is found, by the promise that it breaks.
  @Test(arguments: TinyLog.Bug.allCases) func aForgottenLineIsFound(bug: TinyLog.Bug) throws {
    let report = try CrashTest { TinyLogFactory($0, bug) }.run()
    print("\(bug):\n\(report)")
    #expect(report.verdict == .violated)
  }
}
