/// A set of sequence numbers as ranges: small as long as the numbers come almost in order.
public struct SequenceRanges: Hashable, Sendable {
  /// Ascending, not empty, not touching.
  public private(set) var ranges: [Range<Int64>] = []
  public private(set) var count = 0

  public init() {}

  public var isEmpty: Bool { ranges.isEmpty }

  /// The index of the first range that ends at or behind `value`.
  private func index(of value: Int64) -> Int {
    var (low, high) = (0, ranges.count)
    if let last = ranges.last, last.upperBound < value { return high }
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  public func contains(_ value: Int64) -> Bool {
    var at = index(of: value)
    if at < ranges.count, ranges[at].upperBound == value { at += 1 }
    return at < ranges.count && ranges[at].contains(value)
  }

  /// - Returns: whether it was not there.
  @discardableResult
  public mutating func insert(_ value: Int64) -> Bool {
    precondition(value < .max, "the largest number has no end of its range")
    if contains(value) { return false }
    count += 1
    let at = index(of: value)
    if at < ranges.count, ranges[at].upperBound == value {
      let touches = at + 1 < ranges.count && ranges[at + 1].lowerBound == value + 1
      ranges[at] = ranges[at].lowerBound..<(touches ? ranges[at + 1].upperBound : value + 1)
      if touches { ranges.remove(at: at + 1) }
    } else if at < ranges.count, ranges[at].lowerBound == value + 1 {
      ranges[at] = value..<ranges[at].upperBound
    } else {
      ranges.insert(value..<value + 1, at: at)
    }
    return true
  }

  /// - Returns: whether it was there.
  @discardableResult
  public mutating func remove(_ value: Int64) -> Bool {
    guard contains(value) else { return false }
    count -= 1
    var at = index(of: value)
    if ranges[at].upperBound == value { at += 1 }
    let whole = ranges[at]
    ranges.remove(at: at)
    if value + 1 < whole.upperBound { ranges.insert(value + 1..<whole.upperBound, at: at) }
    if whole.lowerBound < value { ranges.insert(whole.lowerBound..<value, at: at) }
    return true
  }
}
