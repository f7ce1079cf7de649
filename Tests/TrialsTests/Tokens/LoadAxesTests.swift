import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// The axes `second-crash`, `later-sync`, `pace`, `preallocation` and `first-offset`, in scenarios, tokens, shrunk
/// scenarios and reports.
@Suite struct LoadAxesTests {
  private func scenario(_ matrix: String, workload: String = "", more: String = "") throws -> Scenario {
    try ScenarioParser.parse(
      "name: a\ntitle: t\n\(workload)\nmatrix: { \(matrix) }\n\(more)\n", file: "a.yaml",
      vocabulary: TrialPlanner.vocabulary)
  }

  private func errors(_ matrix: String, more: String = "") -> [String] {
    do {
      _ = try scenario(matrix, more: more)
      return []
    } catch let invalid as InvalidScenarios {
      return invalid.errors.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  private func planned(_ cell: ScenarioFormat.Cell) throws -> PlannedTrial {
    try TrialPlanner.trial(cell, storage: .memory, seed: 7, phaseSeconds: nil, expectsSound: false)
  }

  private static let all =
    "messages: 60, crash: process-kill, second-crash: power-loss, later-sync: interval(5ms), pace: 5ms, "
    + "preallocation: 8KiB, first-offset: 2^31-48"

  @Test func theyReachTheTrialItsTokenAndItsShrunkScenario() throws {
    let spec = try planned(#require(try scenario(Self.all).cells().first)).spec
    #expect(spec.ending(of: 0) == .processKill && spec.ending(of: 1) == .powerLoss && spec.ending(of: 2) == .none)
    #expect(spec.pace == .milliseconds(5) && spec.preallocation == 8192 && spec.firstOffset == 2_147_483_600)
    let token = Token.encode(spec)
    for field in ["c2=power-loss", "pa=5ms", "ls=interval-5ms", "pr=8192", "fo=2147483600"] {
      #expect(token.contains(".\(field)"))
    }
    let decoded = try Token.decode(token)
    #expect(decoded.load == spec.load && Token.encode(decoded) == token)
    #expect(spec.syncPolicy(ofLife: 0) == .always && spec.syncPolicy(ofLife: 2) == .interval(.milliseconds(5)))
    let words = "\(spec.axes)"
    let all = [
      "second-crash=power-loss", "later-sync=interval(5ms)", "pace=5ms", "preallocation=8192",
      "first-offset=2147483600",
    ]
    for word in all {
      #expect(words.contains(word), "\(words)")
    }
    #expect(Timeline.header(spec).contains("second-crash power-loss, later-sync interval(5ms), pace 5ms"))
    let again = try scenario(
      ShrunkScenario.matrix(spec).dropFirst().map { String($0.dropFirst(2)) }.joined(separator: ", "))
    let other = try planned(#require(again.cells().first)).spec
    #expect(other.load == spec.load)
  }

  /// What nobody says leaves the token as it was.
  @Test func theUsualIsNotSaid() throws {
    let spec = try planned(#require(try scenario("messages: 60").cells().first)).spec
    #expect(
      AxisDescriptor.all.filter(\.isSeeded).allSatisfy {
        $0.isUsual(in: spec.settings) && $0.token?.write(spec.settings) == nil
      })
    #expect(spec.preallocation == 256 << 10 && spec.ending(of: 1) == .processKill)
  }

  @Test func theyStandUnderWorkloadAndCrashToo() throws {
    let cell = try #require(
      try scenario(
        "messages: 60", workload: "workload: { pace: 1ms, preallocation: 0, first-offset: 9 }",
        more: "crash: { kind: none, second: power-loss-after-close }"
      ).cells().first)
    #expect(cell.pace == .milliseconds(1) && cell.preallocation == 0 && cell.firstOffset == 9)
    #expect(cell.crash == CrashKind.none && cell.secondCrash == .powerLossAfterClose)
  }

  @Test func selectionsAndConditionsKnowThem() throws {
    let cells = try scenario(
      "messages: 60, first-offset: [0, 2^31, 2^53+1], second-crash: [same, none], preallocation: [4KiB, 512B]",
      more: "expect: [{ when: { first-offset: 2^31, second-crash: none }, caught-by: no-gaps }]"
    ).cells()
    func chosen(_ text: String) throws -> Int {
      let expression = try SelectionExpression(text, vocabulary: TrialPlanner.vocabulary)
      return cells.filter(expression.matches).count
    }
    #expect(try chosen("first-offset=2^31") == 4 && (try chosen("first-offset=2147483648")) == 4)
    #expect(try chosen("second-crash=same and preallocation=4096") == 3 && (try chosen("pace=none")) == 12)
    #expect(cells.count { $0.expectation == .caught(by: "no-gaps") } == 2)
  }

  @Test(arguments: [
    ("messages: 9, pace: 5", "a.yaml:4:30: pace is '5'"), ("messages: 9, pace: 2m", "pace is '2m'"),
    ("messages: 9, second-crash: storm", "unknown second crash 'storm'"),
    ("messages: 9, later-sync: sometimes", "unknown sync policy 'sometimes'"),
    ("messages: 9, system: airunner, later-sync: never", "later-sync is 'never'; expected system: tornlog"),
    ("messages: 9, preallocation: 100", "preallocation is '100'"),
    ("messages: 9, preallocation: 1GiB", "preallocation is 1073741824"),
    ("messages: 9, first-offset: 2^63", "first-offset is '2^63'"),
    ("messages: 9, first-offset: -1", "first-offset is '-1'"),
    ("messages: 9, first-offset: 2^0-2", "first-offset is -1"),
    ("messages: 9, first-offset: 2^62+1", "first-offset is"),
    ("messages: 9, first-offset: 2^31*2", "first-offset is '2^31*2'"),
    ("messages: 9, sync: never, preallocation: 4KiB", "preallocation is '4096'; expected sync: always"),
    ("messages: 9, checkpoint: background, first-offset: 5", "first-offset is '5'; expected system: tornlog"),
    ("messages: 9, system: airunner, first-offset: 5", "first-offset is '5'; expected system: tornlog"),
    ("messages: 9, crash: none, crash-at: rotate", "crash-at is 'rotate'; expected end, or a crash that is"),
    ("messages: 9, crash: out-of-memory, crash-at: open", "crash-at is 'open'; expected end, or a crash that is"),
    ("messages: 9, second-crash: none, crash-at: recover(2)", "crash-at is 'recover(2)'; expected end, or a crash"),
    ("messages: 9, crash-at: delete", "crash-at is 'delete'; expected end, or a deletion"),
    ("messages: 9, crash-at: flush", "crash-at is 'flush'; expected end, or a checkpoint"),
    ("messages: 9, writers: second-process, crash-at: open", "crash-at is 'open'; expected end, a share or a number"),
    ("messages: 9, crash-at: opening", "crash-at is 'opening'"),
    (
      "messages: 9, crash: power-loss-after-close, crash-at: 50%",
      "crash is 'power-loss-after-close'; expected crash-at: end"
    ),
  ]) func aMistakeHasItsPlace(matrix: String, message: String) {
    let found = errors(matrix)
    #expect(found.count == 1 && found[0].contains(message) && found[0].hasPrefix("a.yaml:4:"), "\(found)")
  }

  @Test(arguments: [
    "pace: 5ms", "second-crash: none", "later-sync: never", "preallocation: 0", "first-offset: 3",
    "crash: power-loss-after-close",
  ])
  func anotherProgramHasNoneOfThem(axis: String) {
    #expect(errors("messages: 60, \(axis)", more: "delivery: {}").count == 1)
  }

  @Test(arguments: ["c2=storm", "ls=same", "ls=interval(5ms)", "pa=5", "pr=100", "fo=x", "pr=4096.s=never"])
  func aTokenIsHeldToTheSame(field: String) throws {
    let token = Token.encode(try planned(#require(try scenario("messages: 60").cells().first)).spec)
    let never = token.replacing("s=always", with: "s=never") + ".pr=4096"
    let changed = field.contains(".s=") ? never : token + "." + field
    #expect(throws: Token.Failure.self) { try Token.decode(changed) }
  }
}
