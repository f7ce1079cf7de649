import LogModel
import RecordLogs

/// Makes a new file of what is valid in a damaged one: `wal-repair --input ... --output ...` of the Streamhouse
/// runbook. What `tornlog wal repair` does, and what the operator of a trial does.
///
/// Formats whose records follow each other: the valid ones are moved together. Where a record says which number it has,
/// a reader of the new file sees what is missing. Where it does not (Streamhouse), everything behind what was left out
/// has another offset than it had. A batch of our own format is tied to its place by its checksum: it stays there, and
/// what is lost is zeros.
public struct LogMend: Hashable, Sendable {
  public enum Policy: String, Hashable, Sendable, CaseIterable {
    /// What is valid behind damage is kept.
    case skipCorrupted = "skip-corrupted"
    /// The new file ends before the first damage.
    case truncateAtCorruption = "truncate-at-corruption"
  }

  /// Valid entries that are in the new file, and the messages in them.
  public private(set) var records = 0
  public private(set) var messages = 0
  /// Of them those of which a flipped bit was turned back.
  public private(set) var corrected: [BitFlip] = []
  /// Places at which bytes stood that are no entry, and all of those bytes; the torn tail is one.
  public private(set) var skipped = 0
  public private(set) var skippedBytes: Int64 = 0
  /// The places, the first 1000 of them.
  public private(set) var lost: [LogDamage] = []
  /// Valid entries behind the first damage, which truncation has left out.
  public private(set) var leftOut = 0
  /// Where the new file ends in the old one, if it does not go on to the end.
  public private(set) var cutAt: Int64?
  /// Whether what follows damage has other offsets now.
  public private(set) var movesOffsets = false

  private var written: Int64 = 0

  private init() {}

  /// - Parameter source: is read only.
  /// - Throws: what source and sink say.
  public static func mend(
    _ source: any ByteSource, of system: LogSystem, into sink: any ByteSink, policy: Policy = .skipCorrupted,
    fixingBits: Bool = false
  ) throws(LogToolError) -> LogMend {
    try mend(LogReader(try ByteWindow(source), FormatDetector.format(system)), sink, policy, fixingBits)
  }

  static func mend(
    _ reader: LogReader, _ sink: any ByteSink, _ policy: Policy, _ fixingBits: Bool
  ) throws(LogToolError) -> LogMend {
    var mend = LogMend()
    try mend.writeHead(reader, sink, fixingBits)
    reading: while true {
      switch try reader.next() {
      case .entry(let entry): try mend.keep(entry, reader, sink)
      case .damage(let damage):
        if fixingBits, let flip = damage.flip, let entry = damage.entry {
          mend.corrected.append(flip)
          try mend.keep(entry, reader, sink, flip: flip)
          continue
        }
        mend.lose(damage)
        guard policy == .skipCorrupted else {
          mend.cutAt = damage.range.lowerBound
          try mend.countRest(reader)
          break reading
        }
        if !reader.format.carriesOffsets { mend.movesOffsets = true }
      case .remains(_, let flip):
        // Zeros stand there in the new file (`writeGap`): the bytes carried nothing.
        if fixingBits, let flip { mend.corrected.append(flip) }
      case .end(let tail):
        try mend.end(tail, reader, sink)
        break reading
      }
    }
    if let failure = reader.window.failure { throw failure }
    if reader.window.shrunkTo != nil {
      throw .refused(path: "the input", why: "was cut while it was read; run this again when nobody writes to it")
    }
    return mend
  }

  private mutating func lose(_ damage: LogDamage) {
    skipped += 1
    skippedBytes += Int64(damage.range.count)
    if lost.count < LogCheck.most { lost.append(damage) }
  }

  private mutating func countRest(_ reader: LogReader) throws(LogToolError) {
    while true {
      switch try reader.next() {
      case .entry: leftOut += 1
      case .damage(let damage): lose(damage)
      case .remains: continue
      case .end: return
      }
    }
  }

  // MARK: Writing

  private mutating func writeHead(_ reader: LogReader, _ sink: any ByteSink, _ fixingBits: Bool) throws(LogToolError) {
    let head = reader.head
    let end = min(head.end, reader.size)
    if reader.system == .airunner {
      try write(AirunnerFormat.head, sink)
      if let damage = head.damage.first {
        if let flip = damage.flip { corrected.append(flip) } else { lose(damage) }
      }
      return
    }
    var bytes = end > 0 ? reader.window.bytes(0..<end) : []
    for (at, mended) in head.mended where Int(at) + mended.count <= bytes.count {
      bytes.replaceSubrange(Int(at)..<Int(at) + mended.count, with: mended)
    }
    for damage in head.damage where !damage.range.isEmpty {
      if let flip = damage.flip { corrected.append(flip) } else if !head.isUsable { lose(damage) }
    }
    try write(bytes, sink)
  }

  private mutating func write(_ bytes: [UInt8], _ sink: any ByteSink) throws(LogToolError) {
    var failure: LogToolError?
    bytes.withUnsafeBytes { raw in
      do throws(LogToolError) { try sink.write(raw) } catch { failure = error }
    }
    if let failure { throw failure }
    written += Int64(bytes.count)
  }

  private mutating func keep(
    _ entry: LogEntry, _ reader: LogReader, _ sink: any ByteSink, flip: BitFlip? = nil
  ) throws(LogToolError) {
    records += 1
    messages += entry.count
    try copy(entry.range, reader, sink, flip: flip)
  }

  /// Copies bytes; in our own format to the place that they have.
  private mutating func copy(
    _ range: Range<Int64>, _ reader: LogReader, _ sink: any ByteSink, flip: BitFlip? = nil
  ) throws(LogToolError) {
    try writeGap(upTo: range.lowerBound, reader, sink)
    var at = range.lowerBound
    try reader.window.forEachPiece(range) { (piece: UnsafeRawBufferPointer) throws(LogToolError) in
      defer { at += Int64(piece.count) }
      guard let flip, flip.at >= at, flip.at < at + Int64(piece.count) else {
        try sink.write(piece)
        return
      }
      let index = Int(flip.at - at)
      try sink.write(UnsafeRawBufferPointer(rebasing: piece[..<index]))
      let byte = [piece[index] ^ flip.mask]
      var failure: LogToolError?
      byte.withUnsafeBytes { raw in
        do throws(LogToolError) { try sink.write(raw) } catch { failure = error }
      }
      if let failure { throw failure }
      try sink.write(UnsafeRawBufferPointer(rebasing: piece[(index + 1)...]))
    }
    written += Int64(range.count)
  }

  /// Zeros up to the place that the next batch has.
  private mutating func writeGap(upTo place: Int64, _ reader: LogReader, _ sink: any ByteSink) throws(LogToolError) {
    guard reader.system == .tornlog else { return }
    while written < place { try write([UInt8](repeating: 0, count: Int(min(place - written, 64 << 10))), sink) }
  }

  private mutating func end(_ tail: LogReader.Tail, _ reader: LogReader, _ sink: any ByteSink) throws(LogToolError) {
    switch tail.kind {
    case .nothing, .blank: try writeGap(upTo: reader.size, reader, sink)
    case .torn, .damaged, .undecided:
      lose(tail.damage)
      cutAt = tail.damage.range.lowerBound
    }
  }
}
