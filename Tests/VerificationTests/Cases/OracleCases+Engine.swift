import LogModel
import Verification

/// What a partition claims; each `Mutation`; and sound engines.
extension OracleCases {
  /// Each check that needs the end of consumption says so.
  private static let unended: [CheckName] = [
    .consumerMakesProgress, .highWatermark, .logEndOffset, .damageReported, .noAcknowledgedLoss, .lossIsSuffix, .noGaps,
    .lossWithinExpected,
  ]

  static let watermarks: [OracleCase] =
    unended.map { check in
      OracleCase("\(check.rawValue): the end of consumption is not known", .unknown(check)) {
        looked { $0.partitions[0].end = nil }
      }
    } + [
      OracleCase("watermarks were not asked for", .unknown(.highWatermark)) {
        looked { ($0.partitions[0].before, $0.partitions[0].after) = (nil, nil) }
      },
      OracleCase("the high watermark is not the log end offset", .highWatermark) {
        var s = Story.one()
        for _ in 0..<3 { s.append(0, count: 2) }
        s.crash(.none)
        s.damage(4..<5)
        s.logs[0].removeLast(2)
        return s.judged([
          s.readback(reporting: [4..<6]) {
            $0.partitions[0].after!.highWatermark = 4
            $0.partitions[0].after!.logEndOffset = 6
          }
        ])
      },
      OracleCase("the high watermark goes back within a life", .watermarkMonotonic) {
        var s = Story.one()
        s.append(0, count: 4)
        let one = s.readback()
        return s.judged([one, s.readback { $0.claim(2) }])
      },
      OracleCase("never: an allowed loss that is no suffix", .lossIsSuffix) {
        var s = Story.one()
        for _ in 0..<3 { s.append(0, count: 2) }
        s.crash(.powerLoss)
        s.hole(2..<4)
        return s.judged([s.readback()], .never)
      },
      OracleCase("never: a suffix is lost", .held) {
        var s = Story.one()
        for _ in 0..<3 { s.append(0, count: 2) }
        s.crash(.powerLoss)
        s.logs[0].removeLast(2)
        return s.judged([s.readback()], .never)
      },
      OracleCase("interval: something old is lost", .lossWindow) {
        ContractTests.intervalLoss(age: .seconds(2), .interval(.milliseconds(100)))
      },
      OracleCase("interval: something new is lost", .held) {
        ContractTests.intervalLoss(age: .milliseconds(50), .interval(.milliseconds(100)))
      },
      OracleCase("deleted messages may be gone", .held) { deleted(to: 2, servedFrom: 2) },
      OracleCase("more than was deleted is gone", .noAcknowledgedLoss, at: 2) { deleted(to: 2, servedFrom: 4) },
      OracleCase("an append after a restart is refused for no reason", .exactly([.appendAfterRecovery])) {
        refusedAppend(JustifiedRejections())
      },
      OracleCase("an append after a restart is refused with a fault in the way", .held) {
        var refusals = JustifiedRejections()
        refusals.note(wholeOf: 1)
        return refusedAppend(refusals)
      },
      OracleCase("an append after a restart gets an offset that was taken", .appendAfterRecovery) {
        var s = Story.one(11)
        s.append(0, count: 5)
        s.crash(.processKill)
        let one = s.readback()
        s.logs[0].removeLast(2)
        s.append(0, count: 2)
        return s.judged([one, s.readback()])
      },
    ]

  private static func looked(_ edit: (inout Answers) -> Void) -> Judgement {
    var s = Story.one()
    s.append(0, count: 4)
    s.crash(.processKill)
    return s.judged([s.readback(edit)])
  }

  private static func deleted(to end: Int, servedFrom start: Int) -> Judgement {
    var s = Story.one(12)
    for _ in 0..<5 { s.append(0, count: 2) }
    s.history.trim(Story.slot, before: Offset(end))
    return s.judged([
      s.readback {
        $0.partitions[0].served.removeFirst(start)
        $0.partitions[0].probes.removeFirst(start)
        $0.claim(start: end, 10)
      }
    ])
  }

  private static func refusedAppend(_ refusals: JustifiedRejections) -> Judgement {
    var s = Story.one(11)
    s.append(0, count: 5)
    s.crash(.processKill)
    let one = s.readback()
    s.append(0, count: 1, .failed)
    return s.judged([one, s.readback()], refusals: refusals)
  }

  /// With every start offset asked for, of those that do not change what is served.
  static let mutations: [OracleCase] = Mutation.allCases.map { mutation in
    OracleCase("mutation \(mutation.rawValue)", .violated([mutation.check])) { MutationTests.judged(mutation, seed: 3) }
  }

  static let sound: [OracleCase] =
    (0..<4 as Range<UInt64>).map { seed in
      OracleCase("sound engine, seed \(seed)", .held) {
        let (story, readbacks) = MutationTests.story(seed)
        return story.judged(readbacks)
      }
    } + [
      OracleCase("a newer writer cuts and sends at the same offsets in one life", .held) {
        var s = Story.one(9)
        s.append(0, count: 3)
        s.append(0, count: 3, producer: 1)
        s.damage(4..<5, inLife: true)
        s.logs[0].removeLast(3)
        s.append(0, count: 3, producer: 2)
        s.crash(.processKill)
        let takeover = Takeover(replaced: 0..<2, from: Instant(nanoseconds: 0))
        let readback = s.readback { answers in
          answers.reported = [
            ReportedDamage(
              partition: Story.slot, offsets: OffsetRange(from: 3, to: 6), reason: "checksum", operationsBefore: 2)
          ]
        }
        return Oracle(Contract(sync: .always, recovery: .truncateAtCorruption, takeover: takeover)).judge(
          s.history, [readback])
      }
    ]
}
