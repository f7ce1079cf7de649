import CrashStates
import LogModel
import Verification

/// A sync that fails in a recorded life takes from the next power loss what it was to make durable, and whatever syncs
/// succeed later: its pages count as clean. That is the only damage of a recording, and an engine that says what it has
/// lost may lose it. Nothing at rest is damaged in explorations of crash states: a power cut takes what no sync has
/// covered, and nothing else.
extension Recording {
  /// Damage, with the number of events before it.
  typealias FailedSync = (event: Int, damage: Damage)

  func failedSyncs(_ workload: ExplorationWorkload) -> [FailedSync] {
    let requests = requests
    var files: [Int32: WrittenFile] = [:]
    var acknowledged: [Int: (base: Offset, at: Instant)] = [:]
    for event in events {
      if case .answered(let n, .acknowledged, let base)? = event.fact { acknowledged[n] = (base, event.time) }
    }
    var found: [FailedSync] = []
    for (index, event) in events.enumerated() {
      switch event.what {
      case .submitted(let number):
        if case .sync(let file, _) = operations[number] { files[file]?.begin(sync: number) }
      case .completed(let number, let succeeded, let taken):
        switch operations[number] {
        case .write(let file, let offset, let bytes, let durable) where taken > 0 && partition(ofFile: file) != nil:
          files[file, default: WrittenFile()].write(bytes.prefix(taken), at: offset, durable: durable)
        case .sync(let file, _):
          guard let ranges = files[file]?.end(sync: number), !succeeded, let partition = partition(ofFile: file) else {
            break
          }
          let messages = MessagesInFile(workload, partition)
          let lost = ranges.flatMap { messages.touched(files[file]?.content ?? [], in: $0) }
          let known = acknowledged.filter { $0.value.at <= event.time }
          let offsets = lost.compactMap { Self.offset(of: $0, partition, known, requests) }
          if offsets.isEmpty { break }
          found.append(
            (
              index + 1,
              Damage(
                partition: PartitionSlot(partition), kind: "sync-failure",
                touched: offsets.map { OffsetRange(from: $0, to: $0 + 1) },
                description: "a sync of \(name(file)) failed", isInLife: true, isCertain: false, isFailedSync: true)
            ))
        default: break
        }
      case .changed, .fact: break
      }
    }
    return found
  }

  /// Of the partition's message of that number, where it had been acknowledged, be it in the same moment: whose answer
  /// is on its way has been.
  private static func offset(
    of sequence: Int, _ partition: Int, _ acknowledged: [Int: (base: Offset, at: Instant)], _ requests: [ProduceRequest]
  ) -> Offset? {
    for (n, (base, _)) in acknowledged where requests[n].partition == partition {
      let first = requests[n].first
      if first..<first + requests[n].count ~= sequence { return base + (sequence - first) }
    }
    return nil
  }
}

/// What has been written to a file, and what of it no sync has taken on yet.
private struct WrittenFile {
  private(set) var content: [UInt8] = []
  private var volatile: [Range<Int>] = []
  /// By sync in flight.
  private var taken: [Int: [Range<Int>]] = [:]

  mutating func write(_ bytes: ArraySlice<UInt8>, at offset: Int, durable: Bool) {
    let end = offset + bytes.count
    if content.count < end { content += [UInt8](repeating: 0, count: end - content.count) }
    content.replaceSubrange(offset..<end, with: bytes)
    if !durable { volatile.append(offset..<end) }
  }

  mutating func begin(sync number: Int) {
    taken[number] = volatile
    volatile = []
  }

  /// - Returns: what the sync was to make durable.
  mutating func end(sync number: Int) -> [Range<Int>] { taken.removeValue(forKey: number) ?? [] }
}
