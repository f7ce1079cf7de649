/// What consumption served, by offset.
struct ServedOffsets {
  /// Ascending.
  private let runs: [ServedRun]

  init(_ served: ServedRuns) {
    let isAscending = zip(served.runs, served.runs.dropFirst()).allSatisfy { $0.offset <= $1.offset }
    runs = isAscending ? served.runs : served.runs.sorted { $0.offset < $1.offset }
  }

  /// The run that holds `offset`, and how far it reaches.
  private func run(at offset: Int64) -> ServedRun? {
    var (low, high) = (0, runs.count)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].offset <= offset { low = middle + 1 } else { high = middle }
    }
    guard low > 0, case let run = runs[low - 1], offset < run.offset &+ Int64(run.count) else { return nil }
    return run
  }

  /// The message at `offset`: `ServedRun.corrupt` where its bytes were wrong, nil where consumption had none there.
  func sequence(at offset: Int64) -> Int64? {
    run(at: offset).map { $0.sequence < 0 ? $0.sequence : $0.sequence &+ (offset &- $0.offset) }
  }

  /// The first message of `other` that is another one than consumption had at its offset.
  func firstDifference(from other: ServedRun) -> (offset: Int64, sequence: Int64)? {
    var at = other.offset
    let end = other.offset &+ Int64(other.count)
    while at < end {
      let sequence = other.sequence < 0 ? other.sequence : other.sequence &+ (at &- other.offset)
      guard let own = run(at: at), other.sequence >= 0, own.sequence >= 0 else { return (at, sequence) }
      guard own.sequence &+ (at &- own.offset) == sequence else { return (at, sequence) }
      at = min(end, own.offset &+ Int64(own.count))
    }
    return nil
  }
}
