import LogModel
import Verification

/// What damage excuses, and what it does not.
extension OracleCases {
  static let damage: [OracleCase] = placedByLooks + comingBack + spared + undetectable + tornObjects + plain

  /// An unacknowledged request, served after a restart, and one behind it; then a fault destroys the first.
  private static func placed(_ recovery: RecoveryPolicy, inLife: Bool, reporting: [Range<Int64>], cut: Bool? = nil)
    -> Judgement
  {
    var s = Story.one(21)
    s.append(0, count: 2)
    let b = s.append(0, count: 2, .indeterminate, lands: true)
    s.crash(.processKill)
    let one = s.readback()
    s.append(0, count: 2)
    if inLife { s.damage(unplaced: [b], inLife: true) }
    s.crash(.processKill)
    if !inLife { s.damage(unplaced: [b]) }
    if cut ?? (recovery == .truncateAtCorruption) { s.logs[0].removeLast(4) } else { s.hole(2..<4) }
    return s.judged([one, s.readback(reporting: reporting)], .always, recovery)
  }

  private static let placedByLooks: [OracleCase] = [
    OracleCase("skip: a fault destroys what only a readback had placed", .held) {
      placed(.skipCorrupted, inLife: false, reporting: [2..<4])
    },
    OracleCase("skip: a fault in a life destroys what only a readback had placed", .held) {
      placed(.skipCorrupted, inLife: true, reporting: [2..<4])
    },
    OracleCase("truncate: a fault destroys what only a readback had placed", .held) {
      placed(.truncateAtCorruption, inLife: false, reporting: [2..<6])
    },
    OracleCase("truncate: a fault in a life destroys what only a readback had placed", .held) {
      placed(.truncateAtCorruption, inLife: true, reporting: [2..<6])
    },
    OracleCase(
      "skip: what only a readback had placed is gone without a report", .exactly([.damageReported]),
      at: [.damageReported: 2]
    ) {
      placed(.skipCorrupted, inLife: false, reporting: [])
    },
    OracleCase("skip: and what stands behind it is gone too", .noAcknowledgedLoss, at: 4) {
      placed(.skipCorrupted, inLife: false, reporting: [2..<6], cut: true)
    },
    OracleCase("truncate: cut at an unanswered message in front of an acknowledged one", .held) {
      behindUnplaced(reporting: [2..<6])
    },
    OracleCase("truncate: cut there without a word", .noAcknowledgedLoss, at: 4) { behindUnplaced(reporting: []) },
    OracleCase("truncate: what had been acknowledged before that was sent is cut too", .noAcknowledgedLoss, at: 0) {
      behindUnplaced(reporting: [0..<6], keeping: 0)
    },
    OracleCase("skip: nothing goes with an unanswered message", .noAcknowledgedLoss, at: 4) {
      behindUnplaced(reporting: [2..<6], .skipCorrupted)
    },
    OracleCase("truncate: what was cut with an unanswered message is back", .noPhantoms) {
      var (s, one) = cutBehindUnplaced(reporting: [2..<6])
      s.crash(.processKill)
      s.logs[0] = [0, 1, 4, 5]
      return s.judged([one, s.readback()], .always, .truncateAtCorruption)
    },
  ]

  private static func cutBehindUnplaced(reporting: [Range<Int64>], keeping: Int = 2) -> (Story, Observation) {
    var s = Story.one(13)
    s.append(0, count: 2)
    let x = s.append(0, count: 2, producer: 1, .indeterminate, lands: true)
    s.append(0, count: 2)
    s.crash(.processKill)
    s.damage(unplaced: [x])
    s.logs[0] = Array(s.logs[0][..<keeping])
    return (s, s.readback(reporting: reporting))
  }

  private static func behindUnplaced(
    reporting: [Range<Int64>], keeping: Int = 2, _ recovery: RecoveryPolicy = .truncateAtCorruption
  ) -> Judgement {
    let (s, readback) = cutBehindUnplaced(reporting: reporting, keeping: keeping)
    return s.judged([readback], .always, recovery)
  }

  /// X is gone at restart 1, Y has its offsets, a fault touches Y, and restart 2 serves X there.
  private static let comingBack: [OracleCase] =
    RecoveryPolicy.allCases.map { recovery in
      OracleCase("\(recovery): a fault touches the successor of what is gone, and that is back", .noPhantoms) {
        var s = Story.one(6)
        s.append(0, count: 2)
        s.append(0, count: 2)
        s.crash(.powerLoss)
        s.logs[0].removeLast(2)
        let one = s.readback()
        s.append(0, count: 2)
        s.crash(.processKill)
        s.damage(2..<3)
        s.logs[0] = [0, 1, 2, 3]
        return s.judged([one, s.readback()], .never, recovery)
      }
    } + [
      OracleCase("truncate: everything that was cut is back", .noPhantoms) {
        var (s, one) = truncated(appending: 0)
        s.crash(.processKill)
        s.logs[0] = [0, 1, 2, 3, 4, 5]
        return s.judged([one, s.readback()], .always, .truncateAtCorruption)
      },
      OracleCase("truncate: what was cut is back behind what has its offsets", .noPhantoms) {
        var (s, one) = truncated(appending: 2)
        s.crash(.processKill)
        s.logs[0] = [0, 1, 6, 7, 4, 5]
        return s.judged([one, s.readback()], .always, .truncateAtCorruption)
      },
      OracleCase("truncate: what was cut is back where a second fault has touched its successor", .noPhantoms) {
        var (s, one) = truncated(appending: 2)
        s.crash(.processKill)
        s.damage(2..<3)
        s.logs[0] = [0, 1, 2, 3]
        return s.judged([one, s.readback()], .always, .truncateAtCorruption)
      },
      OracleCase("truncate: what has the offsets of what was cut", .held) {
        var (s, one) = truncated(appending: 2)
        s.crash(.processKill)
        return s.judged([one, s.readback()], .always, .truncateAtCorruption)
      },
      OracleCase("skip, never: what damage and power took may be read again", .held) {
        var s = Story.one(6)
        s.append(0, count: 2)
        s.append(0, count: 2)
        let whole = s.logs[0]
        s.crash(.powerLoss)
        s.damage(2..<3)
        s.hole(2..<4)
        let one = s.readback(reporting: [2..<4])
        s.crash(.processKill)
        s.logs[0] = whole
        return s.judged([one, s.readback()], .never)
      },
    ]

  /// Six messages of which the middle two are damaged: cut there and reported.
  private static func truncated(appending count: Int) -> (Story, Observation) {
    var s = Story.one(6)
    for _ in 0..<3 { s.append(0, count: 2) }
    s.crash(.processKill)
    s.damage(2..<3)
    s.logs[0].removeLast(4)
    let one = s.readback(reporting: [2..<6])
    if count > 0 { s.append(0, count: count) }
    return (s, one)
  }

  /// A fault that took nothing by the next restart: what is gone at the one after is gone for another reason.
  private static let spared: [OracleCase] =
    RecoveryPolicy.allCases.flatMap { recovery in
      [(false, true, false), (true, false, false), (true, false, true), (true, true, true)].map {
        detectable, certain, reports in
        OracleCase(
          "\(recovery): served whole after the damage (detectable \(detectable), certain \(certain)), gone later, "
            + "reported \(reports)",
          .noAcknowledgedLoss, at: 2
        ) {
          var s = Story.one(3)
          for _ in 0..<5 { s.append(0, count: 2) }
          s.crash(.powerLoss)
          s.damage(2..<3, detectable: detectable, certain: certain)
          let one = s.readback()
          s.append(0, count: 2)
          s.crash(.powerLoss)
          if recovery == .skipCorrupted { s.hole(2..<4) } else { s.logs[0].removeLast(10) }
          let range: Range<Int64> = recovery == .skipCorrupted ? 2..<4 : 2..<12
          return s.judged([one, s.readback(reporting: reports ? [range] : [])], .always, recovery)
        }
      }
    } + [
      OracleCase("a failed sync takes nothing before the power goes", .held) {
        var s = Story.one(3)
        for _ in 0..<3 { s.append(0, count: 2) }
        s.damage(2..<4, inLife: true, certain: false)
        s.append(0, count: 2)
        s.crash(.processKill)
        let one = s.readback()
        s.crash(.powerLoss)
        s.hole(2..<4)
        return s.judged([one, s.readback(reporting: [2..<4])])
      }
    ]

  private static let undetectable: [OracleCase] = [
    OracleCase(
      "truncate: one lost write that nobody can notice, and everything behind it gone without a word",
      .exactly([.damageReported])
    ) {
      lostWrite(keeping: 2, reporting: [])
    },
    OracleCase("truncate: the same, reported", .held) { lostWrite(keeping: 2, reporting: [2..<106]) },
    OracleCase("skip: a lost write that nobody can notice needs no report", .held) {
      var s = Story.one(7)
      for _ in 0..<3 { s.append(0, count: 2) }
      s.damage(2..<4, detectable: false, inLife: true)
      s.append(0, count: 2)
      s.crash(.processKill)
      s.hole(2..<4)
      return s.judged([s.readback()])
    },
  ]

  /// The power takes a log that was never synced; an object of the store has a part of its first four messages.
  private static let tornObjects: [OracleCase] = [
    OracleCase("skip: the offsets of a torn object stay reserved", .held) { torn(0..<4, reporting: [0..<4]) },
    OracleCase("truncate: they stay reserved, for what is archived is not cut", .held) {
      var s = Story.one(17)
      s.append(0, count: 4)
      s.history.torn(Story.slot, OffsetRange(from: 0, to: 4))
      s.crash(.powerLoss)
      s.hole(0..<4)
      return s.judged([s.readback(reporting: [0..<4])], .never, .truncateAtCorruption)
    },
    OracleCase("skip: more is reserved than a torn object holds", .violated([.highWatermark, .logEndOffset])) {
      torn(0..<4, reporting: [0..<6], end: 6)
    },
    OracleCase("skip: the same without an object", .violated([.highWatermark, .logEndOffset])) {
      torn(nil, reporting: [0..<4])
    },
    OracleCase("skip: they stay reserved after the next restart, without another report", .held) {
      var s = Story.one(17)
      s.append(0, count: 4)
      s.history.torn(Story.slot, OffsetRange(from: 0, to: 4))
      s.crash(.powerLoss)
      s.hole(0..<4)
      let one = s.readback(reporting: [0..<4])
      s.crash(.powerLoss)
      return s.judged([one, s.readback()], .never)
    },
    OracleCase("skip: a torn object excuses no loss", .noAcknowledgedLoss, at: 0) {
      torn(0..<4, reporting: [0..<4], .always)
    },
  ]

  private static func torn(_ object: Range<Int>?, reporting: [Range<Int64>], end: Int = 4, _ sync: SyncPolicy = .never)
    -> Judgement
  {
    var s = Story.one(17)
    for _ in 0..<3 { s.append(0, count: 2) }
    if let object {
      s.history.torn(Story.slot, OffsetRange(from: Offset(object.lowerBound), to: Offset(object.upperBound)))
    }
    s.crash(.powerLoss)
    s.logs[0] = Array(repeating: nil, count: end)
    return s.judged([s.readback(reporting: reporting)], sync)
  }

  private static func lostWrite(keeping: Int, reporting: [Range<Int64>]) -> Judgement {
    var s = Story.one(7)
    for _ in 0..<3 { s.append(0, count: 2) }
    s.damage(2..<3, detectable: false, inLife: true)
    for _ in 0..<50 { s.append(0, count: 2) }
    s.crash(.processKill)
    s.logs[0] = Array(s.logs[0][..<keeping])
    return s.judged([s.readback(reporting: reporting)], .always, .truncateAtCorruption)
  }

  /// Of eight requests of three a fault touches the third.
  private static let plain: [OracleCase] = [
    OracleCase("skip: touched and reported", .held) {
      DamageTests.judge(DamageTests.without(6..<9, DamageTests.damaged()), report: 6...9)
    },
    OracleCase("skip: touched, without a report", .exactly([.damageReported]), at: [.damageReported: 6]) {
      DamageTests.judge(DamageTests.without(6..<9, DamageTests.damaged()), report: nil)
    },
    OracleCase("skip: what stands behind the touched is gone too", .noAcknowledgedLoss, at: 9) {
      DamageTests.judge(DamageTests.without(6..<12, DamageTests.damaged()), report: 6...12)
    },
    OracleCase(
      "a fault that touched nothing excuses nothing", .violated([.noAcknowledgedLoss, .noGaps, .damageReported])
    ) {
      DamageTests.judge(DamageTests.without(6..<9, DamageTests.damaged([])), report: 6...9)
    },
    OracleCase("nobody knows what was touched", .unknown(.noAcknowledgedLoss)) {
      DamageTests.judge(DamageTests.without(6..<9, DamageTests.damaged(nil)), report: 6...9)
    },
    OracleCase("nobody knows what was touched, and nothing is reported", .exactly([.damageReported])) {
      DamageTests.judge(DamageTests.without(6..<9, DamageTests.damaged(nil)), report: nil)
    },
    OracleCase("truncate: cut at the touched, and reported", .held) {
      var s = DamageTests.damaged()
      s.logs[0].removeLast(18)
      return DamageTests.judge(s, .truncateAtCorruption, report: 6...24)
    },
    OracleCase("truncate: cut before the touched", .noAcknowledgedLoss, at: 3) {
      var s = DamageTests.damaged()
      s.logs[0].removeLast(21)
      return DamageTests.judge(s, .truncateAtCorruption, report: 3...24)
    },
    OracleCase("part of a touched request is served", .contentIntact, at: 7) {
      DamageTests.judge(DamageTests.without(7..<8, DamageTests.damaged()), report: 7...8)
    },
    OracleCase("skip: the last request, touched, testified for by nothing", .held) {
      last(.processKill, reporting: [])
    },
    OracleCase("skip: an orderly close testifies for the last request", .exactly([.damageReported])) {
      last(.none, reporting: [])
    },
    OracleCase("skip: what was under way with the last request may go with it", .held) { underWay(removing: 6) },
    OracleCase("skip: what had been answered before it may not", .noAcknowledgedLoss) { underWay(removing: 9) },
    OracleCase(
      "skip: a request that was answered last is damaged, and what had been testified for behind it is gone",
      .noAcknowledgedLoss, at: 2
    ) {
      var s = Story.one(6)
      s.append(0, count: 1)
      let slow = s.history.submit(Story.slot, producer: 1, firstSequence: 1, count: 1, at: s.now)
      s.nextSequence[0] = 2
      s.logs[0].append(1)
      for _ in 0..<3 {
        s.append(0, count: 1)
        s.wait(.seconds(1))
      }
      s.history.acknowledge(slow, baseOffset: 1, at: s.now)
      s.crash(.processKill)
      s.damage(1..<2)
      s.logs[0].removeLast(4)
      return s.judged([s.readback()])
    },
    OracleCase("less is gone than receipts say", .unknown(.lossWithinExpected)) {
      DamageTests.judge(DamageTests.damaged(), report: nil)
    },
  ]

  private static func last(_ crash: CrashKind, reporting: [Range<Int64>]) -> Judgement {
    var s = TestimonyTests.story()
    s.crash(crash)
    TestimonyTests.damage(&s, 10)
    s.logs[0].removeLast(3)
    return s.judged([s.readback(reporting: reporting)])
  }

  private static func underWay(removing count: Int) -> Judgement {
    var s = TestimonyTests.story()
    let start = s.now
    s.wait(.microseconds(10))
    let damaged = TestimonyTests.slowRequest(&s, producer: 1, submittedAt: start, answeredAt: s.now)
    _ = TestimonyTests.slowRequest(&s, producer: 2, submittedAt: start, answeredAt: s.now)
    s.crash(.processKill)
    TestimonyTests.damage(&s, damaged)
    s.logs[0].removeLast(count)
    return s.judged([s.readback()])
  }
}
