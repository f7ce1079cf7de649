import CrashStates
import Glibc
import LogModel
import Synchronization
import Volume
import VolumeStates

/// A mounted volume that others may cut, fail, look at and copy, through a socket.
package final class ControlledVolume: Sendable {
  private struct State {
    var faults: [(fault: VolumeFault, met: Int)] = []
    /// Operations that a fault has met.
    var failed = 0
    var cuts = 0
  }

  package let mount: VolumeMount
  private let state = Mutex(State())

  package init(_ mount: VolumeMount) { self.mount = mount }

  private var volume: Volume { mount.volume }

  // MARK: What can be asked

  package func stats() -> String {
    let usage = volume.usage
    let (failed, cuts, faults) = state.withLock { ($0.failed, $0.cuts, $0.faults.count) }
    return "operations \(volume.trace.count), files \(usage.files) bytes, inodes \(usage.inodes), trace \(usage.trace)"
      + " bytes, memory \(usage.resident) bytes, in the file beyond it \(usage.spilled) bytes; faults set \(faults),"
      + " operations failed \(failed), power cuts \(cuts)"
  }

  /// Has operations fail from now on, beside those that fail already.
  package func fail(_ fault: VolumeFault) {
    state.withLock { $0.faults.append((fault, 0)) }
    volume.setDecider { [weak self] request in self?.decide(request) ?? .proceed }
  }

  package func stopFailing() {
    state.withLock { $0.faults.removeAll() }
    volume.setDecider(nil)
  }

  private func decide(_ request: VolumeRequest) -> VolumeDecision {
    state.withLock { state in
      for index in state.faults.indices where state.faults[index].fault.matches(request) {
        state.faults[index].met += 1
        let (fault, met) = state.faults[index]
        if met >= fault.first, fault.count.map({ met < fault.first + $0 }) ?? true {
          state.failed += 1
          return fault.kind == .sync || fault.kind == .syncDirectory
            ? .syncFails(fault.error, .kept) : .fail(fault.error)
        }
      }
      return .proceed
    }
  }

  /// Takes the power: what is left is a state that the profile permits. Files that are open then are stale.
  /// - Parameter seed: nil loses everything that may be lost; else what is lost follows from the seed.
  /// - Returns: what was lost, in at most ten lines.
  package func cut(_ profile: CrashProfile, seed: UInt64?) throws(VolumeFolderError) -> [String] {
    let recorded = VolumeRecording(volume.trace)
    let recording = recorded.recording
    var walk = CrashPointWalk(recording, profile, seed: seed ?? 1)
    let point = walk.point(at: recording.events.count)
    var choice = point.nothing
    if let seed {
      var random = SeededGenerator(seed: seed, stream: "cut")
      for index in choice.indices {
        let before = choice[index]
        if Bool.random(using: &random) { choice[index] = Alternative(point.pieces[index].newest) }
        if !point.permits(choice) { choice[index] = before }
      }
    }
    try volume.replaceAll(by: point.image(choice), of: recorded)
    state.withLock { $0.cuts += 1 }
    return point.losses(choice, recording, limit: 10).map { $0.replacing("*", with: "") }
  }

  /// Copies what is there now to a plain folder.
  package func snapshot(to folder: String) throws(VolumeFolderError) { try volume.export(to: folder) }
}
