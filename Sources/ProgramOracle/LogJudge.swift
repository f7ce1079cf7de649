import Verification

/// Judges logs: records in the order in which they were appended. Each log stands for itself.
struct LogJudge {
  private let contract: ProgramContract
  private let history: CutHistory

  init(_ contract: ProgramContract, _ history: CutHistory) { (self.contract, self.history) = (contract, history) }

  func judge(_ readback: ProgramReadback) -> [ProgramCheckResult] {
    var appends: [String: [CutHistory.Entry]] = [:]
    for entry in history.entries {
      if case .append(let log, _) = entry.request.call { appends[log, default: []].append(entry) }
    }
    var results: [ProgramCheckResult] = []
    for log in Set(appends.keys).union(readback.logs.keys).sorted() {
      results += ItemChecks("log \(log)", appends[log] ?? [], [], history, contract).judge(readback.logs[log] ?? [])
    }
    return results
  }
}

/// The checks of one log or queue.
struct ItemChecks {
  /// As sentences name it.
  private let name: String
  private let contract: ProgramContract
  private let history: CutHistory
  private let appends: [CutHistory.Entry]
  private let takes: [CutHistory.Entry]

  init(
    _ name: String, _ appends: [CutHistory.Entry], _ takes: [CutHistory.Entry], _ history: CutHistory,
    _ contract: ProgramContract
  ) {
    (self.name, self.appends, self.takes, self.history, self.contract) = (name, appends, takes, history, contract)
  }

  func judge(_ items: [ReadItem]) -> [ProgramCheckResult] {
    if isAsAcknowledged(items) { return [] }
    var byValue: [String: Int] = [:]
    byValue.reserveCapacity(appends.count)
    for index in appends.indices { byValue[appends[index].value] = index }
    // Of each item its append; nil for what nobody wrote.
    let indices = items.map { byValue[$0.value] }
    let survivors = Survivors(
      appends, takes, byValue, indices.compactMap(\.self), lives: history.lives,
      mayComeAgain: contract.allowances.contains(.redelivery))
    return strangers(items, indices) + positions(items, indices) + order(items, indices, survivors)
      + losses(items, survivors)
  }

  /// Nearly always: everything that was acknowledged and not taken, in the order in which it was sent.
  private func isAsAcknowledged(_ items: [ReadItem]) -> Bool {
    let taken = Set(takes.lazy.compactMap(\.taken))
    var (next, position) = (0, Int.min)
    for entry in appends {
      let value = entry.value
      if next == items.count || items[next].value != value {
        if entry.isAcknowledged, !taken.contains(value) { return false }
        continue
      }
      let item = items[next]
      next += 1
      if entry.isGone || !taken.isEmpty && taken.contains(value) { return false }
      guard let own = item.position else { continue }
      if own <= position { return false }
      if entry.isAcknowledged, case .acknowledged(let told?, _) = entry.request.outcome, told != own { return false }
      position = own
    }
    return next == items.count
  }

  /// What nobody wrote, or not there, or not any more, or what is there twice.
  private func strangers(_ items: [ReadItem], _ indices: [Int?]) -> [ProgramCheckResult] {
    var results: [ProgramCheckResult] = []
    var seen: Set<Int> = []
    for (item, index) in zip(items, indices) {
      guard let index else {
        results.append(stranger(item.value))
        continue
      }
      if appends[index].isGone, !mayComeAgain(item.value) {
        results.append(returned(item.value))
      } else if !seen.insert(index).inserted, !contract.allowances.contains(.duplicates) {
        results.append(
          ProgramCheckResult(.noDuplicates, .violated, "\(name) holds \(shown(item.value)) more than once"))
      }
    }
    return firstOfEach(results)
  }

  private func mayComeAgain(_ value: String) -> Bool {
    contract.allowances.contains(.redelivery) && takes.contains { $0.mayHaveTaken(value) }
  }

  private func returned(_ value: String) -> ProgramCheckResult {
    ProgramCheckResult(
      .noPhantom, .violated,
      "\(name) holds \(shown(value)), which was not there when all was read after an earlier crash")
  }

  private func stranger(_ value: String) -> ProgramCheckResult {
    if history.settledAbsent.contains(value) { return returned(value) }
    if history.refused.contains(value) {
      return ProgramCheckResult(
        .noPhantom, .violated, "\(name) holds \(shown(value)), which the program had refused for certain")
    }
    for entry in history.entries {
      if case .append(let other, value) = entry.request.call {
        return ProgramCheckResult(.noPhantom, .violated, "\(name) holds \(shown(value)), which belongs to '\(other)'")
      }
    }
    return strange(value, among: appends.lazy.map(\.value), name)
  }

  private func positions(_ items: [ReadItem], _ indices: [Int?]) -> [ProgramCheckResult] {
    var last: Int?
    // Records that are not where the program had said, and those that are.
    var (strayed, kept): ([(index: Int, own: Int, told: Int)], Set<Int>) = ([], [])
    for (item, index) in zip(items, indices) {
      guard let own = item.position else { continue }
      if let last, own <= last {
        return [
          ProgramCheckResult(
            .positionsKept, .violated, "\(name): position \(own) of \(shown(item.value)) comes after position \(last)")
        ]
      }
      last = own
      guard let index, appends[index].isAcknowledged,
        case .acknowledged(let told?, _) = appends[index].request.outcome
      else { continue }
      if told == own { kept.insert(index) } else { strayed.append((index, own, told)) }
    }
    // Of a record that may be there twice one is where it should be.
    guard let (index, own, told) = strayed.first(where: { !kept.contains($0.index) }) else { return [] }
    return [
      ProgramCheckResult(
        .positionsKept, .violated,
        "\(name): \(shown(appends[index].value)) was acknowledged at position \(told), and is at \(own)")
    ]
  }

  /// Of a record that may be there twice the first counts. An item that came again may stand anywhere.
  private func order(_ items: [ReadItem], _ indices: [Int?], _ survivors: Survivors) -> [ProgramCheckResult] {
    var latest: (submitted: Int, value: String)?
    var seen: Set<Int> = []
    for index in indices {
      guard let index, seen.insert(index).inserted else { continue }
      if contract.allowances.contains(.redelivery), survivors.isTaken(index) { continue }
      let entry = appends[index]
      if let before = latest, entry.end < before.submitted {
        return [
          ProgramCheckResult(
            .orderKept, .violated,
            "\(name): \(shown(entry.value)) comes after \(shown(before.value)), and was there before that was sent"
          )
        ]
      }
      if latest.map({ entry.request.submitted > $0.submitted }) ?? true {
        latest = (entry.request.submitted, entry.value)
      }
    }
    return []
  }

  /// What is gone, and what is back.
  private func losses(_ items: [ReadItem], _ survivors: Survivors) -> [ProgramCheckResult] {
    var results: [ProgramCheckResult] = []
    if !contract.allowances.contains(.redelivery), let back = survivors.back {
      results.append(
        ProgramCheckResult(
          .noResurrection, .violated,
          "\(name) holds \(shown(appends[back].value)), which was taken and confirmed"))
    }
    let missing = survivors.missing
    if let required = missing.first(where: { appends[$0].isRequired }) {
      let many = missing.count { appends[$0].isRequired }
      results.append(
        ProgramCheckResult(
          .noAcknowledgedLoss, .violated,
          "\(shown(appends[required].value)) of \(name) was acknowledged and is gone"
            + (many > 1 ? ", with \(many - 1) more" : "") + "; \(items.count) records are there"))
    } else if let first = missing.first {
      results.append(
        ProgramCheckResult(
          .noGaps, .violated, "\(name) has lost \(shown(appends[first].value)), and holds what came after it"))
    }
    return results
  }
}

extension CutHistory.Entry {
  /// Of an append.
  var value: String { if case .append(_, let value) = request.call { value } else { "" } }

  /// What a take took; nil where that is not known, or was nothing.
  var taken: String? {
    if isAcknowledged, case .acknowledged(_, let value) = request.outcome { value } else { nil }
  }
}

extension CutHistory.Entry {
  /// Of a take.
  func mayHaveTaken(_ value: String) -> Bool { !isAcknowledged || taken == value }
}

/// One of each check is enough.
func firstOfEach(_ results: [ProgramCheckResult]) -> [ProgramCheckResult] {
  var seen: Set<ProgramCheck> = []
  return results.filter { seen.insert($0.check).inserted }
}
