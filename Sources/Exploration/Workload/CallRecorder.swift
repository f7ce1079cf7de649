import CrashStates
import LogClients
import LogModel
import Storage

/// Records the calls of a workload among the operations of its disk, and numbers them.
final class CallRecorder: @unchecked Sendable {
  // Owned by the disk's loop.

  let disk: DiskRecorder
  private var requests = 0
  private var commits = 0
  private var readings = 0
  private var archivedEnds: [Int: Offset] = [:]

  init(_ disk: DiskRecorder) { self.disk = disk }

  var loop: EventLoop { disk.loop }
  var recording: Recording { disk.recording }

  /// What comes from now on is not recorded.
  func stop() { disk.stop() }

  func note(_ fact: RecordedFact) { disk.note(fact) }

  /// - Returns: the request's number.
  func note(_ request: ProduceRequest) -> Int {
    requests += 1
    note(.requested(requests - 1, request))
    return requests - 1
  }

  /// - Returns: the commit's number.
  func note(_ commit: CommitRequest) -> Int {
    commits += 1
    note(.commitRequested(commits - 1, commit))
    return commits - 1
  }

  func note(_ answer: ConcurrentReaders.Answer) {
    readings += 1
    note(.read(readings - 1, answer))
  }

  /// Each end once.
  func noteArchived(_ partition: Int, before end: Offset) {
    guard end > archivedEnds[partition] ?? 0 else { return }
    archivedEnds[partition] = end
    note(.archived(partition, before: end))
  }
}
