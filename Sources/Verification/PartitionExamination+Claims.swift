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
    let some = requiredEnd > 0 || served.distinctOffsets > 0
    for name in [CheckName.highWatermark, .watermarkNeverBack, .logEndOffset] { ledger.apply(name, exercised: some) }
    guard let claims else {
      if isRegistered {
        for name in [CheckName.highWatermark, .watermarkNeverBack, .logEndOffset] {
          ledger.doubt(name, "\(partition.name): its watermarks were not asked for")
        }
      }
      return
    }
    let (hw, leo) = (claims.highWatermark.rawValue, claims.logEndOffset.rawValue)
    if !isEnded {
      for name in [CheckName.highWatermark, .logEndOffset] {
        ledger.doubt(name, "\(partition.name): the look did not come to its end")
      }
    }
    if hw < requiredEnd {
      lose(&ledger, .highWatermark, at: hw) { "the high watermark must be at least \(requiredEnd), found \(hw)" }
    } else if isEnded {
      let (low, high) = endRange
      if hw < low || hw > high {
        lose(&ledger, .highWatermark, at: min(hw, low)) {
          "the high watermark must be the end of what can be consumed, \(Self.range(low, high)), found \(hw)"
        }
      } else if hw != leo && leo >= low && leo <= high {
        violate(&ledger, .highWatermark, at: min(hw, leo)) {
          "the high watermark must equal the log end offset \(leo), found \(hw)"
        }
      }
    }
    if isEnded {
      let (low, high) = endRange
      if leo < low || leo > high || leo < requiredEnd {
        lose(&ledger, .logEndOffset, at: min(leo, max(low, requiredEnd))) {
          "the log end offset must follow the last whole message, \(Self.range(max(low, requiredEnd), high)), "
            + "found \(leo)"
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

  private static func range(_ low: Int64, _ high: Int64) -> String {
    low >= high ? "\(low)" : "\(low) to \(high)"
  }

  private func judgeWayBack(_ hw: Int64, _ ledger: inout Ledger) {
    if let before = look.before, let after = look.after, after.highWatermark < before.highWatermark {
      violate(&ledger, .watermarkNeverBack, at: after.highWatermark.rawValue) {
        "the high watermark went back from \(before.highWatermark) to \(after.highWatermark) during one look"
      }
    }
    let lowest = min(look.before?.highWatermark.rawValue ?? hw, hw)
    for past in earlier {
      guard let was = past.highWatermark?.rawValue else { continue }
      let bound = past.restart == restart ? was : min(was, requiredEnd)
      guard lowest < bound else { continue }
      lose(&ledger, .watermarkNeverBack, at: lowest) {
        past.restart == restart
          ? "the high watermark was \(was) and must not go back, found \(lowest)"
          : "of the high watermark \(was) after restart \(past.restart) all to \(bound) is protected, found \(lowest)"
      }
    }
  }

  func judgeConsumption(_ ledger: inout Ledger) {
    ledger.apply(.consumptionEnds, exercised: requiredEnd > 0 || served.distinctOffsets > 0)
    switch look.end {
    case .reached: break
    case .stuck(let at, let answers):
      violate(&ledger, .consumptionEnds, at: at.rawValue) {
        "consumption must reach the high watermark \(claims?.highWatermark.description ?? "unknown"), "
          + "found no progress at \(at) in \(answers) answers"
      }
    case .failed where isNoPartition: break
    case .failed(let at, let text):
      violate(&ledger, .consumptionEnds, at: at.rawValue) { "consumption must go on at \(at), found an error: \(text)" }
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
    if !isEnded { ledger.doubt(.damageReported, "\(partition.name): the look did not come to its end") }
    var somethingIsMissing = false
    let mustReport = isEnded && (isVague || !damaged.isEmpty)
    for (place, duty) in duties.enumerated() where mustReport && duty.kind == .required {
      guard let missing = firstMissing(place) else { continue }
      // Of damage that touched nobody knows what, only what is served behind it testifies.
      if duty.base < served.end { somethingIsMissing = true }
      guard duty.isDamaged, duty.reportableDamage >= 0 else { continue }
      let operation = operation(place)
      guard
        let at = reports.firstUncovered(duty.base &+ Int64(missing), duty.base &+ Int64(operation.count), of: operation.number)
      else { continue }
      guard isReportOwed(place) else {
        ledger.remark(.damageReported) {
          "\(partition.name): offset \(at), destroyed by a fault, is gone without a report; none is owed, for nothing "
            + "on the medium testified that it had been acknowledged"
        }
        continue
      }
      violate(&ledger, .damageReported, at: at) {
        "offset \(at), destroyed by a fault, must be reported, found no report"
      }
    }
    if isVague && somethingIsMissing && reports.isEmpty {
      violate(&ledger, .damageReported, at: served.end) { "a fault destroyed messages, found no report of any" }
    }
    for report in ownReports.prefix(Self.maximumReports) where !isVague { judgeFalseReport(report, &ledger) }
  }

  /// Each costs a pass over the operations; the first false one is what counts.
  private static let maximumReports = 64

  /// False where it names a message that was served, one that no fault touched and that must be there, or a place
  /// outside all damage where nothing can be missing. As it was when the report was given: what recovery has cut off is
  /// given again to what is sent afterwards. What it has skipped is not.
  private func judgeFalseReport(_ report: OffsetRange, _ ledger: inout Ledger) {
    var mayBeMissing = excuses(.reportOfDamage, damaged.overlaps(report.from.rawValue, report.to.rawValue))
    for (place, duty) in duties.enumerated() {
      let operation = operation(place)
      if contract.recovery == .truncateAtCorruption, operation.number >= operationsBeforeReports { continue }
      let isThere = served.servedOf[place] > 0
      let base = isThere ? served.baseOf[place] : duty.base
      if !isThere && duty.kind == .optional, excuses(.reportOfUnanswered, mayBe(report, of: duty, operation)) { mayBeMissing = true }
      guard base >= 0, isThere || (duty.kind == .required && !duty.isDamaged) else { continue }
      let overlap = max(base, report.from.rawValue)
      guard overlap < min(base &+ Int64(operation.count), report.to.rawValue) else { continue }
      violate(&ledger, .damageReported, at: overlap) {
        "offset \(overlap) was touched by no fault, found it reported as damaged"
      }
      return
    }
    guard !mayBeMissing else { return }
    violate(&ledger, .damageReported, at: report.from.rawValue) {
      "no fault touched \(report.from)..<\(report.to), found it reported as damaged"
    }
  }
  /// Whether a report may be of what is gone without having been promised: with its offset where that is known; else it begins
  /// where such a one may have stood, behind everything that must be there or in a hole.
  private func mayBe(_ report: OffsetRange, of duty: Duty, _ operation: PartitionOperation) -> Bool {
    if duty.base < 0 { return report.from.rawValue < max(possibleEnd, served.end &+ Int64(operation.count)) }
    return report.from.rawValue < duty.base &+ Int64(operation.count) && report.to.rawValue > duty.base
  }
}
