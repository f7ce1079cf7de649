import Verification

/// Judges maps, with transactions or without: what is there must be the outcome of an order of the writes that agrees
/// with what the callers saw.
struct MapJudge {
  /// Steps of the search for such an order.
  private static let mostSteps = 20_000

  private let contract: ProgramContract
  private let history: CutHistory
  private let entries: [CutHistory.Entry]

  init(_ contract: ProgramContract, _ history: CutHistory) {
    (self.contract, self.history) = (contract, history)
    entries = history.entries.filter { if case .write = $0.request.call { true } else { false } }
  }

  private static func writes(_ entry: CutHistory.Entry) -> [MapWrite] {
    if case .write(let writes) = entry.request.call { writes } else { [] }
  }

  func judge(_ map: [String: String]) -> [ProgramCheckResult] {
    // Nearly always: everything that was acknowledged, in the order of the answers.
    if isSequential, explains(map, without: { !$0.isAcknowledged }) { return [] }
    let keys = Set(map.keys).union(entries.flatMap { Self.writes($0).map(\.key) })
    let wrong = firstOfEach(keys.sorted().compactMap { check($0, map[$0]) })
    if !wrong.isEmpty { return wrong }
    return whole(map)
  }

  /// No two writes were open at the same time.
  private var isSequential: Bool {
    zip(entries, entries.dropFirst()).allSatisfy { $0.end < $1.request.submitted }
  }

  /// Whether the writes in the order in which they were sent, without some, give the map.
  private func explains(_ map: [String: String], without isLeftOut: (CutHistory.Entry) -> Bool) -> Bool {
    var state: [String: String] = [:]
    for entry in entries where !isLeftOut(entry) { for write in Self.writes(entry) { state[write.key] = write.value } }
    return state == map
  }

  // MARK: Each key by itself

  /// A key may hold what any write left there that no required write must have come after.
  private func check(_ key: String, _ found: String?) -> ProgramCheckResult? {
    let own = entries.filter { Self.writes($0).contains { $0.key == key } }
    func value(_ entry: CutHistory.Entry) -> String? { Self.writes(entry).last { $0.key == key }!.value }
    // Where the last writes may be lost, all from some moment on, any earlier value may be there.
    let required = contract.allowances.contains(.suffixLoss) ? [] : own.filter(\.isRequired)
    let newest = required.map(\.request.submitted).max() ?? -1
    if own.contains(where: { value($0) == found && $0.end >= newest }) { return nil }
    if found == nil, required.isEmpty { return nil }
    let last = own.last(where: \.isAcknowledged).map { value($0) } ?? nil
    guard let found else {
      return ProgramCheckResult(
        .noAcknowledgedLoss, .violated, "key \(key) is gone; its last acknowledged value is \(shown(last))")
    }
    if history.refused.contains(found), !own.contains(where: { value($0) == found }) {
      return ProgramCheckResult(
        .noPhantom, .violated, "key \(key) holds \(shown(found)), which the program had refused for certain")
    }
    guard own.contains(where: { value($0) == found }) else {
      return strange(found, among: own.compactMap { value($0) }, "key \(key)")
    }
    if last == nil {
      return ProgramCheckResult(
        .noResurrection, .violated, "key \(key) holds \(shown(found)) again; its deletion was acknowledged")
    }
    return ProgramCheckResult(
      .noAcknowledgedLoss, .violated,
      "key \(key) holds \(shown(found)), an older value; the last acknowledged one is \(shown(last))")
  }

  // MARK: All keys together

  /// Each key by itself is right. An order of whole writes must explain all of them.
  private func whole(_ map: [String: String]) -> [ProgramCheckResult] {
    let mayLoseLast = contract.promise != .acknowledged || contract.allowances.contains(.suffixLoss)
    var search = OrderSearch(entries.map { (entry: $0, writes: Self.writes($0)) }, map, mostSteps: Self.mostSteps)
    let isForgiven = contract.allowances.contains(.suffixLoss)
    switch search.run(mayLoseLast: mayLoseLast, isForgiven: isForgiven) {
    case .explained: return []
    case .tooMany:
      return [
        ProgramCheckResult(
          .transactionsWhole, .unknown,
          "more than \(Self.mostSteps) steps to find an order of the writes that explains what is there")
      ]
    case .none: return [broken(map)]
    }
  }

  /// The transaction of which a part is there, where one can be named.
  private func broken(_ map: [String: String]) -> ProgramCheckResult {
    for entry in entries {
      let writes = Self.writes(entry)
      guard writes.count > 1 else { continue }
      let there = writes.filter { map[$0.key] == $0.value && $0.value != nil }
      let missing = writes.filter { write in
        map[write.key] != write.value
          && !entries.contains { other in
            other.request.submitted > entry.request.submitted && Self.writes(other).contains { $0.key == write.key }
          }
      }
      if let one = there.first, let other = missing.first {
        return ProgramCheckResult(
          .transactionsWhole, .violated,
          "of one transaction \(one.key) = \(shown(one.value)) is there, and \(other.key) = \(shown(other.value)) is not"
        )
      }
    }
    return ProgramCheckResult(
      .transactionsWhole, .violated,
      "no order of whole writes leads to what is there, although each key by itself has a value that it may have")
  }
}

/// Looks for an order of writes that gives a map.
///
/// Writes happen one after the other. One that ended before another was sent comes first. What was acknowledged and is
/// required must happen; the rest may.
private struct OrderSearch {
  enum Outcome { case explained, none, tooMany }

  private let writes: [(entry: CutHistory.Entry, writes: [MapWrite])]
  private let map: [String: String]
  private var stepsLeft: Int

  init(_ writes: [(entry: CutHistory.Entry, writes: [MapWrite])], _ map: [String: String], mostSteps: Int) {
    (self.writes, self.map, stepsLeft) = (writes, map, mostSteps)
  }

  /// - Parameters:
  ///   - mayLoseLast: an end of the order may be lost, acknowledged or not; what is required may not.
  ///   - isForgiven: nor need what is required be there.
  mutating func run(mayLoseLast: Bool, isForgiven: Bool) -> Outcome {
    // From the last write back: a write that no later one hides shows in the map.
    let outcome = search([Bool](repeating: false, count: writes.count), [:], mayLoseLast, isForgiven)
    return outcome ? .explained : (stepsLeft <= 0 ? .tooMany : .none)
  }

  /// Takes writes from the end of the order: `done` are those that come later or were left out. `hidden` has the keys
  /// that a later write has set, which agree with the map.
  private mutating func search(
    _ done: [Bool], _ hidden: [String: Bool], _ isEnd: Bool, _ isForgiven: Bool
  ) -> Bool {
    stepsLeft -= 1
    if stepsLeft <= 0 { return false }
    // All that is left is hidden, or there is nothing left.
    guard done.contains(false) else { return map.keys.allSatisfy { hidden[$0] == true } }
    // Of those that are left the one that was sent last, and the one before it.
    var (last, secondLast) = (-1, -1)
    for index in done.indices where !done[index] {
      let submitted = writes[index].entry.request.submitted
      if last < 0 || submitted > writes[last].entry.request.submitted {
        (last, secondLast) = (index, last)
      } else if secondLast < 0 || submitted > writes[secondLast].entry.request.submitted {
        secondLast = index
      }
    }
    for index in done.indices.reversed() where !done[index] {
      let entry = writes[index].entry
      // No other that is left must come after it.
      let other = index == last ? secondLast : last
      if other >= 0, entry.end < writes[other].entry.request.submitted { continue }
      var next = done
      next[index] = true
      let fits = writes[index].writes.reversed().reduce(into: (ok: true, keys: hidden)) { state, write in
        guard state.keys[write.key] != true else { return }
        if map[write.key] != write.value { state.ok = false }
        state.keys[write.key] = true
      }
      if fits.ok, search(next, fits.keys, false, isForgiven) { return true }
      // It did not happen, or was lost with all after it.
      let mayBeMissing = !entry.isAcknowledged || isEnd && (!entry.isRequired || isForgiven)
      if mayBeMissing, search(next, hidden, isEnd, isForgiven) { return true }
      if stepsLeft <= 0 { return false }
    }
    return false
  }
}
