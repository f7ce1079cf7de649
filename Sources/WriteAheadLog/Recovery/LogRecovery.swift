import LogModel
import Storage

/// Recovery of one log: scan, decide, repair.
///
/// The scan changes nothing. It reads each segment once and lists the *gaps*: places where offsets are missing. The
/// decision is `RecoveryDecision`'s, once all testimony is in. The repair removes what was never acknowledged, the
/// newest file first, and syncs before anything is served, so that what a consumer has seen once cannot vanish in the
/// next crash. A crash at any operation of the repair leaves a log with the same contents, hence the same end.
///
/// One file is open at a time, whatever the number of segments.
///
/// A sector that cannot be read is tried again, and then counts as damaged. But a read error says what the device can
/// do now, not what is on the medium: the sector, or a cable, may be well again tomorrow. So nothing is destroyed on
/// its word, under either policy: a segment is not cut where the cut would take unreadable bytes with it, and a file
/// that holds some is set aside, never removed. The log ends before them all the same: nothing is appended to a segment
/// that was found, and the next one's base offset voids whatever stands behind the end. (A copy set aside of what is
/// cut, as for other damage, would keep everything but the bytes that matter; refusing to open would close all
/// partitions for one sector.) A file whose head cannot be read, with something behind it that cannot either or means
/// nothing, is the exception, and so is a segment of which nothing but the head can, where the log would end in it:
/// nothing is known of what was promised there, and recovery refuses. Where nothing but zeros stands behind such a head
/// nothing was ever promised: a power cut has come into its creation, and the file is set aside.
struct LogRecovery {
  let storage: any Storage
  let directory: String
  let source: TopicPartition
  let configuration: LogConfiguration
  let parts: LogParts
  let hints: RecoveryHints
  /// Each writer has an epoch above every one on the medium: `hints.epoch` is below it by one.
  let isFenced: Bool
  /// Told the end of what is proven before anything of it is cut, so that a recovery which finishes the cut can report
  /// it too: what is cut last is the last that testifies.
  let beforeCut: BeforeCut?
  var report: RecoveryReport

  struct Scanned {
    var segment: Segment
    var size: Int64
    /// The last segment's remainder after `dataEnd` holds something other than zeroes.
    var hasGarbage = false
    /// A valid batch stands in it whose offsets are the next segment's. A fenced writer has sent it late, or the device
    /// could not read it when the next segment was begun.
    var hasLeftover = false
    /// What of it could not be read.
    var unreadable: [Range<Int64>] = []
    /// Of the first batch behind the last valid one whose checksum is wrong.
    var mismatch: ChecksumMismatch?
    /// Where the copy of its head stands that is damaged; nil where both are sound.
    var damagedCopy: Int?

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
    /// Index of the segment in which the gap begins, and where; the log is cut there if it is cut. -1: before the
    /// first.
    var segment: Int
    var position: Int64
    /// What is damaged: the rest of that segment up to the next valid batch, or a whole file.
    var path: String
    var bytes: Range<Int64>
    var finding: Finding
    /// Of the first batch in it whose checksum is wrong.
    var mismatch: ChecksumMismatch?
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
  /// The last segment had never been synced, and is durable now.
  var hasAdoptedLast = false
  var expected: Offset
  var logStart: Offset = 0
  var durable: Offset = 0
  var written: Offset = 0
  var epoch: Epoch
  var batches = 0
  var window: IOBuffer

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
    await repairHeads()
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
      segments: scanned.map(\.segment), unreadableBase: headless.map(\.base).max(),
      unreadable: report.unreadable, hasAdoptedLast: hasAdoptedLast)
  }
}
