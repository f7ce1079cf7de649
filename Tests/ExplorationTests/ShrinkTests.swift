import Defects
import Glibc
import LogModel
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

/// A defect, and where it shows in a small workload.
struct Specimen: CustomTestStringConvertible, Sendable {
  var id: String
  var check: CheckName
  var profile = CrashProfile.raw512
  var deviceFaults = DeviceFaultPlan.none
  var depth = 1
  var producers = 2
  var messages = 6
  /// Of each crash point.
  var states = 32
  var sync = SyncPolicy.always

  var testDescription: String { id }

  static let all = [
    Specimen(id: "A4", check: .recoveryCompletes), Specimen(id: "H2", check: .noAcknowledgedLoss),
    Specimen(id: "H3", check: .recoveryCompletes),
    Specimen(id: "R1", check: .noAcknowledgedLoss),
    Specimen(id: "P1", check: .noAcknowledgedLoss, profile: .posixMinimal),
    Specimen(id: "P2", check: .noAcknowledgedLoss, deviceFaults: DeviceFaultPlan(failingSync: 2)),
    Specimen(id: "P3", check: .noGaps, profile: .ext4Writeback, producers: 1, messages: 12, states: 64),
    Specimen(id: "P7", check: .noAcknowledgedLoss, depth: 2),
    Specimen(id: "P5", check: .lossIsSuffix, messages: 16, states: 64, sync: .interval(.microseconds(100))),
    Specimen(id: "P8", check: .noAcknowledgedLoss, deviceFaults: DeviceFaultPlan(shortWriteEvery: 1)),
    Specimen(id: "C8", check: .noDuplicates),
  ]

  func options(seed: UInt64) -> ExplorationOptions {
    var options = ExplorationOptions()
    (options.workload.messages, options.workload.partitions, options.workload.producers) = (messages, 2, producers)
    options.workload.syncPolicy = sync
    if producers == 1 || sync != .always { options.workload.messagesPerBatch = 1 }
    if sync != .always { options.workload.messageSize = 100 }
    options.workload.deviceFaults = deviceFaults
    options.workload.seed = seed
    options.profiles = [profile]
    (options.statesPerPoint, options.samples, options.bound) = (states, 4, 2)
    (options.seed, options.jobs, options.depth) = (seed, 2, depth)
    options.defect = Defect(id: id)
    return options
  }

  /// What exploration finds of the check.
  func found(seed: UInt64) throws -> CrashState {
    let findings = try Exploration(options(seed: seed)).run().findings
    return try #require(findings.first { $0.violation.check == check }?.violation.state)
  }
}

@Suite struct ShrinkTests {
  /// Of these two seeds are compared: a recovery, the store, the device, a sync policy, depth two. Of the others one is
  /// shrunk; both with `TORNLOG_EXHAUSTIVE`.
  private static let compared: Set = ["A4", "H2", "P2", "P5", "P7"]

  @Test(arguments: Specimen.all) func twoSeedsShrinkToTheSameStoryOfTenOperationsAtMost(specimen: Specimen) throws {
    var stories: [[String]] = []
    let isWhole = Self.compared.contains(specimen.id) || getenv("TORNLOG_EXHAUSTIVE") != nil
    for seed: UInt64 in isWhole ? [1, 7] : [1] {
      let result = try CrashStateShrinker.shrink(try specimen.found(seed: seed), jobs: 2)
      #expect(result.isSmallest)
      #expect(result.replay.check?.name == specimen.check)
      #expect(specimen.sync != .always || result.state.workload.seed == seed)
      #expect(result.replay.story.count <= 10)
      #expect(result.replay.storyIsWhole && (1...10).contains(result.replay.storyOperations), "\(result.replay.story)")
      #expect(result.soundVerdict == .held)
      stories.append(result.replay.story)
    }
    #expect(Set(stories).count == 1)
  }

  /// Where the defect changes nothing but the recovery, the recording is the sound engine's, and the same state can be
  /// put before it.
  @Test(arguments: ["A4", "C8", "H2", "H3"]) func withTheDefectSwitchedOffTheSameStateIsHeld(id: String) throws {
    let specimen = try #require(Specimen.all.first { $0.id == id })
    var state = try specimen.found(seed: 1)
    #expect(try StateReplay(state).verdict == .violated)
    state.defect = nil
    #expect(try StateReplay(state).verdict == .held)
  }

  @Test func theSoundEngineHasNothingToShrink() throws {
    let specimen = try #require(Specimen.all.first { $0.id == "C8" })
    var state = try specimen.found(seed: 1)
    state.defect = nil
    #expect(throws: ExplorationError.nothingToShrink(.held)) { try CrashStateShrinker.shrink(state, jobs: 1) }
  }

  @Test func aSearchThatIsStoppedSaysSo() throws {
    let specimen = try #require(Specimen.all.first { $0.id == "C8" })
    let state = try specimen.found(seed: 1)
    var asked = 0
    let result = try CrashStateShrinker.shrink(
      state, jobs: 1,
      shouldStop: {
        asked += 1; return asked > 2
      })
    #expect(!result.isSmallest && result.candidates == 2)
    #expect(result.replay.verdict == .violated)
  }

  /// What it never needed is not there: an operation in flight that changes nothing for the violation.
  @Test func whatIsInFlightAndNotNeededIsDropped() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    _ = disk.start(disk.write(f, 2, at: 512, 512))
    let point = disk.point(.posixMinimal)
    let flying = FlyingOperations(point, disk.recording, seed: 1, at: disk.recording.events.count)
    // A state that fails, whatever is kept.
    let calm = flying.calmed(point.everything) { _ in true }
    #expect(disk.text(point.image(calm)) == "f=1/512")
    #expect(flying.view(calm).dropped.count == 1)
    // A state that fails only with the second sector.
    let needed = flying.calmed(point.everything) { disk.text(point.image($0)) == "f=12/1024" }
    #expect(needed == point.everything && flying.view(needed).dropped.isEmpty)
  }
}
