import LogModel
import ObjectStore
import Storage
import WriteAheadLog

extension PartitionEngine {
  /// Opens the engine whose files lie at the storage's root, or a new one there, and recovers every partition.
  /// - Throws: `EngineError.storage` where the device fails, `.damagedMetadata` where neither copy of the metadata
  ///   knows the topics, `.inUse` where another engine may write. A damaged partition is no error: it stands in the
  ///   recovery's report.
  public static func open(
    _ storage: any Storage, _ configuration: EngineConfiguration, parts: EngineParts = EngineParts()
  ) async throws(EngineError) -> (engine: PartitionEngine, recovery: EngineRecovery) {
    let storage = RetryingStorage(storage)
    let survey = try await DirectoryScan(of: storage)
    let client = parts.store.map { StoreClient($0, storage.loop, timeout: configuration.checkpoints.timeout) }
    let floor = try await survey.epochFloor(with: client)
    let claim = try await parts.exclusion.claim(storage, above: floor, counting: parts.metrics?.lease)
    let directories = DurableDirectories(storage)
    let metadata: MetadataLog
    do throws(EngineError) {
      // The metadata's own logs always have the sound parts: a defect of a log is one of the partitions' logs.
      metadata = try await MetadataLog.open(
        storage, configuration.log, parts.metadata, parts.compaction, claim, directories)
    } catch {
      await claim.release()
      throw error
    }
    let archiving = client.map {
      EngineArchiving($0, metadata, claim, configuration.checkpoints, parts.checkpoints, parts.metrics, storage.loop)
    }
    let engine = PartitionEngine(storage, configuration, parts, claim, metadata, directories, archiving)
    var reports: [RecoveryReport] = []
    var lowered: [LoweredOffset] = []
    do throws(EngineError) {
      try engine.assertFormat(survey)
      try engine.assertRegistered(survey.inhabited)
      try await engine.adoptArchive()
      for topic in metadata.state.topics { reports += try await engine.openPartitions(of: topic) }
      try await engine.lowerEnds()
      lowered = try await engine.lowerOffsets()
    } catch {
      _ = await engine.closeLogs(recordingEnds: false)  // the failure that led here says more
      throw error
    }
    archiving?.checkpointer.start()
    return (
      engine,
      EngineRecovery(partitions: reports, metadata: metadata.recovery, archive: archiving?.recovery, lowered: lowered)
    )
  }

  /// Segments are made once their topic is registered. Where one is not, the metadata has been lost, unnoticed.
  private func assertRegistered(_ partitions: [TopicPartition]) throws(EngineError) {
    for partition in partitions {
      if topics.contains(where: { $0.name == partition.topic && partition.partition.index < $0.partitions }) {
        continue
      }
      throw .damagedMetadata(
        "topics/\(partition.topic)/\(partition.partition) holds messages, and neither copy knows it; "
          + "put one of them back from a backup, or move that folder elsewhere")
    }
  }

  /// Opens the logs of a registered topic, and recovers them.
  func openPartitions(of topic: Topic) async throws(EngineError) -> [RecoveryReport] {
    var reports: [RecoveryReport] = []
    var opened: [any EngineLog] = []
    var archives: [PartitionArchive] = []
    for number in 0..<topic.partitions {
      let source = TopicPartition(topic.name, PartitionID(number))
      do throws(EngineError) {
        var (log, report) = try await openLog(of: source)
        if let archiving, let bare = log as? PartitionLog, bare.isWithoutFiles, try await rebuildBare(source, archiving)
        {
          do throws(StorageError) { try await bare.close() } catch { throw .storage(error) }
          let before = report
          (log, report) = try await openLog(of: source)
          report.adopt(before, from: metadata.state.archivedEnds[source] ?? 0)
        }
        opened.append(log)
        if let cut = metadata.state.cut(of: source) { report.repeat(cut, of: log, in: Self.directory(of: source)) }
        if let log = log as? PartitionLog {
          do throws(StorageError) { try await ownership.gather(into: log, on: storage) } catch { throw .storage(error) }
        }
        if let archiving, let log = log as? PartitionLog {
          let archivedEnd = metadata.state.archivedEnds[source] ?? 0
          if archiving.services.parts.leftovers.replays {
            do throws(StorageError) { try await replayLeftovers(log, before: archivedEnd) } catch {
              throw .storage(error)
            }
          }
          let archive = archiving.archive(log, partitionCount: topic.partitions, archivedEnd: archivedEnd)
          report.note(missingIn: archive)
          archives.append(archive)
        }
        reports.append(report)
      } catch {
        // Half a topic is of no use: what failed here is tried again by the next call, or the next opening.
        for log in opened { do throws(StorageError) { try await log.close() } catch {} }
        throw error
      }
    }
    logs[topic.name] = opened
    if let archiving {
      self.archives[topic.name] = archives
      for archive in archives { archiving.checkpointer.add(archive) }
    }
    return reports
  }

  private func openLog(of source: TopicPartition) async throws(EngineError) -> (
    log: any EngineLog, report: RecoveryReport
  ) {
    do throws(EngineError) { return try await openExistingLog(of: source) } catch {
      guard case .storage(let failure) = error, failure.operation == .list, failure.isNotFound else { throw error }
      // Somebody has removed its directory, and all that was in it.
      let number = source.partition.index
      do throws(StorageError) { try await directories.make(for: source.topic, number..<number + 1) } catch {
        throw .storage(error)
      }
      return try await openExistingLog(of: source)
    }
  }
}
