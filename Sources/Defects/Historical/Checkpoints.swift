import LogModel
import PartitionEngine

/// Streamhouse's bugs around a checkpoint: seed documents 000 and 004. They show only where an engine has an object
/// store.
extension Defect {
  static let checkpoints: [Defect] = [
    Defect(
      "H1", origin: "Streamhouse",
      "A segment is swapped out before its upload; the upload fails, the segment is dropped, and the next one that "
        + "succeeds cuts the whole log.",
      showsWhen: "the object store fails once"
    ) { $0.checkpoints.failedUploads = FailedPieceDropped() }.needing(.objectStore),
    Defect(
      "H5", origin: "Streamhouse",
      "The log is cut at its end, in place of at the end of what was uploaded; what was appended and acknowledged "
        + "meanwhile is erased.",
      showsWhen: "appends during a checkpoint"
    ) { $0.checkpoints.bounding = CutAtTheEnd() }.needing(.objectStore),
    Defect(
      "H8", origin: "Streamhouse",
      "What the store has already is found in the log after a crash, and appended again at new offsets.",
      showsWhen: "a crash after the metadata commit, and before the log is cut"
    ) { $0.checkpoints.leftovers = LeftoversReplayed() }.needing(.objectStore),
  ]
}

/// H1.
struct FailedPieceDropped: FailedUploadHandling {
  var triesAgain: Bool { false }
}

/// H5. The cut comes last in a queue, behind the appends.
struct CutAtTheEnd: ArchiveBounding {
  func archivedEnd(uploaded: Offset, acknowledged: Offset) -> Offset { acknowledged }
}

/// H8.
struct LeftoversReplayed: ArchivedLeftoverHandling {
  var replays: Bool { true }
}
