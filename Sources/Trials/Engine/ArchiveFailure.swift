import EventReceivers
import LogModel
import RecordLogs
import Verification

/// A job's log that was to be archived, and was not.
struct ArchiveFailure: Codable, Hashable {
  var life: Int
  var job: String
  var reason: String
  /// Its events had not all been sent: an archive refuses such a log, and rightly.
  var isUnsent: Bool
  /// Until when the sender might have sent them, since the beginning of the first life.
  var deadline: Duration
}

extension ArchiveFailure {
  init(_ error: JobLogError, of job: JobID, life: Int, deadline: Duration) {
    var isUnsent = false
    if case .unsentEvents = error { isUnsent = true }
    self.init(life: life, job: "\(job)", reason: "\(error)", isUnsent: isUnsent, deadline: deadline)
  }

  /// - Parameter couldSend: whether the receiver took events again before the time was over.
  func check(couldSend: Bool) -> CheckResult {
    if isUnsent, !couldSend {
      return .unknown(
        .archiveKept,
        because: "the log of \(job) was not archived, for the receiver kept its events from being sent: \(reason)")
    }
    return CheckResult(
      .archiveKept, .violated,
      "the log of \(job) must come to the archive in life \(life), in which nothing stood in the way, found an error: "
        + reason)
  }
}

/// Of one life, in order.
final class ArchiveFailures: @unchecked Sendable {
  // Owned by the loop of the life's storage.

  private(set) var all: [ArchiveFailure] = []

  func note(_ failure: ArchiveFailure) { all.append(failure) }
}
