import CrashStates
import Glibc
import LogModel
import Synchronization
import Volume
import VolumeStates

/// A mounted volume that others may cut, fail, look at and copy, through a socket.
package final class ControlledVolume: Sendable {
  private struct Armed {
    var fault: VolumeFault
    /// CLOCK_MONOTONIC, nanoseconds.
    var since: UInt64
    /// Operations that it has met.
    var met = 0
    /// Bytes of matching writes.
    var written: UInt64 = 0
  }

  private struct State {
    var faults: [Armed] = []
    /// Operations that a fault has hit.
    var failed = 0
    var cuts = 0
    /// Of the last ones.
    var receipts: [String] = []

    mutating func note(_ line: String) {
      receipts.append(line)
      if receipts.count > ControlledVolume.mostReceipts { receipts.removeFirst() }
    }
  }

  package static let mostReceipts = 1000

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

  /// What each fault has hit, one operation a line, the last `mostReceipts`; and what syncs have told late.
  package func receipts() -> [String] {
    let late = volume.trace.operations.filter { $0.flags.contains(.late) }.map {
      "\($0.kind == .flush ? "close" : "fsync") of \(volume.path(of: $0.inode)): error \($0.error), of the fsync that"
        + " was operation \($0.otherValue)"
    }
    return state.withLock { $0.receipts } + late
  }

  /// Has operations fail from now on, beside those that fail already.
  package func fail(_ fault: VolumeFault) throws(ControlError) {
    if let problem = fault.problem { throw ControlError(problem) }
    // What the kernel has cached it does not ask for.
    if fault.kind == .read { volume.dropCaches { fault.matchesPath($0) } }
    state.withLock { $0.faults.append(Armed(fault: fault, since: Self.now)) }
    volume.setDecider { [weak self] request in self?.decide(request) ?? .proceed }
  }

  /// From now on there is no more room; what is removed gives some back.
  package func fill() { volume.limit = VolumeLimit(bytes: volume.usage.files) }

  /// From now on every change fails with EROFS.
  package func makeReadOnly() { volume.isReadOnly = true }

  /// Turns a bit over of what is stored.
  package func flip(_ path: String, byte: UInt64) throws(ControlError) {
    guard let inode = volume.inode(at: path) else { throw ControlError("\(path): no such file") }
    guard volume.flip(bit: 0, at: byte, of: inode) else { throw ControlError("\(path): it has no byte \(byte)") }
    state.withLock { $0.note("bit flip at rest of \(path), byte \(byte)") }
  }

  /// Nothing fails any more, and there is room again.
  /// - Parameter limit: of the volume's size, as it was mounted.
  package func recover(_ limit: VolumeLimit?) {
    state.withLock { $0.faults.removeAll() }
    volume.setDecider(nil)
    (volume.limit, volume.isReadOnly) = (limit, false)
    volume.endDelays()
  }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private func decide(_ request: VolumeRequest) -> VolumeDecision {
    state.withLock { state in
      mend(&state, request)
      for index in state.faults.indices where state.faults[index].fault.matches(request) {
        let fault = state.faults[index].fault
        if fault.after > 0, Self.now < state.faults[index].since + fault.after { continue }
        var room = 0
        if let byte = fault.byte, byte > request.offset { room = Int(byte - request.offset) }
        if let limit = fault.written {
          let before = state.faults[index].written
          state.faults[index].written += request.length
          if before + request.length <= limit { continue }
          room = limit > before ? Int(limit - before) : 0
        }
        state.faults[index].met += 1
        let met = state.faults[index].met
        guard met >= fault.first, fault.count.map({ met < fault.first + $0 }) ?? true else { continue }
        state.failed += 1
        let decision = fault.decision(request, room: room)
        // What did not happen has written nothing.
        if case .short(let taken) = decision, fault.written != nil {
          state.faults[index].written -= request.length - UInt64(taken)
        } else if case .fail = decision, fault.written != nil {
          state.faults[index].written -= request.length
        }
        let place = request.length > 0 ? " @\(request.offset)+\(request.length)" : ""
        var how = fault.effect == .error ? fault.error : fault.effect.rawValue
        if fault.effect == .error, case .short = decision { how = "short, before \(fault.error)" }
        state.note("\(fault.operation) \(request.occurrence) of \(request.path)\(place): \(how)")
        return decision
      }
      return .proceed
    }
  }

  /// A sector can be read again once a write covers it whole, or a truncation takes it away.
  private func mend(_ state: inout State, _ request: VolumeRequest) {
    guard request.kind == .write || request.kind == .truncate else { return }
    state.faults.removeAll { armed in
      guard let sector = armed.fault.sector, armed.fault.matchesPath(request.path) else { return false }
      if request.kind == .truncate { return request.length <= sector.lowerBound }
      return request.offset <= sector.lowerBound && request.offset + request.length >= sector.upperBound
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
