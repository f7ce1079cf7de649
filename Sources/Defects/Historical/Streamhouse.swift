import LogModel
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
      "H9", origin: "Streamhouse",
      "The log of topic `orders` partition 0 also matches `orders-0-5.wal` of topic `orders-0`: foreign data is "
        + "replayed, then deleted.",
      showsWhen: "a restart with two topics of which one's name is the other's and the number of one of its partitions"
    ) { $0.ownership = FilesMatchedByPrefix() }.needing(.severalTopics),
    Defect(
      "H11", origin: "Streamhouse",
      "No epoch check at append or at segment commit; the high watermark may go back.",
      showsWhen: "a second writer has taken over and the first goes on: its lease expired, or its lock was removed"
    ) { $0.log.fencing = CommitsOfAnyEpoch() }.needing(.otherWriter),
  ]
}

/// H9. There all files lay in one folder, as `TOPIC-PARTITION-NUMBER.wal`, and those of a partition were found by
/// `starts_with("TOPIC-PARTITION-")`. Here each folder's files have such names. What matches is appended to the log,
/// then the files are removed.
struct FilesMatchedByPrefix: LogFileOwnership {
  private static let root = "topics"

  func gather(into log: PartitionLog, on storage: any Storage) async throws(StorageError) {
    let prefix = Self.prefix(of: log.source)
    for topic in try await storage.list(Self.root) where topic.isDirectory {
      for entry in try await storage.list("\(Self.root)/\(topic.name)") {
        guard let number = Int32(entry.name), number >= 0 else { continue }
        let other = TopicPartition(topic.name, PartitionID(Int(number)))
        guard other != log.source, Self.prefix(of: other).hasPrefix(prefix) else { continue }
        try await replay(other, in: "\(Self.root)/\(topic.name)/\(entry.name)", into: log, storage)
      }
    }
  }

  private static func prefix(of source: TopicPartition) -> String { "\(source.topic)-\(source.partition)-" }

  private func replay(
    _ other: TopicPartition, in directory: String, into log: PartitionLog, _ storage: any Storage
  ) async throws(StorageError) {
    let (found, _) = try await PartitionLog.open(other, in: directory, of: storage, log.configuration)
    let isReplayed = await copy(found, to: log)
    try await found.close()
    guard isReplayed else { return }
    for entry in try await storage.list(directory) where !entry.isDirectory {
      try await storage.unlink("\(directory)/\(entry.name)")
    }
    try await storage.syncDirectory(directory)
  }

  /// - Returns: false where it could not be done, which nobody was told.
  private func copy(_ found: PartitionLog, to log: PartitionLog) async -> Bool {
    let response = FetchResponse()
    var at = found.logStartOffset
    do throws(LogError) {
      while at < found.highWatermark {
        try await found.fetch(from: at, maxBytes: 256 << 10, into: response)
        var values: [[UInt8]] = []
        response.forEachRecord { values.append(Array($0.value)) }
        for value in values {
          _ = try await log.append(recordCount: 1, payloadBytes: value.count) { writer in
            value.withUnsafeBytes { writer.append(value: $0) }
          }
        }
        at = response.nextOffset
      }
      return true
    } catch {
      return false
    }
  }
}

/// H11. A commit is acknowledged whoever has taken over meanwhile; and since only a refused commit closes a log to
/// appends, those are taken too.
struct CommitsOfAnyEpoch: CommitFencing {
  func mayAcknowledge(_ fence: any WriterFence) async throws(StorageError) -> Bool { true }
}
