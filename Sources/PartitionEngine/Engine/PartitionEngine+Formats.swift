import LogModel
import RecordLogs
import Storage
import WriteAheadLog

/// Opening the log of a partition in the engine's own format, or in that of another system.
extension PartitionEngine {
  static func directory(of source: TopicPartition) -> String { "topics/\(source.topic)/\(source.partition)" }

  /// - Throws: `storage` of a `list` where there is no directory.
  func openExistingLog(of source: TopicPartition) async throws(EngineError) -> (
    log: any EngineLog, report: RecoveryReport
  ) {
    switch configuration.system {
    case .tornlog: try await openBatchLog(source)
    case .streamhouse: try await openRecordLog(source, StreamhouseFormat.self)
    case .airunner: try await openRecordLog(source, AirunnerFormat.self)
    case .chronik: try await openRecordLog(source, ChronikV2Format.self)
    case .chronikV1: try await openRecordLog(source, ChronikV1Format.self)
    case .replayBuffer: try await openRecordLog(source, ReplayFormat.self)
    }
  }

  private func hints(of source: TopicPartition) -> RecoveryHints {
    let start = max(deletions.logStart(metadata.state.logStarts[source]) ?? 0, metadata.state.archivedEnds[source] ?? 0)
    let replays = archiving?.services.parts.leftovers.replays ?? false
    return RecoveryHints(
      logStartOffset: replays ? nil : start, cleanEnd: metadata.state.durableEnds[source],
      epoch: Epoch(max(1, claim.epoch.rawValue) - 1), newest: metadata.state.newestSegments[source])
  }

  private func openBatchLog(_ source: TopicPartition) async throws(EngineError) -> (
    log: any EngineLog, report: RecoveryReport
  ) {
    do throws(StorageError) {
      return try await PartitionLog.open(
        source, in: Self.directory(of: source), of: storage, configuration.log, parts: parts, hints: hints(of: source),
        fence: claim,
        beforeCut: { [metadata] proven throws(StorageError) in try await metadata.note(.durableEnd(source, proven)) },
        witness: { [metadata] segment throws(StorageError) in try await metadata.note(.segment(source, segment)) },
        idleReaders: idleReaders)
    } catch { throw .storage(error) }
  }

  private func openRecordLog<Format: PartitionFormat>(
    _ source: TopicPartition, _ format: Format.Type
  ) async throws(EngineError) -> (log: any EngineLog, report: RecoveryReport) {
    let directory = Self.directory(of: source)
    do throws(StorageError) { _ = try await storage.here().list(directory) } catch { throw .storage(error) }
    do throws(RecordLogError) {
      return try await RecordPartitionLog<Format>.open(
        source, in: directory, of: storage, configuration.log, hints: hints(of: source), fence: claim,
        beforeCut: { [metadata] proven throws(StorageError) in try await metadata.note(.durableEnd(source, proven)) },
        witness: { [metadata] segment throws(StorageError) in try await metadata.note(.segment(source, segment)) })
    } catch {
      switch error {
      case .storage(let failure): throw .storage(failure)
      case .inUse(let path): throw .inUse("\(path) is locked")
      case .notALog(let path): throw .otherFormat(path: path, expected: configuration.system)
      default: throw .log(source, LogError(error, claim.epoch))
      }
    }
  }

  /// What one system has written no other may take for nothing, and begin anew beside it.
  func assertFormat(_ survey: DirectoryScan) throws(EngineError) {
    if configuration.system != .tornlog, archiving != nil { throw .formatHasNoStore(configuration.system) }
    let strange = configuration.system == .tornlog ? survey.recordLog : survey.segment
    if let strange { throw .otherFormat(path: strange, expected: configuration.system) }
  }
}
