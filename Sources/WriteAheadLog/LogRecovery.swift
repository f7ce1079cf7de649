import LogModel
import Storage

/// What the recovery of one partition's log came to.
public struct RecoveryReport: Hashable, Sendable, Codable {
  public var source: TopicPartition
  public var batches = 0
  /// Damaged or missing places that were skipped or cut; torn tails are not among them.
  public var batchesSkipped = 0
  public var bytesScanned = 0
  /// Acknowledged messages that are damaged.
  public var damage: [DamagedRange] = []
  /// Bytes of unacknowledged batches that were cut from the end.
  public var tornBytes: Int64 = 0
  /// Files that were set aside with what could not be served.
  public var quarantined: [String] = []

  public init(source: TopicPartition) { self.source = source }
}

struct RecoveredLog {
  var epoch: Epoch
  var summary: ScanSummary
  var durableOffset: Offset
  var damage: [DamagedRange]
  var segments: [Segment]
}

/// What else is known of a log that is opened.
public struct RecoveryHints: Hashable, Sendable {
  /// The first offset that the log must still hold; nil where only the log itself knows: its first segment's.
  public var logStartOffset: Offset? = 0
  /// The log end offset that a clean shutdown has made durable.
  public var cleanEnd: Offset?
  /// The highest epoch that is known to have been given out.
  public var epoch = Epoch(0)

  public init(logStartOffset: Offset? = 0, cleanEnd: Offset? = nil, epoch: Epoch = Epoch(0)) {
    self.logStartOffset = logStartOffset
    self.cleanEnd = cleanEnd
    self.epoch = epoch
  }
}

/// Recovery of one log: scan, decide, repair.
///
/// The scan changes nothing. It reads each segment once and lists the *gaps*: places where offsets are missing. The
/// decision is `RecoveryCase`'s, once all testimony is in. The repair removes what was never acknowledged, the newest
/// file first, and syncs before anything is served, so that what a consumer has seen once cannot vanish in the next
/// crash. A crash at any operation of the repair leaves a log with the same testimony, hence the same decisions.
struct LogRecovery {
  let storage: any Storage
  let directory: String
  let source: TopicPartition
  let configuration: LogConfiguration
  let parts: LogParts
  let hints: RecoveryHints
  var report: RecoveryReport

  private struct Scanned {
    var segment: Segment
    var size: Int64
    /// The last segment's remainder after `dataEnd` holds something other than zeroes.
    var hasGarbage = false
  }

  private struct Gap {
    var from: Offset
    var to: Offset
    /// Index of the segment in which the gap begins, and where; the log is cut there if it is cut.
    var segment: Int
    var position: Int64
    /// Where the next valid batch stands, in the same segment or a later one.
    var path: String
    var end: Int64
    var finding: Finding
  }

  private var scanned: [Scanned] = []
  private var gaps: [Gap] = []
  private var expected: Offset
  private var logStart: Offset = 0
  private var durable: Offset = 0
  private var written: Offset = 0
  private var epoch: Epoch
  private var batches = 0

  init(
    storage: any Storage, directory: String, source: TopicPartition, configuration: LogConfiguration,
    parts: LogParts, hints: RecoveryHints
  ) {
    self.storage = storage
    self.directory = directory
    self.source = source
    self.configuration = configuration
    self.parts = parts
    self.hints = hints
    report = RecoveryReport(source: source)
    expected = hints.logStartOffset ?? 0
    epoch = hints.epoch
  }

  mutating func run() async throws(StorageError) -> RecoveredLog {
    do throws(StorageError) {
      try await scan()
      let end = try await decideAndRepair()
      try await prepareForAppend()
      report.batches = batches
      var summary = ScanSummary(logStartOffset: logStart, logEndOffset: end)
      summary.batches = batches
      summary.bytes = report.bytesScanned
      return RecoveredLog(
        epoch: Epoch(epoch.rawValue + 1), summary: summary,
        durableOffset: configuration.syncPolicy == .never ? min(durable, end) : end, damage: report.damage,
        segments: scanned.map(\.segment))
    } catch {
      for entry in scanned {
        await storage.close(entry.segment.reader)
        if let writer = entry.segment.writer { await storage.close(writer) }
      }
      throw error
    }
  }

  // MARK: Scan

  private mutating func scan() async throws(StorageError) {
    let names = try await storage.list(directory).filter { !$0.isDirectory }.map(\.name)
    let bases = names.compactMap { SegmentHeader.baseOffset(fileName: $0) }.sorted()
    var window = storage.makeBuffer(capacity: SegmentScanner.windowSize)
    var heads: [(base: Offset, path: String, header: SegmentHeader?, file: FileID, size: Int64)] = []
    for base in bases {
      let path = directory + "/" + SegmentHeader.fileName(base: base)
      let file = try await storage.open(path, [])
      let size = try await storage.size(of: file)
      let got = try await storage.readRetrying(file, at: 0, into: window, 0..<SegmentHeader.size)
      let header = SegmentHeader.copyPositions.lazy.compactMap {
        SegmentHeader(copyAt: $0, of: window[0..<got])
      }.first { $0.baseOffset == base && $0.source == source }
      heads.append((base, path, header, file, size))
    }
    if hints.logStartOffset == nil { expected = heads.first { $0.header != nil }?.base ?? 0 }
    logStart = expected
    for (index, head) in heads.enumerated() {
      guard let header = head.header else {
        await storage.close(head.file)
        try await setAsideHeadless(head.path, size: head.size)
        continue
      }
      epoch = max(epoch, header.epoch)
      durable = max(durable, header.durableOffset)
      if header.baseOffset > expected { noteGap(to: header.baseOffset, path: head.path, end: 0) }
      // Offsets from the next segment's base on are that segment's: what stands here is a leftover.
      let limit = heads[(index + 1)...].first { $0.header != nil }?.base
      try await scan(head.path, head.file, header, size: head.size, limit: limit, window: &window)
    }
  }

  private mutating func scan(
    _ path: String, _ file: FileID, _ header: SegmentHeader, size: Int64, limit: Offset?, window: inout IOBuffer
  ) async throws(StorageError) {
    let start = Int64(SegmentHeader.size)
    let segment = Segment(
      header: header, path: path, reader: file, writer: nil, dataEnd: start, nextOffset: max(expected, header.baseOffset))
    expected = max(expected, header.baseOffset)
    var entry = Scanned(segment: segment, size: size)
    scanned.append(entry)
    var scanner = SegmentScanner(
      storage: storage, file: file, size: size, salt: header.salt, parts: parts, window: window)
    var at = start
    reading: while true {
      switch try await scanner.next(from: at) {
      case .end(let blank):
        entry.hasGarbage = !blank
        break reading
      case .batch(let batch):
        at = parts.stepper.position(after: batch)
        if batch.baseOffset < expected { continue }
        if let limit, batch.nextOffset > limit { continue }
        if batch.baseOffset > expected { noteGap(to: batch.baseOffset, path: path, end: batch.position) }
        epoch = max(epoch, batch.epoch)
        durable = max(durable, batch.durableOffset)
        if batch.bootID == storage.properties.bootID { written = max(written, batch.commitBase) }
        segment.index.note(batchAt: batch.position, baseOffset: batch.baseOffset)
        segment.dataEnd = batch.position + Int64(batch.length)
        expected = batch.nextOffset
        segment.nextOffset = expected
        batches += 1
      }
    }
    report.bytesScanned += scanner.bytesRead
    window = scanner.window
    scanned[scanned.count - 1] = entry
  }

  private mutating func noteGap(to end: Offset, path: String, end position: Int64) {
    let index = scanned.count - 1
    gaps.append(
      Gap(
        from: expected, to: end, segment: index, position: index < 0 ? 0 : scanned[index].segment.dataEnd, path: path,
        end: position, finding: .gap))
  }

  /// A file with the name of a segment and no valid head: a creation that a crash cut short, or damage.
  private mutating func setAsideHeadless(_ path: String, size: Int64) async throws(StorageError) {
    if size > SegmentHeader.size {
      let quarantine = path + ".damaged"
      try await storage.rename(path, to: quarantine)
      report.quarantined.append(quarantine)
    } else {
      try await storage.unlink(path)
    }
  }

  // MARK: Decide and repair

  /// - Returns: the log end offset.
  private mutating func decideAndRepair() async throws(StorageError) -> Offset {
    var end = expected
    for gap in gaps {
      switch RecoveryCase.action(for: gap.finding, testimony(at: gap.from), configuration.recoveryPolicy) {
      case .skipAndReport:
        reportDamage(from: gap.from, to: gap.to, gap)
      case .truncateAndReport:
        reportDamage(from: gap.from, to: max(end, hints.cleanEnd ?? 0), gap)
        try await quarantine(from: gap)
        try await cut(at: gap)
        return gap.from
      case .cutTail:
        try await cut(at: gap)
        return gap.from
      case .accept, .ignore, .end:
        preconditionFailure("a gap is neither accepted nor an end")
      }
    }
    let finding: Finding = scanned.last?.hasGarbage == true ? .garbageEnd : .blankEnd
    switch RecoveryCase.action(for: finding, testimony(at: end), configuration.recoveryPolicy) {
    case .skipAndReport, .truncateAndReport:
      let last = scanned.last
      let proven = max(durable, hints.cleanEnd ?? 0, written)
      report.damage.append(
        DamagedRange(
          from: end, to: proven, path: last?.segment.path ?? directory, byteFrom: last?.segment.dataEnd ?? 0,
          byteTo: last?.size ?? 0))
      report.batchesSkipped += 1
      end = proven
      if let last, last.hasGarbage { report.quarantined.append(contentsOf: try await copyAside(last.segment.path)) }
    case .cutTail:
      if let last = scanned.last { report.tornBytes += last.size - last.segment.dataEnd }
    case .end, .accept, .ignore: break
    }
    return end
  }

  private func testimony(at offset: Offset) -> Testimony {
    max(durable, written, hints.cleanEnd ?? 0) > offset ? .durable : .none
  }

  private mutating func reportDamage(from: Offset, to: Offset, _ gap: Gap) {
    report.batchesSkipped += 1
    let sameFile = gap.segment >= 0 && scanned[gap.segment].segment.path == gap.path
    report.damage.append(
      DamagedRange(
        from: from, to: to, path: gap.segment < 0 ? gap.path : scanned[gap.segment].segment.path,
        byteFrom: gap.position, byteTo: sameFile ? gap.end : gap.segment < 0 ? 0 : scanned[gap.segment].size))
  }

  /// Removes everything from the gap on, the newest file first.
  private mutating func cut(at gap: Gap) async throws(StorageError) {
    while scanned.count > gap.segment + 1 {
      let entry = scanned.removeLast()
      report.tornBytes += entry.size
      await storage.close(entry.segment.reader)
      try await storage.unlink(entry.segment.path)
    }
    if configuration.syncPolicy != .never { try await storage.syncDirectory(directory) }
    guard let last = scanned.indices.last else { return }
    let segment = scanned[last].segment
    segment.dataEnd = gap.position
    segment.nextOffset = gap.from
    segment.index.truncate(at: gap.position)
    scanned[last].hasGarbage = true
  }

  /// Copies what `truncate-at-corruption` is about to cut.
  private mutating func quarantine(from gap: Gap) async throws(StorageError) {
    for entry in scanned[max(0, gap.segment)...] {
      report.quarantined.append(contentsOf: try await copyAside(entry.segment.path))
    }
  }

  /// Copies a file to `NAME.damaged`, unless an earlier recovery already has.
  private func copyAside(_ path: String) async throws(StorageError) -> [String] {
    let target = path + ".damaged"
    let temporary = target + ".partial"
    let source = try await storage.open(path, [])
    let size = try await storage.size(of: source)
    let copy = try await storage.open(temporary, [.write, .create])
    let buffer = storage.makeBuffer(capacity: 256 << 10)
    var at: Int64 = 0
    do throws(StorageError) {
      while at < size {
        let got = try await storage.readRetrying(source, at: at, into: buffer, 0..<Int(min(Int64(buffer.capacity), size - at)))
        if got == 0 { break }
        let written = try await storage.write(copy, at: at, from: buffer, 0..<got, .volatile)
        if written == 0 { throw StorageError(errno: 28, .write, temporary, offset: at) }
        at += Int64(written)
      }
      try await storage.sync(copy, .all)
      await storage.close(source)
      await storage.close(copy)
    } catch {
      await storage.close(source)
      await storage.close(copy)
      throw error
    }
    try await storage.rename(temporary, to: target)
    try await storage.syncDirectory(directory)
    return [target]
  }

  /// Opens the last segment for append, with everything after its data gone and everything in it durable.
  ///
  /// The cut is made even where only zeroes follow: a direct write of the process before may still be in flight, and
  /// `man 2 ftruncate` on the file waits for it (`inode_dio_wait`), so that it cannot land on what is appended next.
  private mutating func prepareForAppend() async throws(StorageError) {
    guard let last = scanned.last else { return }
    let segment = last.segment
    let synchronous = configuration.syncPolicy == .always
    let writer = try await storage.open(segment.path, synchronous ? [.write, .direct] : [.write])
    segment.writer = writer
    let block = Int64(storage.properties.blockSize)
    let aligned = (segment.dataEnd + block - 1) / block * block
    let end = configuration.syncPolicy == .never ? segment.dataEnd : aligned
    if last.size != end { try await storage.truncate(writer, to: end) }
    if configuration.syncPolicy != .never { try await storage.sync(writer, .all) }
    segment.writePosition = end
    segment.zeroedEnd = end
  }
}

extension PartitionLog {
  /// Opens the log of `source` in `directory`, creating the directory where there is none, and recovers it.
  /// - Throws: `StorageError` where the device fails; damaged contents are no error but stand in the report.
  public static func open(
    _ source: TopicPartition, in directory: String, of storage: any Storage, _ configuration: LogConfiguration,
    parts: LogParts = LogParts(), hints: RecoveryHints = RecoveryHints()
  ) async throws(StorageError) -> (log: PartitionLog, report: RecoveryReport) {
    var recovery = LogRecovery(
      storage: storage, directory: directory, source: source, configuration: configuration, parts: parts, hints: hints)
    let recovered = try await recovery.run()
    let log = PartitionLog(
      source: source, directory: directory, configuration: configuration, storage: storage, parts: parts,
      recovered: recovered)
    if parts.handover.requeuesRecoveredBatches { try await log.requeueActiveSegment() }
    log.start()
    return (log, recovery.report)
  }

  private func requeueActiveSegment() async throws(StorageError) {
    guard let segment = segments.last else { return }
    let response = FetchResponse()
    do throws(LogError) {
      try await readLog(
        from: segment.baseOffset, below: logEndOffset, maxBytes: configuration.commitBytes, batchLimit: nil, into: response)
    } catch {
      if case .storage(let failure) = error { throw failure }
      return  // damaged: nothing to hand over
    }
    for index in response.batches.indices { requeue(response.batches[index].header, response.bytes(of: index)) }
  }
}
