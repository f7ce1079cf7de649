import Verification

/// Judges maps, with transactions or without: what is there must be the outcome of an order of the writes that agrees
/// with what the callers saw.
struct MapJudge {
  /// Steps of the search for such an order.
  private static let mostSteps = 4_000_000

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
    let mayLoseLast = contract.promise != .acknowledged || contract.allowances.contains(.suffixLoss)
    var search = OrderSearch(
      entries, map, lives: history.lives, mayLoseLast: mayLoseLast, mostSteps: Self.mostSteps)
    switch search.run() {
    case .explained: return []
    case .tooMany:
      return [
        ProgramCheckResult(
          .transactionsWhole, .unknown,
          "more than \(Self.mostSteps) steps to find an order of the writes that explains what is there")
      ]
    case .none:
      let keys = Set(map.keys).union(entries.flatMap { Self.writes($0).map(\.key) })
      let wrong = firstOfEach(keys.sorted().compactMap { check($0, map[$0]) })
      return wrong.isEmpty ? [broken(map)] : wrong
    }
  }

  // MARK: Each key by itself

  /// Names what is wrong with one key. It may hold what any write left there, unless a required write came after it.
  private func check(_ key: String, _ found: String?) -> ProgramCheckResult? {
    let own = entries.filter { Self.writes($0).contains { $0.key == key } }
    func value(_ entry: CutHistory.Entry) -> String? { Self.writes(entry).last { $0.key == key }!.value }
    let required = own.filter(\.isRequired)
    let newest = required.map(\.request.submitted).max() ?? -1
    if own.contains(where: { value($0) == found && $0.end >= newest }) { return nil }
    if found == nil, required.isEmpty { return nil }
    let last = own.last(where: \.isAcknowledged).map { value($0) } ?? nil
    guard let found else {
      return ProgramCheckResult(
        .noAcknowledgedLoss, .violated, "key \(key) is gone; its last acknowledged value is \(shown(last))")
    }
    let isOwn = own.contains { value($0) == found }
    if !isOwn, own.contains(where: { Self.writes($0).contains(MapWrite(key, found)) }) {
      return ProgramCheckResult(
        .transactionsWhole, .violated, "key \(key) holds \(shown(found)), which its own transaction wrote over")
    }
    if !isOwn, history.settledAbsent.contains(found) {
      return ProgramCheckResult(
        .noResurrection, .violated,
        "key \(key) holds \(shown(found)), which was not there when all was read after an earlier crash")
    }
    if !isOwn, history.refused.contains(found) {
      return ProgramCheckResult(
        .noPhantom, .violated, "key \(key) holds \(shown(found)), which the program had refused for certain")
    }
    guard isOwn else {
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
          "of one transaction \(one.key) = \(shown(one.value)) is there, \(other.key) = \(shown(other.value)) is not"
        )
      }
    }
    return ProgramCheckResult(
      .transactionsWhole, .violated,
      "no order of whole writes leads to what is there, although each key by itself has a value that it may have")
  }
}
