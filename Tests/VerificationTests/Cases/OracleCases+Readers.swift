import LogModel
import Verification

/// Where logs begin, what groups have committed, keys, times, names, places of damage, leases, events that are settled.
extension OracleCases {
  static let readers: [OracleCase] = starts + firstOffsets + committed + records + others

  private static let starts: [OracleCase] = [
    OracleCase("a log that a deletion has cut", .held) {
      let h = LogStartTests.history(3)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: 3, below: [(0, nil), (2, nil)]))
    },
    OracleCase("a log whose start moves during a readback", .exactly([.logStartOffset])) {
      let h = LogStartTests.history(3, .indeterminate)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: 0, after: 3))
    },
    OracleCase("a log that begins below 0", .logStartOffset) {
      let h = LogStartTests.history(nil)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: -1, served: Array(0..<6)))
    },
    OracleCase("a log that begins later, and nothing was deleted", .logStartOffset, at: 0) {
      let h = LogStartTests.history(nil)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: 1))
    },
    OracleCase(
      "a log that begins where it began before a deletion that a readback has shown", .exactly([.logStartOffset])
    ) {
      let h = LogStartTests.history(3, .indeterminate)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: 3), LogStartTests.readback(h, start: 0))
    },
    OracleCase("a log that says to begin before what was deleted", .deletedStaysDeleted) {
      let h = LogStartTests.history(2)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: 0, served: Array(2..<6)))
    },
    OracleCase("a fetch below the start that answers with what was deleted", .exactly([.deletedStaysDeleted])) {
      let h = LogStartTests.history(3)
      return LogStartTests.judge(h, LogStartTests.readback(h, start: 3, below: [(0, 0)]))
    },
    OracleCase("nobody asked where a log begins from which messages were deleted", .unknown(.deletedStaysDeleted)) {
      let h = LogStartTests.history(3)
      var o = Observer(h)
      o.registered([TopicPartition("orders", 0)])
      for offset in 0..<6 {
        o.observe(Story.slot, Offset(offset), .intact(sequence: UInt64(offset)))
        o.probe(Story.slot, start: Offset(offset), reading: (Offset(offset), .intact(sequence: UInt64(offset))))
      }
      o.ended(Story.slot, .reached)
      return LogStartTests.judge(h, o.finish())
    },
  ]

  /// Three messages acknowledged at `base`, in a log whose offsets begin at 1000, and fetches below its start.
  private static func begun(at base: Int = 1000, start: Int = 1000, below: [(Int, Int?)] = []) -> Judgement {
    var h = History(seed: 9)
    h.firstOffset = 1000
    let at = Instant(nanoseconds: 1_000)
    h.create(TopicPartition("orders", 0), at: at)
    h.opened(at: at)
    h.acknowledge(h.submit(Story.slot, firstSequence: 0, count: 3, at: at), baseOffset: Offset(base), at: at)
    var partition = Answers.Partition()
    let marks = Watermarks(
      logStartOffset: Offset(start), highWatermark: Offset(base + 3), logEndOffset: Offset(base + 3))
    (partition.before, partition.after) = (marks, marks)
    partition.served = (0..<3).map { Answers.Served(offset: base + $0, sequence: $0) }
    partition.probes = partition.served.map { ($0.offset, $0) }
    partition.probes += below.map { start, found in
      (start, found.map { Answers.Served(offset: $0, sequence: max(0, $0 - base)) })
    }
    var answers = Answers()
    answers.partitions = [partition]
    answers.registered = [TopicPartition("orders", 0)]
    return Oracle(Contract(sync: .always)).judge(h, [answers.observed(by: h)])
  }

  /// The same, acknowledged at `base`; the power takes it, as `never` allows.
  private static func begunAndLost(at base: Int) -> Judgement {
    var h = History(seed: 9)
    h.firstOffset = 1000
    let at = Instant(nanoseconds: 1_000)
    h.create(TopicPartition("orders", 0), at: at)
    h.opened(at: at)
    h.acknowledge(h.submit(Story.slot, firstSequence: 0, count: 3, at: at), baseOffset: Offset(base), at: at)
    h.crash(.powerLoss, at: at)
    h.opened(at: at)
    var partition = Answers.Partition()
    let marks = Watermarks(logStartOffset: 1000, highWatermark: 1000, logEndOffset: 1000)
    (partition.before, partition.after) = (marks, marks)
    partition.probes = [(1000, nil)]
    var answers = Answers()
    answers.partitions = [partition]
    answers.registered = [TopicPartition("orders", 0)]
    return Oracle(Contract(sync: .never)).judge(h, [answers.observed(by: h)])
  }

  private static let firstOffsets: [OracleCase] = [
    OracleCase("what begins late is lost where that is allowed", .held) { begunAndLost(at: 1000) },
    OracleCase("an offset of a deleted message is acknowledged, and lost", .offsetsStable, at: 998) {
      begunAndLost(at: 998)
    },
    OracleCase("offsets that begin late", .held) { begun(below: [(999, nil), (0, nil)]) },
    OracleCase("offsets that begin late, and none is acknowledged beyond what was sent", .held) { begun() },
    OracleCase("offsets that begin late, and one is acknowledged far beyond", .offsetsStable) { begun(at: 5000) },
    OracleCase("offsets of deleted messages are given again", .offsetsStable, at: 998) { begun(at: 998) },
    OracleCase("a log that says to begin before its first offset", .offsetsStable, at: 900) { begun(start: 900) },
    OracleCase("a fetch below the start of a log that answers with a message", .everyStartOffset, at: 999) {
      begun(below: [(999, 999)])
    },
    OracleCase("a fetch below the start of a log that answers with what comes next", .everyStartOffset, at: 0) {
      begun(below: [(0, 1000)])
    },
  ]

  /// Ten messages, nine of them committed; the power cuts the log, under `never`. What readbacks after each restart are
  /// answered; the power goes again before each but the first, and takes what the log has beyond `ends`.
  private static func lowered(_ answers: [Int?], to ends: [Int], appending count: Int = 0) -> Judgement {
    var s = CommittedOffsetTests.cut(at: ends[0], .powerLoss)
    var readbacks: [Observation] = []
    for (number, answer) in answers.enumerated() {
      if number > 0 {
        s.crash(.powerLoss)
        s.logs[0].removeLast(max(0, s.logs[0].count - ends[number]))
      }
      readbacks.append(s.readback { $0.commits = [("billing", 0, answer.map { Offset($0) })] })
      for _ in 0..<count { s.append(0, count: 1) }
    }
    return s.judged(readbacks, .never)
  }

  /// Under `interval` the same log comes back at 4, within the window, and the group is lowered to that.
  /// - Parameter isFailedSync: of the damage that has taken the rest; nil for none.
  private static func shortened(isFailedSync: Bool? = nil, _ recovery: RecoveryPolicy = .skipCorrupted) -> Judgement {
    var s = CommittedOffsetTests.cut(at: 4, .powerLoss)
    if let isFailedSync {
      s.history.damage(
        Damage(
          partition: Story.slot, kind: "fault", touched: [OffsetRange(from: 4, to: 10)], description: "a fault",
          isFailedSync: isFailedSync))
    }
    return s.judged([s.readback { $0.commits = [("billing", 0, 4)] }], .interval(.seconds(1)), recovery)
  }

  private static let committed: [OracleCase] = [
    OracleCase(
      "a commit that is lowered, and everything before it was durable", .exactly([.committedOffsetWithinLog]),
      at: [.committedOffsetWithinLog: 4]
    ) { shortened() },
    OracleCase("a commit of what no sync had covered, as the engine knew", .exactly([.committedOffsetWithinLog])) {
      shortened(isFailedSync: true)
    },
    OracleCase("a commit that is lowered to where damage has cut the log", .held) { shortened(isFailedSync: false) },
    OracleCase("a commit that is lowered to where a log is cut at what no sync had covered", .held) {
      shortened(isFailedSync: true, .truncateAtCorruption)
    },
    OracleCase("a commit in the middle of a request whose end was destroyed, lowered to where that began", .held) {
      var s = Story.one(2)
      for _ in 0..<4 { s.append(0, count: 1) }
      s.append(0, count: 2)
      s.commit(0, 5)
      s.crash(.processKill)
      s.history.damage(
        Damage(
          partition: Story.slot, kind: "bit-flip", touched: [OffsetRange(from: 5, to: 6)],
          description: "a byte of offset 5"))
      s.logs[0].removeLast(2)
      return s.judged([s.readback { $0.commits = [("billing", 0, 4)] }], .always, .truncateAtCorruption)
    },
    OracleCase("a commit that is lowered to what an earlier life had committed too", .held) {
      var s = Story.one(2)
      for _ in 0..<9 { s.append(0, count: 1) }
      s.commit(0, 9)
      for _ in 0..<6 { s.append(0, count: 1) }
      s.commit(0, 15)
      s.crash(.powerLoss)
      s.logs[0].removeLast(11)
      let one = s.readback { $0.commits = [("billing", 0, 4)] }
      for _ in 0..<12 { s.append(0, count: 1) }
      s.commit(0, 16)
      s.crash(.powerLoss)
      s.logs[0].removeLast(7)
      return s.judged([one, s.readback { $0.commits = [("billing", 0, 9)] }], .never)
    },
    OracleCase("a commit that stays where messages of a later life stand", .violated([.committedOffsetWithinLog])) {
      var s = Story.one(2)
      for _ in 0..<9 { s.append(0, count: 1) }
      s.commit(0, 9)
      s.crash(.powerLoss)
      let one = s.readback { $0.commits = [("billing", 0, 9)] }
      s.crash(.powerLoss)
      s.logs[0].removeLast(5)
      for _ in 0..<8 { s.append(0, count: 1) }
      s.crash(.processKill)
      return s.judged([one, s.readback { $0.commits = [("billing", 0, 9)] }], .never)
    },
    OracleCase("a commit that is lowered to the end of the log", .held) { lowered([4], to: [4]) },
    OracleCase("a commit that is lowered, and stays", .held) { lowered([4, 4], to: [4, 4]) },
    OracleCase("a commit that is lowered, stays, and what is appended goes", .held) {
      lowered([4, 4], to: [4, 6], appending: 8)
    },
    OracleCase("a commit that is there after a kill, and lowered by a power loss", .held) {
      var s = Story.one(2)
      for _ in 0..<10 { s.append(0, count: 1) }
      s.commit(0, 9)
      s.crash(.processKill)
      let one = s.readback()
      s.crash(.powerLoss)
      s.logs[0].removeLast(6)
      return s.judged([one, s.readback { $0.commits = [("billing", 0, 4)] }], .never)
    },
    OracleCase("a commit that is lowered, and comes back", .violated([.consumerOffsets])) {
      lowered([4, 9], to: [4, 12], appending: 8)
    },
    OracleCase("a commit that is lowered too far", .exactly([.consumerOffsets])) { lowered([2], to: [4]) },
    OracleCase("a commit that is lowered, and too far after that", .exactly([.consumerOffsets])) {
      lowered([4, 2], to: [4, 4])
    },
    OracleCase(
      "a commit beyond the end of the log", .exactly([.committedOffsetWithinLog]), at: [.committedOffsetWithinLog: 4]
    ) {
      lowered([9], to: [4])
    },
    OracleCase(
      "a commit over what was sent after it", .exactly([.committedOffsetWithinLog]), at: [.committedOffsetWithinLog: 4]
    ) {
      var s = CommittedOffsetTests.cut(at: 4, .powerLoss)
      for _ in 0..<8 { s.append(0, count: 1) }
      return s.judged([s.readback()], .never)
    },
    OracleCase("nobody asked whether a commit lies within the log", .unknown(.committedOffsetWithinLog)) {
      let s = CommittedOffsetTests.cut(at: 10, .processKill)
      return s.judged([s.readback { $0.commits = [] }])
    },
  ]

  private static func timed(_ times: [Int64]) -> Judgement {
    let h = LogStartTests.history(nil)
    let readbacks = times.map { LogStartTests.readback(h, start: 0, times: [(0, $0), (3, 15_000)]) }
    return Oracle(Contract(sync: .always)).judge(h, readbacks)
  }

  private static let records: [OracleCase] = [
    OracleCase("a batch has a time that is not that of its append", .exactly([.timesKept])) { timed([10_002]) },
    OracleCase("a batch has another time in another readback", .exactly([.timesKept])) { timed([500, 501]) },
    OracleCase("a batch keeps its time", .held) { timed([500, 500]) },
    OracleCase("a message has a key that it was not sent with", .exactly([.keysIntact])) {
      var served = ShortMessageTests.all(0..<4)
      served[2].key = .some([1])
      return ShortMessageTests.judge(ShortMessageTests.history(24, [1, 1, 1, 1]), served)
    },
    OracleCase("an offset names another message than before", .offsetsNameOneMessage, at: 7) {
      CommittedOffsetTests.given(Contract(sync: .always), .powerLoss, lost: 3)
    },
    OracleCase("a report of damage names another place", .exactly([.damageReported])) {
      DamagedPlaceTests.judge(DamagedPlaceTests.place(46..<47), reportedAs: DamagedPlaceTests.file, 47..<200)
    },
    OracleCase("a report of damage names the place", .held) {
      DamagedPlaceTests.judge(DamagedPlaceTests.place(46..<47), reportedAs: DamagedPlaceTests.file, 40..<200)
    },
  ]

  private static let others: [OracleCase] = [
    OracleCase("events are settled", .held) {
      SettledEventsTests.judge(sent: [1, 2, 4, 5], failed: [3], taken: [1, 2, 4, 5])
    },
    OracleCase(
      "an event is recorded as sent that never arrived", .exactly([.rejectedReported]), at: [.rejectedReported: 3]
    ) {
      SettledEventsTests.judge(sent: [1, 2, 3, 4, 5], failed: [3], taken: [1, 2, 4, 5])
    },
    OracleCase(
      "an event is recorded as failed that was not rejected", .exactly([.rejectedReported]), at: [.rejectedReported: 5]
    ) {
      SettledEventsTests.judge(sent: [1, 2, 4], failed: [3, 5], taken: [1, 2, 4, 5])
    },
    OracleCase("a rejected event is not recorded", .exactly([.rejectedReported]), at: [.rejectedReported: 3]) {
      SettledEventsTests.judge(sent: [1, 2, 4, 5], failed: [], taken: [1, 2, 4, 5])
    },
    OracleCase("a rejected event may not have been sent", .unknown(.rejectedReported)) {
      SettledEventsTests.judge(sent: [1, 2, 4, 5], failed: [], taken: [1, 2, 4, 5], left: 1)
    },
    OracleCase("a lease is taken from a writer that is well", .exactly([.leaseKept])) {
      Judgement(checks: [LeaseKeptTests.judge(takenAt: 60_000_100)])
    },
    OracleCase("a writer that is well is fenced", .exactly([.leaseKept])) {
      Judgement(checks: [LeaseKeptTests.judge(.failed)])
    },
    OracleCase("nobody else wanted a lease", .unknown(.leaseKept)) {
      Judgement(checks: [LeaseKeptTests.judge(refused: 0)])
    },
  ]
}
