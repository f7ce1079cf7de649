import LogModel

/// The offsets from which a look asks for a fetch.
public enum StartOffsets {
  /// Every offset of `lso ..< hw` where these are at most `limit`, else a sample of at most `limit`, ascending:
  /// the first and the last, then the neighbourhood (-1, 0, +1) of segment edges, then that of batch edges (each
  /// evenly thinned to what room there is), and, for a quarter of the limit at least, offsets drawn at random.
  public static func sample(
    from lso: Offset, to hw: Offset, batchEdges: [Offset], segmentEdges: [Offset] = [], limit: Int = 10_000,
    using generator: inout SeededGenerator
  ) -> [Offset] {
    guard lso < hw, limit > 0 else { return [] }
    let range = lso.rawValue..<hw.rawValue
    let (span, overflow) = hw.rawValue.subtractingReportingOverflow(lso.rawValue)
    if !overflow && span <= limit { return range.map { Offset($0) } }

    var chosen: Set<Int64> = [lso.rawValue]
    if limit > 1 { chosen.insert(hw.rawValue - 1) }
    for edges in [segmentEdges, batchEdges] {
      let inside = edges.lazy.map(\.rawValue).filter(range.contains).sorted()
      let room = max(0, limit - limit / 4 - chosen.count)
      let near = 3 * inside.count <= room ? inside.flatMap { [$0 - 1, $0, $0 + 1] }.filter(range.contains) : inside
      chosen.formUnion(thinned(near, to: room))
    }
    while chosen.count < limit { chosen.insert(Int64.random(in: range, using: &generator)) }
    return chosen.sorted().map { Offset($0) }
  }

  private static func thinned(_ offsets: [Int64], to count: Int) -> [Int64] {
    guard offsets.count > count else { return offsets }
    return (0..<count).map { offsets[$0 * offsets.count / count] }
  }
}
