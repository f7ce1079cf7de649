import Storage

/// How to take back what is not durable in one file.
///
/// Content is undone in *layers*. Layer *n* holds what was there before the writes that completed after *n* syncs
/// of the file had been submitted, and before the next: each position once, with its oldest bytes of that layer. When
/// sync *n* completes, layers 0 ..< n are durable and forgotten. Adjacent ranges that were zero or beyond the end are
/// joined, so that appends cost one entry whatever their volume.
struct UndoLog {
  struct Entry: Equatable {
    var range: Range<Int64>
    /// What was there, starting at `range.lowerBound`; nil for zeros, or nothing.
    var old: ArraySlice<UInt8>?

    func cut(to part: Range<Int64>) -> Entry {
      Entry(
        range: part,
        old: old.map { bytes in
          let from = bytes.startIndex + Int(part.lowerBound - range.lowerBound)
          return bytes[from..<from + part.count]
        })
    }
  }

  struct Layer {
    var number: Int
    /// Sorted and disjoint.
    var entries: [Entry] = []
  }

  struct PendingSync {
    var number: Int
    var size: Int64
  }

  private(set) var layers: [Layer] = [Layer(number: 0)]
  /// What was there before writes that no sync covers any more; newer layers touch no page of it, older ones may.
  private(set) var abandoned = Layer(number: -1)
  private(set) var pendingSyncs: [PendingSync] = []
  private(set) var durableSize: Int64
  /// The size that completed operations have given the file.
  private(set) var size: Int64
  private var submittedSyncs = 0
  private var lastSync = 0

  init(size: Int64) {
    durableSize = size
    self.size = size
  }

  // MARK: Completions

  mutating func completeWrite(_ entries: [Entry], end: Int64) {
    for entry in entries { redirty(entry.range) }
    for entry in entries { layers[layers.count - 1].insert(entry) }
    size = max(size, end)
  }

  mutating func completeDurableWrite(_ range: Range<Int64>) {
    for i in layers.indices { layers[i].subtract(range) }
    abandoned.subtract(range)
    size = max(size, range.upperBound)
    durableSize = max(durableSize, range.upperBound)
    for i in pendingSyncs.indices { pendingSyncs[i].size = max(pendingSyncs[i].size, range.upperBound) }
  }

  mutating func completeTruncate(_ entries: [Entry], to size: Int64) {
    if size < self.size { redirty(size..<self.size) }
    for entry in entries { layers[layers.count - 1].insert(entry) }
    self.size = size
  }

  /// - Returns: the sync's number.
  mutating func submitSync() -> Int {
    submittedSyncs += 1
    layers.append(Layer(number: submittedSyncs))
    pendingSyncs.append(PendingSync(number: submittedSyncs, size: size))
    return submittedSyncs
  }

  mutating func completeSync(_ number: Int) {
    guard let at = pendingSyncs.firstIndex(where: { $0.number == number }) else { return }
    let sync = pendingSyncs.remove(at: at)
    layers.removeAll { $0.number < number }
    if number > lastSync {
      lastSync = number
      durableSize = sync.size
    }
  }

  /// What no sync in flight has captured in the pages that `range` touches is not covered by any sync from now on,
  /// until the page is written again. `man 2 fsync`; Rebello et al., "Can Applications Recover from fsync Failures?",
  /// ATC 2020: the page cache marks such pages clean.
  mutating func abandon(_ range: Range<Int64>) {
    let captured = pendingSyncs.map(\.number).max() ?? 0
    let pages = Self.pages(of: range)
    for i in layers.indices where layers[i].number >= captured {
      for entry in layers[i].take(pages) { abandoned.insert(entry) }
    }
  }

  /// The pages of `range` are dirty again.
  private mutating func redirty(_ range: Range<Int64>) {
    guard !abandoned.entries.isEmpty, !range.isEmpty else { return }
    for entry in abandoned.take(Self.pages(of: range)) { layers[layers.count - 1].insert(entry) }
  }

  private static func pages(of range: Range<Int64>) -> Range<Int64> {
    let page: Int64 = 4096
    let end = range.upperBound > .max - page ? .max : (range.upperBound + page - 1) / page * page
    return range.lowerBound / page * page..<end
  }

  /// Nothing has become durable: the layer that the sync opened is joined with the one before.
  mutating func failSync(_ number: Int) {
    pendingSyncs.removeAll { $0.number == number }
    guard let at = layers.firstIndex(where: { $0.number == number }), at > 0 else { return }
    for entry in layers[at].entries { layers[at - 1].insert(entry) }
    // The newest layer must stay the last, for completions to come.
    layers.remove(at: at)
  }
}

extension UndoLog.Layer {
  /// The first entry that ends after `position`.
  private func index(after position: Int64) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].range.upperBound <= position { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Adds the parts of `entry` that no older entry covers.
  mutating func insert(_ entry: UndoLog.Entry) {
    var at = entry.range.lowerBound
    var i = index(after: at)
    while at < entry.range.upperBound {
      if i < entries.count, entries[i].range.lowerBound <= at {
        at = entries[i].range.upperBound
        i += 1
        continue
      }
      let end = min(entry.range.upperBound, i < entries.count ? entries[i].range.lowerBound : .max)
      i = place(entry.cut(to: at..<end), at: i)
      at = end
    }
  }

  /// - Returns: the index behind the new entry.
  private mutating func place(_ entry: UndoLog.Entry, at i: Int) -> Int {
    if entry.old == nil, i > 0, entries[i - 1].old == nil, entries[i - 1].range.upperBound == entry.range.lowerBound {
      entries[i - 1].range = entries[i - 1].range.lowerBound..<entry.range.upperBound
      return i
    }
    if entry.old == nil, i < entries.count, entries[i].old == nil,
      entries[i].range.lowerBound == entry.range.upperBound
    {
      entries[i].range = entry.range.lowerBound..<entries[i].range.upperBound
      return i + 1
    }
    entries.insert(entry, at: i)
    return i + 1
  }

  mutating func subtract(_ range: Range<Int64>) { _ = take(range) }

  /// Removes what lies in `range`.
  mutating func take(_ range: Range<Int64>) -> [UndoLog.Entry] {
    var taken: [UndoLog.Entry] = []
    var i = index(after: range.lowerBound)
    while i < entries.count, entries[i].range.lowerBound < range.upperBound {
      let entry = entries.remove(at: i)
      taken.append(entry.cut(to: entry.range.clamped(to: range)))
      if entry.range.lowerBound < range.lowerBound {
        entries.insert(entry.cut(to: entry.range.lowerBound..<range.lowerBound), at: i)
        i += 1
      }
      if entry.range.upperBound > range.upperBound {
        entries.insert(entry.cut(to: range.upperBound..<entry.range.upperBound), at: i)
        i += 1
      }
    }
    return taken
  }
}
