import Verification

/// Judges queues: what was taken and confirmed is gone for good, everything else is there. Each queue stands for
/// itself.
///
/// What an answered take took is believed, whatever stood before it. A take without an answer has taken the first item
/// that nobody else had in hand, or nothing; that item is gone, or back in its place.
struct QueueJudge {
  private let contract: ProgramContract
  private let history: CutHistory

  init(_ contract: ProgramContract, _ history: CutHistory) { (self.contract, self.history) = (contract, history) }

  func judge(_ readback: ProgramReadback) -> [ProgramCheckResult] {
    var appends: [String: [CutHistory.Entry]] = [:]
    var takes: [String: [CutHistory.Entry]] = [:]
    for entry in history.entries {
      switch entry.request.call {
      case .append(let log, _): appends[log, default: []].append(entry)
      case .take(let log): takes[log, default: []].append(entry)
      case .write, .flush: break
      }
    }
    return Set(readback.logs.keys).union(appends.keys).sorted().flatMap {
      ItemChecks("queue \($0)", appends[$0] ?? [], takes[$0] ?? [], history, contract).judge(readback.logs[$0] ?? [])
    }
  }
}
