import LogModel

/// What fetches from everywhere answer, compared with what consumption was served.
extension PartitionExamination {
  func judgeProbes(_ ledger: inout Ledger) {
    if let backward = look.backward {
      violate(&ledger, .everyStartOffset, at: backward.asked) {
        "a fetch at \(backward.asked) must begin there, found \(backward.served)"
      }
    }
    if let repeated = look.repeated {
      violate(&ledger, .noDuplicates, at: repeated.found) {
        "offset \(repeated.found) is served again, within one answer, behind offset \(repeated.expected &- 1)"
      }
    }
    guard look.probes > 0 else {
      if served.distinctOffsets == 0 { return ledger.apply(.everyStartOffset, exercised: false) }
      return ledger.doubt(.everyStartOffset, "\(partition.name): no start offset was asked for")
    }
    ledger.apply(.everyStartOffset, exercised: served.distinctOffsets > 0 || requiredEnd > 0)
    let consumed = ServedOffsets(look.served)
    for run in look.exactProbes.runs {
      for i in 0..<Int64(run.count) {
        judge(run.sequence < 0 ? -1 : run.sequence &+ i, at: run.offset &+ i, askedAt: run.offset &+ i, consumed, &ledger)
      }
    }
    for probe in look.otherProbes { judgeOtherProbe(probe, consumed, &ledger) }
    for run in look.answered.runs { judgeAnswer(run, consumed, &ledger) }
    if let jump = look.jump, jump.found <= jump.expected || !excusesProbe(jump.expected, jump.found) {
      violate(&ledger, .everyStartOffset, at: jump.expected) {
        "within one answer offset \(jump.expected) must follow \(jump.expected &- 1), found \(jump.found)"
      }
    }
  }

  /// Messages behind the first of an answer: those that consumption was served.
  private func judgeAnswer(_ run: ServedRun, _ consumed: ServedOffsets, _ ledger: inout Ledger) {
    guard let (offset, sequence) = consumed.firstDifference(from: run) else { return }
    judge(sequence, at: offset, askedAt: nil, consumed, &ledger)
  }

  /// - Parameter start: the offset that was asked for; nil for a message behind the first of its answer.
  private func judge(
    _ sequence: Int64, at offset: Int64, askedAt start: Int64?, _ consumed: ServedOffsets, _ ledger: inout Ledger
  ) {
    let found = start.map { "a fetch at \($0) begins" } ?? "a fetch goes on at offset \(offset)"
    if sequence < 0 {
      return violate(&ledger, .contentIntact, at: offset) { "\(found) with bytes that were never sent" }
    }
    let place = sequence < partition.operationOfSequence.count ? Int(partition.operationOfSequence[Int(sequence)]) : -1
    guard place >= 0, mayBeServed(place) else {
      return violate(&ledger, .noPhantoms, at: offset) {
        "\(found) with message \(sequence), which was never sent, was refused, or was gone"
      }
    }
    if let other = consumed.sequence(at: offset) {
      guard other != sequence, other >= 0 else { return }
      return violate(&ledger, .everyStartOffset, at: offset) {
        "\(found) with message \(sequence), where consumption was served message \(other)"
      }
    }
    // Where consumption has come to its end, it has passed by here.
    if look.end == .reached, !excuses(.excusedProbe, damaged.contains(offset) || offset < partition.trimmedBefore.rawValue) {
      return violate(&ledger, .everyStartOffset, at: offset) {
        "\(found) with message \(sequence), where consumption was served nothing"
      }
    }
    let consumedAt = served.offsetOf[Int(sequence)]
    let expected = consumedAt >= 0 ? consumedAt
      : duties[place].base >= 0 ? duties[place].base &+ sequence &- Int64(operation(place).firstSequence) : offset
    if expected != offset {
      violate(&ledger, .everyStartOffset, at: offset) { "\(found) with message \(sequence), which stands at \(expected)" }
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

  private func judgeOtherProbe(_ probe: PartitionLook.Probe, _ consumed: ServedOffsets, _ ledger: inout Ledger) {
    let start = probe.start
    guard let found = probe.offset else {
      let below = max(served.end, requiredEnd)
      guard start < below, start >= (claims?.logStartOffset.rawValue ?? 0) else { return }
      guard !excuses(.excusedProbe, excused.contains(start) || start < partition.trimmedBefore.rawValue) else { return }
      return lose(&ledger, .everyStartOffset, at: start) {
        "a fetch at \(start) must begin there, found an empty answer"
      }
    }
    judge(probe.sequence, at: found, askedAt: start, consumed, &ledger)
    if found > start, excusesProbe(start, found) { return }
    lose(&ledger, .everyStartOffset, at: start) { "a fetch at \(start) must begin there, found \(found)" }
  }

  private func excusesProbe(_ start: Int64, _ found: Int64) -> Bool {
    excuses(.excusedProbe, excused.covers(start, found) || found <= partition.trimmedBefore.rawValue)
  }
}
