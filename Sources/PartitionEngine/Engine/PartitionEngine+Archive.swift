import LogModel
import ObjectStore
import Storage
import WriteAheadLog

/// What an opening has found in the object store.
public struct ArchiveRecovery: Hashable, Sendable, Codable {
  /// Objects that hold what the partitions begin with.
  public var objects = 0
  /// Partitions that had no files, and go on behind what the store holds of them.
  public var rebuilt: [TopicPartition] = []
  /// Why the store could not say what it holds; the logs were opened all the same.
  public var unavailable: String?
}

/// What an engine needs for its checkpoints.
final class EngineArchiving: @unchecked Sendable {
  // Owned by the loop of the engine.

  let services: CheckpointServices
  let checkpointer: Checkpointer
  /// By partition, as the opening has found it; nil where the store did not answer.
  var listing: [TopicPartition: [ListedObject]]?
  var recovery = ArchiveRecovery()

  init(
    _ client: StoreClient, _ metadata: MetadataLog, _ claim: any WriterClaim, _ policy: CheckpointPolicy,
    _ parts: CheckpointParts, _ metrics: EngineMetrics?, _ loop: EventLoop
  ) {
    let alarm = CheckpointTimer(loop)
    services = CheckpointServices(
      client: client, reader: ObjectReader(client), metadata: metadata, claim: claim, policy: policy, parts: parts,
      metrics: metrics, alarm: alarm, loop: loop)
    checkpointer = Checkpointer(loop, policy, metrics, alarm)
  }

  func archive(_ log: PartitionLog, partitionCount: Int, archivedEnd: Offset) -> PartitionArchive {
    let start = services.metadata.state.logStarts[log.source] ?? 0
    let chain = listing.map { ObjectChain($0[log.source] ?? [], from: start, to: archivedEnd) }
    recovery.objects += chain?.links.count ?? 0
    return PartitionArchive(log, partitionCount: partitionCount, archivedEnd: archivedEnd, chain: chain, services)
  }
}

extension DirectoryScan {
  /// No epoch that a writer has put objects with may be given again, whatever is left here: a folder that was put back
  /// from a backup knows older epochs than the store, and objects of an older epoch are refused there.
  ///
  /// Where something is left and the store does not answer, the engine opens all the same. Nothing wrong is served
  /// then: at each offset the newest epoch counts. What it puts may be refused, until it is opened again with the store
  /// there.
  func epochFloor(with client: StoreClient?) async throws(EngineError) -> Epoch {
    guard let client else { return newestEpoch }
    do throws(ObjectStoreError) {
      let objects = newestEpoch == Epoch(0) ? try await client.listPatiently() : try await client.list(nil)
      return objects.map(\.name.epoch).reduce(newestEpoch, max)
    } catch {
      // Nothing here, and nobody who says whether that is all.
      if newestEpoch == Epoch(0) { throw .store(error) }
      return newestEpoch
    }
  }
}

extension StoreClient {
  /// All objects; asked for again where the store fails, a few times.
  func listPatiently() async throws(ObjectStoreError) -> [ListedObject] {
    for _ in 0..<2 {
      do throws(ObjectStoreError) { return try await list(nil) } catch { await pause() }
    }
    return try await list(nil)
  }
}

extension PartitionEngine {
  /// What the checkpoints have come to; nil where there is no object store.
  public var checkpointStatus: CheckpointStatus? { archiving?.checkpointer.status }

  /// Brings everything to the object store that is acknowledged and durable, now.
  /// - Throws: the first failure. What was not archived stays in the log, and goes there later.
  public func checkpoint() async throws(EngineError) {
    guard isServing else { throw .closed }
    try await archiving?.checkpointer.checkpoint()
  }

  /// Everything before it is in the object store; nil where there is none.
  public func archivedEnd(_ topic: String, _ partition: PartitionID) throws(EngineError) -> Offset? {
    _ = try watermarks(topic, partition)
    return archives[topic]?[partition.index].archivedEnd
  }

  func replayLeftovers(_ log: PartitionLog, before end: Offset) async throws(StorageError) {
    do throws(LogError) { try await log.requeueBatches(before: end) } catch {
      if case .storage(let failure) = error { throw failure }
    }
  }

  // MARK: Opening

  /// Takes up what the store holds and nothing here knows: topics that are not registered, for the metadata was lost
  /// with everything else, and what partitions without any file had put there last.
  ///
  /// A partition that has files goes on from what the metadata says: an object beyond that was put by a writer that did
  /// not get so far as to record it, and the log has its messages.
  func adoptArchive() async throws(EngineError) {
    guard let archiving else { return try assertNoStoreIsNeeded() }
    let survey = try await DirectoryScan(of: storage)
    let listing: [TopicPartition: [ListedObject]]
    do throws(ObjectStoreError) {
      listing = Dictionary(grouping: try await archiving.services.client.listPatiently(), by: \.name.source)
    } catch {
      // Without a topic, and without a file, nobody can say that there is nothing.
      guard !topics.isEmpty || !survey.inhabited.isEmpty else { throw .store(error) }
      archiving.recovery.unavailable = "\(error)"
      return
    }
    archiving.listing = listing
    let inhabited = Set(survey.inhabited)
    var unknown: [String: [TopicPartition]] = [:]
    for source in listing.keys.sorted() {
      guard let topic = topics.first(where: { $0.name == source.topic }) else {
        unknown[source.topic, default: []].append(source)
        continue
      }
      guard source.partition.index < topic.partitions, !inhabited.contains(source) else { continue }
      let (changes, _) = try await rebuild(source, archiving)
      if !changes.isEmpty { try await metadata.record(changes) }
    }
    for name in unknown.keys.sorted() { try await register(name, unknown[name] ?? [], archiving) }
  }

  /// Recovery may have set aside every file of a log, as what lies before them is gone. Then nothing is left but the
  /// store: what this opening does not take from there the next one would, which finds no file, and serve what has been
  /// missing meanwhile.
  /// - Returns: whether anything has been taken from the store.
  func rebuildBare(_ source: TopicPartition, _ archiving: EngineArchiving) async throws(EngineError) -> Bool {
    let (changes, _) = try await rebuild(source, archiving)
    guard !changes.isEmpty else { return false }
    try await metadata.record(changes)
    return true
  }

  private func assertNoStoreIsNeeded() throws(EngineError) {
    for (source, end) in metadata.state.archivedEnds.sorted(by: { $0.key < $1.key }) {
      if end > metadata.state.logStarts[source] ?? 0 { throw .storeNeeded(source, before: end) }
    }
  }

  /// Registers a topic that only the store knows.
  private func register(_ name: String, _ sources: [TopicPartition], _ archiving: EngineArchiving)
    async throws(EngineError)
  {
    guard NameRule.topic.allows(name) else { return }
    var changes: [MetadataRecord] = []
    var count = 0
    for source in sources {
      let (found, partitions) = try await rebuild(source, archiving)
      changes += found
      count = max(count, partitions, source.partition.index + 1)
    }
    guard Topic.partitionCounts.contains(count) else { return }
    do throws(StorageError) { try await directories.make(for: name, 0..<count) } catch { throw .storage(error) }
    // The topic last: as long as it is not registered, all of this is done again.
    for change in changes { try await metadata.record([change]) }
    try await metadata.record([.topic(name, partitions: count)])
  }

  /// Reads every object of a partition that is not known to be archived.
  /// - Returns: what is to be recorded, and the number of partitions that the objects name.
  private func rebuild(
    _ source: TopicPartition, _ archiving: EngineArchiving
  ) async throws(EngineError) -> (changes: [MetadataRecord], partitions: Int) {
    let known = metadata.state.archivedEnds[source] ?? 0
    var partitions = 0
    var objects = archiving.listing?[source] ?? []
    for index in objects.indices where !objects[index].isMissing && objects[index].name.end > known {
      do throws(ObjectStoreError) {
        partitions = max(partitions, try await archiving.services.reader.object(objects[index].name).partitionCount)
      } catch {
        switch error {
        case .notFound, .damaged: objects[index].isMissing = true
        default: throw .store(error)
        }
      }
    }
    archiving.listing?[source] = objects
    let start = known > 0 ? known : objects.map(\.name.base).min() ?? 0
    let chain = ObjectChain(objects, from: start, to: nil)
    guard chain.end > known else { return ([], partitions) }
    archiving.recovery.rebuilt.append(source)
    var changes: [MetadataRecord] = [.archived(source, chain.end)]
    if known == 0, start > metadata.state.logStarts[source] ?? 0 { changes.append(.logStart(source, start)) }
    return (changes, partitions)
  }
}

extension LogError {
  /// Whether the log holds what was asked for, and cannot give it.
  var isOfReading: Bool {
    switch self {
    case .damaged, .storage: true
    case .batchTooLarge, .emptyBatch, .keyNotRepresentable, .closed, .poisoned, .fenced, .fencedInCommit,
      .offsetOutOfRange:
      false
    }
  }
}

extension RecoveryReport {
  /// What an opening of the same log found before this one, from `end` on: what lies before has come from the store.
  mutating func adopt(_ before: RecoveryReport, from end: Offset) {
    let rest = before.damage.compactMap { range -> DamagedRange? in
      guard range.to > end else { return nil }
      var rest = range
      rest.from = max(range.from, end)
      return rest
    }
    damage += rest
    if !rest.isEmpty { batchesSkipped += before.batchesSkipped }
    bytesScanned += before.bytesScanned
    tornBytes += before.tornBytes
    quarantined += before.quarantined
    unreadable += before.unreadable
    damagedHeads += before.damagedHeads
  }

  /// What the log gave up for the store has it, and the store has it not.
  mutating func note(missingIn archive: PartitionArchive) {
    for gap in archive.chain?.gaps ?? [] {
      batchesSkipped += 1
      damage.append(
        DamagedRange(
          from: gap.lowerBound, to: gap.upperBound, path: "objects of \(archive.source)", byteFrom: 0, byteTo: 0))
    }
    damage.sort { ($0.from, $0.to) < ($1.from, $1.to) }
  }
}
