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
    hints: RecoveryHints, fence: any WriterFence, beforeCut: BeforeCut, witness: @escaping SegmentWitness
  ) async throws(RecordLogError) -> (log: RecordPartitionLog, report: RecoveryReport) {
    let name = "\(source.topic)-\(source.partition)"
    var recovery = RecordPartitionRecovery<Format>(hints, lastFile: try await RecordLog<Codec>.lastFile(name, in: directory, of: storage))
    let policy = RecordLogPolicy(
      syncPolicy: configuration.syncPolicy, recoveryPolicy: configuration.recoveryPolicy,
      largestRecord: configuration.largestBatch, commitBytes: configuration.commitBytes,
      rotation: RecordLogPolicy.Rotation(bytes: configuration.segmentBytes))
    let keepsFirstFile = !Format.carriesOffsets || (hints.logStartOffset ?? 0) == 0
    let (log, found) = try await RecordLog<Codec>.open(
      name, in: directory, of: storage, policy, keepsFirstFile: keepsFirstFile
    ) { recovery.take($0) }
    do throws(StorageError) {
      if configuration.recoveryPolicy == .truncateAtCorruption {
        let stop = found.damage.last { $0.fault != .wrongFileHeader }
        for path in found.setAside { try await recovery.takeSetAside(path, of: log, cutBy: stop) }
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
    return (RecordPartitionLog(source, in: directory, of: storage, log, fence, recovery, witness), report)
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

  private let newest: SegmentRecord?
  private let lastFile: Int?

  /// - Parameter lastFile: the number of the newest file that is there.
  init(_ hints: RecoveryHints, lastFile: Int?) {
    let start = hints.logStartOffset ?? 0
    logStartOffset = start
    logEndOffset = start
    newest = hints.newest
    self.lastFile = lastFile
    numbering = MessageNumbering(from: Format.carriesOffsets ? start : 0)
  }

  /// Where a format counts its messages, the newest file's first one is known from elsewhere: what is missing before it moves
  /// nothing behind it.
  private mutating func anchor(_ position: RecordPosition) {
    guard !Format.carriesOffsets, let newest, position.file == lastFile, index.newestFile?.position.file != position.file else { return }
    let missing = numbering.anchor(at: newest.baseOffset)
    if !missing.isEmpty { note(missing, position) }
  }

  mutating func take(_ finding: RecordFinding<Format.Codec>) {
    switch finding {
    case .damage(let bytes): pass(over: bytes)
    case .record(let position, let record):
      anchor(position)
      var first: Offset?
      numbering.beginRecord()
      Format.read(record, &numbering) { first = first ?? $0.offset }
      if !numbering.missing.isEmpty { note(numbering.missing, position) }
      index.note(first ?? numbering.next, at: position)
      // Where messages carry their numbers, what is missing shows at the next record, and there only.
      if Format.carriesOffsets { lastDamage = nil }
    }
  }

  private mutating func pass(over bytes: DamagedBytes) {
    lastDamage = bytes
    if let range = numbering.passOver(isNumbered: Format.carriesOffsets) { note(range, bytes) }
  }

  /// What was cut off counts as far as it can be read.
  /// - Parameter stop: the damage that it was cut off for.
  mutating func takeSetAside(
    _ path: String, of log: RecordLog<Format.Codec>, cutBy stop: DamagedBytes?
  ) async throws(StorageError) {
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
    if rest.next > end { note(end..<rest.next, stop ?? DamagedBytes(path: path, range: 0..<0, fault: .fieldsDisagree)) }
  }

  /// What has been found is all that there is.
  mutating func end(_ hints: RecoveryHints, _ policy: RecordLogPolicy) {
    logEndOffset = max(numbering.next, logStartOffset)
    // Of the newest file at least one message had been acknowledged.
    let proven = max(hints.provenEnd, newest.map { $0.baseOffset + 1 } ?? 0)
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
        byteTo: bytes.range.upperBound, mismatch: bytes.mismatch))
  }
}
