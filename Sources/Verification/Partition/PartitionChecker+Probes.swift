import LogModel

/// What fetches from everywhere answer, compared with what consumption was served.
extension PartitionChecker {
  func judgeProbes(_ ledger: inout CheckAccumulator) {
    if let backward = readback.backward {
      violate(&ledger, .everyStartOffset, at: backward.asked) {
        .fetchBegan(asked: backward.asked, at: backward.served)
      }
    }
    if let repeated = readback.repeated {
      violate(&ledger, .noDuplicates, at: repeated.found) {
        .readback(.answerRepeats(offset: repeated.found, behind: repeated.expected &- 1))
      }
    }
    let consumed = ServedOffsets(readback.served)
    for probe in readback.belowStart { judgeBelowStart(probe, consumed, &ledger) }
    guard readback.probes > 0 else {
      if served.distinctOffsets == 0 { return ledger.apply(.everyStartOffset, exercised: false) }
      return doubt(&ledger, .everyStartOffset, .readback(.noStartOffset))
    }
    ledger.apply(.everyStartOffset, exercised: served.distinctOffsets > 0 || requiredEnd > 0)
    for run in readback.exactProbes.runs {
      for i in 0..<Int64(run.count) {
        judge(
          run.sequence < 0 ? -1 : run.sequence &+ i, at: run.offset &+ i, askedAt: run.offset &+ i, consumed, &ledger)
      }
    }
    for probe in readback.otherProbes { judgeOtherProbe(probe, consumed, &ledger) }
    for run in readback.answered.runs { judgeAnswer(run, consumed, &ledger) }
    if let jump = readback.jump, jump.found <= jump.expected || !excusesProbe(jump.expected, jump.found) {
      violate(&ledger, .everyStartOffset, at: jump.expected) {
        .readback(.answerSkips(from: jump.expected, to: jump.found))
      }
    }
  }

  /// Messages behind the first of an answer: those that consumption was served.
  private func judgeAnswer(_ run: ServedRun, _ consumed: ServedOffsets, _ ledger: inout CheckAccumulator) {
    guard let (offset, sequence) = consumed.firstDifference(from: run) else { return }
    judge(sequence, at: offset, askedAt: nil, consumed, &ledger)
  }

  /// - Parameter start: the offset that was asked for; nil for a message behind the first of its answer.
  private func judge(
    _ sequence: Int64, at offset: Int64, askedAt start: Int64?, _ consumed: ServedOffsets,
    _ ledger: inout CheckAccumulator
  ) {
    let found = start.map { ReadbackFinding.Place.begins(asked: $0) } ?? .goesOn(at: offset)
    if sequence < 0 {
      return violate(&ledger, .contentIntact, at: offset) { .readback(.corrupt(found)) }
    }
    let place = sequence < partition.operationOfSequence.count ? Int(partition.operationOfSequence[Int(sequence)]) : -1
    guard place >= 0, mayBeServed(place) else {
      return violate(&ledger, .noPhantoms, at: offset) {
        switch place < 0 ? nil : duties[place].kind {
        case .failed: .readback(.failedIsThere(found, message: sequence))
        case .settled(let restart): .readback(.goneIsBack(found, message: sequence, restart: restart))
        default: .readback(.neverSent(found, message: sequence))
        }
      }
    }
    if let other = consumed.sequence(at: offset) {
      guard other != sequence, other >= 0 else { return }
      return violate(&ledger, .everyStartOffset, at: offset) {
        .readback(.otherThanConsumed(found, message: sequence, consumed: other))
      }
    }
    // Where consumption has come to its end, it has passed by here.
    if readback.end == .reached,
      !excuses(.excusedProbe, damaged.contains(offset) || offset < partition.trimmedBefore.rawValue)
    {
      return violate(&ledger, .everyStartOffset, at: offset) {
        .readback(.notConsumed(found, message: sequence))
      }
    }
    let consumedAt = served.offsetOf[Int(sequence)]
    let expected =
      consumedAt >= 0
      ? consumedAt
      : duties[place].base >= 0 ? duties[place].base &+ sequence &- Int64(operation(place).firstSequence) : offset
    if expected != offset {
      violate(&ledger, .everyStartOffset, at: offset) {
        .readback(.elsewhere(found, message: sequence, standsAt: expected))
      }
    }
  }

  /// Not what was refused for certain, nor what was gone once.
  private func mayBeServed(_ place: Int) -> Bool {
    switch duties[place].kind {
    case .failed: false
    case .settled: excuses(.comesBack, duties[place].mayComeBack)
    case .required, .optional: true
    }
  }

  private func judgeOtherProbe(
    _ probe: PartitionReadback.Probe, _ consumed: ServedOffsets, _ ledger: inout CheckAccumulator
  ) {
    let start = probe.start
    guard let found = probe.offset else {
      let below = max(served.end, requiredEnd)
      guard start < below, start >= (claims?.logStartOffset.rawValue ?? 0) else { return }
      guard !excuses(.excusedProbe, excused.contains(start) || start < partition.trimmedBefore.rawValue) else { return }
      return lose(&ledger, .everyStartOffset, at: start) { .fetchWasEmpty(asked: start) }
    }
    judge(probe.sequence, at: found, askedAt: start, consumed, &ledger)
    if found > start, excusesProbe(start, found) { return }
    lose(&ledger, .everyStartOffset, at: start) { .fetchBegan(asked: start, at: found) }
  }

  /// Below the log start offset nothing is owed, and nothing that consumption was not served may come. Of what was
  /// deleted `deleted-stays-deleted` says so.
  private func judgeBelowStart(
    _ probe: PartitionReadback.Probe, _ consumed: ServedOffsets, _ ledger: inout CheckAccumulator
  ) {
    guard let found = probe.offset, found >= partition.deletedBefore.rawValue else { return }
    if found == probe.start {
      judge(probe.sequence, at: found, askedAt: probe.start, consumed, &ledger)
    } else {
      judgeOtherProbe(probe, consumed, &ledger)
    }
  }

  func excusesProbe(_ start: Int64, _ found: Int64) -> Bool {
    excuses(.excusedProbe, excused.covers(start, found) || found <= partition.trimmedBefore.rawValue)
  }
}
