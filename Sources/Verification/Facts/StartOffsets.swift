import LogModel

/// The offsets from which a readback asks for a fetch.
public enum StartOffsets {
  /// Every offset of `lso ..< hw` where these are at most `limit`. Otherwise, ascending and each once: the first and
  /// the last, *every* batch edge, every segment edge with its neighbours, the neighbours of batch edges while `limit`
  /// has room for them, and offsets drawn at random: a quarter of `limit` at least.
  public static func sample(
    from lso: Offset, to hw: Offset, batchEdges: [Offset], segmentEdges: [Offset] = [], limit: Int = 10_000,
    using generator: inout SeededGenerator
  ) -> [Offset] {
    guard lso < hw, limit > 0 else { return [] }
    let range = lso.rawValue..<hw.rawValue
    let (span, overflow) = hw.rawValue.subtractingReportingOverflow(lso.rawValue)
    if !overflow && span <= limit { return range.map { Offset($0) } }

    var chosen = [range.lowerBound, range.upperBound - 1]
    chosen += batchEdges.lazy.map(\.rawValue).filter(range.contains)
    chosen += near(segmentEdges, in: range)
    if 3 * batchEdges.count <= limit { chosen += near(batchEdges, in: range) }
    for _ in 0..<max(limit / 4, limit - chosen.count) { chosen.append(Int64.random(in: range, using: &generator)) }
    chosen.sort()
    var sample: [Offset] = []
    sample.reserveCapacity(chosen.count)
    for offset in chosen where sample.last?.rawValue != offset { sample.append(Offset(offset)) }
    return sample
  }

  /// Where nothing is to be had: at the high watermark, where every consumer that waits for news stands, beyond it, and
  /// below the log start offset, where deleted messages stood.
  public static func outside(from lso: Offset, to hw: Offset) -> [Offset] {
    [hw] + (hw.rawValue < .max ? [hw + 1] : []) + (lso > 0 ? [lso + -1] : []) + (lso > 1 ? [0] : [])
  }

  private static func near(_ edges: [Offset], in range: Range<Int64>) -> [Int64] {
    edges.flatMap { [$0.rawValue - 1, $0.rawValue, $0.rawValue + 1] }.filter(range.contains)
  }
}
