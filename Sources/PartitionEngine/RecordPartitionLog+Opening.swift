import LogModel
import RecordLogs
import Storage
import WriteAheadLog

extension RecordPartitionLog {
  /// Opens the log of `source` in `directory`, which is there, and recovers it.
  ///
  /// Under `truncate-at-corruption` what has been set aside is read once more, to say how many acknowledged messages were in it.
  static func open(
    _ source: TopicPartition, in directory: String, of storage: any Storage, _ configuration: LogConfiguration,
    hints: RecoveryHints, fence: any WriterFence, beforeCut: BeforeCut
  ) async throws(RecordLogError) -> (log: RecordPartitionLog, report: RecoveryReport) {
    var recovery = RecordPartitionRecovery<Format>(startingAt: hints.logStartOffset ?? 0)
    let policy = RecordLogPolicy(
      syncPolicy: configuration.syncPolicy, recoveryPolicy: configuration.recoveryPolicy,
      largestRecord: configuration.largestBatch, commitBytes: configuration.commitBytes,
      rotation: RecordLogPolicy.Rotation(bytes: configuration.segmentBytes))
    let name = "\(source.topic)-\(source.partition)"
    let (log, found) = try await RecordLog<Codec>.open(name, in: directory, of: storage, policy) { recovery.take($0) }
    do throws(StorageError) {
      if configuration.recoveryPolicy == .truncateAtCorruption {
        for path in found.setAside { try await recovery.takeSetAside(path, of: log) }
      }
      recovery.end(hints, policy)
      if let last = recovery.damage.last { try await beforeCut(last.to) }
    } catch {
      do throws(RecordLogError) { try await log.close() } catch {}  // the failure that led here says more
      throw .storage(error)
    }
    var report = RecoveryReport(source: source)
    report.batches = found.records
    report.batchesSkipped = found.damageCount
    report.bytesScanned = Int(found.bytesScanned)
    report.damage = recovery.damage
    report.tornBytes = Int64(found.tornTail?.range.count ?? 0)
    report.quarantined = found.setAside
    return (RecordPartitionLog(source, in: directory, of: storage, log, fence, recovery), report)
  }
}

/// Turns what recovery finds in records into what an engine knows of messages.
struct RecordPartitionRecovery<Format: PartitionFormat> {
  private(set) var logStartOffset: Offset
  private(set) var logEndOffset: Offset
  private(set) var damage: [DamagedRange] = []
  private(set) var index = RecordIndex()
  private var numbering: MessageNumbering
  private var lastDamage: DamagedBytes?

  init(startingAt start: Offset) {
    logStartOffset = start
    logEndOffset = start
    numbering = MessageNumbering(from: Format.carriesOffsets ? start : 0)
  }

  mutating func take(_ finding: RecordFinding<Format.Codec>) {
    switch finding {
    case .damage(let bytes): pass(over: bytes)
    case .record(let position, let record):
      let isBeginning = !numbering.isInRequest
      var first: Offset?
      numbering.beginRecord()
      Format.read(record, &numbering) { first = first ?? $0.offset }
      if !numbering.missing.isEmpty { note(numbering.missing, position) }
      if isBeginning { index.note(first ?? numbering.next, at: position) }
    }
  }

  private mutating func pass(over bytes: DamagedBytes) {
    lastDamage = bytes
    if let range = numbering.passOver(isNumbered: Format.carriesOffsets) { note(range, bytes) }
  }

  /// What was cut off counts as far as it can be read.
  mutating func takeSetAside(_ path: String, of log: RecordLog<Format.Codec>) async throws(StorageError) {
    let end = numbering.next
    var rest = numbering
    try await log.readSetAside(path) { finding in
      switch finding {
      case .damage: _ = rest.passOver(isNumbered: Format.carriesOffsets)
      case .record(_, let record):
        rest.beginRecord()
        Format.read(record, &rest) { _ in }
      }
    }
    if rest.next > end { note(end..<rest.next, DamagedBytes(path: path, range: 0..<0, fault: .fieldsDisagree)) }
  }

  /// What has been found is all that there is.
  mutating func end(_ hints: RecoveryHints, _ policy: RecordLogPolicy) {
    logEndOffset = max(numbering.next, logStartOffset)
    let proven = hints.provenEnd
    guard proven > logEndOffset else { return }
    if (damage.last?.to ?? 0) < proven {
      damage.append(DamagedRange(from: max(logEndOffset, damage.last?.to ?? 0), to: proven, path: "", byteFrom: 0, byteTo: 0))
    }
    // Where messages carry their numbers, none is given twice.
    if Format.carriesOffsets, policy.recoveryPolicy == .skipCorrupted { logEndOffset = proven }
  }

  private mutating func note(_ range: Range<Offset>, _ position: RecordPosition) {
    note(range, lastDamage ?? DamagedBytes(path: "", range: position.offset..<position.offset, fault: .missingFile))
  }

  private mutating func note(_ range: Range<Offset>, _ bytes: DamagedBytes) {
    damage.append(
      DamagedRange(
        from: range.lowerBound, to: range.upperBound, path: bytes.path, byteFrom: bytes.range.lowerBound,
        byteTo: bytes.range.upperBound))
  }
}
