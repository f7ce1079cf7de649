import CrashStates
import Defects
import Exploration
import LogModel
import ProgramOracle
import ProgramTesting
import Testing
import Verification

/// The engine as a program on the volume, and the engine in the model: the same verdicts.
///
/// What must be seen was written down from the defects' descriptions (docs/defects.md) before anything was run.
@Suite(.enabled(if: EnginePrograms.refusal == nil, "\(EnginePrograms.refusal ?? "")"), .serialized)
struct VerdictTests {
  /// How far both look. A sound engine holds in each of them.
  enum Setting: CaseIterable {
    /// Every restart, and what a power cut leaves of the last write.
    case restarts
    /// What is written after a restart, and one restart more.
    case secondLives
    /// A name that is not durable by itself.
    case names
    /// Space that shows what somebody else has left there.
    case foreign
    /// Writes that take fewer bytes than they were given.
    case shortWrites
    /// Writes that are there although the caller is told of an error.
    case failedWrites
    /// Syncs that fail, and lose what they were to store.
    case syncs
    /// Syncs after the acknowledgement.
    case interval
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var defect: String
    var setting: Setting
    /// What the model says.
    var model: Set<CheckName>
    /// What `tornlog test` says; none where it cannot see the defect, and the engine holds.
    var program: Set<ProgramCheck>

    var testDescription: String { defect }
  }

  static let cases: [Case] = [
    // Any restart: nothing can be consumed.
    Case(defect: "C2", setting: .restarts, model: [.noAcknowledgedLoss], program: [.noAcknowledgedLoss]),
    // Two restarts with an append in between.
    Case(defect: "C8", setting: .restarts, model: [.noDuplicates], program: [.noDuplicates]),
    // Nothing tells a record that a power cut has torn from a whole one.
    Case(defect: "C12b", setting: .restarts, model: [.contentIntact], program: [.contentIntact]),
    // Records stand behind the bytes of a write that failed.
    Case(defect: "C16", setting: .failedWrites, model: [.noAcknowledgedLoss], program: [.noAcknowledgedLoss]),
    // Torn tail, restart, append, restart.
    Case(defect: "H2", setting: .secondLives, model: [.noAcknowledgedLoss], program: [.noAcknowledgedLoss]),
    // A tail of zeros: it never opens again.
    Case(defect: "H3", setting: .restarts, model: [.recoveryCompletes], program: [.opens]),
    // A write whose sync has failed is answered as one that never happened.
    Case(defect: "A3", setting: .failedWrites, model: [.noPhantoms], program: [.noPhantom]),
    // A new segment without its name.
    Case(defect: "P1", setting: .names, model: [.noAcknowledgedLoss], program: [.noAcknowledgedLoss]),
    // A sync that failed is called again.
    Case(defect: "P2", setting: .syncs, model: [.noAcknowledgedLoss], program: [.noAcknowledgedLoss]),
    // Another segment's records in space that was never written.
    Case(defect: "P3", setting: .foreign, model: [.contentIntact, .noGaps], program: [.noPhantom]),
    // It takes a write while a sync of the same file is in flight, which FUSE does not let happen: docs/programs.md.
    Case(defect: "P5", setting: .interval, model: [.noGaps, .lossIsSuffix], program: []),
    // A short write is taken for a full one.
    Case(defect: "P8", setting: .shortWrites, model: [.noAcknowledgedLoss], program: [.noAcknowledgedLoss]),
  ]

  // MARK: The model

  private static func exploration(_ setting: Setting, _ defect: String?) -> ExplorationOptions {
    var options = ExplorationOptions()
    options.workload.messages = 36
    options.profiles = [.raw512]
    (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
    options.defect = defect.flatMap { Defect(id: $0) }
    switch setting {
    case .restarts, .secondLives: options.workload.messages = 18
    case .names: (options.profiles, options.workload.messages) = ([.posixMinimal], 18)
    case .foreign: (options.profiles, options.workload.messages) = ([.ext4Writeback], 60)
    case .shortWrites: options.workload.deviceFaults = DeviceFaultPlan(shortWriteEvery: 5)
    case .failedWrites: options.workload.deviceFaults = DeviceFaultPlan(failingWriteEvery: 5)
    case .syncs: options.workload.deviceFaults = DeviceFaultPlan(failingSync: 3)
    case .interval:
      options.workload.syncPolicy = .interval(.microseconds(100))
      (options.workload.partitions, options.workload.producers) = (1, 3)
      (options.workload.messagesPerBatch, options.workload.messageSize) = (1, 100)
      options.workload.commitsOffsets = false
    }
    return options
  }

  @Test(arguments: Setting.allCases) func theModelHoldsTheSoundEngine(_ setting: Setting) throws {
    let report = try Exploration(Self.exploration(setting, nil)).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
  }

  @Test(arguments: cases) func theModelFindsIt(_ one: Case) throws {
    let report = try Exploration(Self.exploration(one.setting, one.defect)).run()
    #expect(report.verdict == .violated)
    let found = Set(report.findings.map(\.violation.check))
    #expect(!found.isDisjoint(with: one.model), "\(found)")
  }

  // MARK: The program

  private static func program(_ setting: Setting, _ defect: String?) -> (ProgramSpec, ProgramTestOptions) {
    var options = ProgramTestOptions()
    // What is looked at is bounded by numbers, and not by time: other tests may run beside this one.
    options.budget = 120_000_000_000
    (options.kills, options.faults, options.secondLives, options.mostPieces) = (0, 0, 0, 0)
    options.shrinking = 0
    options.profiles = [.raw4k]
    var arguments = defect.map { ["--defect", $0] } ?? []
    var requests = 8
    var promise = ProgramPromise.acknowledged
    switch setting {
    case .restarts: options.profiles = [.ext4Ordered]
    case .secondLives: (options.profiles, options.secondLives) = ([.ext4Ordered], 12)
    case .names: options.profiles = [.posixMinimal]
    case .foreign:
      // Another log's records stand at the same place with the same offsets.
      (options.profiles, options.mostPieces, requests) = ([.ext4Writeback], 1, 20)
      if defect == nil { options.budget = 8_000_000_000 }
    case .shortWrites:
      // Past the page cache the kernel makes an error of it (docs/volume.md), so what is written goes through it. What
      // has been written survives a kill under each policy, and this one has no clock: each run does the same.
      (options.faults, options.faultKinds, options.profiles) = (40, [.shortWrite], [])
      arguments += ["--sync", "never"]
    case .failedWrites: (options.faults, options.faultKinds) = (40, [.pagesKept])
    case .syncs: (options.faults, options.faultKinds) = (40, [.pagesDropped])
    case .interval:
      options.profiles = [.ext4Ordered]
      arguments += ["--sync", "interval(4ms)"]
      // However busy the machine is, nothing is old enough to be required: what P5 does is a hole.
      promise = .interval(.seconds(600))
    }
    // Nothing ends the search of the sound one.
    if defect == nil { options.faults = min(options.faults ?? 12, 12) }
    var spec = ProgramSpec(EnginePrograms.command(arguments))
    (spec.requests, spec.promise) = (requests, promise)
    return (spec, options)
  }

  @Test(arguments: Setting.allCases) func theVolumeHoldsTheSoundEngine(_ setting: Setting) throws {
    let (spec, options) = Self.program(setting, nil)
    let report = try EnginePrograms.test(spec, options)
    #expect(report.verdict == .held, "\(report.lines(isVerbose: true).joined(separator: "\n"))")
  }

  @Test(arguments: cases) func theVolumeFindsItToo(_ one: Case) throws {
    let (spec, settings) = Self.program(one.setting, one.defect)
    var options = settings
    options.stopsAt = one.program.first
    let report = try EnginePrograms.test(spec, options)
    let hits = report.runs.map { "\($0.verdict): \($0.hit ?? "never hit")" }
    let text = (report.lines(isVerbose: true) + hits).joined(separator: "\n")
    guard !one.program.isEmpty else {
      #expect(report.verdict == .held, "\(text)")
      return
    }
    #expect(report.verdict == .violated, "\(text)")
    let found = Set(report.findings.filter(\.repeats).map(\.check))
    #expect(!found.isDisjoint(with: one.program.map(\.rawValue)), "\(found)")
  }
}
