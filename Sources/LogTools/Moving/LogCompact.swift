import LogModel
import RecordLogs

/// A new file with what is still needed of a log.
///
/// | format | what goes |
/// |---|---|
/// | airunner | events that were sent or refused for good, and what says so of events in this file |
/// | replay buffer | transactions that begin in this file, and were committed or rolled back in it |
/// | Streamhouse, chronik version 1 | records whose key has a later one; those without a key stay |
///
/// Records stay as they are, byte for byte, so that those which carry offsets keep them.
public struct LogCompact {
  public private(set) var system: LogSystem = .tornlog
  public private(set) var kept = 0
  public private(set) var dropped = 0
  public private(set) var bytes: Int64 = 0
  public private(set) var size: Int64 = 0
  /// Records behind a dropped one have other offsets now.
  public private(set) var movesOffsets = false

  private var settled = UnsettledEvents()
  /// Transactions that begin in this file, and those that end in it. An end whose beginning stands in an earlier file
  /// stays: without it that one would be replayed.
  private var begun = SequenceRanges()
  private var ended = SequenceRanges()
  /// Of a key, 128 bits of SipHash under a key of this process: no two of four million keys have the same but by a
  /// chance of 2^-85.
  private struct KeyHash: Hashable {
    var one: Int
    var other: Int
  }

  /// The last place of each key.
  private var last: [KeyHash: Int64] = [:]
  /// Memory is for so many keys.
  private static let mostKeys = 4 << 20

  /// - Throws: `refused` for formats of batches, and for a damaged log: repair it first.
  public init(
    _ path: String, into output: String, format: LogSystem? = nil, isForced: Bool = false
  ) throws(LogToolError) {
    try Folders.requireDifferent(path, output)
    guard let log = try LogFolder(path).logs.first, log.paths == [path] else {
      throw .refused(path: path, why: "is a folder; compact its files one by one")
    }
    let lock = try LogLock.take(log, isForced: isForced)
    defer { withExtendedLifetime(lock) {} }
    let check = try LogCheck(log, format: format, acceptsGaps: true)
    guard let system = check.system else { throw .emptyFile(path: path) }
    guard check.isSound else {
      throw .refused(path: path, why: "is not sound; run `tornlog wal repair` first, and compact what that writes")
    }
    guard system != .tornlog, system != .chronik else {
      throw .refused(
        path: path,
        why: "is a log of batches (\(system.rawValue)): a batch goes as a whole, when its segment was uploaded")
    }
    self.system = system
    try collect(try LogFile(path, format: system))
    let file = try LogFile(path, format: system)
    let target = try NewFile(output)
    try write(file, target)
    target.takeAttributes(of: try file.source.status())
    try target.finish()
    (bytes, size) = (file.reader.size, target.size)
  }

  private mutating func collect(_ file: LogFile) throws(LogToolError) {
    while case .entry(let entry) = try file.reader.next() {
      switch entry.note {
      case .status(let status): settled.note(entry.firstOffset ?? -1, status)
      case .operation(.commit), .operation(.rollback):
        if let number = entry.firstOffset, number < .max { ended.insert(number) }
      case .operation(.startBuffer):
        if let number = entry.firstOffset, number < .max { begun.insert(number) }
      case .operation: continue
      case .none:
        guard let key = entry.key, !key.isEmpty else { continue }
        last[hash(key, file)] = entry.position
        guard last.count <= Self.mostKeys else {
          throw .refused(path: file.path, why: "has more than \(Self.mostKeys) keys; compact it in its own system")
        }
      }
    }
    if settled.isLost { throw .refused(path: file.path, why: "its numbers are too scattered to be followed") }
  }

  private func hash(_ key: Range<Int64>, _ file: LogFile) -> KeyHash {
    var (one, other) = (Hasher(), Hasher())
    other.combine(1)
    file.reader.window.forEachPiece(key) { (piece: UnsafeRawBufferPointer) in
      one.combine(bytes: piece)
      other.combine(bytes: piece)
    }
    return KeyHash(one: one.finalize(), other: other.finalize())
  }

  private mutating func write(_ file: LogFile, _ target: NewFile) throws(LogToolError) {
    let window = file.reader.window
    var failure: LogToolError?
    AirunnerCodec.fileHeader.withUnsafeBytes { head in
      guard system == .airunner else { return }
      do throws(LogToolError) { try target.write(head) } catch { failure = error }
    }
    if let failure { throw failure }
    while case .entry(let entry) = try file.reader.next() {
      guard isNeeded(entry, file) else {
        dropped += 1
        continue
      }
      if dropped > 0, system == .streamhouse { movesOffsets = true }
      kept += 1
      try window.forEachPiece(entry.range) { (piece: UnsafeRawBufferPointer) throws(LogToolError) in
        try target.write(piece)
      }
    }
    if let failure = window.failure { throw failure }
  }

  private func isNeeded(_ entry: LogEntry, _ file: LogFile) -> Bool {
    switch entry.note {
    case .status(.pending): return settled.contains(entry.firstOffset ?? -1)
    // What says so of an event in an earlier file stays: without it the event would be sent again.
    case .status: return !settled.hasSeen(entry.firstOffset ?? -1)
    case .operation:
      let number = entry.firstOffset ?? -1
      return !(begun.contains(number) && ended.contains(number))
    case .none:
      guard let key = entry.key, !key.isEmpty else { return true }
      return last[hash(key, file)] == entry.position
    }
  }
}
