import PartitionEngine
import Storage
import WriteAheadLog

/// Streamhouse, a log for each partition and an object store behind: seed documents 000 and 004.
extension Defect {
  static let streamhouse: [Defect] = [
    Defect(
      "H2", origin: "Streamhouse",
      "A torn tail is not cut before the log is reopened for append; the next records are swallowed by the torn one.",
      showsWhen: "torn tail, restart, append, restart"
    ) {
      $0.log.resuming = LastSegmentReopened()
      $0.log.resynchronizing = LengthsBelieved()
    },
    Defect(
      "H11", origin: "Streamhouse",
      "No epoch check at append or at segment commit; the high watermark may go back.",
      showsWhen: "a second writer has taken over and the first goes on: its lease expired, or its lock was removed"
    ) { $0.log.fencing = CommitsOfAnyEpoch() }
  ]
}

/// H11. A commit is acknowledged whoever has taken over meanwhile; and since only a refused commit closes a log to
/// appends, those are taken too.
struct CommitsOfAnyEpoch: CommitFencing {
  func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool { true }
}
