import LogModel
import Verification

/// What is served: before a message was promised, at other offsets, twice, by another fetch.
extension OracleCases {
  static let reads: [OracleCase] = dirtyReads + probes + repeats + acknowledgements

  private static let dirtyReads: [OracleCase] =
    [CrashKind.processKill, .powerLoss].map { kind in
      OracleCase(
        "dirty read: served live, gone after a \(kind.rawValue), its offset given again", .noAcknowledgedLoss, at: 2
      ) {
        var s = Story.one()
        s.append(0, count: 2)
        s.append(0, count: 2, .indeterminate, lands: true)
        let live = s.readback()
        s.crash(kind)
        s.logs[0].removeLast(2)
        let one = s.readback()
        s.append(0, count: 2)
        s.crash(kind)
        return s.judged([live, one, s.readback()])
      }
    } + [
      OracleCase("dirty read: two unanswered requests change places over a kill", .offsetsStable) {
        var s = Story.one()
        s.append(0, count: 2)
        s.append(0, count: 2, producer: 1, .indeterminate, lands: true)
        s.append(0, count: 2, producer: 2, .indeterminate, lands: true)
        let live = s.readback()
        s.crash(.processKill)
        s.logs[0] = [0, 1, 4, 5, 2, 3]
        return s.judged([live, s.readback()])
      },
      OracleCase("dirty read: gone within the life, its offset given again", .noAcknowledgedLoss) {
        var s = Story.one()
        s.append(0, count: 2)
        s.append(0, count: 2, producer: 1, .indeterminate, lands: true)
        let live = s.readback()
        s.logs[0].removeLast(2)
        s.append(0, count: 2)
        return s.judged([live, s.readback()], .never)
      },
      OracleCase("served live and unanswered, kept", .held) {
        var s = Story.one()
        s.append(0, count: 2)
        s.append(0, count: 2, producer: 1, .indeterminate, lands: true)
        let live = s.readback()
        s.crash(.processKill)
        return s.judged([live, s.readback()])
      },
      OracleCase("never: served live and unanswered, taken by the power, its offsets given again", .held) {
        var s = Story.one()
        s.append(0, count: 2)
        s.append(0, count: 2, .indeterminate, lands: true)
        let live = s.readback()
        s.crash(.powerLoss)
        s.logs[0].removeLast(2)
        let one = s.readback()
        s.append(0, count: 2)
        s.crash(.processKill)
        return s.judged([live, one, s.readback()], .never)
      },
    ]

  /// Four messages, and two that were sent, never answered, and are not in the log.
  private static var six: Story {
    var s = Story.one(2)
    s.append(0, count: 2)
    s.append(0, count: 2)
    s.append(0, count: 2, producer: 1, .indeterminate, lands: false)
    return s
  }

  private static func probed(_ edit: @escaping @Sendable (inout Answers) -> Void) -> Judgement {
    let s = six
    return s.judged([s.readback(edit)])
  }

  private static let probes: [OracleCase] = [
    OracleCase(
      "a fetch begins with another message than consumption was served", .exactly([.everyStartOffset]),
      at: [.everyStartOffset: 2]
    ) {
      probed { $0.answer(2, .init(offset: 2, sequence: 4)) }
    },
    OracleCase("a fetch begins with a message that stands elsewhere", .exactly([.everyStartOffset])) {
      probed { $0.answer(1, .init(offset: 1, sequence: 3)) }
    },
    OracleCase(
      "a fetch at the high watermark answers an unanswered message", .exactly([.everyStartOffset]),
      at: [.everyStartOffset: 4]
    ) {
      probed { $0.answer(4, .init(offset: 4, sequence: 4)) }
    },
    OracleCase("a fetch begins with bytes that were never sent", .exactly([.contentIntact])) {
      probed { $0.answer(1, .init(offset: 1, sequence: nil)) }
    },
    OracleCase("a fetch begins with a message of nobody", .exactly([.noPhantoms])) {
      probed { $0.answer(4, .init(offset: 4, sequence: 99)) }
    },
    OracleCase(
      "where consumption broke off a fetch begins with a message that stands elsewhere", .everyStartOffset, at: 2
    ) {
      probed {
        $0.partitions[0].served.removeLast(3)
        $0.partitions[0].end = nil
        $0.answer(2, .init(offset: 2, sequence: 3))
      }
    },
    OracleCase("a fetch begins with a message that had been refused", .noPhantoms) {
      var s = Story.one()
      s.append(0, count: 2)
      s.append(0, count: 1, .failed)
      return s.judged([s.readback { $0.answer(2, .init(offset: 2, sequence: 2)) }])
    },
    OracleCase("never: fetches begin with a message that was gone, in the place of its successor", .noPhantoms) {
      var s = Story.one()
      s.append(0, count: 2)
      s.append(0, count: 2)
      s.crash(.powerLoss)
      s.logs[0].removeLast(2)
      let one = s.readback()
      s.append(0, count: 2)
      s.crash(.processKill)
      return s.judged([one, s.readback { $0.answer(2, .init(offset: 2, sequence: 2)) }], .never)
    },
    OracleCase("no start offset was asked for", .unknown(.everyStartOffset)) {
      probed { $0.partitions[0].probes = [] }
    },
    OracleCase("no start offset of one of two partitions was asked for", .unknown(.everyStartOffset)) {
      var s = Story(seed: 3, partitions: 2)
      s.append(0, count: 3)
      s.append(1, count: 3)
      return s.judged([s.readback { $0.partitions[1].probes = [] }])
    },
    OracleCase("fetches from sound offsets answer that they are damaged", .everyStartOffset, at: 1) {
      probed { for start in 1...3 { $0.answer(start, nil) } }
    },
    OracleCase(
      "an answer goes on with another message than consumption was served", .exactly([.everyStartOffset]),
      at: [.everyStartOffset: 2]
    ) {
      answering([(0, 0), (1, 1), (2, 4)])
    },
    OracleCase("an answer goes on with bytes that were never sent", .exactly([.contentIntact]), at: [.contentIntact: 1])
    {
      answering([(0, 0), (1, nil)])
    },
    OracleCase("an answer goes on with a gap", .exactly([.everyStartOffset]), at: [.everyStartOffset: 1]) {
      answering([(0, 0), (2, 2)])
    },
    OracleCase("an answer goes back", .exactly([.everyStartOffset])) { answering([(2, 2), (3, 3), (1, 1)], from: 2) },
    OracleCase("a whole answer", .held) { answering([(0, 0), (1, 1), (2, 2), (3, 3)]) },
    OracleCase("a fetch into what is skipped goes on with bytes that were never sent", .contentIntact) {
      let s = skipped
      return s.judged([s.readback(reporting: [2..<4]) { $0.answer(2, .init(offset: 4, sequence: nil)) }])
    },
    OracleCase("a fetch into what is skipped goes on with a message of nobody", .noPhantoms) {
      let s = skipped
      return s.judged([s.readback(reporting: [2..<4]) { $0.answer(3, .init(offset: 4, sequence: 99)) }])
    },
    OracleCase("a fetch into what is skipped goes on behind it", .held) {
      let s = skipped
      return s.judged([s.readback(reporting: [2..<4])])
    },
    OracleCase("a fetch into what is skipped answers nothing", .held) {
      let s = skipped
      return s.judged([s.readback(reporting: [2..<4]) { $0.answer(2, nil) }])
    },
    OracleCase("a fetch behind sound offsets begins behind them", .everyStartOffset) {
      let s = skipped
      return s.judged([s.readback(reporting: [2..<4]) { $0.answer(1, .init(offset: 4, sequence: 4)) }])
    },
  ]

  /// Six acknowledged messages, of which a fault has taken the middle two.
  private static var skipped: Story {
    var s = Story.one(16)
    for _ in 0..<3 { s.append(0, count: 2) }
    s.crash(.processKill)
    s.damage(2..<4)
    s.hole(2..<4)
    return s
  }

  /// One fetch with a whole answer, besides what a sound engine answers.
  private static func answering(_ records: [(offset: Int64, sequence: UInt64?)], from start: Offset = 0) -> Judgement {
    let s = six
    let answers = s.answers()
    var observer = Observer(s.history)
    observer.registered(answers.registered ?? [])
    observer.claimedBefore(Story.slot, answers.partitions[0].before!)
    for served in answers.partitions[0].served {
      observer.observe(Story.slot, Offset(served.offset), .intact(sequence: UInt64(served.sequence!)))
    }
    observer.claimedAfter(Story.slot, answers.partitions[0].after!)
    observer.ended(Story.slot, .reached)
    var answer = ProbedAnswer(Story.slot, start, observer)
    for record in records {
      answer.note(Offset(record.offset), record.sequence.map { .intact(sequence: $0) } ?? .corrupt, &observer)
    }
    answer.end(&observer)
    return s.judged([observer.finish()])
  }

  private static let repeats: [OracleCase] = [
    OracleCase("an answer begins before what was asked for", .exactly([.everyStartOffset]), at: [.everyStartOffset: 2])
    {
      var s = Story.one(4)
      s.append(0, count: 4)
      let marks = Watermarks(logStartOffset: 0, highWatermark: 4, logEndOffset: 4)
      var observer = Observer(s.history)
      observer.registered(s.history.creations.map(\.partition))
      observer.claimedBefore(Story.slot, marks)
      for (asked, answer) in [(0, 0..<2), (2, 1..<4)] {
        observer.asked(Story.slot, Offset(asked))
        for offset in answer { observer.observe(Story.slot, Offset(offset), .intact(sequence: UInt64(offset))) }
      }
      observer.claimedAfter(Story.slot, marks)
      observer.ended(Story.slot, .reached)
      observer.probeAll(Story.slot, [0, 1, 2, 3])
      return s.judged([observer.finish()])
    },
    OracleCase(
      "consumption is served the same messages three times in one answer", .exactly([.noDuplicates]),
      at: [.noDuplicates: 1]
    ) {
      var s = Story.one(4)
      s.append(0, count: 6)
      return s.judged([
        s.readback {
          $0.partitions[0].served = [0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 5].map { .init(offset: $0, sequence: $0) }
        }
      ])
    },
    OracleCase(
      "the second time an offset is served its bytes were never sent", .violated([.contentIntact, .noDuplicates])
    ) {
      var s = Story.one(4)
      s.append(0, count: 4)
      return s.judged([s.readback { $0.partitions[0].served.insert(.init(offset: 1, sequence: nil), at: 3) }])
    },
    OracleCase("the second time an offset is served it is another message", .violated([.offsetsStable])) {
      var s = Story.one(4)
      s.append(0, count: 2)
      s.append(0, count: 1, producer: 1, .indeterminate, lands: false)
      return s.judged([s.readback { $0.partitions[0].served.append(.init(offset: 1, sequence: 2)) }])
    },
  ]

  /// One request is acknowledged for offset 0, and others for the given ones; then the power goes, in the middle of the
  /// workload.
  private static func acknowledged(_ bases: [Int], _ sync: SyncPolicy) -> Judgement {
    var s = Story.one(8)
    s.append(0, count: 2)
    for (n, base) in bases.enumerated() {
      let number = s.history.submit(Story.slot, producer: 1, firstSequence: 2 + 2 * n, count: 2, at: s.now)
      s.wait(.microseconds(10))
      s.history.acknowledge(number, baseOffset: Offset(base), at: s.now)
    }
    s.crash(.powerLoss)
    return s.judged([s.readback()], sync)
  }

  private static let acknowledgements: [OracleCase] = [SyncPolicy.never, .interval(.seconds(1))].flatMap { sync in
    [
      OracleCase(
        "\(sync): one offset acknowledged twice, lost as it may be", .exactly([.offsetsStable]), at: [.offsetsStable: 0]
      ) {
        acknowledged([0], sync)
      },
      OracleCase(
        "\(sync): an offset acknowledged that was out of reach", .exactly([.offsetsStable]), at: [.offsetsStable: 700]
      ) {
        acknowledged([700], sync)
      },
      OracleCase("\(sync): offsets acknowledged in turn, lost as they may be", .held) { acknowledged([2, 4], sync) },
    ]
  }
}
