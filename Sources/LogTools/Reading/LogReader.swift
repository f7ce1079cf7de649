import LogModel
import RecordLogs

/// Goes through one file from front to back: entries, and what stands in their place. `docs/formats.md`, "Reading on
/// after damage", has the rules.
public final class LogReader {
  public enum Step {
    case entry(LogEntry)
    /// Behind it the log goes on, or another damaged entry stands.
    case damage(LogDamage)
    /// Bytes between batches that are neither batches nor zeros. They carry nothing: no rule is broken.
    case remains(Range<Int64>, flip: BitFlip?)
    /// No entry from here to the end.
    case end(Tail)
  }

  /// What stands behind the last entry.
  public struct Tail: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
      case nothing
      /// Zeros: space that was filled ahead, or what a crash left.
      case blank
      /// What a crash may leave of an append that was not acknowledged. A file that somebody cut looks the same.
      case torn
      case damaged
      /// So many false beginnings that the search was given up: the bytes are as if made to look like a log.
      case undecided
    }

    public var kind: Kind
    public var damage: LogDamage
  }

  let window: ByteWindow
  private(set) var format: any LogFormat
  let head: FileHead
  /// Where `next` looks.
  var position: Int64
  /// Whether entries without offsets are numbered here: what `firstOffset` of the next one is.
  var ordinal: Int64 = 0
  /// A valid entry stands here, or the end, and the lengths of damaged ones lead to it.
  private var believed: Int64 = -1
  /// The next batch that is known to stand behind damage: `max` where none does.
  var followed: Int64 = -1
  /// How far the lengths of damaged entries are followed.
  private static let mostBelieved: Int64 = 1 << 20

  init(_ window: ByteWindow, _ format: any LogFormat) {
    self.window = window
    var format = format
    head = format.begin(window)
    self.format = format
    position = head.end
  }

  public var system: LogSystem { format.system }
  public var size: Int64 { window.size }
  public var bytes: ByteWindow { window }

  /// - Throws: what the source says. A source that has shrunk is none: see `ByteWindow.shrunkTo`.
  public func next() throws(LogToolError) -> Step {
    let step = step()
    if let failure = window.failure { throw failure }
    return step
  }

  /// Looks at a file that may have grown, from the end of the last entry on.
  func resume(at position: Int64) throws(LogToolError) {
    try window.refresh()
    self.position = position
    (believed, followed) = (-1, -1)
  }

  /// The messages of a valid entry that `next` has returned.
  public func forEachMessage(of entry: LogEntry, _ body: (LogMessage) -> Bool) {
    format.forEachMessage(of: entry, window, body)
  }

  private func step() -> Step {
    if format.alignment > 1 { return alignedStep() }
    guard position < window.size else { return .end(Tail(kind: .nothing, damage: nothing(position))) }
    let found = format.examine(window, position)
    guard let fault = found.fault else { return take(found.entry) }
    let damage = explain(position, found, fault)
    guard let damage else { return end(from: position, found, fault) }
    position = damage.range.upperBound
    if !format.carriesOffsets { ordinal += 1 }
    return .damage(damage)
  }

  func take(_ entry: LogEntry?) -> Step {
    guard var entry else { return .end(Tail(kind: .undecided, damage: nothing(position))) }
    position = entry.range.upperBound
    if !format.carriesOffsets {
      entry.firstOffset = ordinal
      ordinal += 1
    }
    return .entry(entry)
  }

  func nothing(_ at: Int64) -> LogDamage { LogDamage(at..<at, .cutShort(needed: 0, available: 0)) }

  // MARK: Damage in formats whose entries follow each other

  /// The damage at `from`; nil where no entry follows it.
  private func explain(_ from: Int64, _ found: Examination, _ fault: RecordFault) -> LogDamage? {
    if let (flip, entry) = flippedBit(at: from, found) { return corrected(from, fault, flip, entry) }
    if let length = found.length, from + length <= window.size {
      let next = from + length
      if isBelievable(fault), leadsToAnEntry(next, from: from) {
        let end = format.confirmsLength ? next : chain(after: from, upTo: next)
        return LogDamage(from..<end, fault, entry: numbered(found.entry))
      }
      if isEntry(next) {
        let end = chain(after: from, upTo: next)
        return LogDamage(from..<end, fault, entry: numbered(found.entry))
      }
    }
    return search(from, fault, found.entry)
  }

  private func corrected(_ from: Int64, _ fault: RecordFault, _ flip: BitFlip, _ entry: LogEntry) -> LogDamage {
    LogDamage(from..<entry.range.upperBound, fault, entry: numbered(entry), flip: flip)
  }

  private func numbered(_ entry: LogEntry?) -> LogEntry? {
    guard var entry, !format.carriesOffsets else { return entry }
    entry.firstOffset = ordinal
    return entry
  }

  /// The checksum alone is wrong, so that the length may be right.
  private func isBelievable(_ fault: RecordFault) -> Bool {
    if case .checksumMismatch = fault { true } else { false }
  }

  func isEntry(_ at: Int64) -> Bool { at < window.size && format.examine(window, at).fault == nil }

  /// Whether lengths that can be believed lead from `position` to an entry, or to the end of the file.
  private func leadsToAnEntry(_ position: Int64, from: Int64) -> Bool {
    var at = position
    while at != believed, at < window.size {
      guard at - from <= Self.mostBelieved, window.mayWorkOn else { return false }
      let found = format.examine(window, at)
      guard let fault = found.fault else { break }
      guard isBelievable(fault), let length = found.length, at + length <= window.size else { return false }
      at += length
    }
    believed = at
    return true
  }

  /// The first place behind `from` from which entries follow each other up to `end`; `end` where there is none.
  private func chain(after from: Int64, upTo end: Int64) -> Int64 {
    var first = from + 1
    while let begin = nextBeginning(first, end), window.mayWorkOn {
      var at = begin
      while at < end {
        let found = format.examine(window, at)
        guard found.fault == nil, let length = found.length else { break }
        at += length
      }
      if at == end { return begin }
      first = begin + 1
    }
    return end
  }

  /// Damage up to the next byte at which an entry stands; nil where none does.
  private func search(_ from: Int64, _ fault: RecordFault, _ claims: LogEntry?) -> LogDamage? {
    var at = from + 1
    while let begin = nextBeginning(at, window.size), window.mayWorkOn {
      if isEntry(begin) { return LogDamage(from..<begin, fault, entry: numbered(claims)) }
      at = begin + 1
    }
    return nil
  }

  /// The next byte at or behind `from`, and before `end`, at which an entry may begin.
  func nextBeginning(_ from: Int64, _ end: Int64) -> Int64? {
    var at = from
    let least = format.prefixSize
    while at < end, at + least <= window.size {
      window.want(at, 4096)
      let last = min(window.loaded(from: at), end - at + least - 1) - least
      guard last >= 0, let base = window.pointer(at, least) else { return nil }
      var here: Int64 = 0
      while here <= last {
        if last - here >= 64, Zeros.fill(base + Int(here), 64) {
          here += 48
          continue
        }
        if format.mayBegin(base + Int(here), at: at + here) { return at + here }
        here += 1
      }
      at += here
    }
    return nil
  }

  // MARK: One bit

  /// Of a longer record a wrong CRC-32 says too little: of a record of n bits that was written over, one in 2^32 / n
  /// looks as if one bit of it were flipped. Here that is one in 8192.
  private static let mostCorrected: Int64 = 64 << 10

  /// The one bit that makes an entry of what stands at `position`, and that entry.
  func flippedBit(at position: Int64, _ found: Examination) -> (BitFlip, LogEntry)? {
    guard head.isUsable, window.mayWorkOn else { return nil }
    var right: [(BitFlip, LogEntry)] = []
    func attempt(_ flip: BitFlip) {
      let entry = window.supposing(flip) { () -> LogEntry? in
        let found = format.examine(window, position)
        return found.fault == nil ? found.entry : nil
      }
      if let entry, !right.contains(where: { $0.0 == flip }) { right.append((flip, entry)) }
    }
    if let length = format.claimedLength(window, position), position + length <= window.size {
      let coverage = format.coverage(position, length)
      if coverage.width == 8 || length <= Self.mostCorrected,
        let flip = SingleBit.explaining(syndrome(coverage), coverage, work: &window.work)
      {
        attempt(flip)
      }
    }
    for byte in format.looseBytes where position + byte < window.size {
      for bit in 0..<8 { attempt(BitFlip(at: position + byte, bit: bit)) }
    }
    return right.count == 1 ? right[0] : nil
  }

  private func syndrome(_ coverage: Coverage) -> UInt64 {
    if coverage.width == 8 { return window.little(coverage.field, UInt64.self) ^ window.crc64(coverage.first) }
    let computed = window.crc32(window.crc32(coverage.seed, coverage.first), coverage.second)
    return UInt64(window.little(coverage.field, UInt32.self) ^ computed)
  }

  // MARK: The end

  private func end(from: Int64, _ found: Examination, _ fault: RecordFault) -> Step {
    position = window.size
    let damage = LogDamage(from..<window.size, fault, entry: numbered(found.entry))
    if !window.mayWorkOn { return .end(Tail(kind: .undecided, damage: damage)) }
    let length = found.length.flatMap { from + $0 <= window.size ? $0 : nil }
    return .end(Tail(kind: kind(of: damage, length: length), damage: damage))
  }

  /// What a power cut may leave of the last append, if none of its end is missing.
  private static let mostTorn: Int64 = 1 << 20

  /// A crash leaves a part of an append: its end is missing, or sectors of it are, which are zeros then. Bytes that are
  /// all there, and none of whose sectors is blank, were written once and have changed. So have those behind which more
  /// stands than an append leaves.
  /// - Parameter length: that the first entry claims, if all of it is there.
  func kind(of damage: LogDamage, length: Int64?) -> Tail.Kind {
    let range = damage.range
    if isBlank(range) { return .blank }
    if case .cutShort = damage.fault { return .torn }
    let first = range.lowerBound..<range.lowerBound + (length ?? min(512, Int64(range.count)))
    let rest = first.upperBound..<max(first.upperBound, range.upperBound)
    guard Int64(range.count) <= Self.mostTorn || Int64(first.count) <= Self.mostTorn && isBlank(rest) else {
      return .damaged
    }
    return hasBlankSector(first) || isBlank(first.lowerBound..<min(first.upperBound, first.lowerBound + 8))
      ? .torn : .damaged
  }

  private func isBlank(_ range: Range<Int64>) -> Bool {
    var isBlank = true
    window.forEachPiece(range) { (piece: UnsafeRawBufferPointer) in
      if isBlank, let base = piece.baseAddress { isBlank = Zeros.fill(base, piece.count) }
    }
    return isBlank
  }

  /// Whether a sector, as far as it lies in the range, is zeros. A part of less than 8 bytes says nothing.
  private func hasBlankSector(_ range: Range<Int64>) -> Bool {
    var at = range.lowerBound
    // Not further than any entry is long.
    let limit = min(range.upperBound, at + 17 << 20)
    while at < limit {
      let end = min(limit, (at / 512 + 1) * 512)
      if end - at >= 8 {
        window.want(at, end - at)
        if let base = window.pointer(at, end - at), Zeros.fill(base, Int(end - at)) { return true }
      }
      at = end
    }
    return false
  }
}

enum Zeros {
  /// Whether all of the bytes are zero.
  @inline(__always)
  static func fill(_ base: UnsafeRawPointer, _ count: Int) -> Bool {
    var any: UInt64 = 0
    var at = 0
    while at + 8 <= count {
      any |= base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      at += 8
    }
    while at < count {
      any |= UInt64(base.load(fromByteOffset: at, as: UInt8.self))
      at += 1
    }
    return any == 0
  }
}
