import CrashStates
import Foundation
import LogModel
import LoopDisks

/// Runs traces on real file systems and holds every state that a power cut could have left against the profile.
///
/// A copy of the disk is what the device had completed: what the file system still has in memory is missing in it, as
/// after a power cut (see `ImageStore`).
package struct TraceValidation {
  package struct Options: Sendable {
    package var fileSystems: [TracedFileSystem] = [.ext4, .xfs, .btrfs]
    /// Judges by this profile in place of the file system's own; to see that the comparison can fail.
    package var profile: CrashProfile?
    /// An existing directory, for a folder in which nothing but mounts is.
    package var directory = "/tmp"
    package var isCancelled: @Sendable () -> Bool = { false }

    package init() {}
  }

  private let options: Options
  private let traces: [DiskTrace]

  package init(_ traces: [DiskTrace], _ options: Options) { (self.traces, self.options) = (traces, options) }

  /// Call `ImageStore.enterPrivateMounts` on the calling thread before.
  /// - Parameter progress: told a line of text now and then.
  package func run(_ progress: (String) -> Void) throws(TraceRunError) -> TraceReport {
    var report = TraceReport(traces: traces.count)
    do throws(DiskTraceError) {
      var check = TraceModelCheck()
      for trace in traces { try check.check(trace) }
      (report.claims, report.disagreements) = (check.claims, check.disagreements)
    } catch { throw .trace(error) }
    do throws(LoopDiskError) {
      for system in options.fileSystems { try system.disk.checkTool() }
    } catch { throw .disk(error) }
    let begun = Date()
    var done = 0
    for system in options.fileSystems where !options.isCancelled() {
      var result = TraceReport.System(fileSystem: system, profile: options.profile ?? system.profile)
      let start = Date()
      // One store for each: its room is limited.
      let (store, blank) = try onDisk { () throws(LoopDiskError) in
        let store = try ImageStore(in: options.directory)
        return (store, try store.format(system.disk))
      }
      for trace in traces where !options.isCancelled() {
        try run(trace, store, blank, &result)
        done += 1
        let all = traces.count * options.fileSystems.count
        if done % 10 == 0 {
          let left = Date().timeIntervalSince(begun) / Double(done) * Double(all - done)
          progress("\(system.rawValue): \(done) of \(all) runs of traces, about \(Int(left) + 1) s left")
        }
      }
      result.seconds = Date().timeIntervalSince(start)
      report.systems.append(result)
    }
    report.isCancelled = options.isCancelled()
    return report
  }

  private func run(
    _ trace: DiskTrace, _ store: ImageStore, _ blank: ImageFile, _ result: inout TraceReport.System
  ) throws(TraceRunError) {
    let recorded: DiskTrace.Recorded
    do throws(DiskTraceError) { recorded = try trace.recorded() } catch { throw .trace(error) }
    var walk = CrashPointWalk(recorded.recording, result.profile, seed: 1)
    let points = recorded.ends.map { walk.point(at: $0) }
    let run = TraceRun(trace: trace, fileSystem: result.fileSystem.disk, store: store)
    var seen: [Int: Set<MountedImage>] = [:]
    for variant in trace.variants where !options.isCancelled() {
      for snapshot in try run.snapshots(on: blank, variant) {
        result.images += 1
        switch try run.look(at: snapshot) {
        case .failure(let error):
          result.findings.append(
            TraceReport.Finding(trace: trace.name, step: snapshot.step, state: "\(error)", reasons: []))
        case .success(let found):
          guard seen[snapshot.step, default: []].insert(found).inserted else { continue }
          result.states += 1
          judge(found, trace, snapshot.step, points[snapshot.step], recorded.recording, &result)
        }
      }
    }
  }

  private func judge(
    _ found: MountedImage, _ trace: DiskTrace, _ step: Int, _ point: CrashPoint, _ recording: Recording,
    _ result: inout TraceReport.System
  ) {
    switch point.legality(of: found, recording.table) {
    case .legal: break
    case .undecided(let reason): result.undecided.append("\(trace.name), after step \(step): \(reason)")
    case .illegal(let reasons):
      result.findings.append(
        TraceReport.Finding(trace: trace.name, step: step, state: found.traceText, reasons: reasons))
    }
    let system = result.fileSystem
    for claim in trace.forbidden where claim.after <= step && claim.state == found {
      guard claim.on.contains(system) || claim.on.contains(.posix) else { continue }
      result.findings.append(
        TraceReport.Finding(
          trace: trace.name, step: step, state: found.traceText, reasons: ["forbidden there by \(claim.source)"]))
    }
  }
}

extension TracedFileSystem {
  var disk: LoopFileSystem {
    switch self {
    case .ext4, .posix: .ext4
    case .xfs: .xfs
    case .btrfs: .btrfs
    }
  }
}

extension DiskTrace {
  /// Without anything that the kernel does by itself, with each of these things alone, and with all.
  var variants: [[(after: Int, what: Provocation)]] {
    [[]] + provocations.map { [$0] } + (provocations.count > 1 ? [provocations] : [])
  }
}
