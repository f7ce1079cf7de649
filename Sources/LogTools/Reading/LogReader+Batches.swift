import LogModel
import RecordLogs

/// Batches of our own format, with zeros between them.
extension LogReader {
  /// Batches of our own format begin anywhere at a multiple of 8, and know their place: what stands between them is
  /// passed over.
  func alignedStep() -> Step {
    var at = (position + 7) & ~7
    let from = at
    var rest = GapContent()
    while at + 8 <= window.size {
      window.want(at, 64)
      let available = window.loaded(from: at)
      if available >= 64, let base = window.pointer(at, 64), Zeros.fill(base, 64) {
        at += 64
        continue
      }
      let word = window.little(at, UInt64.self)
      if word == 0 {
        at += 8
        continue
      }
      if (UInt32(truncatingIfNeeded: word) ^ SegmentFormat.magic).nonzeroBitCount <= 1,
        let step = batch(at, rest, from)
      {
        return step
      }
      rest.add(at, word)
      at += 8
    }
    position = window.size
    for byte in at..<max(at, window.size) where window.little(byte, UInt8.self) != 0 {
      rest.add(byte, UInt64(window.little(byte, UInt8.self)))
    }
    if rest.isBlank {
      return .end(Tail(kind: from < window.size ? .blank : .nothing, damage: nothing(from)))
    }
    if let flip = rest.flip { return .remains(flip.at..<flip.at + 1, flip: flip) }
    return .end(Tail(kind: .torn, damage: LogDamage(rest.first..<window.size, .wrongMagic(rest.word))))
  }

  /// What stands at `at`, behind bytes that are nothing; nil where no batch begins there either.
  private func batch(_ at: Int64, _ rest: GapContent, _ from: Int64) -> Step? {
    let found = format.examine(window, at)
    if let fault = found.fault {
      let explained = flippedBit(at: at, found)
      guard explained != nil || found.entry != nil else { return nil }
      if !rest.isBlank { return remains(rest, upTo: at) }
      if let (flip, entry) = explained {
        position = entry.range.upperBound
        return .damage(LogDamage(entry.range, fault, entry: entry, flip: flip))
      }
      let end = damagedEnd(at, found)
      let damage = LogDamage(at..<end, fault, entry: found.entry)
      if head.isUsable, !isFollowed(from: end) {
        let kind = kind(of: damage, length: Int64(damage.range.count))
        position = kind == .damaged ? end : window.size
        if kind != .damaged {
          return .end(Tail(kind: .torn, damage: LogDamage(at..<window.size, fault, entry: found.entry)))
        }
      }
      position = end
      return .damage(damage)
    }
    if !rest.isBlank { return remains(rest, upTo: at) }
    return take(found.entry)
  }

  /// Whether a batch stands anywhere behind `from`.
  private func isFollowed(from: Int64) -> Bool {
    if followed >= from { return followed < .max }
    var first = from
    while let begin = nextBeginning(first, window.size), window.mayWorkOn {
      if begin % 8 == 0, isEntry(begin) {
        followed = begin
        return true
      }
      first = begin + 1
    }
    followed = .max
    return false
  }

  private func remains(_ rest: GapContent, upTo end: Int64) -> Step {
    position = end
    return .remains(rest.first..<rest.end, flip: rest.flip)
  }

  /// A damaged batch ends where its length says, unless a batch stands before: the length may be what is damaged.
  private func damagedEnd(_ at: Int64, _ found: Examination) -> Int64 {
    let claimed = min(window.size, at + (found.length ?? 64))
    var first = at + 8
    while let begin = nextBeginning(first, claimed), window.mayWorkOn {
      if begin % 8 == 0, isEntry(begin) { return begin }
      first = begin + 1
    }
    return max(claimed, at + 8)
  }

  /// Words between batches that are not zero.
  private struct GapContent {
    var first: Int64 = -1
    var end: Int64 = 0
    var word: UInt64 = 0
    var bits = 0

    var isBlank: Bool { first < 0 }

    /// The only bit that is set.
    var flip: BitFlip? {
      guard bits == 1 else { return nil }
      let bit = word.trailingZeroBitCount
      return BitFlip(at: first + Int64(bit / 8), bit: bit % 8)
    }

    mutating func add(_ at: Int64, _ value: UInt64) {
      if first < 0 { (first, word) = (at, value) }
      end = at + 8
      bits += value.nonzeroBitCount
    }
  }
}
