import LogModel

/// Loss: what is owed and was not served.
extension PartitionChecker {
  private var hasPowerLoss: Bool { history.crashes[..<restart].contains { $0.kind.losesPower } }
  private var hasWindow: Bool {
    [contract.sync, contract.laterSync].contains { if case .interval = $0 { true } else { false } }
  }

  func isServed(_ sequence: Int) -> Bool {
    served.offsetOf[sequence] >= 0 || (!probed.isEmpty && probed[sequence])
  }

  /// The first message of the operation that no fetch returned and nobody deleted, as a number within it.
  func firstMissing(_ place: Int) -> Int? {
    let operation = operation(place)
    if Int(served.servedOf[place]) == operation.count { return nil }
    let base = base(of: place)
    // Of a batch that a deletion has cut through the rest is owed like any other.
    let deleted = base < 0 ? 0 : Int(min(max(0, partition.trimmedBefore.rawValue &- base), Int64(operation.count)))
    let isGone = excuses(.deleted, deleted == operation.count)
    let first = isGone ? operation.count : deleted % operation.count
    return (first..<operation.count).first { !isServed(operation.firstSequence + $0) }
  }

  /// The offset of its first message; negative where nobody knows it.
  private func base(of place: Int) -> Int64 { duties[place].base >= 0 ? duties[place].base : served.baseOf[place] }

  mutating func judgeOperations(_ ledger: inout CheckAccumulator) {
    let applied: [CheckName] =
      [.noAcknowledgedLoss, .lossIsSuffix] + (hasWindow && hasPowerLoss ? [.lossWindow] : [])
    let isAnyOwed = duties.contains { $0.kind == .required && !$0.isDamaged }
    let mayAnyGo = partition.operations.indices.contains {
      operation($0).outcome == .acknowledged && duties[$0].allowedLossAt != nil
    }
    for name in applied { ledger.apply(name, exercised: name == .lossIsSuffix ? isAnyOwed || mayAnyGo : isAnyOwed) }
    if !isEnded {
      for name in applied + [.noGaps] { doubt(&ledger, name, .readbackUnfinished) }
    }
    let survivors = survivorsByIncarnation()
    for place in partition.operations.indices { judge(place, survivors, &ledger) }
  }

  private mutating func judge(_ place: Int, _ survivors: [Int64], _ ledger: inout CheckAccumulator) {
    let operation = operation(place)
    let duty = duties[place]
    count(operation)
    guard operation.outcome != .failed, let missing = firstMissing(place) else { return }
    let base = base(of: place)
    let end = base &+ Int64(operation.count)
    guard isEnded || (base >= 0 && end <= served.end) else { return }
    let at = base &+ Int64(missing)
    let isWhole = served.servedOf[place] == 0

    if operation.outcome == .acknowledged {
      let lost = countMissing(operation, from: missing)
      counts.lost += lost
      if operation.incarnation > 0 { counts.lostLater += lost }
    }
    // What a deletion may have taken is not missing.
    if !isWhole && readback.end == .reached && !holdsCorrupt(base, end) {
      violate(&ledger, .contentIntact, at: at) {
        .batchIsSplit(messages: operation.count, served: Int(served.servedOf[place]))
      }
    }
    guard !duty.isDamaged else { return }
    switch duty.kind {
    case .required:
      lose(&ledger, .noAcknowledgedLoss, at: at) {
        .missing(
          message: operation.firstSequence + missing, offset: at, isAcknowledged: operation.outcome == .acknowledged)
      }
      let passed = history.crashes[min(operation.incarnation, restart)..<restart]
      let rules = PromiseRules(contract, history)
      if let last = passed.lastIndex(where: { $0.kind.losesPower }), let window = rules.window(of: last) {
        lose(&ledger, .lossWindow, at: at) {
          rules.closed[last] ? .missingThoughClosed(offset: at) : .missingBeforeWindow(offset: at, window: window)
        }
      }
    case .optional where operation.outcome == .acknowledged && isWhole:
      guard let crash = duty.allowedLossAt, crash < survivors.count, survivors[crash] > base else { return }
      lose(&ledger, .lossIsSuffix, at: at) {
        .lossIsNoSuffix(lost: at, survivor: survivors[crash])
      }
    case .optional, .failed, .settled: break
    }
  }

  private mutating func count(_ operation: PartitionOperation) {
    guard operation.incarnation == 0 else { return }
    counts.attempted += operation.count
    switch operation.outcome {
    case .acknowledged: counts.acknowledged += operation.count
    case .indeterminate: counts.indeterminate += operation.count
    case .failed: break
    }
  }

  private func countMissing(_ operation: PartitionOperation, from missing: Int) -> Int {
    (missing..<operation.count).count { !isServed(operation.firstSequence + $0) }
  }

  private func holdsCorrupt(_ from: Int64, _ to: Int64) -> Bool {
    served.corrupt.contains { $0.from.rawValue < to && $0.to.rawValue > from }
  }

  /// For each incarnation the highest base offset at which an operation of it, or of one before it, is served.
  private func survivorsByIncarnation() -> [Int64] {
    guard hasPowerLoss else { return [] }
    var highest = [Int64](repeating: -1, count: restart + 1)
    for place in partition.operations.indices where served.servedOf[place] > 0 {
      let incarnation = operation(place).incarnation
      highest[incarnation] = max(highest[incarnation], served.baseOf[place])
    }
    for i in highest.indices.dropFirst() { highest[i] = max(highest[i], highest[i - 1]) }
    return highest
  }

  private func mayBeRefused(_ place: Int) -> Bool {
    excuses(
      .refusal,
      contract.refusals.excuses(
        history.operations[operation(place).number], createdBy: history.creations[partition.slot]))
  }

  /// Appends after a restart are accepted, get offsets of their own, and survive.
  func judgeAppends(_ ledger: inout CheckAccumulator) {
    for incarnation in stride(from: 1, through: restart, by: 1) {
      let places = partition.operations.indices.filter { operation($0).incarnation == incarnation }
      guard !places.isEmpty else { continue }
      ledger.apply(.appendAfterRecovery, exercised: true)
      let acknowledged = places.filter { operation($0).outcome == .acknowledged }
      let answered = places.count { operation($0).isAnswered && !mayBeRefused($0) }
      if answered > 0 && acknowledged.isEmpty {
        violate(&ledger, .appendAfterRecovery, at: served.end) {
          .appendsRefused(restart: incarnation, count: answered)
        }
      }
      let recovered = earlier.filter {
        $0.restart == incarnation && $0.operations <= operation(places[0]).number
      }
      let recoveredEnd = recovered.compactMap(\.highWatermark).max()
      for place in acknowledged {
        let base = duties[place].base
        if let recoveredEnd, base < recoveredEnd.rawValue {
          violate(&ledger, .appendAfterRecovery, at: base) {
            .appendTooLow(restart: incarnation, found: base, atLeast: recoveredEnd.rawValue)
          }
        }
        guard isEnded, duties[place].kind == .required, !duties[place].isDamaged, let missing = firstMissing(place)
        else { continue }
        lose(&ledger, .appendAfterRecovery, at: base &+ Int64(missing)) {
          .appendMissing(restart: incarnation, offset: base &+ Int64(missing))
        }
      }
    }
  }
}
