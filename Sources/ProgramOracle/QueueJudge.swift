import Verification

/// Judges queues: what was taken and confirmed is gone for good, everything else is there.
struct QueueJudge {
  private let contract: ProgramContract
  private let history: CutHistory

  init(_ contract: ProgramContract, _ history: CutHistory) { (self.contract, self.history) = (contract, history) }

  func judge(_ readback: ProgramReadback) -> [ProgramCheckResult] {
    var names = Set(readback.logs.keys)
    for entry in history.entries {
      switch entry.request.call {
      case .append(let log, _), .take(let log): names.insert(log)
      case .write, .flush: break
      }
    }
    return names.sorted().flatMap { judge($0, readback.logs[$0] ?? []) }
  }

  private func judge(_ log: String, _ items: [ReadItem]) -> [ProgramCheckResult] {
    var appends: [CutHistory.Entry] = []
    // Those whose confirmation must survive, those whose confirmation may, and takes that took nobody knows what.
    var (taken, mayBeTaken, unknownTakes) = (Set<String>(), Set<String>(), 0)
    for entry in history.entries {
      switch entry.request.call {
      case .append(log, _): appends.append(entry)
      case .take(log):
        if case .acknowledged(_, let value) = entry.request.outcome, entry.isAcknowledged {
          guard let value else { continue }
          if entry.isRequired { taken.insert(value) } else { mayBeTaken.insert(value) }
        } else {
          unknownTakes += 1
        }
      default: break
      }
    }
    let checks = LogChecks(log, appends, history, contract)
    var results = checks.strangers(items) + checks.order(items)
    if !contract.allowances.contains(.redelivery), let back = items.first(where: { taken.contains($0.value) }) {
      results.append(
        ProgramCheckResult(
          .noResurrection, .violated, "queue \(log) holds \(shown(back.value)), which was taken and confirmed"))
    }
    // A take without an answer has taken the first that was there: none with one before it that is there still.
    let there = Set(items.map(\.value))
    let firstEnd = appends.filter { $0.request.call.values.allSatisfy(there.contains) }.map(\.end).min() ?? .max
    var left = unknownTakes
    var forgiven: Set<String> = []
    for entry in appends {
      guard case .append(_, let value) = entry.request.call, left > 0, entry.isAcknowledged,
        !there.contains(value), !taken.contains(value), !mayBeTaken.contains(value),
        firstEnd >= entry.request.submitted
      else { continue }
      forgiven.insert(value)
      left -= 1
    }
    return results
      + checks.losses(items) { taken.contains($0) || mayBeTaken.contains($0) || forgiven.contains($0) }
  }
}
