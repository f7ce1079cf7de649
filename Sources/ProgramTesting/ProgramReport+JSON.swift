import Drivers
import FoundationEssentials
import ProgramOracle
import Verification

extension ProgramReport {
  /// The key `program` of a JSON report; `docs/report.schema.json` describes it.
  package struct Document: Encodable {
    struct Profile: Encodable {
      var profile: String
      var moments: Int
      var statesVisited: Int
      var statesOpened: Int
      var violations: Int
      var unknown: Int
      /// Missing where not even the plain states were finished, and for kills.
      var bound: Int?
    }

    struct Runs: Encodable {
      var runs: Int
      var held: Int
      var violated: Int
      var unknown: Int
    }

    struct Damage: Encodable {
      var runs: Int
      var survived: Int
      var noticed: Int
      var lostSilently: Int
      var servedDamage: Int
      var unknown: Int
    }

    struct Finding: Encodable {
      var check: String
      var detail: String
      var cause: String
      var repeats: Bool
      var count: Int
      var story: [String]
      var log: [String]
      var reproduce: String?
    }

    var name: String
    var version: String
    var model: String
    var promise: String
    var allows: [String]
    var seed: UInt64
    var requests: Int
    var concurrency: Int
    var operations: Int
    var statesOpened: Int
    var statesReadAlike: Int
    var statesPerSecond: Double
    var profiles: [Profile]
    var recoveries: Int
    var statesInRecoveries: Int
    var kills: Runs
    var faults: Runs
    /// Missing where none was asked for.
    var damage: Damage?
    var runsCutAfter: Int
    var statesAfterRuns: Int
    var findings: [Finding]
    var unknowns: [String: Int]
    var verdict: String
    var seconds: Double
  }

  package var document: Document {
    func counted(_ runs: [DisturbedRun]) -> Document.Runs {
      Document.Runs(
        runs: runs.count, held: runs.count { $0.verdict == .held }, violated: runs.count { $0.verdict == .violated },
        unknown: runs.count { $0.verdict == .unknown })
    }
    return Document(
      name: hello?.name ?? "", version: hello?.version ?? "", model: model?.rawValue ?? "", promise: "\(spec.promise)",
      allows: spec.allowances.map(\.rawValue).sorted(), seed: spec.seed, requests: requests,
      concurrency: spec.concurrency,
      operations: operations,
      statesOpened: opened, statesReadAlike: alike,
      statesPerSecond: searchSeconds > 0 ? Double(opened) / searchSeconds : 0,
      profiles: profiles.map {
        Document.Profile(
          profile: $0.name, moments: $0.moments, statesVisited: $0.visited, statesOpened: $0.opened,
          violations: $0.violations, unknown: $0.unknown, bound: $0.bound == .max ? nil : $0.bound)
      },
      recoveries: lives, statesInRecoveries: statesOfLives,
      kills: counted(kills), faults: counted(faults), damage: damage.isEmpty ? nil : Self.counted(damage),
      runsCutAfter: cutRuns, statesAfterRuns: statesOfCuts,
      findings: findings.map {
        Document.Finding(
          check: $0.check, detail: $0.detail, cause: $0.cause, repeats: $0.repeats, count: $0.count, story: $0.story,
          log: $0.log, reproduce: $0.token.map { "tornlog reproduce \($0)" })
      },
      unknowns: unknowns, verdict: verdict.rawValue, seconds: seconds)
  }

  private static func counted(_ runs: [DisturbedRun]) -> Document.Damage {
    func count(_ response: DamageResponse) -> Int { runs.count { $0.response == response } }
    return Document.Damage(
      runs: runs.count, survived: count(.survived), noticed: count(.noticed), lostSilently: count(.lostSilently),
      servedDamage: count(.servedDamage), unknown: runs.count { $0.response == nil })
  }

  /// The whole report as JSON.
  package func json() throws -> String {
    struct Whole: Encodable {
      var version = 1
      var tool = "tornlog"
      var program: Document
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(Whole(program: document)), as: UTF8.self) + "\n"
  }
}
