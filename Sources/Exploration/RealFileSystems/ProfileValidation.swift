import CrashStates
import Defects
import Foundation
import LogModel
import LoopDisks
import ProfileReports
import Storage
import Verification

/// What to compare the profiles with.
public struct ProfileValidationOptions: Sendable {
  public var fileSystems = LoopFileSystem.allCases
  /// Of each file system.
  public var images = 20
  public var seed: UInt64 = 1
  public var workload = ExplorationWorkload.reference
  public var storage = StorageChoice.auto
  /// Judges the states in place of the profile of their file system; to see that the comparison can fail.
  public var profile: CrashProfile?
  public var defect: Defect?
  /// An existing directory, for a folder in which nothing but mounts is.
  public var directory = "/tmp"
  public var isCancelled: @Sendable () -> Bool = { false }
  /// Ends a command whose engine keeps the processor to itself; nil for none.
  public var watch: HangWatch?

  public init() {}
}

/// The profiles against the real thing: the engine runs its workload on a real file system, copies of the disk are
/// taken at random instants (`SnapshotTaker`), mounted, which replays the journal, and looked at:
///
/// 1. Is what is there a state that the profile permits at that instant? Names, sizes, and every sector of every file
///    (`CrashPoint.legality`). If it is not, the profile forbids what the storage does: it hides bugs, and is wrong.
/// 2. Does the engine recover from it, twice, and hold its promises? The oracle judges by what had been acknowledged.
///
/// The seed decides what is asked of the machine; what the machine does at an instant no seed decides, so that two runs
/// see different states. The verdicts are of states that were really there.
public struct ProfileValidation {
  /// Copies of one life of the workload. Lives are short; each sees its own order of things.
  private static let imagesALife = 4

  private let options: ProfileValidationOptions
  private let exploration: Exploration

  /// Call `ImageStore.enterPrivateMounts` on the calling thread before.
  /// - Throws: `ExplorationError`: a workload that is too large, or cannot be recorded.
  public init(_ options: ProfileValidationOptions) throws(ExplorationError) {
    self.options = options
    var usual = ExplorationOptions()
    usual.workload = options.workload
    usual.workload.seed = options.seed
    usual.defect = options.defect
    usual.watch = options.watch
    exploration = try Exploration(usual)
  }

  /// - Parameter progress: told a line of text now and then.
  /// - Throws: `ExplorationError.disk` where there is no disk to experiment with.
  package func run(progress: (String) -> Void = { _ in }) throws(ExplorationError) -> ProfileValidationReport {
    try onDisk { () throws(LoopDiskError) in for fileSystem in options.fileSystems { try fileSystem.checkTool() } }
    let store = try onDisk { () throws(LoopDiskError) in try ImageStore(in: options.directory) }
    var report = ProfileValidationReport(asked: options.images)
    for fileSystem in options.fileSystems where !options.isCancelled() {
      report.systems.append(try compare(fileSystem, store, progress))
    }
    report.isCancelled = options.isCancelled()
    return report
  }

  private func compare(
    _ fileSystem: LoopFileSystem, _ store: ImageStore, _ progress: (String) -> Void
  ) throws(ExplorationError) -> ProfileValidationResult {
    let machine = RealMachine(
      store: store, fileSystem: fileSystem, storage: options.storage, subject: exploration.subject)
    var result = ProfileValidationResult(
      fileSystem: fileSystem.rawValue, profile: options.profile ?? fileSystem.profile)
    let blank = try machine.blank()
    let begun = Date()
    var said = begun
    // A life may end before its last instants have come.
    while result.images < options.images, result.lives < options.images * 2 + 8, !options.isCancelled() {
      result.lives += 1
      let count = min(Self.imagesALife, options.images - result.images)
      let seed = mix64(options.seed &+ UInt64(result.lives) &* 0x9E37_79B9_7F4A_7C15)
      let exposures = SnapshotSchedule.drawn(count, events: exploration.events, seed: seed)
      let life = "the engine, at its workload on \(fileSystem.rawValue),"
      let (recording, shots) = try options.watch.during(life) { () throws(ExplorationError) in
        try machine.record(on: blank, exposures)
      }
      for shot in shots where !options.isCancelled() {
        try judge(shot, recording, machine, &result)
        if Date().timeIntervalSince(said) > 2 {
          said = Date()
          let spent = said.timeIntervalSince(begun)
          let left = spent / Double(result.images) * Double(options.images - result.images)
          progress(
            "\(fileSystem.rawValue): \(result.images) of \(options.images) images, about \(Int(left) + 1) s left")
        }
      }
    }
    result.seconds = Date().timeIntervalSince(begun)
    return result
  }

  private func judge(
    _ shot: DiskSnapshot, _ recording: Recording, _ machine: RealMachine, _ result: inout ProfileValidationResult
  ) throws(ExplorationError) {
    let cut = recording.cut(known: shot.known, begun: shot.begun)
    let start = (recording.events.last?.time ?? Instant(nanoseconds: 0)) + .seconds(1)
    let looker = RecoveredIncarnation(recording, exploration.subject, result.profile, start: start)
    result.images += 1
    let place = "image \(result.images) (life \(result.lives), after event \(shot.known), before \(shot.begun + 1))"
    let looked = try options.watch.during("the engine, on a copy of \(result.fileSystem): \(place),") {
      () throws(ExplorationError) in
      try machine.examine(shot, looker)
    }
    switch looked {
    case .unreadable(let text): result.illegal.append(ProfileValidationFinding(place: place, lines: [text]))
    case .looked(let found, let transcript):
      result.contents.insert(found.contentHash)
      if cut.hasOperationsInFlight { result.underWay += 1 }
      var walk = CrashPointWalk(cut, result.profile, seed: options.seed)
      let point = walk.point(at: cut.events.count)
      switch point.legality(of: found, cut.table) {
      case .legal(let choice): result.legal(point, choice)
      case .illegal(let lines): result.illegal.append(ProfileValidationFinding(place: place, lines: lines))
      case .undecided(let text): result.doubts.append("\(place): \(text)")
      }
      judge(transcript, cut, shot, clock: looker.clock, place, &result)
    }
  }

  private func judge(
    _ transcript: Transcript, _ cut: Recording, _ shot: DiskSnapshot, clock: (Int) -> Instant, _ place: String,
    _ result: inout ProfileValidationResult
  ) {
    let workload = exploration.subject.workload
    var history = cut.history(workload, upTo: cut.events.count)
    let slow = StateJudge.slowOperations(cut).last ?? SlowOperations()
    history.crash(.powerLoss, at: shot.time, deviceDelay: slow.longest, slowOperations: slow.all)
    let judgement = transcript.judge(
      history, appendedSequence: workload.appendedSequence, clock: clock,
      Contract(sync: workload.syncPolicy, recovery: workload.recoveryPolicy))
    switch judgement.verdict {
    case .held: result.held += 1
    case .violated:
      let text = judgement.check.map { "\($0.name.rawValue): \($0.detail)" } ?? ""
      result.violations.append(ProfileValidationFinding(place: place, lines: [text]))
    case .unknown:
      result.doubts.append("\(place): \(judgement.check.map { "\($0.name.rawValue): \($0.detail)" } ?? "no verdict")")
    }
  }
}
