import CrashStates
import Defects
import LogModel
import PartitionEngine
import Storage
import Verification

/// What to explore, and how far.
public struct ExplorationOptions: Sendable {
  public var workload = ExplorationWorkload.reference
  public var profiles = CrashProfile.all
  /// Most pieces in which an exhaustively visited state differs from everything kept, or from nothing kept.
  public var bound = 3
  public var statesPerPoint = 4096
  public var samples = 64
  public var seed: UInt64 = 1
  public var jobs = 2
  /// 1: crashes of the workload; 2: crashes of the recoveries that follow too.
  public var depth = 1
  /// Of a client no recovery is cut off once a violation is known: for whoever asks whether there is one.
  public var stopsAtFirst = false
  public var defect: Defect?
  /// Whether states from which the engine reads the same are one; see `ReadSetTree`.
  public var comparesReadSets = true
  /// Questions that read sets leave out: for the test that this is found.
  var omittedQuestions: DiskQuestion.Kind?
  /// States that are run once more without any reduction, drawn by the seed; see `Calibration`.
  public var calibration = 0
  /// Ends a command whose engine keeps the processor to itself; nil for none.
  public var watch: HangWatch?
  /// Asked before each profile, and while one is explored, which is then left out of the report.
  public var isCancelled: @Sendable () -> Bool = { false }

  public init() {}
}

/// A systematic exploration of crash states.
///
/// 1. The workload runs once, in virtual time, and is recorded: every operation with its content, every
///    acknowledgement.
/// 2. At every moment of the recording the states that a profile permits are enumerated (`StateEnumeration`).
/// 3. States with equal content are one. The engine recovers on each, is looked at, appended to, cut off, recovered and
///    looked at again (`RecoveredIncarnation`).
/// 4. States from which both lives read the same are one: they differ in bytes, names or sizes that nobody asks for
///    (`ReadSetTree`).
/// 5. States whose two lives look the same are one behaviour group. Of each group one state is run again with a fetch
///    from every start offset, and the oracle judges what was seen by what had been acknowledged, once for every crash
///    point at which the group occurs.
public struct Exploration: Sendable {
  let options: ExplorationOptions
  let subject: EngineUnderTest
  let recording: Recording

  /// Records the workload.
  /// - Throws: `workloadTooLarge`, and `recordingFailed` where the engine does not get through the workload.
  public init(_ options: ExplorationOptions) throws(ExplorationError) {
    let defect = options.defect
    try self.init(options, layer: { defect?.layer(on: $0) ?? $0 })
  }

  /// - Parameter layer: what stands between the engine and its storage.
  init(
    _ options: ExplorationOptions, layer: @escaping @Sendable (any Storage) -> any Storage
  ) throws(ExplorationError) {
    if let limit = options.workload.exceeded { throw .workloadTooLarge(limit) }
    self.options = options
    let defect = options.defect
    subject = EngineUnderTest(options.workload, parts: { defect?.parts() ?? EngineParts() }, layer: layer)
    let subject = subject
    var recording = try options.watch.during("the workload, before any power cut,") { () throws(ExplorationError) in
      try options.workload.record(parts: subject.parts(), layer: subject.layer)
    }
    // Paths of the lives to come are the same in all of them.
    for name in ["lock", "writers"] { _ = recording.table.intern(name) }
    self.recording = recording
  }

  /// Moments of the recording.
  public var events: Int { recording.events.count }

  /// After everything that was recorded.
  var start: Instant { (recording.events.last?.time ?? Instant(nanoseconds: 0)) + .seconds(1) }

  /// Explores one profile after the other. What was found for a content under one is not found out again under another.
  /// - Parameter progress: told a line of text now and then.
  public func run(progress: (String) -> Void = { _ in }) -> ExplorationReport {
    var known = KnownStates()
    var results: [ProfileResult] = []
    for profile in options.profiles where !options.isCancelled() {
      let run = ProfileRun(self, profile)
      let result = run.run(&known, progress)
      // Half a profile is none.
      if !options.isCancelled() { results.append(result) }
    }
    return ExplorationReport(profiles: results, depth: options.depth, asked: options.profiles.count)
  }

  /// - Parameters:
  ///   - base: a recording with the sectors and the paths of the states to come; without it the workload's own.
  ///   - boots: of the machine, before the first that is looked at.
  func worker(_ profile: CrashProfile, on base: Recording? = nil, boots: Int = 1) -> RecoveredIncarnation {
    RecoveredIncarnation(base ?? recording, subject, profile, start: start, boots: boots)
  }
}
