import LogModel

extension OffsetRange {
  var isEmpty: Bool { from >= to }

  /// The same offsets as ascending ranges that neither touch nor overlap.
  static func union(_ ranges: [OffsetRange]) -> [OffsetRange] {
    var result: [OffsetRange] = []
    for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.from < $1.from }) {
      if let last = result.last, range.from <= last.to {
        result[result.count - 1].to = max(last.to, range.to)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// What of `ranges` no one of `others` holds; both as `union` makes them.
  static func subtracting(_ others: [OffsetRange], from ranges: [OffsetRange]) -> [OffsetRange] {
    var rest: [OffsetRange] = []
    for range in ranges {
      var from = range.from
      for other in others where other.to > from && other.from < range.to {
        if other.from > from { rest.append(OffsetRange(from: from, to: other.from)) }
        from = other.to
      }
      if from < range.to { rest.append(OffsetRange(from: from, to: range.to)) }
    }
    return rest
  }
}

/// On the result of `OffsetRange.union`.
extension [OffsetRange] {
  /// The first range that ends after `offset`.
  private func place(after offset: Int64) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].to.rawValue <= offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func overlaps(_ from: Int64, _ to: Int64) -> Bool {
    let i = place(after: from)
    return i < count && self[i].from.rawValue < to
  }

  func contains(_ offset: Int64) -> Bool { overlaps(offset, offset &+ 1) }

  func covers(_ from: Int64, _ to: Int64) -> Bool { firstUncovered(from, to) == nil }

  /// The first offset of `from ..< to` that no range holds.
  func firstUncovered(_ from: Int64, _ to: Int64) -> Int64? {
    guard from < to else { return nil }
    let i = place(after: from)
    guard i < count, self[i].from.rawValue <= from else { return from }
    return self[i].to.rawValue >= to ? nil : self[i].to.rawValue
  }
}
