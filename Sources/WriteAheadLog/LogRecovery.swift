import Glibc
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
  /// What the device could not read. Batches in it are lost for as long as it cannot, and stand in `damage` where anything
  /// testifies that they were acknowledged; nothing is cut that lies behind it.
  public var unreadable: [UnreadableBytes] = []

  public init(source: TopicPartition) { self.source = source }
}

/// Bytes of a segment file that the device could not read, `from ..< to`.
public struct UnreadableBytes: Hashable, Sendable, Codable {
  /// Relative to the storage's root.
  public var path: String
  public var from: Int64
  public var to: Int64
}

/// Makes durable that everything before the offset had been acknowledged.
public typealias BeforeCut = @Sendable (_ provenEnd: Offset) async throws(StorageError) -> Void

/// A segment as somebody else remembers it. With it recovery knows of a file that is gone, or has lost its head, what its
/// head and its first batches would have said.
public struct SegmentRecord: Hashable, Sendable {
  public var baseOffset: Offset
  public var epoch: Epoch
  /// Base offset of the segment before it; -1 for none.
  public var previousBase: Offset
  /// The messages before it were durable.
  public var end: Offset

  public init(baseOffset: Offset, epoch: Epoch, previousBase: Offset, end: Offset) {
    (self.baseOffset, self.epoch, self.previousBase, self.end) = (baseOffset, epoch, previousBase, end)
  }
}

/// Makes durable, away from the log, that a segment has begun.
public typealias SegmentWitness = @Sendable (SegmentRecord) async throws(StorageError) -> Void

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
  /// The newest segment that a `SegmentWitness` has been told of.
  public var newest: SegmentRecord?

  public init(
    logStartOffset: Offset? = 0, cleanEnd: Offset? = nil, epoch: Epoch = Epoch(0), newest: SegmentRecord? = nil
  ) {
    self.logStartOffset = logStartOffset
    self.cleanEnd = cleanEnd
    self.epoch = epoch
    self.newest = newest
  }

  /// Everything before it had been durable.
  var provenEnd: Offset { max(cleanEnd ?? 0, newest?.end ?? 0) }
}

/// Recovery of one log: scan, decide, repair.
///
/// The scan changes nothing. It reads each segment once and lists the *gaps*: places where offsets are missing. The
/// decision is `RecoveryCase`'s, once all testimony is in. The repair removes what was never acknowledged, the newest
/// file first, and syncs before anything is served, so that what a consumer has seen once cannot vanish in the next
/// crash. A crash at any operation of the repair leaves a log with the same contents, hence the same end.
///
/// One file is open at a time, whatever the number of segments.
///
/// A sector that cannot be read is tried again, and then counts as damaged. But a read error says what the device can do
/// now, not what is on the medium: the sector, or a cable, may be well again tomorrow. So nothing is destroyed on its word,
/// under either policy: a segment is not cut where the cut would take unreadable bytes with it, and a file that holds some
/// is set aside, never removed. The log ends before them all the same: nothing is appended to a segment that was found,
/// and the next one's base offset voids whatever stands behind the end. (A copy set aside of what is cut, as for other
/// damage, would keep everything but the bytes that matter; refusing to open would close all partitions for one sector.)
/// A file whose head cannot be read, with nothing behind it that can, is the exception, and so is a segment of which nothing
/// but the head can, where the log would end in it: nothing is known of what was promised there, and recovery refuses.
struct LogRecovery {
  let storage: any Storage
  let directory: String
  let source: TopicPartition
  let configuration: LogConfiguration
  let parts: LogParts
  let hints: RecoveryHints
  /// Each writer has an epoch above every one on the medium: `hints.epoch` is below it by one.
  let isFenced: Bool
  /// Told the end of what is proven before anything of it is cut, so that a recovery which finishes the cut can report it
  /// too: what is cut last is the last that testifies.
  let beforeCut: BeforeCut?
  var report: RecoveryReport

  struct Scanned {
    var segment: Segment
    var size: Int64
    /// The last segment's remainder after `dataEnd` holds something other than zeroes.
    var hasGarbage = false
    /// What of it could not be read.
    var unreadable: [Range<Int64>] = []

    /// Whether a cut there would destroy what is not known.
    func isUnreadable(from position: Int64) -> Bool { unreadable.contains { $0.upperBound > position } }
  }

  /// A file with the name of a segment and no valid head.
  struct Headless {
    var base: Offset
    var path: String
    var size: Int64
    /// The offset after the last batch that seems to stand in it, by headers that nothing vouches for; `base` where
    /// there is none: then it is a creation that a crash cut short.
    var end: Offset
  }

  struct Gap {
    var from: Offset
    var to: Offset
    /// Index of the segment in which the gap begins, and where; the log is cut there if it is cut. -1: before the first.
    var segment: Int
    var position: Int64
    /// What is damaged: the rest of that segment up to the next valid batch, or a whole file.
    var path: String
    var bytes: Range<Int64>
    var finding: Finding
  }

  var scanned: [Scanned] = []
  var headless: [Headless] = []
  /// Files of older writers in the place of a newer one's.
  var superseded: [(path: String, size: Int64)] = []
  /// Segments of which a recovery before this one could not say whether its sync had written them, by path.
  var suspects: Set<String> = []
  /// Added to the name of such a segment in the name of its mark.
  static let suspectSuffix = ".unsynced"
  var gaps: [Gap] = []
  var expected: Offset
  var logStart: Offset = 0
  var durable: Offset = 0
  var written: Offset = 0
  var epoch: Epoch
  private var batches = 0
  private var window: IOBuffer

  init(
    storage: any Storage, directory: String, source: TopicPartition, configuration: LogConfiguration,
    parts: LogParts, hints: RecoveryHints, isFenced: Bool,
    beforeCut: BeforeCut?
  ) {
    self.storage = storage
    self.directory = directory
    self.source = source
    self.configuration = configuration
    self.parts = parts
    self.hints = hints
    self.isFenced = isFenced
    self.beforeCut = beforeCut
    report = RecoveryReport(source: source)
    expected = hints.logStartOffset ?? 0
    epoch = hints.epoch
    window = storage.makeBuffer(capacity: SegmentScanner.windowSize)
  }

  mutating func run() async throws(StorageError) -> RecoveredLog {
    try await scan()
    let end = try await decideAndRepair()
    try await settle()
    report.batches = batches
    var summary = ScanSummary(logStartOffset: logStart, logEndOffset: end)
    summary.batches = batches
    summary.bytes = report.bytesScanned
    return RecoveredLog(
      epoch: Epoch(epoch.rawValue + 1), summary: summary,
      durableOffset: configuration.syncPolicy == .never ? min(durable, end) : end,
      // What was cut is given again: it is in the report, and no fetch is refused for it.
      damage: report.damage.compactMap { range in
        guard range.from < end else { return nil }
        var kept = range
        kept.to = min(range.to, end)
        return kept
      },
      segments: scanned.map(\.segment))
  }

  // MARK: Scan

  private struct Head {
    var base: Offset
    var epoch: Epoch
    var path: String
    var header: SegmentHeader?
    var size: Int64
    /// For a file without a valid header; see `Headless`.
    var end: Offset
    var isSuperseded = false
    /// There is no such file any more: it is `RecoveryHints.newest`.
    var isMissing = false
  }

  private mutating func scan() async throws(StorageError) {
    let names = try await storage.list(directory).filter { !$0.isDirectory }.map(\.name)
    var heads: [Head] = []
    for name in names.sorted() {
      if name.hasSuffix(Self.suspectSuffix) { suspects.insert(directory + "/" + name.dropLast(Self.suspectSuffix.count)) }
      guard let (base, epoch) = SegmentHeader.identity(fileName: name) else { continue }
      // A newer writer has been here: what it does must not be undone.
      if isFenced, epoch > hints.epoch { throw StorageError(errno: ESTALE, .open, directory + "/" + name) }
      heads.append(try await readHead(base, epoch, directory + "/" + name))
    }
    recallNewest(&heads)
    removeSuperseded(&heads)
    if hints.logStartOffset == nil { expected = heads.first { $0.header != nil || $0.end > $0.base }?.base ?? 0 }
    logStart = expected
    for (index, head) in heads.enumerated() {
      // Offsets from the next segment's base on are that segment's: what stands here is a leftover.
      let limit = heads[(index + 1)...].first { $0.header != nil || $0.end > $0.base }?.base
      guard let header = head.header else {
        let end = limit ?? head.end
        if !head.isMissing { headless.append(Headless(base: head.base, path: head.path, size: head.size, end: end)) }
        if head.end > head.base, end > expected { noteLostHead(head, end: end) }
        continue
      }
      epoch = max(epoch, header.epoch)
      durable = max(durable, header.durableOffset)
      let end = header.baseOffset + -header.passedOver
      if end > expected { noteGap(to: end, .gap, in: nil) }
      try await scan(head, header, limit: limit)
    }
  }

  /// Puts the newest segment that is known of in its place where its file, or its head, is gone.
  private func recallNewest(_ heads: inout [Head]) {
    guard let newest = hints.newest else { return }
    if let index = heads.firstIndex(where: { $0.base == newest.baseOffset && $0.epoch == newest.epoch }) {
      if heads[index].header == nil { heads[index].end = max(heads[index].end, newest.end) }
      return
    }
    let path = directory + "/" + SegmentHeader.fileName(base: newest.baseOffset, epoch: newest.epoch)
    let head = Head(base: newest.baseOffset, epoch: newest.epoch, path: path, size: 0, end: newest.end, isMissing: true)
    heads.insert(head, at: heads.firstIndex { ($0.base, $0.epoch) > (head.base, head.epoch) } ?? heads.count)
  }

  /// A writer that takes over reads the segments that there are, and names the last of them in its own. Whatever older
  /// writers have put after that one was never acknowledged: they had been fenced before the segments were read.
  private mutating func removeSuperseded(_ heads: inout [Head]) {
    var claims = heads.compactMap { head in head.header.map { (epoch: head.epoch, previous: $0.previousBase) } }
    if let newest = hints.newest { claims.append((newest.epoch, newest.previousBase)) }
    for index in heads.indices {
      let head = heads[index]
      epoch = max(epoch, head.epoch)
      guard claims.contains(where: { $0.epoch > head.epoch && head.base > $0.previous }) else { continue }
      if !head.isMissing { superseded.append((head.path, head.size)) }
      heads[index].isSuperseded = true
    }
    heads.removeAll { $0.isSuperseded }
  }

  private mutating func readHead(
    _ base: Offset, _ epoch: Epoch, _ path: String
  ) async throws(StorageError) -> Head {
    var head = Head(base: base, epoch: epoch, path: path, size: 0, end: base)
    let file = try await storage.open(path, [])
    do throws(StorageError) {
      head.size = try await storage.size(of: file)
      var unreadable: [Range<Int64>] = []
      let got = try await storage.readAround(file, at: 0, into: window, 0..<SegmentHeader.size, .recovery, &unreadable)
      head.header = SegmentHeader.copyPositions.lazy.compactMap { [window] in
        SegmentHeader(copyAt: $0, of: window[0..<got])
      }.first { $0.baseOffset == base && $0.epoch == epoch && $0.source == source }
      if head.header == nil { head.end = try await estimateEnd(file, base, size: head.size, &unreadable) }
      let isKnown = head.header != nil || head.end > base
      for bytes in unreadable {
        guard isKnown || bytes.lowerBound >= SegmentHeader.size else {
          throw StorageError(errno: EIO, .read, path, offset: bytes.lowerBound)
        }
        report.unreadable.append(UnreadableBytes(path: path, from: bytes.lowerBound, to: bytes.upperBound))
      }
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
    return head
  }

  /// Without a head nothing in a segment can be checked: the salt is gone. Its batch headers, unverified, still say how
  /// far it went, as long as they follow one another.
  private mutating func estimateEnd(
    _ file: FileID, _ base: Offset, size: Int64, _ unreadable: inout [Range<Int64>]
  ) async throws(StorageError) -> Offset {
    var parts = parts
    parts.validator = UnsaltedValidator()
    var scanner = SegmentScanner(storage: storage, file: file, size: size, salt: 0, parts: parts, window: window)
    var end = base
    var at = Int64(SegmentHeader.size)
    while case .batch(let header) = try await scanner.next(from: at) {
      at = header.position + Int64(header.length)
      guard header.baseOffset == end else { continue }
      // Under `never` a power loss may take a head and leave what was written after it; in the same boot none was.
      if configuration.syncPolicy == .never && header.bootID != storage.properties.bootID { break }
      end = header.nextOffset
    }
    window = scanner.window
    unreadable += scanner.unreadable
    return end
  }

  private mutating func scan(_ head: Head, _ header: SegmentHeader, limit: Offset?) async throws(StorageError) {
    let start = Int64(SegmentHeader.size)
    expected = max(expected, header.baseOffset)
    let segment = Segment(header: header, path: head.path, writer: nil, dataEnd: start, nextOffset: expected)
    scanned.append(Scanned(segment: segment, size: head.size))
    let file = try await storage.open(head.path, [])
    var scanner = SegmentScanner(
      storage: storage, file: file, size: head.size, salt: header.salt, parts: parts, window: window)
    var at = start
    let bootID = storage.properties.bootID
    var isReadTwice = false
    do throws(StorageError) {
      reading: while true {
        let step = try await scanner.next(from: at)
        // Damage is not believed at once: the device, or the way from it, may have given other bytes than it holds.
        if !isReadTwice, step.isDamage(from: expected, to: limit), scanner.forget(from: at) {
          isReadTwice = true
          continue
        }
        isReadTwice = false
        switch step {
        case .end(let blank):
          scanned[scanned.count - 1].hasGarbage = !blank
          break reading
        case .batch(let batch):
          at = parts.stepper.position(after: batch)
          if batch.nextOffset <= expected { continue }
          // The log may start in the middle of a batch: its first records have been deleted.
          if batch.baseOffset < expected, expected != logStart || batches > 0 { continue }
          if let limit, batch.nextOffset > limit { continue }
          if batch.baseOffset > expected { noteGap(to: batch.baseOffset, .gap, in: batch.position) }
          epoch = max(epoch, batch.epoch)
          durable = max(durable, batch.durableOffset)
          if batch.bootID == bootID { written = max(written, batch.commitBase) }
          segment.index.note(batchAt: batch.position, baseOffset: batch.baseOffset)
          segment.dataEnd = batch.position + Int64(batch.length)
          expected = batch.nextOffset
          segment.nextOffset = expected
          batches += 1
        }
      }
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
    report.bytesScanned += scanner.bytesRead
    window = scanner.window
    scanned[scanned.count - 1].unreadable = scanner.unreadable
    report.unreadable += scanner.unreadable.map { UnreadableBytes(path: head.path, from: $0.lowerBound, to: $0.upperBound) }
  }

  /// - Parameter position: of the next valid batch, where that stands in the same segment.
  private mutating func noteGap(to end: Offset, _ finding: Finding, in position: Int64?) {
    let last = scanned.last
    let start = last?.segment.dataEnd ?? 0
    gaps.append(
      Gap(
        from: expected, to: end, segment: scanned.count - 1, position: start, path: last?.segment.path ?? directory,
        bytes: start..<max(start, position ?? last?.size ?? 0), finding: finding))
  }

  private mutating func noteLostHead(_ head: Head, end: Offset) {
    if head.base > expected {
      noteGap(to: head.base, .gap, in: nil)
      expected = head.base
    }
    noteGap(to: end, .lostHead, in: nil)
    gaps[gaps.count - 1].path = head.path
    gaps[gaps.count - 1].bytes = 0..<head.size
    expected = end
  }
}

extension SegmentScanner.Step {
  /// Whether it says that something is damaged at offset `expected`. What goes past `limit` is another segment's.
  fileprivate func isDamage(from expected: Offset, to limit: Offset?) -> Bool {
    switch self {
    case .batch(let batch): batch.baseOffset > expected && limit.map { batch.nextOffset <= $0 } ?? true
    case .end(let blank): !blank
    }
  }
}

/// Takes every batch whose header makes sense.
private struct UnsaltedValidator: BatchValidating {
  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    header.recordCount <= (header.length - BatchHeader.size) / RecordFormat.headerSize
  }
}

extension PartitionLog {
  /// Opens the log of `source` in `directory`, which is there, and recovers it.
  /// - Throws: `StorageError` where the device fails; damaged contents are no error but stand in the report.
  public static func open(
    _ source: TopicPartition, in directory: String, of storage: any Storage, _ configuration: LogConfiguration,
    parts: LogParts = LogParts(), hints: RecoveryHints = RecoveryHints(), fence: (any WriterFence)? = nil,
    beforeCut: BeforeCut? = nil, witness: SegmentWitness? = nil
  ) async throws(StorageError) -> (log: PartitionLog, report: RecoveryReport) {
    var recovery = LogRecovery(
      storage: storage, directory: directory, source: source, configuration: configuration, parts: parts, hints: hints,
      isFenced: fence.map { $0.epoch > Epoch(0) } ?? false, beforeCut: beforeCut)
    let recovered = try await recovery.run()
    let log = PartitionLog(
      source: source, directory: directory, configuration: configuration, storage: storage, parts: parts,
      fence: fence, witness: witness, recovered: recovered)
    try await log.resumeAppends()
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
