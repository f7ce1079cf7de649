import LogModel

/// What each check has come to so far in one readback: its first violation, its first doubt, whether it had anything
/// to look at. Text is rendered for the first divergence only.
struct CheckAccumulator {
  private struct Entry {
    var violations = 0
    var first: Divergence?
    var firstSlot = Int.max
    var detail = ""
    var doubt: String?
    var remark: String?
  }

  /// The restart that the readback comes after; nil for checks that are of no readback.
  let restart: Int?
  /// Checks, a bit for each by its place.
  private var applied: UInt64 = 0
  private var exercised: UInt64 = 0
  /// Details of checks that did not simply hold; in most readbacks there are none.
  private var entries: [CheckName: Entry] = [:]

  init(restart: Int? = nil) { self.restart = restart }

  /// The check applies to this trial; `exercised` once it had something that could have been wrong.
  mutating func apply(_ name: CheckName, exercised: Bool) {
    applied |= 1 << name.place
    if exercised { self.exercised |= 1 << name.place }
  }

  /// Keeps the violation with the lowest partition, then the lowest offset.
  mutating func violate(
    _ name: CheckName, slot: Int, at divergence: Divergence?, file: StaticString = #fileID, line: UInt = #line,
    _ detail: () -> String
  ) {
    #if DEBUG
      if OracleMutation.isSilent(file, line) { return }
    #endif
    var entry = entries[name] ?? Entry()
    entry.violations += 1
    let offset = divergence?.offset ?? 0
    if entry.violations == 1 || slot < entry.firstSlot
      || (slot == entry.firstSlot && offset < entry.first?.offset ?? 0)
    {
      (entry.first, entry.firstSlot, entry.detail) = (divergence, slot, detail())
    }
    entries[name] = entry
  }

  mutating func doubt(_ name: CheckName, _ reason: String, file: StaticString = #fileID, line: UInt = #line) {
    #if DEBUG
      if OracleMutation.isSilent(file, line) { return }
    #endif
    var entry = entries[name] ?? Entry()
    if entry.doubt == nil { entry.doubt = reason }
    entries[name] = entry
  }

  /// What the reader of a check that held must know all the same; the first one is kept.
  mutating func remark(_ name: CheckName, _ text: () -> String) {
    var entry = entries[name] ?? Entry()
    if entry.remark == nil { entry.remark = text() }
    entries[name] = entry
  }

  var results: [CheckResult] {
    var results: [CheckResult] = []
    results.reserveCapacity(CheckName.inOrder.count)
    for name in CheckName.inOrder {
      if let entry = entries.isEmpty ? nil : entries[name] {
        results.append(result(name, entry))
      } else if applied & 1 << name.place != 0 {
        results.append(CheckResult(name, .held, exercised & 1 << name.place != 0 ? "" : CheckResult.vacuous))
      }
    }
    return results
  }

  private func result(_ name: CheckName, _ entry: Entry) -> CheckResult {
    if entry.violations > 0 {
      let others = entry.violations > 1 ? " (and \(entry.violations - 1) more findings of this check)" : ""
      return CheckResult(name, .violated, entry.detail + others, divergence: entry.first, restart: restart)
    }
    if let doubt = entry.doubt { return CheckResult(name, .unknown, doubt, restart: restart) }
    return CheckResult(name, .held, entry.remark ?? (exercised & 1 << name.place != 0 ? "" : CheckResult.vacuous))
  }
}
