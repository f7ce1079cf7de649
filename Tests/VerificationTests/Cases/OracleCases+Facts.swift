import LogModel
import Verification

/// Topics, committed offsets, refusals, closings, and readbacks that were not made.
extension OracleCases {
  static let facts: [OracleCase] = topics + commits + refusals + nothing

  /// A readback of the one partition, which is registered and empty, or not registered.
  private static func readback(_ history: History, isThere: Bool) -> Observation {
    var o = Observer(history)
    o.registered(isThere ? [TopicPartition("orders", 0)] : [])
    if isThere {
      let marks = Watermarks(logStartOffset: 0, highWatermark: 0, logEndOffset: 0)
      o.claimedBefore(Story.slot, marks)
      o.claimedAfter(Story.slot, marks)
      o.ended(Story.slot, .reached)
    }
    return o.finish()
  }

  /// One partition that was asked for without an answer, there or not at two restarts.
  private static func unansweredTopic(_ isThere: [Bool], _ outcome: Outcome = .indeterminate, again: Bool = false)
    -> Judgement
  {
    var h = History(seed: 1)
    h.create(TopicPartition("orders", 0), outcome, at: Instant(nanoseconds: 1))
    var readbacks: [Observation] = []
    for (n, there) in isThere.enumerated() {
      h.crash(.processKill, at: Instant(nanoseconds: Int64(10 * n + 2)))
      h.opened(at: Instant(nanoseconds: Int64(10 * n + 3)))
      readbacks.append(readback(h, isThere: there))
      if again { h.createAgain(Story.slot) }
    }
    return Oracle(Contract(sync: .always)).judge(h, readbacks)
  }

  /// It is asked for in the life behind the first restart, without an answer; `looked` says what that life saw, `later`
  /// the next.
  private static func unansweredTopicInItsLife(_ looked: Bool, later: Bool) -> Judgement {
    var h = History(seed: 1)
    h.crash(.processKill, at: Instant(nanoseconds: 2))
    h.opened(at: Instant(nanoseconds: 3))
    h.create(
      TopicPartition("orders", 0), .indeterminate, submittedAt: Instant(nanoseconds: 3), at: Instant(nanoseconds: 5))
    var readbacks: [Observation] = []
    for (n, there) in [looked, later].enumerated() {
      if n == 1 {
        h.crash(.processKill, at: Instant(nanoseconds: 12))
        h.opened(at: Instant(nanoseconds: 13))
      }
      readbacks.append(readback(h, isThere: there))
    }
    var refusals = JustifiedRejections()
    refusals.note(incarnation: 1, at: Instant(nanoseconds: 4))
    return Oracle(Contract(sync: .always, refusals: refusals)).judge(h, readbacks)
  }

  private static let topics: [OracleCase] = [
    OracleCase("an unanswered topic, not seen in its own life, there after it", .held) {
      unansweredTopicInItsLife(false, later: true)
    },
    OracleCase("an unanswered topic, seen in its own life only", .held) {
      unansweredTopicInItsLife(true, later: false)
    },
    OracleCase("an unanswered topic, there and then gone", .exactly([.partitionsRegistered])) {
      unansweredTopic([true, false])
    },
    OracleCase("an unanswered topic, gone and then there", .exactly([.partitionsRegistered])) {
      unansweredTopic([false, true])
    },
    OracleCase("an unanswered topic, gone, asked for once more, and there", .held) {
      unansweredTopic([false, true], again: true)
    },
    OracleCase("an unanswered topic that is there", .held) { unansweredTopic([true, true]) },
    OracleCase("an unanswered topic that is not there", .held) { unansweredTopic([false, false]) },
    OracleCase("a topic refused for no reason, and nobody looked before the crash", .exactly([.partitionsRegistered])) {
      unansweredTopic([false], .failed)
    },
    OracleCase("a refused topic that is there", .exactly([.partitionsRegistered])) { unansweredTopic([true], .failed) },
    OracleCase("nobody asked for partitions", .unknown(.partitionsRegistered)) {
      var s = Story.one()
      s.append(0, count: 1)
      return s.judged([s.readback { $0.registered = nil }])
    },
    OracleCase("a partition in damage at unknown offsets is gone", .unknown(.partitionsRegistered)) {
      let s = DamageTests.damaged(nil)
      return s.judged([
        s.readback {
          $0.registered = []
          $0.partitions[0] = Answers.Partition()
        }
      ])
    },
    OracleCase("a topic refused with a fault in the way", .held) {
      var h = History(seed: 1)
      h.create(TopicPartition("orders", 0), .failed, submittedAt: Instant(nanoseconds: 1), at: Instant(nanoseconds: 9))
      h.crash(.processKill, at: Instant(nanoseconds: 20))
      var o = Observer(h)
      o.registered([])
      var refusals = JustifiedRejections()
      refusals.note(incarnation: 0, at: Instant(nanoseconds: 5))
      return Oracle(Contract(sync: .always, refusals: refusals)).judge(h, [o.finish()])
    },
  ]

  /// 3 is committed and answered, 7 is not; two restarts say what `values` has.
  private static func unansweredCommit(_ values: [Int?], then later: Int? = nil) -> Judgement {
    var s = Story.one(2)
    s.append(0, count: 8)
    s.commit(0, 3)
    s.commit(0, 7, .indeterminate)
    var readbacks: [Observation] = []
    for (n, value) in values.enumerated() {
      s.crash(.processKill)
      readbacks.append(s.readback { $0.commits = [("billing", 0, value.map { Offset($0) })] })
      if n == 0, let later { s.commit(0, later) }
    }
    return s.judged(readbacks)
  }

  /// 3 is committed and answered; 7, behind the first restart, is not. Looks of that life and of the next find
  /// `values`.
  private static func unansweredCommitInItsLife(_ values: [Int?]) -> Judgement {
    var s = Story.one(2)
    s.append(0, count: 8)
    s.commit(0, 3)
    s.crash(.processKill)
    s.commit(0, 7, .indeterminate)
    var readbacks: [Observation] = []
    for (n, value) in values.enumerated() {
      if n > 0 { s.crash(.processKill) }
      readbacks.append(s.readback { $0.commits = [("billing", 0, value.map { Offset($0) })] })
    }
    return s.judged(readbacks)
  }

  private static let commits: [OracleCase] = [
    OracleCase("an unanswered commit, not seen in its own life, there after it", .held) {
      unansweredCommitInItsLife([3, 7])
    },
    OracleCase("an unanswered commit, seen in its own life, not there after it", .held) {
      unansweredCommitInItsLife([7, 3])
    },
    OracleCase("an unanswered commit, settled by the first restart behind it", .exactly([.consumerOffsets])) {
      unansweredCommitInItsLife([3, 7, 3])
    },
    OracleCase("an unanswered commit, there and then gone", .exactly([.consumerOffsets])) { unansweredCommit([7, 3]) },
    OracleCase("an unanswered commit, gone and then there", .exactly([.consumerOffsets])) { unansweredCommit([3, 7]) },
    OracleCase("an unanswered commit that is there", .held) { unansweredCommit([7, 7]) },
    OracleCase("an unanswered commit that is not there", .held) { unansweredCommit([3, 3]) },
    OracleCase("a commit after one that was never answered", .held) { unansweredCommit([7, 5], then: 5) },
    OracleCase("a commit that is gone", .exactly([.consumerOffsets])) { unansweredCommit([nil]) },
    OracleCase("a commit that nobody made", .exactly([.consumerOffsets])) { unansweredCommit([5]) },
    OracleCase("nobody asked for a commit", .unknown(.consumerOffsets)) {
      var s = Story.one(2)
      s.append(0, count: 8)
      s.commit(0, 3)
      s.crash(.processKill)
      return s.judged([s.readback { $0.commits = [] }])
    },
  ]

  /// Appends after the first restart are all refused; a fault stood in the way, once, in `life`.
  private static func standing(from life: Int, through last: Int?) -> Judgement {
    var s = Story.one(13)
    s.append(0, count: 2)
    s.wait(.milliseconds(1))
    var refusals = JustifiedRejections()
    refusals.note(from: life, through: last, at: s.now, partition: nil)
    s.crash(.processKill)
    let one = s.readback()
    for _ in 0..<10 { s.append(0, count: 1, .failed) }
    s.crash(.processKill)
    return s.judged([one, s.readback()], refusals: refusals).adding(.noUnjustifiedRejection(s.history, refusals))
  }

  private static func takeover(newer: Bool) -> Judgement {
    var h = History(seed: 4)
    let p = h.create(TopicPartition("o", 0), at: Instant(nanoseconds: 1))
    for i in 0..<100 {
      let number = h.submit(p, producer: 0, firstSequence: i, count: 1, at: Instant(nanoseconds: Int64(100 + i)))
      if i == 0 {
        h.acknowledge(number, baseOffset: 0, at: Instant(nanoseconds: 101))
      } else {
        h.fail(number, certainly: true, at: Instant(nanoseconds: Int64(101 + i)))
      }
    }
    if newer {
      let number = h.submit(p, producer: 1, firstSequence: 100, count: 1, at: Instant(nanoseconds: 300))
      h.acknowledge(number, baseOffset: 1, at: Instant(nanoseconds: 301))
    }
    return Judgement(checks: [
      .noUnjustifiedRejection(h, takeover: Takeover(replaced: 0..<1, from: Instant(nanoseconds: 101)))
    ])
  }

  /// A close that fails; an operation was refused on files of `partition`.
  private static func closing(
    _ partition: PartitionID?, of topic: String = "o", refused: Bool = true, _ outcome: Outcome = .indeterminate
  ) -> Judgement {
    var h = History(seed: 5)
    h.create(TopicPartition("o", 0), at: Instant(nanoseconds: 1))
    h.close(outcome, submittedAt: Instant(nanoseconds: 1000), at: Instant(nanoseconds: 1001))
    var refusals = JustifiedRejections()
    if refused {
      refusals.note(incarnation: 0, at: Instant(nanoseconds: 2), partition: partition.map { TopicPartition(topic, $0) })
    }
    return Judgement(checks: [CheckResult.cleanShutdown(h, refusals)].compactMap { $0 })
  }

  private static let refusals: [OracleCase] = [
    OracleCase(
      "a fault that stood in the way of one life excuses no later one",
      .violated([.appendAfterRecovery, .noUnjustifiedRejection])
    ) {
      standing(from: 0, through: nil)
    },
    OracleCase("a fault that stands in the way of the next life too", .held) { standing(from: 0, through: 1) },
    OracleCase("a writer that was replaced by one of which nothing was acknowledged", .unknown(.noUnjustifiedRejection))
    {
      takeover(newer: false)
    },
    OracleCase("a writer that was replaced", .held) { takeover(newer: true) },
    OracleCase("a close fails, and only files of a partition that nobody has were refused", .violated([.cleanShutdown]))
    { closing(7) },
    OracleCase("a close fails, and only files of another topic were refused", .violated([.cleanShutdown])) {
      closing(0, of: "p")
    },
    OracleCase("a close fails, and its partition's files were refused", .held) { closing(0) },
    OracleCase("a close fails, and nothing was refused", .violated([.cleanShutdown])) { closing(nil, refused: false) },
    OracleCase("a flush fails", .violated([.checkpointCompletes])) {
      var h = History(seed: 5)
      h.flush(.failed, at: Instant(nanoseconds: 3))
      return Judgement(checks: [CheckResult.checkpointCompletes(h)].compactMap { $0 })
    },
    OracleCase("one of two requests is refused", .violated([.noUnjustifiedRejection])) {
      var s = Story.one()
      s.append(0, count: 1)
      s.append(0, count: 1, .failed)
      return Judgement(checks: [.noUnjustifiedRejection(s.history)])
    },
    OracleCase("no request was answered", .unknown(.noUnjustifiedRejection)) {
      var h = History(seed: 5)
      h.submit(
        h.create(TopicPartition("o", 0), at: Instant(nanoseconds: 1)), firstSequence: 0, count: 1,
        at: Instant(nanoseconds: 2))
      return Judgement(checks: [.noUnjustifiedRejection(h)])
    },
    OracleCase("no request of the first life was answered", .unknown(.noUnjustifiedRejection)) {
      var s = Story.one()
      _ = s.history.submit(PartitionSlot(0), firstSequence: 0, count: 1, at: s.now)
      s.crash(.processKill)
      s.append(0, count: 1)
      return Judgement(checks: [.noUnjustifiedRejection(s.history)])
    },
    OracleCase("faults had all requests refused", .unknown(.noUnjustifiedRejection)) {
      var s = Story.one()
      s.append(0, count: 1, .failed)
      var refusals = JustifiedRejections()
      refusals.note(incarnation: 0, at: s.now)
      return Judgement(checks: [.noUnjustifiedRejection(s.history, refusals)])
    },
  ]

  /// The metadata log of an engine with a partition, and an offset that a group commits again and again.
  private static func metadata(peak: Int64, grown: Int64, hindered: Bool = false) -> Judgement {
    var s = Story.one()
    for _ in 0..<3 { s.commit(0, 1) }
    return Judgement(checks: [
      .metadataBounded(MetadataFootprint(peak: peak, grown: grown), s.history, hindered: hindered)
    ])
  }

  private static let nothing: [OracleCase] = [
    OracleCase("damage of a partition that nobody has asked for is reported", .exactly([.damageReported])) {
      var s = Story.one(6)
      s.append(0, count: 2)
      return s.judged([s.readback { $0.reportedOfNobody = [TopicPartition("payments", 0)] }])
    },
    OracleCase("the engine does not open", .exactly([.recoveryCompletes])) {
      Judgement(checks: [.recoveryCompletes(restart: 1, refusal: "bad magic")])
    },
    OracleCase("recovery takes too much memory", .exactly([.boundedMemory])) {
      Judgement(checks: [.boundedMemory(used: 2, limit: 1, log: 3)])
    },
    OracleCase("the metadata log grows without end", .exactly([.metadataBounded])) {
      metadata(peak: 5 << 20, grown: 5 << 20)
    },
    OracleCase("it does, for a fault was in the way", .unknown(.metadataBounded)) {
      metadata(peak: 5 << 20, grown: 5 << 20, hindered: true)
    },
    OracleCase("it is compacted", .held) { metadata(peak: 4 << 20, grown: 50 << 20) },
    OracleCase("nobody has seen the metadata log", .unknown(.metadataBounded)) { metadata(peak: 0, grown: 0) },
    OracleCase("the engine's process dies", .exactly([.noEngineCrash])) {
      Judgement(checks: [.noEngineCrash(death: "signal 11")])
    },
    OracleCase("nobody looked", .unknown(.noAcknowledgedLoss)) {
      var s = Story.one()
      s.append(0, count: 1)
      return s.judged([])
    },
    OracleCase("a readback that was cut off", .unknown(.consumerMakesProgress)) {
      var s = Story.one()
      s.append(0, count: 1)
      return s.judged([s.readback { $0.isFinished = false }])
    },
    OracleCase("a message was sent twice", .unknown(.noAcknowledgedLoss)) {
      var s = Story.one()
      s.append(0, count: 2)
      s.history.submit(Story.slot, firstSequence: 1, count: 1, at: s.now)
      return s.judged([s.readback()])
    },
  ]
}
