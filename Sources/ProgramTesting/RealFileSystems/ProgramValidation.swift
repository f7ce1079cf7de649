import CrashStates
import Drivers
import LogModel
import LoopDisks
import ProfileReports
import ProgramOracle
import Verification
import Volume
import VolumeStates

/// What to hold a program and the profiles against.
package struct ProgramValidationOptions: Sendable {
  package var fileSystems = LoopFileSystem.allCases
  /// Of each file system.
  package var images = 20
  /// Judges the states in place of the profile of their file system; to see that the comparison can fail.
  package var profile: CrashProfile?
  package var isCancelled: @Sendable () -> Bool = { false }

  package init() {}
}

/// The profiles, and a program under test, against real file systems.
///
/// The program runs once, on a volume that records what it does. Then its operations are done once more on a real file
/// system, as often as copies are wanted, by the same system calls in the same order, while copies of the disk are
/// taken (`DiskCamera`). Each copy is mounted, which replays the journal, and looked at:
///
/// 1. Is what is there a state that the profile permits at that instant? If not, the profile forbids what the disk
///    does, and is wrong.
/// 2. Does the program recover from it, on that file system, and keep its promises? The oracle judges by what had been
///    acknowledged when so many of its operations had been done.
///
/// The program itself runs on the volume, and not on the disk, for only there its operations have one known order. So
/// an instant on the disk is a place in that order, with one operation in flight at the most.
package struct ProgramValidation {
  /// Copies of one life.
  private static let imagesALife = 5
  /// How often a broken promise must be seen on one copy.
  private static let repetitions = 3
  private static let linesOfStory = 7

  private let spec: ProgramSpec
  private let options: ProgramValidationOptions
  private let note: (String) -> Void

  /// Call `ImageStore.enterPrivateMounts` on the calling thread before, and before anything starts a thread.
  /// - Parameter note: told a line of text now and then.
  package init(_ spec: ProgramSpec, _ options: ProgramValidationOptions, note: @escaping (String) -> Void) {
    (self.spec, self.options, self.note) = (spec, options, note)
  }

  package func run() throws(ProgramTestError) -> ProfileValidationReport {
    try onDisk { () throws(LoopDiskError) in for fileSystem in options.fileSystems { try fileSystem.checkTool() } }
    note("recording \(spec.requests) requests")
    var recording = ProgramTestOptions()
    recording.isCancelled = options.isCancelled
    let program = try ProgramTest(spec, recording, note: note).record(numbered: nil)
    var report = ProfileValidationReport(asked: options.images)
    report.program = ValidatedProgram(
      name: program.hello.name, version: program.hello.version, model: program.workload.model.rawValue,
      promise: "\(spec.promise)", allows: spec.allowances.map(\.rawValue).sorted(), seed: spec.seed,
      requests: program.workload.steps.count, operations: program.recording.operations.count)
    let history = CallerHistory(program.events, spec, program)
    for fileSystem in options.fileSystems where !options.isCancelled() {
      report.systems.append(try compare(fileSystem, program, history))
    }
    report.isCancelled = options.isCancelled()
    return report
  }

  private func compare(
    _ fileSystem: LoopFileSystem, _ program: RecordedProgram, _ history: CallerHistory
  ) throws(ProgramTestError) -> ProfileValidationResult {
    var result = ProfileValidationResult(
      fileSystem: fileSystem.rawValue, profile: options.profile ?? fileSystem.profile)
    let begun = DriverProcess.now
    var said = begun
    // One store for each: its room is limited.
    let store = try onDisk { () throws(LoopDiskError) in try ImageStore(in: spec.directory) }
    let disk = try ProgramDisk(spec, program, store, fileSystem)
    let moments = Set(program.recorded.sequences[min(program.begin, program.end)...]).sorted()
    // A life may end before its last instants have come.
    while result.images < options.images, result.lives < options.images + 8, !moments.isEmpty, !options.isCancelled() {
      result.lives += 1
      let count = min(Self.imagesALife, options.images - result.images)
      let seed = mix64(spec.seed &+ UInt64(result.lives) &* 0x9E37_79B9_7F4A_7C15)
      let life = try disk.live(DiskExposure.drawn(count, at: moments, seed: seed), isCancelled: options.isCancelled)
      if let refusal = life.refusal {
        result.doubts.append(refusal)
        break
      }
      let recorded = VolumeRecording(
        program.trace, root: program.root, end: life.times.count, store: program.recording.store, times: life.times)
      // Copies come in the order of their instants: the walk goes on from one to the next.
      var walk = CrashPointWalk(recorded.recording, result.profile, seed: spec.seed)
      for shot in life.shots where !options.isCancelled() {
        try judge(RecordedImage(shot, recorded.recording, program), &walk, program, history, disk, &result)
        if DriverProcess.now - said > 2_000_000_000 {
          said = DriverProcess.now
          let left = Double(said - begun) / 1e9 / Double(result.images) * Double(options.images - result.images)
          note("\(fileSystem.rawValue): \(result.images) of \(options.images) images, about \(Int(left) + 1) s left")
        }
      }
    }
    result.seconds = Double(DriverProcess.now - begun) / 1e9
    return result
  }

  // MARK: One copy

  private func judge(
    _ image: RecordedImage, _ walk: inout CrashPointWalk, _ program: RecordedProgram, _ history: CallerHistory,
    _ disk: ProgramDisk, _ result: inout ProfileValidationResult
  ) throws(ProgramTestError) {
    result.images += 1
    let place = "image \(result.images) (life \(result.lives), \(image.text))"
    switch try disk.examine(image.shot) {
    case .unreadable(let text): result.illegal.append(ProfileValidationFinding(place: place, lines: [text]))
    case .looked(let found, let reading):
      result.contents.insert(found.contentHash)
      if image.isUnderWay { result.underWay += 1 }
      var own = image.cut.map { CrashPointWalk($0, result.profile, seed: spec.seed) }
      let point = own?.point(at: image.end) ?? walk.point(at: image.end)
      var story: [String] = []
      switch point.legality(of: found, program.recording.table) {
      case .legal(let choice):
        result.legal(point, choice)
        // The last steps, and what the power cut took.
        let whole = ProgramStory(program, until: image.event, point, choice, outcome: "").lines
        story = Array(whole.dropLast().suffix(Self.linesOfStory))
      case .illegal(let lines): result.illegal.append(ProfileValidationFinding(place: place, lines: lines))
      case .undecided(let text): result.doubts.append("\(place): \(text)")
      }
      try judge(reading, image, history, disk, place, story, &result)
    }
  }

  /// Whether the program has kept its promises on a copy. It is asked again where it seems that it has not.
  private func judge(
    _ first: StateReading, _ image: RecordedImage, _ history: CallerHistory, _ disk: ProgramDisk, _ place: String,
    _ story: [String], _ result: inout ProfileValidationResult
  ) throws(ProgramTestError) {
    let checks = history.judge(first, at: image.event)
    guard let broken = checks.first(where: { $0.verdict == .violated }) else {
      if let doubt = checks.first(where: { $0.verdict == .unknown }) {
        result.doubts.append("\(place): \(doubt.check.rawValue): \(doubt.detail)")
      } else {
        result.held += 1
      }
      return
    }
    for _ in 1..<Self.repetitions where !options.isCancelled() {
      guard case .looked(_, let again) = try disk.examine(image.shot),
        history.judge(again, at: image.event).contains(where: { $0.check == broken.check && $0.verdict == .violated })
      else {
        result.doubts.append("\(place): \(broken.check.rawValue), and not every time: \(broken.detail)")
        return
      }
    }
    result.violations.append(
      ProfileValidationFinding(
        place: place,
        lines: ["\(broken.check.rawValue): \(broken.detail)"] + story + first.log.suffix(2).map { "driver: \($0)" }))
  }
}

/// A copy of a disk, and the moment of the recorded run that it is of.
private struct RecordedImage {
  let shot: DiskShot
  /// The moment, in events of the recording, as callers know it.
  let event: Int
  /// Events before the crash. Of what was under way then the submissions only.
  let end: Int
  /// What is there of the recording at the crash; nil where it is its first `end` events.
  let cut: Recording?
  let isUnderWay: Bool

  var text: String {
    "\(shot.isUnderWay ? "in" : "before") operation \(shot.done) of the recorded run"
  }

  /// - Parameter replayed: the run, with the times of the replay.
  init(_ shot: DiskShot, _ replayed: Recording, _ program: RecordedProgram) {
    self.shot = shot
    let known = program.recorded.event(at: shot.done)
    let begun = shot.isUnderWay ? program.recorded.event(at: shot.done + 1) : known
    let submissions = replayed.events[known..<begun].filter { if case .submitted = $0.what { true } else { false } }
    event = begun > known ? known + 1 : known
    end = known + submissions.count
    isUnderWay = !submissions.isEmpty
    // An operation is submitted before anything else is said of it.
    guard submissions.count > 1 else {
      cut = nil
      return
    }
    var cut = replayed
    cut.events = replayed.events[..<known] + submissions
    self.cut = cut
  }
}
