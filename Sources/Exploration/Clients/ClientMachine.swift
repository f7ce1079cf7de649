import CrashStates
import Defects
import LogModel
import Storage

/// A machine on which one crash state after the other is lived on.
final class ClientMachine {
  private let storage: StateStorage
  private let seed: UInt64
  private let defect: Defect?
  private var loop = EventLoop(simulatedWithSeed: 0)

  init(_ recording: Recording, _ profile: CrashProfile, _ seed: UInt64, _ defect: Defect?) {
    storage = StateStorage(recording, profile)
    (self.seed, self.defect) = (seed, defect)
  }

  /// Lives on what a power cut has left, the power going in between.
  /// - Parameters:
  ///   - boots: of the machine, before the first of them.
  func judge(
    _ image: DiskImage, _ script: any ClientScript, after told: ClientRecording, at moment: Int, lives: Int, boots: Int
  ) -> StateJudgement {
    storage.load(image)
    var (script, start) = (script, told.start)
    script.crash(at: start)
    for life in 0..<lives {
      let seed = mix64(seed &+ UInt64(boots + life))
      if !loop.restart(simulatedWithSeed: seed, startingAt: start) {
        loop = EventLoop(simulatedWithSeed: seed, startingAt: start)
      }
      storage.boot(loop, bootID: UInt32(boots + life))
      let machine = defect?.layer(on: storage) ?? storage
      let ending = loop.run(limit: type(of: script).limit) { [script] in await script.live(.check, on: machine) }.ending
      storage.kill()
      let now = loop.now
      script.crash(at: now)
      // What the dead machine still does it does in another script.
      script = script.copy()
      loop.drain()
      if ending != .finished || storage.isExhausted {
        script.hang("life \(boots + life) never ends: \(storage.isExhausted ? "operations without end" : "\(ending)")")
        break
      }
      start = now + type(of: script).pause
      storage.dropVolatile()
    }
    return script.judge()
  }
}
