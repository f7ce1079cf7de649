import CrashStates
import Defects
import Exploration
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import ScenarioExploration
@testable import Trials

@Suite struct ShrunkScenarioTests {
  private static func small(_ defect: String, _ profile: CrashProfile, depth: Int = 1) -> ExplorationOptions {
    var options = ExplorationOptions()
    (options.workload.messages, options.workload.partitions, options.workload.producers) = (3, 1, 1)
    options.workload.commitsOffsets = false
    options.workload.messageSize = 24
    options.profiles = [profile]
    (options.statesPerPoint, options.samples, options.bound, options.depth) = (64, 8, 2, depth)
    options.defect = Defect(id: defect)
    return options
  }

  private func scenario(_ text: String) throws -> Scenario {
    try ScenarioParser.parse(text, file: "shrunk.yaml", vocabulary: TrialPlanner.vocabulary)
  }

  @Test(arguments: [("C8", CrashProfile.raw512, 1), ("P1", .posixMinimal, 1), ("P7", .raw512, 2)])
  func aCrashStateIsShownAgainFromItsScenario(defect: String, profile: CrashProfile, depth: Int) throws {
    let found = try #require(Exploration(Self.small(defect, profile, depth: depth)).run().findings.first)
    let result = try CrashStateShrinker.shrink(try #require(found.violation.state), jobs: 2)
    let check = try #require(result.replay.check)
    let scenario = try scenario(ShrunkScenario(result, check: check).text)
    let plan = try ExplorationPlan(scenario.cells(), seed: nil, profiles: nil, expectsSound: false)
    #expect(plan.refused.isEmpty && plan.ignored.isEmpty)
    #expect(plan.explorations.map(\.state) == [result.state, nil])
    #expect(plan.explorations.map(\.expectation) == [.caught(by: check.name), .held])
    let outcome = try plan.explorations[0].run(jobs: 1) { _ in }
    #expect(outcome.isExpected)
    #expect(outcome.report.findings.map(\.violation.check) == [check.name])
    // A state that fails without being expected to is no success.
    var unexpected = plan.explorations[0]
    unexpected.expectation = .held
    #expect(try !unexpected.run(jobs: 1) { _ in }.isExpected)
  }

  // MARK: Trials

  /// Fails by `no-gaps` from four messages in two batches on, and by another check below.
  private static func model(_ spec: TrialSpec) -> TrialResult {
    let fails = spec.messages >= 4 && spec.messages > spec.batch && spec.defect != "none"
    let isUnknown = spec.faults.isEmpty
    var checks = [CheckResult(.noGaps, fails ? .violated : .held, "")]
    if !fails { checks.append(CheckResult(.noDuplicates, .violated, "")) }
    return TrialResult(
      scenario: spec.scenario, file: "", seed: spec.seed,
      verdict: isUnknown ? .unknown : spec.defect == "none" ? .held : .violated, expectation: .held, axes: spec.axes,
      counts: MessageCounts(), partitions: [], checks: checks, faults: [], recovery: RecoveryFigures(), notices: [],
      reproduce: "", seconds: 0)
  }

  private static let spec: TrialSpec? = {
    do throws(Token.Failure) {
      return try Token.decode(
        "t1.sc=s.m=100.p=3.s=always.r=skip-corrupted.c=process-kill.at=50pc.d=C2b.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=ring"
          + ".f=io-error/on-write.f=stall/delay-1ms")
    } catch {
      Issue.record(error)
      return nil
    }
  }()

  @Test func aTrialBecomesAsSmallAsTheSameCheckPermits() throws {
    let result = try TrialShrinker.shrink(try #require(Self.spec), run: Self.model)
    let spec = result.spec
    #expect((spec.messages, spec.partitions, spec.producers, spec.batch) == (4, 1, 1, 1))
    #expect((spec.messageSize, spec.appendBetween, spec.crash, spec.storage) == (24, 0, CrashKind.none, .memory))
    // Without any fault there is no verdict: one of them stays.
    #expect(spec.faults.count == 1 && result.check.name == .noGaps && result.isSmallest)
    #expect(result.soundVerdict == .held)
    #expect(try Token.decode(Token.encode(spec)).faults == spec.faults)
    let scenario = try scenario(ShrunkScenario(result, story: ["a: b", "*c*"]).text)
    let cells = scenario.cells()
    #expect(cells.map(\.defect) == ["C2b", nil])
    let planned = try TrialPlanner.trial(cells[0], storage: .ring, seed: nil, phaseSeconds: nil, expectsSound: false)
    var same = planned.spec
    (same.scenario, same.file, same.phaseSeconds) = (spec.scenario, spec.file, spec.phaseSeconds)
    #expect(same == spec)
    // A comma within a value ends nothing.
    var torn = result
    torn.spec.faults = [FaultSpec(kind: "torn-write", parameters: ["kept": "sectors", "sectors": "0,2,5"])]
    #expect(try self.scenario(ShrunkScenario(torn, story: ["a"]).text).cells().first?.faults == torn.spec.faults)
    #expect(planned.expectation == .caught(by: .noGaps))
  }

  /// The trial violates a second check too, and that one down to a single message.
  @Test func theCheckThatIsNamedIsKept() throws {
    func model(_ spec: TrialSpec) -> TrialResult {
      var result = Self.model(spec)
      result.checks.append(CheckResult(.highWatermark, spec.messages > 8 ? .violated : .held, ""))
      return result
    }
    let spec = try #require(Self.spec)
    let first = try TrialShrinker.shrink(spec, run: model)
    #expect(first.check.name == .noGaps && first.spec.messages == 4)
    let named = try TrialShrinker.shrink(spec, keeping: .highWatermark, run: model)
    #expect(named.check.name == .highWatermark && named.spec.messages == 10)
    #expect(throws: TrialShrinkError.self) { try TrialShrinker.shrink(spec, keeping: .noHang, run: model) }
  }

  @Test func aTrialThatHoldsHasNothingToShrink() throws {
    var sound = try #require(Self.spec)
    sound.defect = "none"
    #expect(throws: TrialShrinkError.self) { try TrialShrinker.shrink(sound, run: Self.model) }
  }

  // MARK: Which cells are explorations

  private static let mixed = """
    name: mixed
    title: t
    matrix:
      messages: [4, 100000]
      batch: [2]
      crash: [process-kill, power-loss]
      storage: [memory, posix]
      writers: [one, second-engine]
      recovery: [skip-corrupted, truncate-at-corruption]
    """

  @Test func whatDoesNotApplyIsRefusedOrNamed() throws {
    let plan = try ExplorationPlan(try scenario(Self.mixed).cells(), seed: 5, profiles: [.raw4k], expectsSound: false)
    #expect(plan.explorations.count == 1)
    #expect(plan.explorations.first?.options.workload.messages == 4)
    #expect(plan.explorations.first?.options.workload.seed == 5)
    #expect(plan.explorations.first?.options.profiles == [.raw4k])
    #expect(plan.ignored == [.crash, .storage])
    // Of 32 cells 4 are the one exploration.
    #expect(plan.refused.reduce(0) { $0 + $1.cells } == 28)
    #expect(plan.refused.contains { $0.reason == .writers(.secondEngine) })
    #expect(plan.refused.contains { $0.reason == .recovery(.truncateAtCorruption) })
    #expect(plan.refused.contains { if case .limit(let limit) = $0.reason { limit.name == "messages" } else { false } })
  }
}
