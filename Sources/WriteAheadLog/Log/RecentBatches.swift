import Glibc
import LogModel

/// The newest batches of a partition as they stand in the log, for consumers at the tail: a ring of bytes with a
/// limit on bytes and on batches. Allocated with the first batch.
public final class RecentBatches: @unchecked Sendable {
  // Owned by the loop of its log.

  struct Entry {
    var header: BatchHeader
    /// Where the bytes begin in the ring; a batch is never split.
    var start: Int
  }

  private let byteLimit: Int
  private let batchLimit: Int
  private var memory: UnsafeMutableRawPointer?
  private var entries: [Entry] = []
  private var head = 0
  private var writeAt = 0

  init(byteLimit: Int, batchLimit: Int) {
    self.byteLimit = byteLimit
    self.batchLimit = batchLimit
  }

  deinit { free(memory) }

  public var count: Int { entries.count - head }
  public var firstOffset: Offset? { count == 0 ? nil : entries[head].header.baseOffset }
  public var nextOffset: Offset? { count == 0 ? nil : entries[entries.count - 1].header.nextOffset }

  /// The header of batch `index`, 0 being the oldest.
  public func header(_ index: Int) -> BatchHeader { entries[head + index].header }
  func bytes(_ index: Int) -> UnsafeRawPointer { UnsafeRawPointer(memory!) + entries[head + index].start }

  /// The batch that holds `offset`; nil where none does.
  public func indexOfBatch(containing offset: Offset) -> Int? {
    guard let index = firstIndex(endingAfter: offset), header(index).baseOffset <= offset else { return nil }
    return index
  }

  /// The first batch that holds `offset` or anything after it.
  public func firstIndex(endingAfter offset: Offset) -> Int? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if header(middle).nextOffset > offset { high = middle } else { low = middle + 1 }
    }
    return low == count ? nil : low
  }

  /// Adds the newest batch, which must follow the one before it without a gap; otherwise the older ones are forgotten.
  func append(_ header: BatchHeader, _ bytes: UnsafeRawPointer) {
    guard header.length <= byteLimit else { return removeAll() }
    if let next = nextOffset, next != header.baseOffset { removeAll() }
    if memory == nil { memory = malloc(byteLimit) }
    guard let memory else { return }
    if writeAt + header.length > byteLimit {
      // What still stands behind the writer is older than what stands at the front: it goes first.
      while count > 0, entries[head].start >= writeAt { head += 1 }
      writeAt = 0
    }
    while count > 0, count >= batchLimit || overlaps(entries[head], writeAt..<(writeAt + header.length)) { head += 1 }
    (memory + writeAt).copyMemory(from: bytes, byteCount: header.length)
    entries.append(Entry(header: header, start: writeAt))
    writeAt += header.length
    if head > 256, head * 2 > entries.count {
      entries.removeSubrange(0..<head)
      head = 0
    }
  }

  func removeAll() {
    entries.removeAll(keepingCapacity: true)
    head = 0
    writeAt = 0
  }

  private func overlaps(_ entry: Entry, _ range: Range<Int>) -> Bool {
    entry.start < range.upperBound && range.lowerBound < entry.start + entry.header.length
  }
}
