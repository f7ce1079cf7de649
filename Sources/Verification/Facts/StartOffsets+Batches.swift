import LogModel

extension StartOffsets {
  /// Start offsets that one batch is asked for at the most.
  public static let mostOfABatch = 64

  /// The same with no more than `most` in one batch: its first and its last, and others at even distances. Whoever asks
  /// for an offset in a batch gets all of it: so what is read stays a multiple of the log's bytes, however large its
  /// batches are.
  ///
  /// - Parameters:
  ///   - starts: ascending.
  ///   - batchEdges: where batches are known to begin, in any order. What lies before the first is left as it is.
  ///   - most: at least 2.
  public static func thinned(_ starts: [Offset], batchEdges: [Offset], most: Int = mostOfABatch) -> [Offset] {
    let edges = batchEdges.sorted()
    guard var edge = edges.first.map({ _ in 0 }) else { return starts }
    var kept: [Offset] = []
    kept.reserveCapacity(starts.count)
    var at = starts.firstIndex { $0 >= edges[0] } ?? starts.count
    kept += starts[..<at]
    while at < starts.count {
      while edge + 1 < edges.count, edges[edge + 1] <= starts[at] { edge += 1 }
      var end = at
      while end < starts.count, edge + 1 == edges.count || starts[end] < edges[edge + 1] { end += 1 }
      let count = end - at
      if count <= most {
        kept += starts[at..<end]
      } else {
        for n in 0..<most { kept.append(starts[at + n * (count - 1) / (most - 1)]) }
      }
      at = end
    }
    return kept
  }
}
