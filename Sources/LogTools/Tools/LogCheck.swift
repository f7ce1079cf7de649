import Glibc
import LogModel
import RecordLogs

/// A check of one log: every entry of every file, and what should stand between them.
///
/// | found | verdict |
/// |---|---|
/// | damaged bytes, missing offsets, offsets twice, epochs out of order, a missing file | damaged |
/// | bytes that the device cannot read, a file that changes underneath, a search that was given up | unknown |
/// | a torn tail, remains of a failed write, a void segment | sound |
///
/// Memory does not grow with the log: findings are counted, and the first `most` of them kept.
public struct LogCheck {
  /// Findings that are kept.
  public static let most = 1000

  public private(set) var log: LogFiles
  public private(set) var system: LogSystem?
  public private(set) var findings: [LogFinding] = []
  public private(set) var findingCount = 0
  public private(set) var verdict = LogVerdict.sound
  public private(set) var files = 0
  public private(set) var bytes: Int64 = 0
  public private(set) var entries = 0
  public private(set) var messages = 0
  public private(set) var damagedEntries = 0
  public private(set) var damagedBytes: Int64 = 0
  /// Of the first message and behind the last one.
  public private(set) var offsets: Range<Int64>?

  private let acceptsGaps: Bool
  private let glances: Bool
  /// The offset that comes next; nil before the first.
  private var due: Int64?
  private var lastEpoch: UInt64 = 0
  private var gaps: [Range<Int64>] = []
  /// Index in `findings` of damage behind which no entry has come yet.
  private var open: Int?
  private var ordinal: Int64 = 0

  /// Called now and then with the bytes that have been read of this log.
  public typealias Progress = (Int64) -> Void

  /// - Parameters:
  ///   - format: nil to have each log tell.
  ///   - acceptsGaps: missing offsets are no damage: of a log that has been repaired or compacted.
  ///   - glances: sound entries are taken at a glance. The report is the same without, and takes longer: tests compare.
  /// - Throws: what keeps a file from being read at all.
  public init(
    _ log: LogFiles, format: LogSystem? = nil, acceptsGaps: Bool = false, glances: Bool = true,
    progress: Progress = { _ in }
  ) throws(LogToolError) {
    self.log = log
    self.acceptsGaps = acceptsGaps
    self.glances = glances
    let order = try SegmentOrder(log.paths)
    var last: String?
    for path in log.paths {
      noteMissingFile(last, path)
      last = path
      if let text = order.void[path] {
        add(LogFinding(.void, path, 0..<0, text))
        continue
      }
      // A log that was just begun, or truncated when all was uploaded: there is nothing to be wrong.
      if format == nil, isEmpty(path) {
        files += 1
        continue
      }
      let file = try LogFile(path, format: format)
      if let system, system != file.system {
        throw .refused(
          path: path, why: "is \(file.system.rawValue), and the files before it are \(system.rawValue); name one file")
      }
      system = file.system
      try check(file, bound: order.bound[path], isLast: path == log.paths.last, progress)
      files += 1
      bytes += file.reader.size
    }
    settleRemains()
  }

  /// As `init`, but that a log which is not sound, and was written to just now, is checked again: a writer with several
  /// writes under way may have finished a later one first.
  public static func settled(
    _ log: LogFiles, format: LogSystem? = nil, acceptsGaps: Bool = false, progress: Progress = { _ in }
  ) throws(LogToolError) -> LogCheck {
    for _ in 1..<attempts {
      let check = try LogCheck(log, format: format, acceptsGaps: acceptsGaps, progress: progress)
      if check.isSound || !log.paths.contains(where: wasJustWritten) { return check }
      usleep(300_000)
    }
    return try LogCheck(log, format: format, acceptsGaps: acceptsGaps, progress: progress)
  }

  private static let attempts = 3

  private static func wasJustWritten(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && time(nil) - status.st_mtim.tv_sec < 3
  }

  private func isEmpty(_ path: String) -> Bool {
    guard let file = try? FileBytes(path) else { return false }
    return (try? file.currentSize()) == 0
  }

  public var isSound: Bool { verdict == .sound }

  private mutating func add(_ finding: LogFinding) {
    findingCount += 1
    if findings.count < Self.most { findings.append(finding) }
    if finding.kind == .gap, acceptsGaps { return }
    verdict = max(verdict, finding.kind.verdict)
  }

  // MARK: A file

  private mutating func check(
    _ file: LogFile, bound: Int64?, isLast: Bool, _ progress: Progress
  ) throws(LogToolError) {
    let reader = file.reader
    reader.ordinal = ordinal
    noteHead(file)
    var number = 0
    var sinceProgress = 0
    var grew = 0
    while true {
      if glances {
        let run = reader.skim(SkimBounds(due: due, epoch: lastEpoch, end: bound ?? .max))
        take(run)
        number += run.entries
        sinceProgress += run.entries
      }
      sinceProgress += 1
      if sinceProgress >= 4096 {
        sinceProgress = 0
        progress(bytes + reader.position)
      }
      switch try reader.next() {
      case .entry(let entry):
        take(entry, file, bound: bound)
        number += 1
      case .damage(let damage):
        note(damage, file, number)
        number += 1
      case .remains(let range, let flip):
        add(LogFinding(.remains, file.path, range, damage: LogDamage(range, .wrongMagic(0), flip: flip), remainsText))
      case .end(let tail):
        // Somebody may be writing: what was half there may be whole now.
        if isLast, file.compression == .none, grew < 16, tail.kind != .nothing, try grows(file) {
          grew += 1
          try reader.resume(at: tail.damage.range.lowerBound)
          continue
        }
        note(tail, file, number, isLast: isLast)
        noteReading(file)
        ordinal = reader.ordinal
        return
      }
    }
  }

  private func grows(_ file: LogFile) throws(LogToolError) -> Bool {
    try file.source.currentSize() > file.reader.size
  }

  private var remainsText: String { "bytes that are neither a batch nor zeros; they carry nothing" }

  private mutating func noteHead(_ file: LogFile) {
    let head = file.reader.head
    for damage in head.damage {
      let isWhole = file.reader.size > 0
      guard isWhole else { continue }
      let what =
        file.system == .tornlog
        ? head.isUsable ? "one copy of the segment's head" : "the segment's head: no batch can be checked without it"
        : "the file's head"
      add(LogFinding(.damaged, file.path, damage.range, damage: damage, "\(what) is damaged"))
      damagedBytes += Int64(damage.range.count)
    }
    guard file.system == .tornlog, let segment = (file.reader.format as? SegmentFormat)?.head else { return }
    if let due {
      let first = segment.base - segment.passedOver
      if due < first { noteGap(due..<first, file, 0..<0) }
      self.due = max(due, segment.base)
    } else {
      due = segment.base
    }
  }

  private mutating func noteReading(_ file: LogFile) {
    for range in file.unreadable {
      add(LogFinding(.unreadable, file.path, range, "the device cannot read these bytes; copy the file to another one"))
    }
    if let size = file.reader.bytes.shrunkTo {
      add(
        LogFinding(.changed, file.path, size..<file.reader.size, "the file was cut while it was read; run this again"))
    }
  }

  private mutating func noteMissingFile(_ last: String?, _ path: String) {
    func number(_ path: String) -> Int? {
      LogFolder.place(of: LogFolder.split(path).name).map { Int($0.order) ?? 0 }
    }
    guard let last, let one = number(last), let other = number(path), other > one + 1 else { return }
    add(LogFinding(.missingFile, path, 0..<0, "a file between this one and \(last) is missing"))
  }

  // MARK: Entries

  private mutating func take(_ entry: LogEntry, _ file: LogFile, bound: Int64?) {
    entries += 1
    if let epoch = entry.epoch {
      if epoch < lastEpoch {
        add(
          LogFinding(
            .epoch, file.path, entry.range, offsets: entry.firstOffset.map { $0..<$0 + Int64(entry.count) },
            "epoch \(epoch) stands behind epoch \(lastEpoch): an older writer has gone on"))
      }
      lastEpoch = max(lastEpoch, epoch)
    }
    // A number of which no next one exists is none that a log could have reached.
    guard entry.count > 0, let first = entry.firstOffset, first >= 0, let next = entry.nextOffset, next > first else {
      open = nil
      return
    }
    if let bound, next > bound { return }
    messages += entry.count
    offsets = min(offsets?.lowerBound ?? first, first)..<max(offsets?.upperBound ?? next, next)
    if file.system != .replayBuffer, let due { compare(first..<next, with: due, entry, file) }
    open = nil
    due = max(due ?? next, next)
  }

  /// As `take` of each entry of a run would do.
  private mutating func take(_ run: SoundRun) {
    guard run.entries > 0 else { return }
    entries += run.entries
    messages += run.messages
    open = nil
    guard let found = run.offsets else { return }
    offsets = min(offsets?.lowerBound ?? .max, found.lowerBound)..<max(offsets?.upperBound ?? 0, found.upperBound)
    due = max(due ?? 0, found.upperBound)
  }

  private mutating func compare(_ found: Range<Int64>, with due: Int64, _ entry: LogEntry, _ file: LogFile) {
    if found.lowerBound > due {
      // A log of events goes on far above after each opening: the low 20 bits of the number are zero then.
      if file.system == .airunner, (found.lowerBound + 1) & 0xF_FFFF == 0 { return }
      noteGap(due..<found.lowerBound, file, entry.position..<entry.position)
    } else if found.lowerBound < due, file.system != .tornlog {
      add(
        LogFinding(
          .duplicate, file.path, entry.range, offsets: found.lowerBound..<min(found.upperBound, due),
          "these offsets stand before it already"))
    }
  }

  private mutating func noteGap(_ missing: Range<Int64>, _ file: LogFile, _ at: Range<Int64>) {
    if gaps.count < Self.most { gaps.append(missing) }
    if let open, shareOut(missing, from: open) { return }
    if let open, open < findings.count, findings[open].offsets == nil || findings[open].damage?.flip == nil {
      findings[open].offsets = missing
      return
    }
    if open != nil { return }
    add(LogFinding(.gap, file.path, at, offsets: missing, "these offsets are missing, and no bytes are damaged there"))
  }

  /// Gives each of several damaged entries beside each other the offsets that it cost, where what the entries say of
  /// themselves divides the missing ones without a rest.
  private mutating func shareOut(_ missing: Range<Int64>, from open: Int) -> Bool {
    let places = findings.indices.suffix(from: open).filter { findings[$0].kind == .damaged }
    let claims = places.compactMap { findings[$0].damage?.entry?.firstOffset }
    guard places.count > 1, claims.count == places.count, claims.first == missing.lowerBound,
      zip(claims, claims.dropFirst()).allSatisfy(<), claims[claims.count - 1] < missing.upperBound
    else { return false }
    for (place, (first, end)) in zip(places, zip(claims, claims.dropFirst() + [missing.upperBound])) {
      findings[place].offsets = first..<end
    }
    return true
  }

  // MARK: Damage

  private mutating func note(_ damage: LogDamage, _ file: LogFile, _ number: Int) {
    damagedEntries += 1
    damagedBytes += Int64(damage.range.count)
    // What is known for certain: the bit explains it, or the lengths do and only the sum is wrong.
    var offsets: Range<Int64>?
    if let entry = damage.entry, entry.count > 0, let first = entry.firstOffset, first >= 0,
      first <= Offset.largest.rawValue, entry.count <= 1 << 24, damage.flip != nil || file.system == .tornlog
    {
      offsets = first..<first + Int64(entry.count)
    }
    add(
      LogFinding(
        .damaged, file.path, damage.range, offsets: offsets, damage: damage, number: number, "\(damage.fault)"))
    if open == nil { open = findings.count - 1 }
  }

  private mutating func note(_ tail: LogReader.Tail, _ file: LogFile, _ number: Int, isLast: Bool) {
    let (damage, range) = (tail.damage, tail.damage.range)
    switch tail.kind {
    case .nothing: return
    case .blank where isLast || file.system == .tornlog: return
    case .torn where isLast:
      add(
        LogFinding(
          .tornTail, file.path, range, damage: damage, number: number,
          "\(damage.fault): a crash leaves this of an append that was not acknowledged, and so does a cut file"))
    case .torn where file.system == .tornlog:
      // The writer has gone on in a new segment. If something is missing, the gap says it.
      add(LogFinding(.remains, file.path, range, damage: damage, number: number, remainsText))
    case .blank, .torn, .damaged: note(damage, file, number)
    case .undecided:
      add(
        LogFinding(
          .undecided, file.path, range, damage: damage, number: number,
          "the search for the next record was given up: too many places look like one"))
    }
  }

  /// Damaged batches of our own format whose messages all stand elsewhere are the remains of failed writes.
  private mutating func settleRemains() {
    guard system == .tornlog, let due else { return }
    var isChanged = false
    for (index, finding) in findings.enumerated() where finding.kind == .damaged && finding.number != nil {
      guard let lost = finding.offsets, lost.upperBound <= due, !gaps.contains(where: { $0.overlaps(lost) }),
        finding.damage?.flip == nil
      else { continue }
      findings[index].kind = .remains
      findings[index].text = "a batch of a failed write, whose messages stand elsewhere: \(finding.text)"
      damagedEntries -= 1
      damagedBytes -= Int64(finding.bytes.count)
      isChanged = true
    }
    guard isChanged, findingCount == findings.count else { return }
    verdict = findings.reduce(.sound) { worst, finding in
      finding.kind == .gap && acceptsGaps ? worst : max(worst, finding.kind.verdict)
    }
  }
}

/// Which segments of a log of our own count, and up to which offset: `docs/formats.md`, "Which batches are the log".
struct SegmentOrder {
  /// Segments that do not count, and why.
  private(set) var void: [String: String] = [:]
  /// Where the next segment begins.
  private(set) var bound: [String: Int64] = [:]

  init(_ paths: [String]) throws(LogToolError) {
    var heads: [(path: String, head: SegmentFormat.Head)] = []
    for path in paths where LogFolder.isSegment(LogFolder.split(path).name) {
      var format = SegmentFormat()
      _ = format.begin(try ByteWindow(try FileBytes(path), limit: SegmentFormat.headSize))
      if let head = format.head { heads.append((path, head)) }
    }
    heads.sort { ($0.head.base, $0.head.epoch) < ($1.head.base, $1.head.epoch) }
    var newest = heads.max { $0.head.epoch < $1.head.epoch }
    // From the newest writer back: what begins behind the segment that it had read up to is void.
    for (path, head) in heads.sorted(by: { $0.head.epoch > $1.head.epoch }) {
      guard let newer = newest, head.epoch < newer.head.epoch else { continue }
      if let by = heads.first(where: {
        $0.head.epoch > head.epoch && $0.head.previous < head.base && void[$0.path] == nil
      }) {
        void[path] = "a newer writer (epoch \(by.head.epoch)) has passed it over"
      }
      newest = newer
    }
    let counting = heads.filter { void[$0.path] == nil }
    for (one, next) in zip(counting, counting.dropFirst()) { bound[one.path] = next.head.base }
  }
}
