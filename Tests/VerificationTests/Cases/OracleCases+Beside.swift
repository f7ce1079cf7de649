import LogModel
import Verification

/// What consumers were answered while messages were sent.
extension OracleCases {
  static let beside: [OracleCase] = answers + owed + marksTold + again

  /// Four messages, acknowledged at 0 to 3, one request each; producer 0.
  private static func four(_ seed: UInt64 = 21) -> Story {
    var s = Story.one(seed)
    for _ in 0..<4 { s.append(0, count: 1) }
    return s
  }

  /// What a consumer is answered that asks at `asked`: messages from `runs`, each an offset, the first message, and how
  /// many.
  private static func read(
    _ s: inout Story, _ asked: Int, _ runs: [(Int, Int?, Int)], start: Int = 0, watermark: Int? = nil
  ) {
    s.history.read(
      Story.slot, by: 0, from: Offset(asked), logStartOffset: Offset(start),
      highWatermark: Offset(watermark ?? s.logs[0].count), at: s.now)
    for (offset, sequence, count) in runs {
      s.history.readMessages(Offset(offset), sequence: sequence.map(UInt64.init), count: count)
    }
  }

  /// The four, and one answer in the middle of them.
  private static func answered(
    _ asked: Int, _ runs: [(Int, Int?, Int)], start: Int = 0, watermark: Int? = nil
  ) -> Judgement {
    var s = four()
    read(&s, asked, runs, start: start, watermark: watermark)
    return s.judged([s.readback()])
  }

  private static let answers: [OracleCase] = [
    OracleCase("a consumer beside the producers is served what is there", .held) { answered(1, [(1, 1, 3)]) },
    OracleCase("it is answered nothing at the tail", .held) { answered(4, []) },
    OracleCase("its answer begins behind what it asked for", .exactly([.everyStartOffset]), at: [.everyStartOffset: 1])
    {
      answered(1, [(2, 2, 2)])
    },
    OracleCase("its answer begins before what it asked for", .exactly([.everyStartOffset]), at: [.everyStartOffset: 0])
    {
      answered(1, [(0, 0, 2)])
    },
    OracleCase("its answer leaves an offset out", .exactly([.everyStartOffset]), at: [.everyStartOffset: 1]) {
      answered(0, [(0, 0, 1), (2, 2, 2)])
    },
    OracleCase("its answer leaves out what damage has taken", .held) {
      var s = four()
      s.append(0, count: 1)
      s.damage(1..<2, inLife: true)
      read(&s, 0, [(0, 0, 1), (2, 2, 2)])
      s.hole(1..<2)
      return s.judged([s.readback(reporting: [1..<2]) { $0.partitions[0].probes.removeAll { $0.start == 1 } }])
    },
    OracleCase("its answer serves an offset twice", .exactly([.noDuplicates]), at: [.noDuplicates: 0]) {
      answered(0, [(0, 0, 2), (0, 0, 2)])
    },
    OracleCase(
      "its answer reaches beyond the high watermark that it is told", .exactly([.highWatermark]),
      at: [.highWatermark: 3]
    ) {
      answered(0, [(0, 0, 4)], watermark: 3)
    },
    OracleCase("it is served bytes that were never sent", .exactly([.contentIntact]), at: [.contentIntact: 2]) {
      answered(2, [(2, nil, 1)])
    },
    OracleCase("it is served a message that nobody sends", .exactly([.noPhantoms]), at: [.noPhantoms: 2]) {
      answered(2, [(2, 99, 1)])
    },
    OracleCase("it is served a message that is sent later", .exactly([.noPhantoms]), at: [.noPhantoms: 3]) {
      var s = Story.one(22)
      for _ in 0..<3 { s.append(0, count: 1) }
      read(&s, 3, [(3, 3, 1)], watermark: 4)
      s.append(0, count: 1)
      return s.judged([s.readback()])
    },
    OracleCase("it is served a message that was refused for certain", .noPhantoms, at: 4) {
      var s = four()
      s.append(0, count: 1, .failed)
      read(&s, 4, [(4, 4, 1)], watermark: 5)
      return s.judged([s.readback()])
    },
    OracleCase(
      "it is served a message at another offset for a moment", .exactly([.offsetsStable]), at: [.offsetsStable: 1]
    ) {
      answered(1, [(1, 2, 1)])
    },
  ]

  /// The four, then one that is never answered and is read at 4; a crash, and what a readback finds then.
  private static func dirty(
    _ sync: SyncPolicy, _ crash: CrashKind, after pause: Duration = .zero, isThere: Bool = false
  ) -> Judgement {
    var s = four()
    s.append(0, count: 1, .indeterminate, lands: isThere)
    read(&s, 4, [(4, 4, 1)], watermark: 5)
    s.wait(pause)
    s.crash(crash)
    return s.judged([s.readback()], sync)
  }

  private static let owed: [OracleCase] = [
    OracleCase(
      "always: what a consumer was served is gone after a power loss", .violated([.noAcknowledgedLoss]),
      at: [.noAcknowledgedLoss: 4]
    ) {
      dirty(.always, .powerLoss)
    },
    OracleCase("always: what a consumer was served is gone after a kill", .violated([.noAcknowledgedLoss])) {
      dirty(.always, .processKill)
    },
    OracleCase("never: what a consumer was served is gone after a kill", .violated([.noAcknowledgedLoss])) {
      dirty(.never, .processKill)
    },
    OracleCase("never: what a consumer was served is gone after a power loss", .held) { dirty(.never, .powerLoss) },
    OracleCase("interval: what a consumer was served in the window is gone after a power loss", .held) {
      dirty(.interval(.seconds(1)), .powerLoss, after: .milliseconds(999))
    },
    OracleCase(
      "interval: what a consumer was served before the window is gone", .violated([.noAcknowledgedLoss, .lossWindow])
    ) {
      dirty(.interval(.seconds(1)), .powerLoss, after: .seconds(2))
    },
    OracleCase("always: what a consumer was served, and nobody acknowledged, is there", .held) {
      dirty(.always, .powerLoss, isThere: true)
    },
    OracleCase("what a consumer was served is gone in the same life", .violated([.noAcknowledgedLoss])) {
      var s = four()
      s.append(0, count: 1, .indeterminate, lands: false)
      read(&s, 4, [(4, 4, 1)], watermark: 5)
      return s.judged([s.readback()], .never)
    },
    OracleCase(
      "its offset names another message after the crash", .violated([.noAcknowledgedLoss, .offsetsNameOneMessage])
    ) {
      var s = four()
      s.append(0, count: 1, .indeterminate, lands: false)
      read(&s, 4, [(4, 4, 1)], watermark: 5)
      s.crash(.powerLoss)
      s.append(0, count: 1)
      s.crash(.processKill)
      return s.judged([s.readback()])
    },
    OracleCase("never: its offset is given again", .held) {
      var s = four()
      s.append(0, count: 1, .indeterminate, lands: false)
      read(&s, 4, [(4, 4, 1)], watermark: 5)
      s.crash(.powerLoss)
      let one = s.readback()
      s.append(0, count: 1)
      s.crash(.processKill)
      return s.judged([one, s.readback()], .never)
    },
    OracleCase(
      "in one life an offset names two messages", .exactly([.offsetsNameOneMessage]), at: [.offsetsNameOneMessage: 4]
    ) {
      var s = four()
      s.append(0, count: 1, .indeterminate, lands: false)
      read(&s, 4, [(4, 4, 1)], watermark: 5)
      s.append(0, count: 1)
      s.crash(.powerLoss)
      s.logs[0].removeLast()
      return s.judged([s.readback()], .never)
    },
    OracleCase("a message that was gone is served to a consumer", .violated([.noPhantoms])) {
      var s = four()
      s.append(0, count: 1)
      s.crash(.powerLoss)
      s.logs[0].removeLast()
      let one = s.readback()
      read(&s, 4, [(4, 4, 1)], watermark: 5)
      s.append(0, count: 1)
      s.crash(.processKill)
      return s.judged([one, s.readback()], .never)
    },
    OracleCase("what power had taken comes back to a consumer where it was damaged first", .held) {
      var s = four()
      s.append(0, count: 1)
      s.crash(.powerLoss)
      s.damage(4..<5)
      let log = s.logs
      s.hole(4..<5)
      let one = s.readback(reporting: [4..<5]) { $0.partitions[0].probes.removeAll { $0.start == 4 } }
      s.logs = log
      read(&s, 4, [(4, 4, 1)])
      s.crash(.processKill)
      return s.judged([one, s.readback()], .never)
    },
  ]

  private static let again: [OracleCase] = [
    OracleCase("what a power loss was allowed to take is reported after each restart", .held) {
      var s = four()
      s.append(0, count: 1)
      s.crash(.powerLoss)
      s.logs[0].removeLast()
      let one = s.readback(reporting: [4..<5])
      s.crash(.processKill)
      return s.judged([one, s.readback(reporting: [4..<5])], .never, .truncateAtCorruption)
    },
    OracleCase(
      "an offset of what a power loss took is reported, and another message stands there", .exactly([.damageReported])
    ) {
      var s = four()
      s.append(0, count: 1)
      s.crash(.powerLoss)
      s.logs[0].removeLast()
      let one = s.readback()
      s.append(0, count: 1)
      s.crash(.processKill)
      return s.judged([one, s.readback(reporting: [4..<5])], .never, .truncateAtCorruption)
    },
  ]

  /// Two answers of nothing that differ in the marks that are told with them, and a readback.
  private static func told(
    _ first: (start: Int, watermark: Int), _ second: (start: Int, watermark: Int), trim: Int? = nil
  ) -> Judgement {
    var s = four()
    if let trim { s.history.trim(Story.slot, before: Offset(trim)) }
    read(&s, 4, [], start: first.start, watermark: first.watermark)
    read(&s, 4, [], start: second.start, watermark: second.watermark)
    return s.judged([s.readback()])
  }

  private static let marksTold: [OracleCase] = [
    OracleCase("the marks that a consumer is told rise", .held) { told((0, 2), (0, 4)) },
    OracleCase(
      "the high watermark falls between two answers", .exactly([.watermarkMonotonic]), at: [.watermarkMonotonic: 2]
    ) {
      told((0, 4), (0, 2))
    },
    OracleCase(
      "the high watermark is lower in the readback than a consumer was told", .exactly([.watermarkMonotonic]),
      at: [.watermarkMonotonic: 4]
    ) {
      told((0, 4), (0, 9))
    },
    OracleCase("the log start offset falls between two answers", .exactly([.logStartOffset]), at: [.logStartOffset: 0])
    {
      told((2, 4), (0, 4))
    },
    OracleCase(
      "the log start offset is lower than a consumer was told", .exactly([.logStartOffset]), at: [.logStartOffset: 0]
    ) {
      told((0, 4), (2, 4), trim: 2)
    },
    OracleCase("the high watermark is lower after a crash than a consumer was told", .held) {
      var s = four()
      s.append(0, count: 1)
      read(&s, 5, [])
      s.crash(.powerLoss)
      s.logs[0].removeLast()
      let one = s.readback()
      read(&s, 4, [])
      s.crash(.processKill)
      return s.judged([one, s.readback()], .never)
    },
  ]
}
