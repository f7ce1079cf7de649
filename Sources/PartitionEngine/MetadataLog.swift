import LogModel
import Storage
import WriteAheadLog

/// The engine's own log: topics, consumer offsets, log start offsets, durable ends. Always synced, with the codec and the
/// recovery of every other log.
///
/// When replay has read many more records than are needed, the log is compacted: a snapshot is appended as one batch,
/// which is there wholly or not at all, at the head of a new segment, and only then are the segments before it removed.
final class MetadataLog: @unchecked Sendable {
  // Owned by the loop of its storage.

  static let directory = "metadata"
  static let source = TopicPartition("__metadata", 0)
  /// Records that a replay may waste before the log is compacted.
  static let tolerance = 4096
  /// Segments from which on it is compacted too.
  static let mostSegments = 16

  let log: PartitionLog
  private let loop: EventLoop
  private(set) var state: Metadata
  let recovery: RecoveryReport
  /// Changes that are durable and not yet taken up, by their offset; everything before `applied` has been.
  private var waiting: [Offset: [MetadataRecord]] = [:]
  private var applied: Offset

  private init(log: PartitionLog, state: Metadata, recovery: RecoveryReport, loop: EventLoop) {
    self.log = log
    self.loop = loop
    self.state = state
    self.recovery = recovery
    applied = log.logEndOffset
  }

  static func open(
    _ storage: any Storage, _ configuration: LogConfiguration, _ claim: any WriterClaim
  ) async throws(EngineError) -> MetadataLog {
    var configuration = configuration
    configuration.syncPolicy = .always
    configuration.recoveryPolicy = .skipCorrupted
    configuration.firstPreallocation = min(configuration.firstPreallocation, 64 << 10)
    configuration.recentBytes = 64 << 10
    let opened: (log: PartitionLog, report: RecoveryReport)
    do throws(StorageError) {
      try await storage.makeDirectory(directory)
      try await storage.syncDirectory("")
      opened = try await PartitionLog.open(
        source, in: directory, of: storage, configuration,
        hints: RecoveryHints(logStartOffset: nil, epoch: Epoch(max(1, claim.epoch.rawValue) - 1)), fence: claim)
    } catch {
      throw .storage(error)
    }
    do throws(EngineError) {
      let (state, records) = try await replay(opened.log, opened.report)
      let metadata = MetadataLog(log: opened.log, state: state, recovery: opened.report, loop: storage.loop)
      // Every writer begins a segment of its own, so that restarts without number would leave as many files.
      if records > state.records.count * 2 + tolerance || opened.log.segmentBases.count > mostSegments {
        // Where that fails the log stays as long as it is, and the next opening tries again.
        do throws(EngineError) { try await metadata.compact() } catch .log(let source, .fenced(let epoch)) {
          throw .log(source, .fenced(epoch))
        } catch {}
        metadata.applied = opened.log.logEndOffset
      }
      return metadata
    } catch {
      do throws(StorageError) { try await opened.log.close() } catch {}  // the failure that led here says more
      throw error
    }
  }

  private static func replay(
    _ log: PartitionLog, _ report: RecoveryReport
  ) async throws(EngineError) -> (state: Metadata, records: Int) {
    var state = Metadata()
    var count = 0
    var invalid: String?
    let response = FetchResponse()
    var at = log.firstRetainedOffset
    // What came before a snapshot is void: nothing may be missing after the last one.
    var known: Offset? = at == 0 ? 0 : nil
    var missing: Offset = report.damage.map(\.to).max() ?? 0
    while at < log.highWatermark {
      do throws(LogError) {
        try await log.fetch(from: at, maxBytes: 256 << 10, into: response)
      } catch .damaged(let range) {
        missing = max(missing, range.to)
        at = max(range.to, at + 1)
        continue
      } catch {
        throw .damagedMetadata("\(error)")
      }
      response.forEachRecord { record in
        let text = String(decoding: record.value, as: UTF8.self)
        guard let change = MetadataRecord(text: text) else {
          invalid = invalid ?? "record \(record.offset) is `\(text.prefix(60))`"
          return
        }
        if case .snapshot = change { known = record.offset }
        state.apply(change)
        count += 1
      }
      if let invalid { throw .damagedMetadata(invalid) }
      at = response.nextOffset
    }
    guard let known, missing <= known else { throw .damagedMetadata("the records before \(max(missing, log.firstRetainedOffset)) are missing") }
    return (state, count)
  }

  /// Makes the changes durable, then takes them up.
  func record(_ changes: [MetadataRecord]) async throws(EngineError) {
    let offset = try await append(changes)
    waiting[offset] = changes
    applyInOrder()
    // Of an earlier change that is durable too the task has yet to be resumed.
    while applied <= offset {
      await loop.nextTurn()
      applyInOrder()
    }
  }

  private func applyInOrder() {
    while let next = waiting.removeValue(forKey: applied) {
      for change in next { state.apply(change) }
      applied = applied + next.count
    }
  }

  @discardableResult
  private func append(_ changes: [MetadataRecord]) async throws(EngineError) -> Offset {
    let texts = changes.map { Array($0.text.utf8) }
    do throws(LogError) {
      return try await log.append(recordCount: texts.count, payloadBytes: texts.reduce(0) { $0 + $1.count }) { writer in
        for text in texts { text.withUnsafeBytes { writer.append(value: $0) } }
      }
    } catch {
      throw .log(Self.source, error)
    }
  }

  private func compact() async throws(EngineError) {
    let records = state.records
    let bytes = records.reduce(0) { $0 + $1.text.utf8.count + 8 } + 64
    guard bytes < log.configuration.largestBatch else { return }  // too much for one batch: the log stays as it is
    let base = log.logEndOffset
    do throws(LogError) { try await log.rollSegment() } catch { throw .log(Self.source, error) }
    try await append([.snapshot(count: records.count)] + records)
    do throws(StorageError) { try await log.removeSegments(before: base) } catch { throw .storage(error) }
  }
}
