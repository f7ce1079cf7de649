import LogModel
import Storage

/// A planned fault in the course of a life.
final class ArmedFault: @unchecked Sendable {
  // Owned by the loop of its storage.

  let planned: PlannedFault
  /// In the plan.
  let index: Int
  private let kinds: Set<OperationKind>
  private var counter: TriggerCounter
  /// Claims included.
  private(set) var firings = 0
  private var since: Instant?
  /// Space has been freed.
  private var isOver = false
  private var isLifted = false
  /// For the fault's own choices.
  var random: SeededGenerator

  init(_ planned: PlannedFault, index: Int, seed: UInt64, at start: Instant) {
    self.planned = planned
    self.index = index
    let descriptor = planned.fault.descriptor
    let named = planned.trigger.kinds
    kinds = named.isEmpty ? descriptor.usualOperations : named.intersection(descriptor.operations)
    counter = TriggerCounter(planned.trigger, at: start)
    random = SeededGenerator(seed: mix64(seed &+ UInt64(index)), stream: "fault")
  }

  func isArmed(at now: Instant) -> Bool {
    if isLifted { return false }
    return switch planned.lasting {
    case .once: firings < 1
    case .times(let n): firings < n
    case .sticky: true
    case .untilSpaceFreed: !isOver
    case .duration(let duration): since.map { now - $0 < duration } ?? true
    }
  }

  func matches(_ call: StorageCall, in phases: PassPhases.OfPass) -> Bool {
    kinds.contains(call.kind) && planned.fault.applies(to: call) && planned.trigger.matches(call, in: phases)
  }

  func count(_ call: StorageCall, in surroundings: TriggerCounter.Surroundings) -> TriggerCounter.Hit? {
    counter.count(call, in: surroundings)
  }

  var matched: MatchedPasses { MatchedPasses(passes: counter.count, bytes: counter.bytes) }

  func claim(at now: Instant) {
    firings += 1
    if since == nil { since = now }
  }

  /// It was claimed and has not fired.
  func release() {
    firings -= 1
    if firings == 0 { since = nil }
  }

  /// This firing is not of those that the plan counts.
  func releaseIfCounted() {
    switch planned.lasting {
    case .once, .times: release()
    case .sticky, .untilSpaceFreed, .duration: break
    }
  }

  /// Ends it, begun or not.
  func lift() { isLifted = true }

  /// Ends what has begun.
  func freeSpace() { if firings > 0 { isOver = true } }
}

/// What a file's completed writes have left volatile, for the receipts of failed syncs.
struct UnsyncedRanges {
  private var entries: [(sync: Int, range: Range<Int64>)] = []
  private var submitted = 0

  mutating func add(_ range: Range<Int64>) {
    guard !range.isEmpty else { return }
    if let last = entries.last, last.sync == submitted, last.range.upperBound == range.lowerBound {
      entries[entries.count - 1].range = last.range.lowerBound..<range.upperBound
    } else {
      entries.append((submitted, range))
    }
  }

  /// Sorted and disjoint.
  var ranges: [Range<Int64>] {
    var list = RangeList()
    for entry in entries { list.add(entry.range) }
    return list.ranges
  }

  /// - Returns: the sync's number.
  mutating func submitSync() -> Int {
    submitted += 1
    return submitted
  }

  mutating func completeSync(_ number: Int) { entries.removeAll { $0.sync < number } }

  /// Removes what lies in `range`.
  /// - Returns: it, sorted and disjoint.
  mutating func take(_ range: Range<Int64>) -> [Range<Int64>] {
    var taken = RangeList()
    var left: [(sync: Int, range: Range<Int64>)] = []
    for entry in entries {
      let cut = entry.range.clamped(to: range)
      if cut.isEmpty {
        left.append(entry)
        continue
      }
      taken.add(cut)
      if entry.range.lowerBound < cut.lowerBound { left.append((entry.sync, entry.range.lowerBound..<cut.lowerBound)) }
      if cut.upperBound < entry.range.upperBound { left.append((entry.sync, cut.upperBound..<entry.range.upperBound)) }
    }
    entries = left
    return taken.ranges
  }
}
