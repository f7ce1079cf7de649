import Glibc
import LogModel
import Storage
import WriteAheadLog

/// Topics with partitions, each with a log of its own.
///
/// Topics, partitions and committed offsets are registered in a metadata log before their creation is acknowledged;
/// nothing is inferred from file names. Layout below the storage's root:
///
///     lock, writers/EPOCH                            see `DirectoryExclusion`
///     metadata/, metadata-mirror/                    the metadata log, twice; see `MetadataLog`, `MetadataRecord`
///     metadata.unreadable-EPOCH/                     a copy of it that was set aside; see `MetadataOpening`
///     topics/TOPIC/PARTITION/BASE-EPOCH.log          segments: base offset in 20 digits, epoch of the writer in 10
///     topics/TOPIC/PARTITION/....log.damaged-EPOCH   set aside by a recovery; the newest epoch that it had found
///     topics/TOPIC/PARTITION/....partial             such a copy that was not finished
///     topics/TOPIC/PARTITION/....log.unsynced        its sync may have failed; see LogRecovery+Durability.swift
///     topics/TOPIC/PARTITION/TOPIC-PARTITION.wal     another system's format; see `RecordFiles`
///
/// A log begins at the metadata's `start` or, where objects have its beginning, `archive`, and at 0 without either: not
/// at the first file's base. After an orderly close the metadata has its end too. `docs/formats.md` has all of this on
/// one page.
public final class PartitionEngine: @unchecked Sendable {
  // Owned by `storage.loop`: every call is made there.

  let storage: any Storage
  let configuration: EngineConfiguration
  let parts: LogParts
  let ownership: any LogFileOwnership
  let deletions: any DeletionKeeping
  let claim: any WriterClaim
  let metadata: MetadataLog
  let directories: DurableDirectories
  /// Of all partitions together: a partition more does not take more descriptors for reading.
  let idleReaders = IdleReaders(most: 32)
  var logs: [String: [any EngineLog]] = [:]
  /// Of the same partitions as `logs`, where there is an object store.
  var archives: [String: [PartitionArchive]] = [:]
  let archiving: EngineArchiving?
  private var isOpen = true
  var isServing: Bool { isOpen }
  private let closed = AsyncEvent()
  private var closingFailure: EngineError?
  /// Topics that are being created.
  private var creating: [String: AsyncEvent] = [:]

  init(
    _ storage: any Storage, _ configuration: EngineConfiguration, _ parts: EngineParts, _ claim: any WriterClaim,
    _ metadata: MetadataLog, _ directories: DurableDirectories, _ archiving: EngineArchiving?
  ) {
    self.storage = storage
    self.configuration = configuration
    self.parts = parts.log
    ownership = parts.ownership
    deletions = parts.deletions
    self.claim = claim
    self.metadata = metadata
    self.directories = directories
    self.archiving = archiving
  }

  /// The registered topics, in the order of their creation.
  public var topics: [Topic] { metadata.state.topics }

  /// Registers a topic and its partitions durably.
  public func createTopic(_ name: String, partitions: Int) async throws(EngineError) {
    guard isOpen else { throw .closed }
    if let problem = NameRule.topic(of: configuration.system).problem(of: name) { throw .invalidName(name, problem) }
    guard Topic.partitionCounts.contains(partitions) else { throw .invalidPartitionCount(partitions) }
    // Of several calls for one name, one creates it; the others wait for what comes of that.
    while let gate = creating[name] { await gate.wait() }
    guard isOpen else { throw .closed }
    let gate = AsyncEvent()
    creating[name] = gate
    defer {
      creating[name] = nil
      gate.open()
    }
    if let existing = topics.first(where: { $0.name == name }) {
      // It has been registered, and its partitions could not be opened then.
      if logs[name] == nil { _ = try await openPartitions(of: existing) }
      throw .topicExists(name, partitions: existing.partitions)
    }
    // Directories first, then the registration: a topic that is registered always has its directories.
    do throws(StorageError) { try await directories.make(for: name, 0..<partitions) } catch { throw .storage(error) }
    try await metadata.record([.topic(name, partitions: partitions)])
    _ = try await openPartitions(of: Topic(name: name, partitions: partitions))
  }

  private func log(_ topic: String, _ partition: PartitionID) throws(EngineError) -> any EngineLog {
    guard let logs = logs[topic] else { throw .unknownTopic(topic) }
    guard logs.indices.contains(partition.index) else {
      throw .unknownPartition(TopicPartition(topic, partition), count: logs.count)
    }
    return logs[partition.index]
  }

  /// The partition that messages with `key` go to: FNV-1a of the key, modulo the number of partitions.
  public func partition(of topic: String, forKey key: UnsafeRawBufferPointer) throws(EngineError) -> PartitionID {
    guard let count = logs[topic]?.count else { throw .unknownTopic(topic) }
    var h: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in key { h = (h ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return PartitionID(Int(h % UInt64(count)))
  }

  /// Appends one batch to a partition; returns when it is acknowledged under the sync policy.
  /// - Parameters: as for `PartitionLog.append`.
  public func produce(
    to topic: String, _ partition: PartitionID, recordCount: Int, payloadBytes: Int,
    _ write: (inout RecordWriter) -> Void
  ) async throws(EngineError) -> ProduceReceipt {
    let log = try log(topic, partition)
    let archive = archives[topic]?[partition.index]
    if let archive { try await archive.admit(payloadBytes) }
    do throws(LogError) {
      let offset = try await log.append(recordCount: recordCount, payloadBytes: payloadBytes, write)
      archive?.noteAppend()
      return ProduceReceipt(partition: partition, baseOffset: offset)
    } catch {
      throw .log(log.source, error)
    }
  }

  /// Appends one message to the partition of its key.
  public func produce(
    to topic: String, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  ) async throws(EngineError) -> ProduceReceipt {
    let partition = try partition(of: topic, forKey: key)
    return try await produce(to: topic, partition, recordCount: 1, payloadBytes: key.count + value.count) {
      $0.append(key: key, value: value)
    }
  }

  /// Fetches from any offset, out of memory, the log's files or the object store; see `PartitionLog.fetch`.
  public func fetch(
    _ topic: String, _ partition: PartitionID, from offset: Offset, maxBytes: Int, into response: FetchResponse
  ) async throws(EngineError) {
    let log = try log(topic, partition)
    do throws(LogError) {
      try await log.fetch(from: offset, maxBytes: maxBytes, into: response)
    } catch {
      // Before the first file, in one that was removed a moment ago, or damaged in one that waits to be removed.
      guard let archive = archives[topic]?[partition.index], log.canBeRead,
        offset < log.logStartOffset || error.isOfReading && offset < archive.archivedEnd
      else {
        throw .log(log.source, error)
      }
      try await archive.fetch(from: offset, maxBytes: maxBytes, into: response)
    }
  }

  public func watermarks(_ topic: String, _ partition: PartitionID) throws(EngineError) -> Watermarks {
    let log = try log(topic, partition)
    return Watermarks(
      logStartOffset: archives[topic]?[partition.index].logStartOffset ?? log.logStartOffset,
      highWatermark: log.highWatermark, logEndOffset: log.logEndOffset)
  }

  /// The base offsets of a partition's segments: where files begin.
  public func segmentBases(_ topic: String, _ partition: PartitionID) throws(EngineError) -> [Offset] {
    try log(topic, partition).segmentBases
  }

  /// Records durably that `group` has processed everything before `offset`.
  ///
  /// Unless the policy is `never`, what lies before `offset` is made durable first: what a group has processed must not
  /// be given to other messages after a power loss, for the group would never get them. Under `never` nothing is synced
  /// for it: the recovery that finds the log shorter lowers the offset to its end, and says so
  /// (`EngineRecovery.lowered`).
  /// - Throws: `EngineError.offsetNotDurable` where that could not be made durable. Nothing was recorded then.
  public func commitOffset(
    group: String, _ topic: String, _ partition: PartitionID, _ offset: Offset
  ) async throws(EngineError) {
    guard isOpen else { throw .closed }
    if let problem = NameRule.topic.problem(of: group) { throw .invalidName(group, problem) }
    let log = try log(topic, partition)
    guard offset >= 0, offset <= log.highWatermark else {
      throw .log(log.source, .offsetOutOfRange(offset, start: log.logStartOffset, end: log.highWatermark))
    }
    if configuration.log.syncPolicy != .never, !log.isSecure(before: offset) { try await secure(log, before: offset) }
    try await metadata.record([.consumerOffset(group: group, log.source, offset)])
  }

  /// Makes durable what lies before `offset`. Where a sync fails, the log begins a segment that testifies to what that
  /// covered; until then nothing that was in it counts as processed.
  private func secure(_ log: any EngineLog, before offset: Offset) async throws(EngineError) {
    await log.sync()
    if parts.offsets.mayRecord(isSecure: log.isSecure(before: offset), after: log.syncFailure) { return }
    let failure = log.syncFailure ?? StorageError(errno: EIO, .sync, Self.directory(of: log.source))
    throw .offsetNotDurable(log.source, offset, failure)
  }

  /// What `group` has committed; nil where it never did.
  public func committedOffset(group: String, _ topic: String, _ partition: PartitionID) throws(EngineError) -> Offset? {
    let source = try log(topic, partition).source
    return metadata.state.consumerOffsets[Metadata.ConsumerPosition(group: group, partition: source)]
  }

  /// Gives up everything before `offset`: the log start offset moves at once and durably, files go as soon as all of
  /// their messages are before it.
  public func deleteRecords(
    _ topic: String, _ partition: PartitionID, before offset: Offset
  ) async throws(EngineError) {
    guard isOpen else { throw .closed }
    let log = try log(topic, partition)
    let archive = archives[topic]?[partition.index]
    let start = archive?.logStartOffset ?? log.logStartOffset
    guard offset >= start, offset <= log.highWatermark else {
      throw .log(log.source, .offsetOutOfRange(offset, start: start, end: log.highWatermark))
    }
    try await metadata.record([.logStart(log.source, offset)])
    guard archive == nil || offset > log.logStartOffset else { return }
    do throws(StorageError) { try await log.removeSegments(before: offset) } catch { throw .storage(error) }
  }

  /// Commits what is pending and, unless the policy is `never`, makes it durable and records where the logs end.
  ///
  /// Whoever calls it again waits for the first call's end, and is told the same.
  /// - Throws: the first failure. Everything is closed all the same; what a failed sync covered may be gone after a
  ///   power loss.
  public func close() async throws(EngineError) {
    if isOpen {
      isOpen = false
      while let gate = creating.values.first { await gate.wait() }
      closingFailure = await closeLogs(recordingEnds: configuration.log.syncPolicy != .never)
      closed.open()
    } else {
      await closed.wait()
    }
    if let closingFailure { throw closingFailure }
  }

  /// - Returns: the first failure.
  func closeLogs(recordingEnds: Bool) async -> EngineError? {
    var failure: EngineError?
    await archiving?.checkpointer.stop()
    for topic in topics {
      for log in logs[topic.name] ?? [] {
        do throws(StorageError) { try await log.close() } catch { failure = failure ?? .storage(error) }
      }
    }
    if recordingEnds {
      do throws(EngineError) {
        try await recordEnds { log, recorded in
          log.durableOffset > recorded ? .durableEnd(log.source, log.durableOffset) : nil
        }
      } catch {
        failure = failure ?? error
      }
    }
    do throws(StorageError) { try await metadata.close() } catch { failure = failure ?? .storage(error) }
    await claim.release()
    return failure
  }
}
