import LogModel

/// Where batches stand in one segment: the first batch of each `granularity` bytes. Lives in memory; recovery
/// builds it during the scan that it makes anyway, so there is no index file that could disagree with the log.
///
/// 16 bytes an entry: 2 MiB for a 500 MB log.
public struct SparseIndex: Sendable {
  /// Bytes of log between entries.
  static let granularity: Int64 = 4096

  private var offsets: [Int64] = []
  private var positions: [Int64] = []

  /// Entries.
  public var count: Int { offsets.count }
  /// Of the batch that entry `index` names.
  public func baseOffset(of index: Int) -> Offset { Offset(offsets[index]) }
  func position(of index: Int) -> Int64 { positions[index] }

  /// Batches must come in the order of their offsets.
  mutating func note(batchAt position: Int64, baseOffset: Offset) {
    if let last = positions.last, position - last < Self.granularity { return }
    assert(offsets.last.map { $0 < baseOffset.rawValue } ?? true)
    offsets.append(baseOffset.rawValue)
    positions.append(position)
  }

  /// The position of the last entry at or before `offset`; nil where every entry is after it.
  func position(atOrBefore offset: Offset) -> Int64? { lastEntry(atOrBefore: offset).map { positions[$0] } }

  /// The last entry at or before `offset`; nil where every entry is after it.
  public func lastEntry(atOrBefore offset: Offset) -> Int? {
    var low = 0
    var high = offsets.count
    while low < high {
      let middle = (low + high) / 2
      if offsets[middle] <= offset.rawValue { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : low - 1
  }

  /// Forgets entries at or after `position`.
  mutating func truncate(at position: Int64) {
    while let last = positions.last, last >= position {
      positions.removeLast()
      offsets.removeLast()
    }
  }
}
