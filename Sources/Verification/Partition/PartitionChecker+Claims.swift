import LogModel

/// What the partition claims, and what fetches from everywhere answer.
extension PartitionChecker {
  /// The end of what was served, and how far quarantined offsets at the tail may carry it.
  private var tailEnd: Int64 {
    var end = served.end
    for range in excused where range.from.rawValue <= end { end = max(end, range.to.rawValue) }
    return end
  }

  func judgeWatermarks(_ ledger: inout CheckAccumulator) {
    let some = requiredEnd > 0 || served.distinctOffsets > 0
    for name in [CheckName.highWatermark, .watermarkMonotonic, .logEndOffset] { ledger.apply(name, exercised: some) }
    guard let claims else {
      if isRegistered {
        for name in [CheckName.highWatermark, .watermarkMonotonic, .logEndOffset] {
          doubt(&ledger, name, .watermarksUnknown)
        }
      }
      return
    }
    let (hw, leo) = (claims.highWatermark.rawValue, claims.logEndOffset.rawValue)
    if !isEnded {
      for name in [CheckName.highWatermark, .logEndOffset] {
        doubt(&ledger, name, .readbackUnfinished)
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
    readback.end == .reached || !isRegistered
      ? (served.end, tailEnd) : (served.end, max(served.end, tailEnd, possibleEnd))
  }

  private func judgeWayBack(_ hw: Int64, _ ledger: inout CheckAccumulator) {
    if let before = readback.before, let after = readback.after, after.highWatermark < before.highWatermark {
      violate(&ledger, .watermarkMonotonic, at: after.highWatermark.rawValue) {
        .watermarkFellInReadback(from: before.highWatermark.rawValue, to: after.highWatermark.rawValue)
      }
    }
    let lowest = min(readback.before?.highWatermark.rawValue ?? hw, hw)
    for past in earlier {
      guard let was = past.highWatermark?.rawValue else { continue }
      let bound = past.restart == restart ? was : min(was, requiredEnd)
      guard lowest < bound else { continue }
      lose(&ledger, .watermarkMonotonic, at: lowest) {
        past.restart == restart
          ? .watermarkFell(from: was, to: lowest)
          : .watermarkFellBelowPromise(was: was, restart: past.restart, protected: bound, found: lowest)
      }
    }
  }

  func judgeConsumption(_ ledger: inout CheckAccumulator) {
    ledger.apply(.consumerMakesProgress, exercised: requiredEnd > 0 || served.distinctOffsets > 0)
    switch readback.end {
    case .reached: break
    case .stuck(let at, let answers):
      violate(&ledger, .consumerMakesProgress, at: at.rawValue) {
        .stuck(at: at.rawValue, watermark: claims?.highWatermark.rawValue, answers: answers)
      }
    case .failed where isNoPartition: break
    case .failed(let at, let text):
      violate(&ledger, .consumerMakesProgress, at: at.rawValue) { .fetchFailed(at: at.rawValue, text) }
    case nil:
      if isRegistered { doubt(&ledger, .consumerMakesProgress, .readback(.consumptionCutOff)) }
    }
  }

  mutating func judgeReports(_ ledger: inout CheckAccumulator) {
    let tail = max(possibleEnd, served.end)
    for report in ownReports {
      counts.corruptReported += Int(max(0, min(report.to.rawValue, tail) &- max(report.from.rawValue, 0)))
    }
    guard restart > 0 || !ownReports.isEmpty else { return }
    ledger.apply(.damageReported, exercised: !damaged.isEmpty || !ownReports.isEmpty || isVague)
    if !isEnded { doubt(&ledger, .damageReported, .readbackUnfinished) }
    var somethingIsMissing = false
    var placesJudged = 0
    let mustReport = isEnded && (isVague || !damaged.isEmpty)
    for (place, duty) in duties.enumerated() where mustReport && duty.kind == .required {
      guard let missing = firstMissing(place) else { continue }
      // Of damage that touched nobody knows what, only what is served behind it testifies.
      if duty.base < served.end { somethingIsMissing = true }
      guard duty.isDamaged, duty.reportableDamage >= 0 else { continue }
      let operation = operation(place)
      guard
        let at = reports.firstUncovered(
          duty.base &+ Int64(missing), duty.base &+ Int64(operation.count), of: operation.number)
      else {
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
  private func judgeFalseReport(_ report: OffsetRange, _ ledger: inout CheckAccumulator) {
    var mayBeMissing = excuses(.reportOfDamage, damaged.overlaps(report.from.rawValue, report.to.rawValue))
    for (place, duty) in duties.enumerated() {
      let operation = operation(place)
      if contract.recovery == .truncateAtCorruption, operation.number >= operationsBeforeReports { continue }
      let isThere = served.servedOf[place] > 0
      let base = isThere ? served.baseOf[place] : duty.base
      if !isThere && duty.isUnowed, excuses(.reportOfUnanswered, mayBe(report, of: duty, operation)) {
        mayBeMissing = true
      }
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

  /// Whether a report may be of what is gone without having been promised: with its offset where that is known; else it
  /// begins where such a one may have stood, behind everything that must be there or in a hole.
  private func mayBe(_ report: OffsetRange, of duty: Duty, _ operation: PartitionOperation) -> Bool {
    if duty.base < 0 { return report.from.rawValue < max(possibleEnd, served.end &+ Int64(operation.count)) }
    return report.from.rawValue < duty.base &+ Int64(operation.count) && report.to.rawValue > duty.base
  }
}

extension Duty {
  /// It may be gone; or it is gone since an earlier restart, and may be reported once more.
  fileprivate var isUnowed: Bool {
    switch kind {
    case .optional, .settled: true
    case .required, .failed: false
    }
  }
}
