import LogModel

/// What the partition claims, and what fetches from everywhere answer.
extension PartitionExamination {
  /// The end of what was served, and how far quarantined offsets at the tail may carry it.
  private var tailEnd: Int64 {
    var end = served.end
    for range in excused where range.from.rawValue <= end { end = max(end, range.to.rawValue) }
    return end
  }

  func judgeWatermarks(_ ledger: inout Ledger) {
    let some = partition.attempted > 0
    for name in [CheckName.highWatermark, .watermarkNeverBack, .logEndOffset] { ledger.apply(name, exercised: some) }
    guard let claims else {
      if isRegistered {
        for name in [CheckName.highWatermark, .watermarkNeverBack, .logEndOffset] {
          doubt(&ledger, name, .watermarksUnknown)
        }
      }
      return
    }
    let (hw, leo) = (claims.highWatermark.rawValue, claims.logEndOffset.rawValue)
    if !isEnded {
      for name in [CheckName.highWatermark, .logEndOffset] {
        doubt(&ledger, name, .lookUnfinished)
      }
    }
    if hw < requiredEnd {
      lose(&ledger, .highWatermark, at: hw) { .watermarkBelowPromise(found: hw, protected: requiredEnd) }
    } else if isEnded {
      let (low, high) = endRange
      if hw < low || hw > high {
        lose(&ledger, .highWatermark, at: min(hw, low)) { .watermarkBesideConsumption(found: hw, low: low, high: high) }
      } else if hw != leo && leo >= low && leo <= high {
        violate(&ledger, .highWatermark, at: min(hw, leo)) { .watermarkBesideLogEnd(found: hw, logEnd: leo) }
      }
    }
    if isEnded {
      let (low, high) = endRange
      if leo < low || leo > high || leo < requiredEnd {
        lose(&ledger, .logEndOffset, at: min(leo, max(low, requiredEnd))) {
          .logEndBesideMessages(found: leo, low: low, high: high, protected: requiredEnd)
        }
      }
    }
    judgeWayBack(hw, &ledger)
  }

  /// The ends that agree with consumption. Where it broke off, it says less: between there and all that can be.
  private var endRange: (low: Int64, high: Int64) {
    look.end == .reached || !isRegistered
      ? (served.end, tailEnd) : (served.end, max(served.end, tailEnd, possibleEnd))
  }

  private func judgeWayBack(_ hw: Int64, _ ledger: inout Ledger) {
    if let before = look.before, let after = look.after, after.highWatermark < before.highWatermark {
      violate(&ledger, .watermarkNeverBack, at: after.highWatermark.rawValue) {
        .watermarkFellInLook(from: before.highWatermark.rawValue, to: after.highWatermark.rawValue)
      }
    }
    let lowest = min(look.before?.highWatermark.rawValue ?? hw, hw)
    for past in earlier {
      guard let was = past.highWatermark?.rawValue else { continue }
      let bound = past.restart == restart ? was : min(was, requiredEnd)
      guard lowest < bound else { continue }
      lose(&ledger, .watermarkNeverBack, at: lowest) {
        past.restart == restart
          ? .watermarkFell(from: was, to: lowest)
          : .watermarkFellBelowPromise(was: was, restart: past.restart, protected: bound, found: lowest)
      }
    }
  }

  func judgeProbes(_ ledger: inout Ledger) {
    if let backward = look.backward {
      violate(&ledger, .everyStartOffset, at: backward.asked) {
        .fetchBegan(asked: backward.asked, at: backward.served)
      }
    }
    guard look.exactProbes.count + look.otherProbes.count > 0 else {
      if partition.attempted == 0 { ledger.apply(.everyStartOffset, exercised: false) }
      return
    }
    ledger.apply(.everyStartOffset, exercised: true)
    for run in look.exactProbes.runs {
      for i in 0..<Int64(run.count) {
        judgeExactProbe(run.offset &+ i, run.sequence < 0 ? -1 : run.sequence &+ i, &ledger)
      }
    }
    for probe in look.otherProbes { judgeOtherProbe(probe, &ledger) }
  }

  private func judgeExactProbe(_ start: Int64, _ sequence: Int64, _ ledger: inout Ledger) {
    if sequence < 0 {
      return violate(&ledger, .contentIntact, at: start) { .fetchWasCorrupt(asked: start) }
    }
    let place = sequence < partition.operationOfSequence.count ? Int(partition.operationOfSequence[Int(sequence)]) : -1
    guard place >= 0, duties[place].kind != .failed else {
      return violate(&ledger, .noPhantoms, at: start) { .fetchOfPhantom(asked: start, message: sequence) }
    }
    let consumedAt = served.offsetOf[Int(sequence)]
    let expected = consumedAt >= 0 ? consumedAt
      : duties[place].base >= 0 ? duties[place].base &+ sequence &- Int64(operation(place).firstSequence) : start
    if expected != start {
      violate(&ledger, .everyStartOffset, at: start) {
        .fetchOfOther(asked: start, message: sequence, standsAt: expected)
      }
    }
  }

  private func judgeOtherProbe(_ probe: PartitionLook.Probe, _ ledger: inout Ledger) {
    let start = probe.start
    guard let found = probe.offset else {
      let below = max(served.end, requiredEnd)
      guard start < below, !excused.contains(start), start >= partition.trimmedBefore.rawValue else { return }
      return lose(&ledger, .everyStartOffset, at: start) { .fetchWasEmpty(asked: start) }
    }
    if found > start, excused.covers(start, found) || found <= partition.trimmedBefore.rawValue { return }
    lose(&ledger, .everyStartOffset, at: start) { .fetchBegan(asked: start, at: found) }
  }

  func judgeConsumption(_ ledger: inout Ledger) {
    ledger.apply(.consumptionEnds, exercised: partition.attempted > 0)
    switch look.end {
    case .reached: break
    case .stuck(let at, let answers):
      violate(&ledger, .consumptionEnds, at: at.rawValue) {
        .stuck(at: at.rawValue, watermark: claims?.highWatermark.rawValue, answers: answers)
      }
    case .failed where isNoPartition: break
    case .failed(let at, let text):
      violate(&ledger, .consumptionEnds, at: at.rawValue) { .fetchFailed(at: at.rawValue, text) }
    case nil:
      if isRegistered { ledger.doubt(.consumptionEnds, "\(partition.name): consumption did not come to its end") }
    }
  }

  mutating func judgeReports(_ ledger: inout Ledger) {
    let tail = max(possibleEnd, served.end)
    for report in ownReports {
      counts.corruptReported += Int(max(0, min(report.to.rawValue, tail) &- max(report.from.rawValue, 0)))
    }
    guard restart > 0 || !ownReports.isEmpty else { return }
    ledger.apply(.damageReported, exercised: !damaged.isEmpty || !ownReports.isEmpty || isVague)
    if !isEnded { doubt(&ledger, .damageReported, .lookUnfinished) }
    var somethingIsMissing = false
    var placesJudged = 0
    let mustReport = isEnded && (isVague || !damaged.isEmpty)
    for (place, duty) in duties.enumerated() where mustReport && duty.kind == .required {
      guard let missing = firstMissing(place) else { continue }
      // Of damage that touched nobody knows what, only what is served behind it testifies.
      if duty.base < served.end { somethingIsMissing = true }
      guard duty.isDamaged, duty.reportableDamage >= 0 else { continue }
      guard let at = reports.firstUncovered(duty.base &+ Int64(missing), duty.base &+ Int64(operation(place).count)) else {
        guard placesJudged < Self.mostPlacesJudged else { continue }
        placesJudged += 1
        if let wrong = misplacedReport(place, missing: duty.base &+ Int64(missing)) {
          violate(&ledger, .damageReported, at: duty.base &+ Int64(missing)) { wrong }
        }
        continue
      }
      guard isReportOwed(place) else {
        ledger.remark(.damageReported) { "\(partition.name): \(CheckFinding.noReportOwed(offset: at))" }
        continue
      }
      violate(&ledger, .damageReported, at: at) { .unreported(offset: at) }
    }
    if isVague && somethingIsMissing && reports.isEmpty {
      violate(&ledger, .damageReported, at: served.end) { .nothingReported }
    }
    for report in ownReports.prefix(Self.maximumReports) where !isVague { judgeFalseReport(report, &ledger) }
  }

  /// Each costs a pass over the operations; the first false one is what counts.
  private static let maximumReports = 64

  /// False where it names a message that was served, one that no fault touched and that must be there, or a place
  /// outside all damage where nothing can be missing. As it was when the report was given: what recovery has cut off is
  /// given again to what is sent afterwards. What it has skipped is not.
  private func judgeFalseReport(_ report: OffsetRange, _ ledger: inout Ledger) {
    var mayBeMissing = damaged.overlaps(report.from.rawValue, report.to.rawValue)
    for (place, duty) in duties.enumerated() {
      let operation = operation(place)
      if contract.recovery == .truncateAtCorruption, operation.number >= operationsBeforeReports { continue }
      let isThere = served.servedOf[place] > 0
      let base = isThere ? served.baseOf[place] : duty.base
      if !isThere && duty.kind == .optional { mayBeMissing = true }
      guard base >= 0, isThere || (duty.kind == .required && !duty.isDamaged) else { continue }
      let overlap = max(base, report.from.rawValue)
      guard overlap < min(base &+ Int64(operation.count), report.to.rawValue) else { continue }
      violate(&ledger, .damageReported, at: overlap) { .untouchedReported(offset: overlap) }
      return
    }
    guard !mayBeMissing else { return }
    violate(&ledger, .damageReported, at: report.from.rawValue) {
      .reportOfNothing(from: report.from.rawValue, to: report.to.rawValue)
    }
  }
}
