import LogModel

/// Offsets as names of messages.
extension PartitionChecker {
  /// What an earlier readback, or a consumer beside the producers, was served and this one is not must not have left
  /// its offset to another message, where it had to stay. Where it was allowed to go, its offset may be given again: a
  /// reader who knows messages by their offsets must be told.
  mutating func judgeNames(_ ledger: inout CheckAccumulator) {
    guard !earlier.isEmpty || !partition.seen.isEmpty else { return }
    ledger.apply(.offsetsNameOneMessage, exercised: partition.attempted > 0)
    var taken: [(base: Int64, place: Int)]?
    var (again, first) = (0, Int64.max)
    for place in partition.operations.indices where served.servedOf[place] == 0 {
      let looked = earlier.lazy.map { $0.base[place] }.first { $0 >= 0 }
      guard let base = looked ?? partition.seen[place]?.first?.base else { continue }
      let others =
        taken
        ?? partition.operations.indices.filter { served.servedOf[$0] > 0 }.map { (served.baseOf[$0], $0) }.sorted {
          $0.base < $1.base
        }
      taken = others
      let end = base &+ Int64(operation(place).count)
      let next = others.partitioningIndex { $0.base &+ Int64(operation($0.place).count) > base }
      guard next < others.count, others[next].base < end else { continue }
      let at = max(base, others[next].base)
      if duties[place].kind == .required, !duties[place].isDamaged {
        lose(&ledger, .offsetsNameOneMessage, at: at) {
          .reader(
            .nameTaken(
              offset: at, was: operation(place).firstSequence + Int(at - base),
              now: operation(others[next].place).firstSequence + Int(at - others[next].base)))
        }
      } else {
        again += Int(min(end, others[next].base &+ Int64(operation(others[next].place).count)) - at)
        first = min(first, at)
      }
    }
    guard again > 0 else { return }
    let name = partition.name
    ledger.remark(.offsetsNameOneMessage) {
      "\(name): \(again) \(again == 1 ? "offset names" : "offsets name") other messages than readers were given before "
        + "the crash, from "
        + "offset \(first) on: what stood there was allowed to go, and its offsets are given again"
    }
  }
}

extension Array {
  /// The first index whose element satisfies `belongs`; elements that do stand behind those that do not.
  fileprivate func partitioningIndex(where belongs: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = low + (high - low) / 2
      if belongs(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
