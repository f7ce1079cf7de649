import LogModel

/// What consumers were answered while messages were sent; see note 7 in Contract.swift. That what they were served is
/// still there, and where it was, the other checks see: it is owed like what was acknowledged.
extension PartitionChecker {
  func judgeReadings(_ ledger: inout CheckAccumulator) {
    guard !partition.readings.isEmpty else { return }
    let some = partition.readings.contains { !$0.runs.isEmpty }
    for name in [
      CheckName.everyStartOffset, .contentIntact, .noPhantoms, .noDuplicates, .offsetsStable, .offsetsNameOneMessage,
    ] {
      ledger.apply(name, exercised: some)
    }
    for name in [CheckName.highWatermark, .watermarkMonotonic, .logStartOffset] { ledger.apply(name, exercised: true) }
    for reading in partition.readings {
      judgeOffsets(of: reading, &ledger)
      judgeMessages(of: reading, &ledger)
    }
    judgeMarks(&ledger)
    judgeNamesInOneLife(&ledger)
  }

  /// An answer begins at the offset that was asked for, leaves none out, and ends before the high watermark.
  private func judgeOffsets(of reading: ConsumerReading, _ ledger: inout CheckAccumulator) {
    var next = reading.asked.rawValue
    for (number, run) in reading.runs.enumerated() {
      if run.offset < next, number > 0 {
        violate(&ledger, .noDuplicates, at: run.offset) { .beside(.repeats(offset: run.offset, behind: next &- 1)) }
      } else if run.offset != next, run.offset < next || !excusesProbe(next, run.offset) {
        lose(&ledger, .everyStartOffset, at: min(next, run.offset)) {
          .beside(number == 0 ? .begins(asked: next, found: run.offset) : .skips(from: next, to: run.offset))
        }
      }
      next = max(next, run.offset &+ Int64(run.count))
    }
    let watermark = reading.highWatermark.rawValue
    guard next > watermark, let last = reading.runs.last else { return }
    violate(&ledger, .highWatermark, at: watermark) {
      .beside(.beyondWatermark(offset: last.offset &+ Int64(last.count) &- 1, watermark: watermark))
    }
  }

  private func judgeMessages(of reading: ConsumerReading, _ ledger: inout CheckAccumulator) {
    partition.forEachPart(of: reading) { offset, sequence, _, place in
      if sequence < 0 {
        return violate(&ledger, .contentIntact, at: offset) { .beside(.corrupt(offset: offset)) }
      }
      guard let place else {
        return violate(&ledger, .noPhantoms, at: offset) { .beside(.neverSent(offset: offset, message: sequence)) }
      }
      switch duties[place].kind {
      case .failed:
        violate(&ledger, .noPhantoms, at: offset) { .beside(.failedIsThere(offset: offset, message: sequence)) }
      case .settled(let restart) where restart <= reading.incarnation:
        if excuses(.comesBack, duties[place].mayComeBack) { break }
        violate(&ledger, .noPhantoms, at: offset) {
          .beside(.goneIsBack(offset: offset, message: sequence, restart: restart))
        }
      case .settled, .required, .optional:
        let expected = duties[place].base &+ (sequence &- Int64(operation(place).firstSequence))
        guard duties[place].base >= 0, offset != expected else { break }
        violate(&ledger, .offsetsStable, at: min(offset, expected)) {
          .beside(.elsewhere(offset: offset, message: sequence, standsAt: expected))
        }
      }
    }
  }

  /// Neither mark goes back within a life; a log start offset that a deletion has moved never does.
  private func judgeMarks(_ ledger: inout CheckAccumulator) {
    var told: (life: Int, start: Int64, watermark: Int64) = (-1, 0, 0)
    var deleted = Int64.min
    for reading in partition.readings {
      let (start, watermark) = (reading.logStartOffset.rawValue, reading.highWatermark.rawValue)
      if start <= partition.trimmedBefore.rawValue { deleted = max(deleted, start) }
      guard reading.incarnation == told.life else {
        told = (reading.incarnation, start, watermark)
        continue
      }
      if watermark < told.watermark {
        violate(&ledger, .watermarkMonotonic, at: watermark) {
          .beside(.watermarkFell(from: told.watermark, to: watermark))
        }
      }
      if start < told.start {
        violate(&ledger, .logStartOffset, at: start) { .beside(.startFell(from: told.start, to: start)) }
      }
      told = (told.life, max(told.start, start), max(told.watermark, watermark))
    }
    guard let marks = readback.before ?? readback.after else { return }
    if told.life == restart, marks.highWatermark.rawValue < told.watermark {
      violate(&ledger, .watermarkMonotonic, at: marks.highWatermark.rawValue) {
        .beside(.watermarkBelowTold(told: told.watermark, found: marks.highWatermark.rawValue))
      }
    }
    if marks.logStartOffset.rawValue < deleted {
      violate(&ledger, .logStartOffset, at: marks.logStartOffset.rawValue) {
        .beside(.startBelowTold(told: deleted, found: marks.logStartOffset.rawValue))
      }
    }
  }

  /// In one life nothing may go that has been given an offset: two messages of which somebody was told the same one are
  /// one too many. Of two that were acknowledged another check says so.
  private func judgeNamesInOneLife(_ ledger: inout CheckAccumulator) {
    for life in 0...restart {
      let seen = partition.seen.filter { $0.value.contains { $0.incarnation == life } }
      guard !seen.isEmpty else { continue }
      let named = partition.operations.indices.filter { place in
        seen[place] != nil || operation(place).incarnation == life && operation(place).base >= 0
      }.map { place in
        (base: operation(place).base >= 0 ? operation(place).base : seen[place]?.first?.base ?? -1, place: place)
      }
      .sorted { $0.base < $1.base }
      for (one, other) in zip(named, named.dropFirst()) {
        guard other.base < one.base &+ Int64(operation(one.place).count) else { continue }
        guard operation(one.place).base < 0 || operation(other.place).base < 0 else { continue }
        violate(&ledger, .offsetsNameOneMessage, at: other.base) {
          .beside(
            .nameGivenTwice(
              offset: other.base, first: operation(one.place).firstSequence + Int(other.base - one.base),
              second: operation(other.place).firstSequence))
        }
      }
    }
  }
}
