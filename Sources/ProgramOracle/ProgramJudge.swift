import Verification

/// Compares what a program served with what its callers knew. It asks the program nothing, and knows no files.
package struct ProgramJudge: Sendable {
  package let contract: ProgramContract

  package init(_ contract: ProgramContract) { self.contract = contract }

  /// - Returns: what is broken, and what cannot be judged; empty where every promise is kept.
  package func judge(_ readback: ProgramReadback, _ history: CutHistory) -> [ProgramCheckResult] {
    let results = all(readback, history)
    guard contract.allowances.contains(.corruption) else { return results }
    return results.filter { $0.check == .opensInTime || $0.verdict != .violated }
  }

  private func all(_ readback: ProgramReadback, _ history: CutHistory) -> [ProgramCheckResult] {
    if let failure = readback.failure { return [result(of: failure)].compactMap { $0 } }
    var history = history
    history.require(contract)
    var results: [ProgramCheckResult]
    switch contract.model {
    case .log: results = LogJudge(contract, history).judge(readback)
    case .queue: results = QueueJudge(contract, history).judge(readback)
    case .map, .transactions: results = MapJudge(contract, history).judge(readback.map)
    }
    if let complaint = readback.check, !complaint.isEmpty, !contract.allowances.contains(.failedCheck) {
      results.append(ProgramCheckResult(.ownCheckAgrees, .violated, "the program's own check complains: \(complaint)"))
    }
    return results
  }

  private func result(of failure: ProgramReadback.Failure) -> ProgramCheckResult? {
    switch failure {
    case .refused(let words):
      contract.allowances.contains(.refusal)
        ? nil : ProgramCheckResult(.opens, .violated, "it refuses to open: \(words)")
    case .died(let how, let request):
      ProgramCheckResult(
        request == "open" || request == "close" ? .opens : .reads, .violated, "\(how), in '\(request)'")
    case .hung(let request):
      ProgramCheckResult(.opensInTime, .violated, "'\(request)' is not answered within the time limit")
    case .unreadable(let words, let request):
      ProgramCheckResult(.reads, .violated, "'\(request)' fails: \(words)")
    case .driver(let words):
      ProgramCheckResult(.opens, .unknown, "the driver failed: \(words)")
    }
  }
}

/// A value as a sentence names it.
func shown(_ value: String?) -> String {
  guard let value else { return "nothing" }
  if let name = writtenName(of: value) { return name }
  return "'\(value.prefix(24))\(value.utf8.count > 24 ? "…" : "")'"
}

/// The part of a value before its colon, which names it; nil where there is none.
func writtenName(of value: String) -> String? {
  guard let colon = value.firstIndex(of: ":"), colon != value.startIndex else { return nil }
  let name = value[..<colon]
  return name.utf8.count <= 24 && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? String(name) : nil
}

/// A value that nobody wrote: damaged, where it begins as one that was written, or holds zeros or nothing.
func strange(_ value: String, among known: some Sequence<String>, _ place: String) -> ProgramCheckResult {
  let name = writtenName(of: value)
  let isCut = known.contains { value.isEmpty || $0.hasPrefix(value) || value.hasPrefix($0) }
  let hasName = name != nil && known.contains { writtenName(of: $0) == name }
  if isCut || hasName || value.utf8.contains(0) {
    return ProgramCheckResult(
      .contentIntact, .violated,
      "\(place) holds \(name.map { "a damaged \($0)" } ?? "damaged bytes"), \(value.utf8.count) bytes,"
        + " that nobody wrote"
    )
  }
  return ProgramCheckResult(.noPhantom, .violated, "\(place) holds \(shown(value)), which nobody wrote")
}
