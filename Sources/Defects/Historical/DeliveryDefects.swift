import LogModel
import RecordLogs
import Storage

/// Bugs of a job's log and its sender: seed document 001. Those of the log alone stand in Airunner.swift.
extension Defect {
  static let delivery: [Defect] = [
    Defect(
      ofDelivery: "A1", origin: "airunner",
      "An append goes to the current position of a handle that the sender also seeks.",
      showsWhen: "appends while events are sent: the next record overwrites another", layer: { OnePositionForAll($0) }
    ) { _ in },
    Defect(
      ofDelivery: "A6", origin: "airunner",
      "Sequence numbers begin anew with each opening: of two events with one number only one is settled.",
      showsWhen: "a restart, and appends after it"
    ) { $0.numbering = NumbersBegunAnew() },
    Defect(
      ofDelivery: "A7", origin: "airunner", "Stop holds the lock that the final flush needs.",
      showsWhen: "stop with pending events: they are not sent"
    ) { $0.flushing = NoFlushAtStop() },
    Defect(
      ofDelivery: "A8", origin: "airunner", "A log is keyed by its job alone: a retry mixes two executions.",
      showsWhen: "the same job twice"
    ) { $0.naming = ALogForEachJob() }.needing(.severalExecutions),
    Defect(
      ofDelivery: "A9", origin: "airunner",
      "\"Sent\" means that the write to the connection returned, not that the server acknowledged.",
      showsWhen: "the server crashes after the write"
    ) { $0.acceptance = TheWriteReturned() },
    Defect(
      ofDelivery: "A10", origin: "airunner", "The archive is not synced before the log is deleted.",
      showsWhen: "power loss after an archiving", layer: { ArchivesNeverSynced($0) }
    ) { _ in }.needing(.archive),
  ]
}

/// A1. One position a file, which reads move too.
private final class OnePositionForAll: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// Where the last read of a file ended; nil where the last operation was a write.
  private var read: [String: Int64] = [:]

  private func isJobLog(_ path: String) -> Bool { path.hasSuffix(".wal") }

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let got = try await super.read(file, at: offset, into: buffer, range)
    if isJobLog(paths[file]), got > 0 { read[paths[file]] = offset + Int64(got) }
    return got
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let position = isJobLog(paths[file]) ? read.removeValue(forKey: paths[file]) : nil
    return try await super.write(file, at: position ?? offset, from: buffer, range, durability)
  }
}

/// A6. The original marked the latest of two records as sent and sent the first for ever. Here the number is what
/// sender and receiver know an event by: the later one counts as sent when the first one is.
struct NumbersBegunAnew: EventNumbering {
  func first(isNew: Bool, last: Int64, milliseconds: Int64) -> Int64 { 1 }
}

/// A7. The flush waits for the lock, and gives up with it.
struct NoFlushAtStop: StopFlushing {
  func deadline(stoppedAt now: Instant, within limit: Duration) -> Instant { now }
}

/// A8.
struct ALogForEachJob: JobLogNaming {
  func name(of job: JobID) -> String { job.job }
}

/// A9. Whatever comes, or does not come, after the write.
struct TheWriteReturned: AcceptanceReading {
  func meaning(of delivery: Delivery) -> Delivery {
    switch delivery {
    case .notConnected: delivery
    case .accepted, .tooManyRequests, .unavailable, .refused: .accepted
    }
  }
}

/// A10.
private final class ArchivesNeverSynced: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private func isArchive(_ path: String) -> Bool { path == "archive" || path.hasPrefix("archive/") }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if isArchive(paths[file]) { return }
    try await super.sync(file, scope)
  }

  override func syncDirectory(_ path: String) async throws(StorageError) {
    if isArchive(path) { return }
    try await super.syncDirectory(path)
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    try await super.write(file, at: offset, from: buffer, range, isArchive(paths[file]) ? .volatile : durability)
  }
}
