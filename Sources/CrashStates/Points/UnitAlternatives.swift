import LogModel

/// What a unit of a file may hold after a power cut: the contents of its sectors, by alternative.
///
/// Marks (`FileHistory.Mark`) part the alternatives into *eras*: those before the first mark that touches the unit,
/// those after it, and so on. Which era is seen follows from the marks that a state keeps. In each era the first
/// alternative is the one with nothing written since the mark.
package final class UnitAlternatives: Sendable {
  /// Its first sector.
  package let first: Int
  package let contents: [[SectorID]]
  /// The first alternative of each era.
  let eras: [Int]
  /// The alternative that everything leads to.
  package var newest: Int { settled[settled.count - 1] }
  /// By era, what all writes in it lead to.
  private let settled: [Int]
  /// For each alternative the moments of the writes that are in it: which of several moments a content was of cannot be
  /// told.
  private let contained: [Set<Int>]
  /// By alternative, the moment of the oldest write in it; `Int.max` where nothing was written.
  private let oldest: [Int]
  /// By era, the moments of all writes in it, in order.
  private let writes: [[Int]]
  /// By era, whether nothing of the unit was durable when it began.
  let isNew: [Bool]
  /// By era, the moment of the mark that leads to it; -1 for the first.
  private let begins: [Int]
  /// For each alternative how the hash of the disk differs from that of the durable one.
  let deltas: [UInt64]
  /// The moments of its oldest and of its newest write; nil where nobody has written to it.
  let span: ClosedRange<Int>?
  /// Of operations in flight, or of many versions, some combinations were left out.
  let omits: Bool

  init(
    first: Int, contents: [[SectorID]], eras: [Int], settled: [Int], moments: [Set<Int>], isNew: [Bool],
    begins: [Int], omits: Bool, _ store: SectorStore
  ) {
    (self.first, self.contents, self.eras, self.settled, contained) = (first, contents, eras, settled, moments)
    (self.isNew, self.begins, self.omits) = (isNew, begins, omits)
    let sums = contents.map { sectors in
      sectors.enumerated().reduce(UInt64(0)) {
        $0 &+ DiskHash.sector(store.hash(of: $1.element), at: first + $1.offset)
      }
    }
    deltas = sums.map { $0 &- sums[0] }
    oldest = contained.map { $0.min() ?? .max }
    let all = contained.lazy.flatMap { $0 }
    span = all.min().map { $0...(all.max() ?? $0) }
    writes = eras.indices.map { [contained] era in
      let range = eras[era]..<(era + 1 < eras.count ? eras[era + 1] : contents.count)
      return contained[range].reduce(into: Set<Int>()) { $0.formUnion($1) }.sorted()
    }
  }

  package var sectors: Range<Int> { first..<first + contents[0].count }

  func alternatives(of era: Int) -> Range<Int> {
    eras[era]..<(era + 1 < eras.count ? eras[era + 1] : contents.count)
  }

  @inline(__always)
  func era(of alternative: Int) -> Int {
    if eras.count == 1 { return 0 }
    return eras.lastIndex { $0 <= alternative } ?? 0
  }

  /// The era that is seen where the file's marks are kept up to one, by its moment; -1 for none.
  @inline(__always)
  func era(keeping mark: Int) -> Int {
    if eras.count == 1 { return 0 }
    return begins.lastIndex { $0 <= mark } ?? 0
  }

  /// What is seen of an alternative where the file's marks are kept up to one. What was written before a mark that is
  /// kept is gone. What was written after one that is not kept is in space that the file has not got: the newest from
  /// before the mark is seen. Only where data go their own way it is seen itself.
  @inline(__always)
  func seen(_ alternative: Int, keeping mark: Int, dataIsFree: Bool) -> Int {
    if eras.count == 1 { return alternative }
    let (own, era) = (era(of: alternative), era(keeping: mark))
    if own == era { return alternative }
    if own < era { return eras[era] }
    if dataIsFree, !contained[alternative].isEmpty { return alternative }
    return settled[era]
  }

  /// Whether an alternative has what had been written when a write at `moment` made the file grow. What was written
  /// over it since may be there or not: write-back takes the page as it finds it, and again when it is dirty again.
  @inline(__always)
  func isComplete(_ alternative: Int, for moment: Int) -> Bool {
    let writes = writes[era(of: alternative)]
    guard let last = writes.last(where: { $0 <= moment }) else { return true }
    return contained[alternative].contains(last)
  }

  /// Whether anything of the era's own was written back, or space was given out for it.
  @inline(__always)
  func isPresent(_ alternative: Int) -> Bool { alternative != eras[era(of: alternative)] }

  @inline(__always)
  func isWritten(_ alternative: Int) -> Bool { !contained[alternative].isEmpty }

  /// Whether everything in an alternative was written between two moments, without them; false where nothing was.
  @inline(__always)
  func isWritten(_ alternative: Int, after first: Int, before last: Int) -> Bool {
    oldest[alternative] > first && oldest[alternative] < last
  }

  /// The newest alternative that has nothing written at or after a moment.
  func alternative(before moment: Int) -> Int {
    guard let span, span.lowerBound < moment else { return 0 }
    if span.upperBound < moment { return newest }
    return contents.indices.last { alternative in
      isWritten(alternative) && contained[alternative].allSatisfy { $0 < moment }
    } ?? 0
  }

  func isUnreadable(_ alternative: Int) -> Bool { contents[alternative].contains(SectorStore.unreadable) }
}
