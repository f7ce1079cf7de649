import LogModel
import Verification

/// What engines report as damaged.
extension OracleCases {
  static let reports: [OracleCase] = openEnds + falseOnes + places

  /// The first of two faults is reported, up to `end`; the second destroys what was appended since, without a word.
  private static func secondFault(_ recovery: RecoveryPolicy, to end: Int64, reporting: [Range<Int64>] = [])
    -> Judgement
  {
    var s = Story.one(7)
    s.append(0, count: 2)
    s.append(0, count: 2)
    s.crash(.processKill)
    s.damage(2..<3)
    if recovery == .skipCorrupted { s.hole(2..<4) } else { s.logs[0].removeLast(2) }
    let one = s.readback(reporting: [2..<end])
    for _ in 0..<3 { s.append(0, count: 2) }
    s.crash(.processKill)
    if recovery == .skipCorrupted {
      s.damage(6..<7)
      s.hole(6..<8)
    } else {
      s.damage(2..<3)
      s.logs[0].removeLast(6)
    }
    return s.judged([one, s.readback(reporting: reporting)], .always, recovery)
  }

  private static let openEnds: [OracleCase] = [4, 1_000_000].flatMap { end in
    [
      OracleCase(
        "skip: a report to \(end) says nothing of what a later fault takes", .exactly([.damageReported]),
        at: [.damageReported: 6]
      ) {
        secondFault(.skipCorrupted, to: end)
      },
      OracleCase(
        "truncate: a report to \(end) says nothing of what has its offsets since", .exactly([.damageReported]),
        at: [.damageReported: 2]
      ) {
        secondFault(.truncateAtCorruption, to: end)
      },
      OracleCase("skip: each fault reported, the first to \(end)", .held) {
        secondFault(.skipCorrupted, to: end, reporting: [2..<4, 6..<8])
      },
      OracleCase("truncate: each fault reported, the first to \(end)", .held) {
        secondFault(.truncateAtCorruption, to: end, reporting: [2..<8])
      },
    ]
  }

  /// Four messages are served, and one that was never answered is not there.
  private static func unanswered(_ range: Range<Int64>?, sending: Bool = true) -> Judgement {
    var s = Story.one(5)
    s.append(0, count: 4)
    if sending { s.append(0, count: 1, .indeterminate, lands: false) }
    s.crash(.processKill)
    return s.judged([s.readback(reporting: range.map { [$0] } ?? [])])
  }

  private static let falseOnes: [OracleCase] = [
    OracleCase(
      "an unanswered request excuses no report of what nobody ever sent", .exactly([.damageReported]),
      at: [.damageReported: 500_000]
    ) {
      unanswered(500_000..<900_000)
    },
    OracleCase("nothing is missing, and something is reported", .exactly([.damageReported]), at: [.damageReported: 4]) {
      unanswered(4..<5, sending: false)
    },
    OracleCase("what was never answered may be reported where it stood", .held) { unanswered(4..<5) },
    OracleCase("a report of a message that is served", .exactly([.damageReported]), at: [.damageReported: 3]) {
      unanswered(3..<5)
    },
    OracleCase("never: what the power took may be reported", .held) { powerTook(2..<4) },
    OracleCase("never: the report is of something else", .exactly([.damageReported]), at: [.damageReported: 5]) {
      powerTook(5..<9)
    },
    OracleCase("a report of an untouched message that is gone", .violated([.damageReported, .noAcknowledgedLoss])) {
      var s = Story.one(5)
      s.append(0, count: 2)
      s.append(0, count: 2)
      s.crash(.processKill)
      s.logs[0].removeLast(2)
      return s.judged([s.readback(reporting: [2..<4])])
    },
  ]

  private static func powerTook(_ range: Range<Int64>) -> Judgement {
    var s = Story.one(5)
    s.append(0, count: 2)
    s.append(0, count: 2)
    s.crash(.powerLoss)
    s.logs[0].removeLast(2)
    return s.judged([s.readback(reporting: [range])], .never)
  }

  private enum Unseen { case nothing, crash, opening, openingBefore }

  /// A byte of offset 2 was destroyed, and the report names something else.
  /// - Parameter unseen: what came in the way of an earlier report, if there was one.
  private static func elsewhere(_ unseen: Unseen) -> Judgement {
    var s = Story.one(5)
    for _ in 0..<3 { s.append(0, count: 2) }
    s.crash(.processKill)
    if unseen == .openingBefore { s.history.openingFailed() }
    s.history.damage(
      Damage(
        partition: Story.slot, kind: "bit-flip", touched: [OffsetRange(from: 2, to: 3)], description: "a byte",
        places: [DamagedPlace(path: "orders-0.log", bytes: 100..<101, offsets: [OffsetRange(from: 2, to: 3)])]))
    if unseen == .crash { s.crash(.powerLoss) }
    if unseen == .opening { s.history.openingFailed() }
    s.hole(2..<4)
    let readback = s.readback { answers in
      answers.reported = [
        ReportedDamage(
          partition: Story.slot, offsets: OffsetRange(from: 2, to: 4), reason: "a hole", path: "objects of orders/0",
          bytes: 0..<0)
      ]
    }
    return s.judged([readback])
  }

  private static let places: [OracleCase] = [
    OracleCase("a report names another place", .exactly([.damageReported])) { elsewhere(.nothing) },
    OracleCase("the same after a recovery that was cut off before anybody read it", .held) { elsewhere(.crash) },
    OracleCase("the same after an opening that failed", .held) { elsewhere(.opening) },
    OracleCase("the same after an opening that failed before the damage", .exactly([.damageReported])) {
      elsewhere(.openingBefore)
    },
  ]
}
