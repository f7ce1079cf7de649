import LogModel
import RecordLogs
import Storage
import WriteAheadLog

extension RecordPartitionLog {
  /// Opens the log of `source` in `directory`, which is there, and recovers it.
  ///
  /// Under `truncate-at-corruption` what has been set aside is read once more, to say how many acknowledged messages
  /// were in it.
  static func open(
    _ source: TopicPartition, in directory: String, of storage: any Storage, _ configuration: LogConfiguration,
    hints: RecoveryHints, fence: any WriterFence, beforeCut: BeforeCut, witness: @escaping SegmentEvidence
  ) async throws(RecordLogError) -> (log: RecordPartitionLog, report: RecoveryReport) {
    let name = "\(source.topic)-\(source.partition)"
    var recovery = RecordPartitionRecovery<Format>(
      hints, lastFile: try await RecordLog<Codec>.lastFile(name, in: directory, of: storage), directory: directory
    ) { RecordLog<Codec>.path(ofFile: $0, name, in: directory) }
    let policy = RecordLogPolicy(
      syncPolicy: configuration.syncPolicy, recoveryPolicy: configuration.recoveryPolicy,
      largestRecord: configuration.largestBatch, commitBytes: configuration.commitBytes,
      rotation: RecordLogPolicy.Rotation(bytes: configuration.segmentBytes))
    let keepsFirstFile = !Format.carriesOffsets || (hints.logStartOffset ?? 0) == 0
    let (log, found) = try await RecordLog<Codec>.open(
      name, in: directory, of: storage, policy, keepsFirstFile: keepsFirstFile
    ) { recovery.take($0) }
    do throws(StorageError) {
      var stop: DamagedBytes?
      if configuration.recoveryPolicy == .truncateAtCorruption {
        stop = found.damage.last { $0.fault != .wrongFileHeader }
        for path in found.setAside { try await recovery.takeSetAside(path, of: log, cutBy: stop) }
      }
      recovery.end(hints, policy, cut: stop ?? found.cutTail)
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
  /// What may have held messages that turn out to be missing, in the order of the log: the bytes behind the last
  /// message that were no record. Where nothing carries a number, all such bytes: any of them may have been several
  /// records.
  private var suspects = Suspects()
  /// Behind the last record.
  private var lastEnd: RecordPosition?

  private let newest: SegmentRecord?
  private let lastFile: Int?
  private let directory: String
  private let path: (Int) -> String

  /// - Parameters:
  ///   - lastFile: the number of the newest file that is there.
  ///   - path: the path of the file of that number.
  init(_ hints: RecoveryHints, lastFile: Int?, directory: String, path: @escaping (Int) -> String) {
    let start = hints.logStartOffset ?? 0
    logStartOffset = start
    logEndOffset = start
    newest = hints.newest
    self.lastFile = lastFile
    self.directory = directory
    self.path = path
    numbering = MessageNumbering(from: Format.carriesOffsets ? start : 0)
  }

  /// Where a format counts its messages, the newest file's first one is known from elsewhere: what is missing before it
  /// moves nothing behind it.
  private mutating func anchor(_ position: RecordPosition) {
    guard !Format.carriesOffsets, let newest, position.file == lastFile,
      index.newestFile?.position.file != position.file
    else { return }
    let missing = numbering.anchor(at: newest.baseOffset)
    if !missing.isEmpty { note(missing, before: position) }
  }

  mutating func take(_ finding: RecordFinding<Format.Codec>) {
    switch finding {
    case .damage(let bytes):
      suspects.add(bytes)
      if let range = numbering.passOver(isNumbered: Format.carriesOffsets) { note(range, bytes) }
    case .record(let position, let record):
      anchor(position)
      var first: Offset?
      numbering.beginRecord()
      Format.read(record, &numbering) { first = first ?? $0.offset }
      if !numbering.missing.isEmpty { note(numbering.missing, before: position) }
      index.note(first ?? numbering.next, at: position)
      // Where messages carry their numbers, what is missing shows at the next message. Other records say nothing.
      if Format.carriesOffsets, first != nil { suspects.removeAll() }
      lastEnd = RecordPosition(file: position.file, offset: position.offset + Int64(Format.Codec.length(of: record)))
    }
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
    if rest.next > end { note(end..<rest.next, stop ?? behindTheLastRecord) }
  }

  /// What has been found is all that there is.
  /// - Parameter cut: what stood behind the last record, and has been cut off.
  mutating func end(_ hints: RecoveryHints, _ policy: RecordLogPolicy, cut: DamagedBytes?) {
    logEndOffset = max(numbering.next, logStartOffset)
    // Of the newest file at least one message had been acknowledged.
    let proven = max(hints.provenEnd, newest.map { $0.baseOffset + 1 } ?? 0)
    guard proven > logEndOffset else { return }
    if (damage.last?.to ?? 0) < proven {
      if let cut { suspects.add(cut) }
      note(max(logEndOffset, damage.last?.to ?? 0)..<proven, suspects.isEmpty ? [behindTheLastRecord] : suspects.places)
    }
    // Where messages carry their numbers, none is given twice.
    if Format.carriesOffsets, policy.recoveryPolicy == .skipCorrupted { logEndOffset = proven }
  }

  /// Where a record is missed of which no byte is there: an empty range behind the last one; the folder where there is
  /// no record.
  private var behindTheLastRecord: DamagedBytes {
    guard let lastEnd else {
      return DamagedBytes(path: lastFile.map(path) ?? directory, range: 0..<0, fault: .missingFile)
    }
    return DamagedBytes(path: path(lastEnd.file), range: lastEnd.offset..<lastEnd.offset, fault: .missingFile)
  }

  /// Messages are missing before the record at `position`.
  private mutating func note(_ range: Range<Offset>, before position: RecordPosition) {
    if !suspects.isEmpty { return note(range, suspects.places) }
    var place = behindTheLastRecord
    if lastEnd?.file ?? position.file == position.file {
      let start = lastEnd?.offset ?? 0
      place = DamagedBytes(path: path(position.file), range: start..<max(start, position.offset), fault: .missingFile)
    }
    note(range, place)
  }

  private mutating func note(_ range: Range<Offset>, _ places: [DamagedBytes]) {
    for place in places { note(range, place) }
  }

  private mutating func note(_ range: Range<Offset>, _ bytes: DamagedBytes) {
    damage.append(
      DamagedRange(
        from: range.lowerBound, to: range.upperBound, path: bytes.path, byteFrom: bytes.range.lowerBound,
        byteTo: bytes.range.upperBound, mismatch: bytes.mismatch))
  }
}

/// Places at which bytes stood that were no record. Each is a candidate for each missing message, so all of them are
/// reported, up to a limit: then the last one grows.
private struct Suspects {
  private static let most = 64

  private(set) var places: [DamagedBytes] = []
  var isEmpty: Bool { places.isEmpty }

  mutating func add(_ bytes: DamagedBytes) {
    if let last = places.last, last.path == bytes.path,
      places.count >= Self.most || last.range.upperBound >= bytes.range.lowerBound
    {
      let start = min(last.range.lowerBound, bytes.range.lowerBound)
      places[places.count - 1] = DamagedBytes(
        path: last.path, range: start..<max(last.range.upperBound, bytes.range.upperBound), fault: last.fault)
    } else if places.count < 2 * Self.most {
      places.append(bytes)
    }
  }

  mutating func removeAll() { places.removeAll(keepingCapacity: true) }
}
