import CrashStates
import Defects
import LogModel
import Storage

/// A life of a client as the disk saw it, with the script as the world knew it at each moment.
struct ClientRecording: @unchecked Sendable {
  // The scripts are only copied.

  let recording: Recording
  /// By the number of events that had happened: as late as can be.
  let scripts: [any ClientScript]
  /// When the next machine starts.
  let start: Instant

  /// A whole life on an empty disk.
  init(_ script: any ClientScript, seed: UInt64, _ defect: Defect?) throws(ExplorationError) {
    let loop = EventLoop(simulatedWithSeed: seed)
    let machine = MemoryStorage(disk: MemoryDisk(seed: seed), loop: loop)
    let recorder = DiskRecorder(machine, Recording(store: SectorStore(), table: PathTable()))
    let (ending, scripts) = Self.tell(script, .work, on: recorder, defect)
    guard ending == .finished else { throw .neverEnds("the client's life \(ending)") }
    guard !recorder.recording.isCutShort else {
      throw .recordingFailed("it makes more than \(Recording.mostOperations) operations")
    }
    (recording, self.scripts, start) = (recorder.recording, scripts, loop.now + type(of: script).pause)
  }

  /// The first life after a crash; nil where it hangs.
  init?(
    recoveryOf image: DiskImage, _ told: ClientRecording, at moment: Int, _ profile: CrashProfile, seed: UInt64,
    _ defect: Defect?
  ) {
    let machine = StateStorage(told.recording, profile)
    machine.load(image)
    let loop = EventLoop(simulatedWithSeed: mix64(seed &+ 1), startingAt: told.start)
    machine.boot(loop, bootID: 1)
    let base = Recording(on: image, store: told.recording.store, table: told.recording.table)
    let recorder = DiskRecorder(machine, base, limit: RecordedRecovery.mostOperations)
    let script = told.scripts[moment].copy()
    script.crash(at: told.start)
    let (ending, scripts) = Self.tell(script, .check, on: recorder, defect)
    machine.kill()
    let end = loop.now
    loop.drain()
    guard ending == .finished, !machine.isExhausted else { return nil }
    (recording, self.scripts, start) = (recorder.recording, scripts, end + type(of: script).pause)
  }

  private static func tell(
    _ script: any ClientScript, _ life: ClientIncarnation, on recorder: DiskRecorder, _ defect: Defect?
  ) -> (EventLoop.Ending, [any ClientScript]) {
    let scripts = Copies()
    recorder.onEvent = { count in
      // What is known before the last event.
      while scripts.all.count < count { scripts.all.append(script.copy()) }
    }
    script.onAnswer = { recorder.note(RecordedFact.said($0)) }
    let storage = defect?.layer(on: recorder) ?? recorder
    let ending = recorder.loop.run(limit: type(of: script).limit) { await script.live(life, on: storage) }.ending
    recorder.stop()
    recorder.onEvent = nil
    script.onAnswer = nil
    scripts.all.append(script.copy())
    return (ending, scripts.all)
  }

  /// Touched on the loop only.
  private final class Copies: @unchecked Sendable {
    var all: [any ClientScript] = []
  }

  /// By the number of events that had happened.
  func points(_ profile: CrashProfile, seed: UInt64) -> [CrashPoint] {
    var walk = CrashPointWalk(recording, profile, seed: seed)
    return (0...recording.events.count).map { walk.point(at: $0) }
  }
}
