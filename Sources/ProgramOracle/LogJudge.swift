import Verification

/// Judges logs: records in the order in which they were appended.
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
      results += LogChecks(log, appends[log] ?? [], history, contract).judge(readback.logs[log] ?? [])
    }
    return results
  }
}

/// The checks of one log, those of them too that a queue has.
struct LogChecks {
  private let log: String
  private let contract: ProgramContract
  private let history: CutHistory
  private var byValue: [String: CutHistory.Entry] = [:]
  private let appends: [CutHistory.Entry]

  init(_ log: String, _ appends: [CutHistory.Entry], _ history: CutHistory, _ contract: ProgramContract) {
    (self.log, self.appends, self.history, self.contract) = (log, appends, history, contract)
    for entry in appends { if case .append(_, let value) = entry.request.call { byValue[value] = entry } }
  }

  func judge(_ items: [ReadItem]) -> [ProgramCheckResult] {
    var results = strangers(items)
    results += order(items)
    results += losses(items)
    return results
  }

  private static func value(_ entry: CutHistory.Entry) -> String {
    if case .append(_, let value) = entry.request.call { value } else { "" }
  }

  /// What nobody wrote, or not there, or not any more, or what is there twice.
  func strangers(_ items: [ReadItem]) -> [ProgramCheckResult] {
    var results: [ProgramCheckResult] = []
    var seen: Set<String> = []
    for item in items {
      if byValue[item.value] == nil {
        results.append(stranger(item.value))
      } else if history.settledAbsent.contains(item.value) {
        results.append(
          ProgramCheckResult(
            .noPhantom, .violated,
            "log \(log) holds \(shown(item.value)), which was not there when all was read after an earlier crash"))
      } else if !seen.insert(item.value).inserted, !contract.allowances.contains(.duplicates) {
        results.append(
          ProgramCheckResult(.noDuplicates, .violated, "log \(log) holds \(shown(item.value)) more than once"))
      }
    }
    return firstOfEach(results)
  }

  private func stranger(_ value: String) -> ProgramCheckResult {
    if history.refused.contains(value) {
      return ProgramCheckResult(
        .noPhantom, .violated, "log \(log) holds \(shown(value)), which the program had refused for certain")
    }
    for entry in history.entries {
      if case .append(let other, value) = entry.request.call {
        return ProgramCheckResult(
          .noPhantom, .violated, "log \(log) holds \(shown(value)), which belongs to log \(other)")
      }
    }
    return strange(value, among: byValue.keys, "log \(log)")
  }

  /// Order, and positions.
  func order(_ items: [ReadItem]) -> [ProgramCheckResult] {
    var results: [ProgramCheckResult] = []
    var latest: (submitted: Int, value: String)?
    var position: Int?
    var seen: Set<String> = []
    for item in items {
      if let last = position, let own = item.position, own <= last {
        results.append(
          ProgramCheckResult(
            .positionsKept, .violated,
            "log \(log): position \(own) of \(shown(item.value)) comes after position \(last)"))
      }
      position = item.position ?? position
      guard let entry = byValue[item.value], seen.insert(item.value).inserted else { continue }
      if case .acknowledged(let told?, _) = entry.request.outcome, entry.isAcknowledged, let own = item.position,
        told != own
      {
        results.append(
          ProgramCheckResult(
            .positionsKept, .violated,
            "log \(log): \(shown(item.value)) was acknowledged at position \(told), and is at \(own)"))
      }
      if let before = latest, entry.end < before.submitted {
        results.append(
          ProgramCheckResult(
            .orderKept, .violated,
            "log \(log): \(shown(item.value)) comes after \(shown(before.value)), and was acknowledged before that was sent"
          ))
      }
      if latest.map({ entry.request.submitted > $0.submitted }) ?? true {
        latest = (entry.request.submitted, item.value)
      }
    }
    return firstOfEach(results)
  }

  /// What is gone.
  /// - Parameter mayBeGone: of a queue, those that were taken.
  func losses(_ items: [ReadItem], mayBeGone: (String) -> Bool = { _ in false }) -> [ProgramCheckResult] {
    let there = Set(items.map(\.value))
    let gone = appends.filter { entry in
      let value = Self.value(entry)
      return entry.isAcknowledged && !there.contains(value) && !mayBeGone(value)
    }
    guard let first = gone.first else { return [] }
    // A later one that is there makes a hole: no earlier moment of the log looks like this.
    let later = appends.last { there.contains(Self.value($0)) && first.end < $0.request.submitted }
    let isForgiven = contract.allowances.contains(.suffixLoss)
    if let required = gone.first(where: \.isRequired), !isForgiven || later != nil {
      let many = gone.count(where: \.isRequired)
      return [
        ProgramCheckResult(
          .noAcknowledgedLoss, .violated,
          "\(shown(Self.value(required))) of log \(log) was acknowledged and is gone"
            + (many > 1 ? ", with \(many - 1) more" : "") + "; \(items.count) records are there")
      ]
    }
    guard let later else { return [] }
    return [
      ProgramCheckResult(
        .noGaps, .violated,
        "log \(log) has lost \(shown(Self.value(first))), and holds \(shown(Self.value(later))), which came after it")
    ]
  }
}

/// One of each check is enough.
func firstOfEach(_ results: [ProgramCheckResult]) -> [ProgramCheckResult] {
  var seen: Set<ProgramCheck> = []
  return results.filter { seen.insert($0.check).inserted }
}
