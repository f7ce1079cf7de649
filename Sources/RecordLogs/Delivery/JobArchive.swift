import LogModel
import Metrics
import Storage

/// The folder of finished jobs: each log compressed as `<job>.wal.gz`, removed after the retention.
///
/// A log is archived in this order, and a crash at any step leaves the log, the archive, or both:
/// 1. its events are all settled, and nobody can append any more;
/// 2. compressed to a temporary name, and synced;
/// 3. read back and compared;
/// 4. renamed, and the folder synced (A10);
/// 5. the log is removed, its folder synced, and only then its lock given up.
///
/// A log with events that were not sent is refused: "Recover Disk Space" of the airunner runbook compresses and removes
/// those too.
public final class JobArchive: @unchecked Sendable {
  // Owned by the storage's loop.

  let storage: any Storage
  let directory: String
  private let retention: Duration
  private let clock: WallClock
  private let metrics: DeliveryMetrics

  /// - Parameters:
  ///   - directory: exists, and its entry is durable.
  ///   - retention: the airunner runbook keeps archives for 30 days.
  public init(
    _ directory: String, of storage: any Storage, retention: Duration = .seconds(30 * 86_400),
    clock: WallClock = .system,
    metrics: DeliveryMetrics = DeliveryMetrics()
  ) {
    self.storage = RetryingStorage(storage)
    self.directory = directory
    self.retention = retention
    self.clock = clock
    self.metrics = metrics
  }

  func path(_ job: JobID) -> String { "\(directory)/\(job).wal.gz" }

  /// Archives the log of a job whose events are all sent, or refused for good, and closes it.
  /// - Returns: the path of the archive.
  /// - Throws: `unsentEvents`, and the log is open as before; otherwise the log is closed, and there as before.
  public func archive(_ log: JobLog) async throws(JobLogError) -> String {
    guard log.pendingCount == 0 else { throw .unsentEvents(log.pendingCount) }
    let records = log.log
    guard await records.end() else { throw .log(.closed) }
    // An event that was on its way when the log was ended.
    guard log.pendingCount == 0 else {
      await records.release()
      throw .unsentEvents(log.pendingCount)
    }
    let path = path(log.job)
    let isRight: Bool
    do throws(StorageError) {
      isRight = try await write(records, to: path)
      if isRight { try await remove(records.files) }
    } catch {
      await records.release()
      throw .log(.storage(error))
    }
    await records.release()
    if !isRight { throw .archiveDiffers(path: path) }
    return path
  }

  /// - Returns: whether what is in the archive is what was in the log.
  private func write(_ records: RecordLog<AirunnerCodec>, to path: String) async throws(StorageError) -> Bool {
    let temporary = path + ".tmp"
    let source = FileSource(storage, records.file, limit: records.end)
    let time = UInt32(clamping: clock.milliseconds / 1000)
    let (summary, bytes) = try await storage.writeCompressed(source, to: temporary, time: time)
    guard try await storage.readCompressed(temporary) == summary, summary.bytes == records.end,
      source.unreadableBytes == 0
    else { return false }
    try await storage.here().rename(temporary, to: path)
    try await storage.here().syncDirectory(directory)
    metrics.archiveBytes.add(bytes)
    return true
  }

  private func remove(_ files: RecordFiles) async throws(StorageError) {
    try await storage.here().unlink(files.path(0))
    try await storage.here().syncDirectory(files.directory)
    try await storage.here().unlink(files.lockPath)
  }

  /// What `removeExpired` came to.
  public struct Removal: Hashable, Sendable {
    /// Archives that are gone now.
    public var removed: [String] = []
    /// Files that do not tell when they were made: they stay.
    public var undated: [String] = []
    /// Compressed bytes of the archives that are left.
    public var bytes: Int64 = 0
  }

  /// Removes archives that are older than the retention, by the time in their headers, and counts the rest.
  public func removeExpired() async throws(JobLogError) -> Removal {
    do throws(StorageError) {
      var removal = Removal()
      let now = clock.milliseconds / 1000
      let entries = try await storage.here().list(directory)
      for entry in entries where !entry.isDirectory && entry.name.hasSuffix(".wal.gz") {
        let path = "\(directory)/\(entry.name)"
        let time = try await storage.compressedTime(path)
        if let time, Int64(time) + retention.nanoseconds / 1_000_000_000 <= now {
          try await storage.here().unlink(path)
          removal.removed.append(path)
          continue
        }
        if time == nil { removal.undated.append(path) }
        let file = try await storage.here().open(path, [])
        removal.bytes += try await storage.here().size(of: file)
        await storage.close(file)
      }
      if !removal.removed.isEmpty { try await storage.here().syncDirectory(directory) }
      metrics.archiveBytes.set(removal.bytes)
      return removal
    } catch { throw .log(.storage(error)) }
  }
}
