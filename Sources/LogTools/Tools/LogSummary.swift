import LogModel
import RecordLogs

/// What a file of a log holds, counted.
public struct LogSummary: Hashable, Sendable {
  public var path: String
  public var system: LogSystem
  public var compression: Compression
  /// Of the file as it lies there, and of what it holds.
  public var packedBytes: Int64
  public var bytes: Int64
  /// Seconds since 1970.
  public var modified: Int64
  public var entries = 0
  public var messages = 0
  public var damaged = 0
  public var damagedBytes: Int64 = 0
  /// What stands behind the last entry.
  public var tailBytes: Int64 = 0
  public var tail = LogReader.Tail.Kind.nothing
  public var offsets: Range<Int64>?
  /// Milliseconds since 1970, of the oldest and of the newest entry.
  public var times: ClosedRange<Int64>?
  public var epochs: ClosedRange<UInt64>?
  public var keyBytes: Int64 = 0
  public var valueBytes: Int64 = 0
  /// airunner: events by what became of them last.
  public var pending: Int?
  /// Replay buffer: transactions that were begun, and those that have come to an end.
  public var operations: [ReplayCodec.Operation: Int] = [:]

  /// Reads the whole file.
  public init(_ file: LogFile, ordinal: inout Int64) throws(LogToolError) {
    (path, system, compression) = (file.path, file.system, file.compression)
    (packedBytes, modified) = (file.packedSize, file.modified)
    file.reader.ordinal = ordinal
    damaged = file.reader.head.damage.count { !$0.range.isEmpty }
    var unsent = UnsettledEvents()
    bytes = 0
    reading: while true {
      switch try file.reader.next() {
      case .entry(let entry): count(entry, &unsent)
      case .damage(let damage):
        damaged += 1
        damagedBytes += Int64(damage.range.count)
      case .remains: continue
      case .end(let end):
        (tail, tailBytes) = (end.kind, Int64(end.damage.range.count))
        break reading
      }
    }
    bytes = file.reader.size
    ordinal = file.reader.ordinal
    if system == .airunner { pending = unsent.count }
  }

  private mutating func count(_ entry: LogEntry, _ unsent: inout UnsettledEvents) {
    entries += 1
    messages += entry.count
    keyBytes += entry.keySize
    valueBytes += entry.valueSize
    if entry.count > 0, let first = entry.firstOffset, let next = entry.nextOffset, first < next {
      offsets = min(first, offsets?.lowerBound ?? first)..<max(next, offsets?.upperBound ?? next)
    }
    if let time = entry.timestamp {
      times = min(time, times?.lowerBound ?? time)...max(time, times?.upperBound ?? time)
    }
    if let epoch = entry.epoch {
      epochs = min(epoch, epochs?.lowerBound ?? epoch)...max(epoch, epochs?.upperBound ?? epoch)
    }
    switch entry.note {
    case .none: break
    case .status(let status):
      unsent.note(entry.firstOffset ?? -1, status)
    case .operation(let operation): operations[operation, default: 0] += 1
    }
  }
}

/// Events of a job's log that were neither sent nor refused for good. A number counts once: an event whose number an
/// earlier one has is none.
struct UnsettledEvents {
  /// What memory is for: the numbers of a log follow each other, and take next to none.
  private static let mostRanges = 200_000

  private var seen = SequenceRanges()
  private var unsettled = SequenceRanges()
  /// The numbers are too scattered to be counted.
  private(set) var isLost = false

  /// Nil where it cannot be told.
  var count: Int? { isLost ? nil : unsettled.count }

  /// Nil where it cannot be told.
  var ranges: SequenceRanges? { isLost ? nil : unsettled }

  func contains(_ offset: Int64) -> Bool { unsettled.contains(offset) }

  /// Whether the event itself was there, settled or not.
  func hasSeen(_ offset: Int64) -> Bool { seen.contains(offset) }

  mutating func note(_ offset: Int64, _ status: AirunnerCodec.Status) {
    guard offset >= 0, offset < Int64(1) << 62, !isLost else { return }
    switch status {
    case .pending: if seen.insert(offset) { unsettled.insert(offset) }
    case .sent, .failed: unsettled.remove(offset)
    }
    isLost = seen.ranges.count + unsettled.ranges.count > Self.mostRanges
  }
}
