import LogModel
import PartitionEngine
import Synchronization
import WriteAheadLog

/// Bugs of group commit: what is answered, and what counts as durable, while an operation is under way.
extension Defect {
  static let commits: [Defect] = [
    Defect(
      "C7", origin: "chronik",
      "Flush race: the buffer is copied, written and synced, then cleared; appends that came during the sync are lost.",
      showsWhen: "concurrent producers: 9000 of 10000, 46000 of 50000"
    ) { $0.log.answering = BufferClearedAfterTheFlush() },
    Defect(
      "C15", origin: "chronik", "A retry stores the high watermark in place of taking the maximum.",
      showsWhen: "a write that is interrupted and tried again, and others after it: 430 goes back to 215"
    ) { $0.log.advancing = RetriesStoredLate() },
    Defect(
      "C16", origin: "chronik",
      "A failed write drops the batch but leaves its bytes; later acknowledged records stand behind them.",
      showsWhen: "EIO in the middle of a batch, or after it"
    ) { $0.log.failedCommits = SegmentUsedAfterAFailedWrite() },
    Defect(
      "A3", origin: "airunner",
      "A write whose sync fails is answered as one that never happened; it is there after a restart.",
      showsWhen: "an error of a write that has reached the medium"
    ) { $0.log.failedCommits = FailuresCalledCertain() },
    Defect(
      "P5", origin: "planted",
      "The durable watermark is taken when the sync completes in place of when it is submitted.",
      showsWhen: "appends while a sync is in flight, then power loss"
    ) { $0.log.coverage = CoveredAtCompletion() },
    Defect(
      "P6", origin: "planted", "One group commit acknowledges requests that were queued after its write.",
      showsWhen: "concurrent producers, then power loss before the next commit"
    ) { $0.log.answering = QueueAnsweredToo() },
  ]
}

/// C7. The lock is taken again to clear the buffer, and whoever has appended to it meanwhile is told that all is well.
struct BufferClearedAfterTheFlush: CommitAnswering {
  func written(_ queued: QueuedAppends, end: Offset) {
    QueueAnsweredToo().written(queued, end: end)
    queued.clear()
  }
}

/// C15. chronik's retries ran beside the requests that came after them. Here a commit that had to be tried again stores
/// its end once more when the next commit of its log has been acknowledged.
final class RetriesStoredLate: WatermarkAdvancing {
  private let late = Mutex<[TopicPartition: Offset]>([:])

  func highWatermark(of source: TopicPartition, after end: Offset, wasRetried: Bool) -> Offset {
    late.withLock { late in
      let stored = late.removeValue(forKey: source) ?? end
      if wasRetried { late[source] = end }
      return stored
    }
  }
}

/// C16.
struct SegmentUsedAfterAFailedWrite: FailedCommitHandling {
  var sealsSegment: Bool { false }
  func answer(to failure: LogError) -> LogError { failure }
}

/// A3. `fsync` says EIO, and the caller hears "failed".
struct FailuresCalledCertain: FailedCommitHandling {
  var sealsSegment: Bool { true }

  func answer(to failure: LogError) -> LogError {
    if case .storage(let error) = failure { .poisoned(by: error) } else { failure }
  }
}

/// P5.
struct CoveredAtCompletion: SyncCoverage {
  func durableEnd(submitted: Offset, completed: Offset) -> Offset { completed }
}

/// P6. They stay in the queue, and the next commit writes them.
struct QueueAnsweredToo: CommitAnswering {
  func written(_ queued: QueuedAppends, end: Offset) {
    var offset = end
    for (index, count) in queued.recordCounts.enumerated() {
      queued.answer(index, with: offset)
      offset = offset + count
    }
  }
}
