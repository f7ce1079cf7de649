import LogModel
import RecordLogs
import ScenarioFormat
import Storage

/// "Recover Disk Space" of the airunner runbook, between the first crash and the restart. The document stops the
/// worker, compresses every active log into the archive, removes it, and starts the worker again. `JobArchive` does the
/// same for logs of which all events are sent, and for no others.
enum DiskSpaceRecovery {
  static let kind = "recover-disk-space"

  static let descriptor = FaultDescriptor(
    kind, .operation,
    "the section \"Recover Disk Space\" of the airunner runbook as it is written (`document`), or what the job archive "
      + "does "
      + "in its place (`job-archive`); with `delivery` only",
    [FaultParameter("by", .word(["document", "job-archive"]), "who does it", isRequired: true)], isOfDelivery: true)

  static func fault(_ spec: TrialSpec) -> FaultSpec? { spec.faults.first { $0.kind == kind } }

  /// As written: `for wal in wal/*.wal; do zstd "$wal" -o archive/...; rm "$wal"; done`, with gzip in the place of
  /// zstd. Nothing says that it is synced; here it is, so that what is lost is lost by the step itself.
  static func asWritten(_ storage: any Storage, _ clock: WallClock) async throws(StorageError) -> Receipt {
    var receipt = Receipt(kind: kind, fired: 0, places: [])
    try await storage.makeDirectory("archive")
    for entry in try await storage.list("wal") where !entry.isDirectory && entry.name.hasSuffix(".wal") {
      let target = "archive/\(entry.name).gz"
      try await storage.compressFile("wal/\(entry.name)", to: target, time: UInt32(clamping: clock.milliseconds / 1000))
      try await storage.unlink("wal/\(entry.name)")
      receipt.fired += 1
      receipt.places.append("wal/\(entry.name) compressed to \(target), and removed")
    }
    for folder in ["", "archive", "wal"] { try await storage.syncDirectory(folder) }
    return receipt
  }
}

extension Storage {
  /// Compresses a file as it is, whatever it holds. The copy is synced, its entry is not.
  fileprivate func compressFile(_ path: String, to target: String, time: UInt32) async throws(StorageError) {
    let file = try await open(path, [])
    do throws(StorageError) {
      _ = try await writeCompressed(FileSource(self, file, limit: try await size(of: file)), to: target, time: time)
      await close(file)
    } catch {
      await close(file)
      throw error
    }
  }
}
