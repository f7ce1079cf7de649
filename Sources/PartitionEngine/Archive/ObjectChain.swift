import LogModel
import ObjectStore

/// The objects of one partition that count, in the order of their offsets, and where offsets are missing between them.
///
/// At each offset the object of the highest epoch counts that holds it, and no object follows one of a higher epoch: an
/// object that a writer had put when it was replaced, and that nobody recorded, gives way to those of its successors.
struct ObjectChain {
  private(set) var links: [ObjectName] = []
  private(set) var gaps: [Range<Offset>] = []
  /// Objects that are not in it.
  private(set) var strays: [ObjectName] = []
  /// The offset after the last object, also of one that is missing.
  private(set) var end: Offset

  /// - Parameters:
  ///   - listing: of one partition.
  ///   - start: the first offset that is needed.
  ///   - end: the offset after the last one that must be there; nil for as far as the objects go.
  init(_ listing: [ListedObject], from start: Offset, to end: Offset?) {
    let objects = listing.sorted { $0.name < $1.name }
    self.end = start
    var epoch = Epoch(0)
    var next = 0
    /// Those that begin at or before the place, and end behind it.
    var open: [ListedObject] = []
    var gapStart: Offset?
    while end.map({ self.end < $0 }) ?? true {
      while next < objects.count, objects[next].name.base <= self.end {
        open.append(objects[next])
        next += 1
      }
      open.removeAll { $0.name.end <= self.end || $0.name.epoch < epoch }
      if let best = open.filter({ !$0.isMissing }).max(by: { Self.isBetter($1.name, $0.name) }) {
        if let from = gapStart { gaps.append(from..<self.end) }
        gapStart = nil
        links.append(best.name)
        (self.end, epoch) = (best.name.end, best.name.epoch)
      } else {
        // Up to the next object that there is, or the end of one that there was.
        let later = objects[next...].first { $0.name.epoch >= epoch }?.name.base
        guard
          let place = (open.map(\.name.end) + [later, later == nil && open.isEmpty ? end : nil].compactMap { $0 }).min()
        else { break }
        if gapStart == nil { gapStart = self.end }
        self.end = end.map { min($0, place) } ?? place
      }
    }
    if let from = gapStart, from < self.end { gaps.append(from..<self.end) }
    let used = Set(links)
    strays = objects.filter { !$0.isMissing && !used.contains($0.name) }.map(\.name)
  }

  private static func isBetter(_ a: ObjectName, _ b: ObjectName) -> Bool {
    (a.epoch, a.base, a.end) > (b.epoch, b.base, b.end)
  }

  /// The object that holds `offset`; nil where none does.
  func link(containing offset: Offset) -> ObjectName? {
    let index = firstLink(endingAfter: offset)
    return index < links.count && links[index].base <= offset ? links[index] : nil
  }

  /// Where the next object behind `offset` begins; nil where there is none.
  func nextBase(after offset: Offset) -> Offset? {
    let index = firstLink(endingAfter: offset)
    return index < links.count ? links[index].base : nil
  }

  private func firstLink(endingAfter offset: Offset) -> Int {
    var (low, high) = (0, links.count)
    while low < high {
      let middle = (low + high) / 2
      if links[middle].end > offset { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// An object has been put, and recorded, behind the others.
  /// - Parameter start: the log's: what was deleted before it is missed by nobody.
  mutating func append(_ name: ObjectName, logStart start: Offset) {
    if name.base > max(end, start) { gaps.append(max(end, start)..<name.base) }
    links.append(name)
    end = max(end, name.end)
  }

  /// Forgets what is missing before `offset`: it has been deleted.
  mutating func forgetGaps(before offset: Offset) {
    gaps = gaps.compactMap { $0.upperBound <= offset ? nil : max($0.lowerBound, offset)..<$0.upperBound }
  }

  /// Forgets objects that hold nothing from `offset` on.
  /// - Returns: which.
  mutating func removeFirst(before offset: Offset) -> [ObjectName] {
    let count = firstLink(endingAfter: offset)
    let removed = Array(links[..<count])
    links.removeFirst(count)
    return removed
  }

  mutating func takeStrays(before offset: Offset) -> [ObjectName] {
    let taken = strays.filter { $0.base < offset }
    strays.removeAll { $0.base < offset }
    return taken
  }
}
