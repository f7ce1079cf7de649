import LogModel
import Testing
import Verification

/// An engine that refuses everything loses nothing: the check that keeps it from passing.
@Suite struct UnjustifiedRejectionTests {
  private func history(_ answers: [(answered: Bool, acknowledged: Bool)]) -> History {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
    for (n, answer) in answers.enumerated() {
      let operation = history.submit(slot, firstSequence: n, count: 1, at: Instant(nanoseconds: Int64(n)))
      guard answer.answered else { continue }
      if answer.acknowledged {
        history.acknowledge(operation, baseOffset: Offset(n), at: Instant(nanoseconds: Int64(n) + 1))
      } else {
        history.fail(operation, certainly: true, at: Instant(nanoseconds: Int64(n) + 1))
      }
    }
    return history
  }

  @Test func refusedRequestsAreAViolation() {
    let result = CheckResult.noUnjustifiedRejection(history([(true, true), (true, false), (true, true)]))
    #expect(result.verdict == .violated)
    #expect(result.detail.contains("1 of 3"))
  }

  @Test func aRequestThatTheCrashCutOffIsNot() {
    #expect(CheckResult.noUnjustifiedRejection(history([(true, true), (false, false)])).verdict == .held)
  }

  @Test func nothingAnsweredAtAllIsNoEvidence() {
    #expect(CheckResult.noUnjustifiedRejection(history([(false, false)])).verdict == .unknown)
  }

  /// A trial in which faults had every request refused was `held`: 0 of 60 acknowledged, and nothing judged.
  @Test func nothingAcknowledgedAtAllIsNoEvidence() {
    var refusals = JustifiedRejections()
    for n in 0..<3 { refusals.note(incarnation: 0, at: Instant(nanoseconds: Int64(n))) }
    let result = CheckResult.noUnjustifiedRejection(history([(true, false), (true, false), (true, false)]), refusals)
    #expect(result.verdict == .unknown && result.detail.contains("all 3 requests"), "\(result)")
    #expect(
      CheckResult.noUnjustifiedRejection(history([(true, false), (true, false), (true, true)]), refusals).verdict
        == .held)
    // What faults had no part in is the engine's.
    #expect(
      CheckResult.noUnjustifiedRejection(history([(true, false), (true, false), (true, false)])).verdict == .violated)
  }

  /// After the restart a fault may refuse all: what had been acknowledged before is judged.
  @Test func whatIsRefusedAfterTheRestartLeavesSomethingToJudge() {
    var history = history([(true, true)])
    history.crash(.processKill, at: Instant(nanoseconds: 9))
    let number = history.submit(PartitionSlot(0), firstSequence: 1, count: 1, at: Instant(nanoseconds: 10))
    history.fail(number, certainly: true, at: Instant(nanoseconds: 11))
    var refusals = JustifiedRejections()
    refusals.note(incarnation: 1, at: Instant(nanoseconds: 10))
    #expect(CheckResult.noUnjustifiedRejection(history, refusals).verdict == .held)
    #expect(CheckResult.noUnjustifiedRejection(history).verdict == .violated)
  }

  /// A full store need not be asked again before each request that has to wait for it, in a later life either.
  @Test func whoeverGoesOnRefusingExcusesWhatComesAfter() {
    var history = History(seed: 1)
    let slots = (0..<2).map { history.create(TopicPartition("orders", PartitionID($0)), at: Instant(nanoseconds: 0)) }
    func request(_ slot: PartitionSlot, _ first: Int, _ at: Int64, isTaken: Bool) {
      let number = history.submit(slot, firstSequence: first, count: 1, at: Instant(nanoseconds: at))
      if isTaken {
        history.acknowledge(number, baseOffset: Offset(Int64(first)), at: Instant(nanoseconds: at + 1))
      } else {
        history.fail(number, certainly: true, at: Instant(nanoseconds: at + 1))
      }
    }
    request(slots[0], 0, 10, isTaken: true)
    request(slots[0], 1, 20, isTaken: false)
    history.crash(.processKill, at: Instant(nanoseconds: 30))
    request(slots[0], 2, 40, isTaken: false)
    func verdict(_ from: Int64, _ partition: PartitionID = 0, life: Int = 0, through last: Int? = 1) -> Verdict {
      var refusals = JustifiedRejections()
      refusals.note(
        from: life, through: last, at: Instant(nanoseconds: from), partition: TopicPartition("orders", partition))
      return CheckResult.noUnjustifiedRejection(history, refusals).verdict
    }
    #expect(verdict(15) == .held)
    #expect(verdict(15, through: nil) == .violated, "it ended with its life")
    #expect(verdict(25) == .violated, "it began after the first one was refused")
    #expect(verdict(15, 1) == .violated && verdict(35, life: 1) == .violated)
    #expect(CheckResult.noUnjustifiedRejection(history).verdict == .violated)
  }

  /// An error on the files of partition 0 excused what partition 1 refused in that time.
  @Test func aFaultOfOnePartitionExcusesThatOneOnly() {
    var history = History(seed: 1)
    let slots = (0..<2).map { history.create(TopicPartition("orders", PartitionID($0)), at: Instant(nanoseconds: 0)) }
    let good = history.submit(slots[0], firstSequence: 0, count: 1, at: Instant(nanoseconds: 1))
    history.acknowledge(good, baseOffset: 0, at: Instant(nanoseconds: 2))
    let refused = history.submit(slots[1], firstSequence: 0, count: 1, at: Instant(nanoseconds: 10))
    history.fail(refused, certainly: true, at: Instant(nanoseconds: 20))
    func verdict(_ partition: PartitionID?, times: Int = 1, interrupted: Bool = false) -> Verdict {
      var refusals = JustifiedRejections()
      for n in 0..<times {
        refusals.note(
          incarnation: 0, at: Instant(nanoseconds: 11 + Int64(n) / 8),
          partition: partition.map { TopicPartition("orders", $0) }, isInterruption: interrupted)
      }
      return CheckResult.noUnjustifiedRejection(history, refusals).verdict
    }
    #expect(verdict(0) == .violated && verdict(1) == .held)
    #expect(verdict(nil) == .held, "metadata and the lock are everybody's")
    #expect(verdict(0, times: 40, interrupted: true) == .violated && verdict(1, times: 40, interrupted: true) == .held)
    #expect(verdict(1, times: 9, interrupted: true) == .violated)
  }

  /// A fault on the files of partition 0 of one topic excused what partition 0 of another refused, for good or for
  /// once.
  @Test func aFaultOfOneTopicExcusesThatOneOnly() {
    var history = History(seed: 1)
    let slots = ["a", "b"].map { history.create(TopicPartition($0, 0), at: Instant(nanoseconds: 0)) }
    let good = history.submit(slots[0], firstSequence: 0, count: 1, at: Instant(nanoseconds: 1))
    history.acknowledge(good, baseOffset: 0, at: Instant(nanoseconds: 2))
    let refused = history.submit(slots[1], firstSequence: 0, count: 1, at: Instant(nanoseconds: 10))
    history.fail(refused, certainly: true, at: Instant(nanoseconds: 20))
    func verdict(_ topic: String, isStanding: Bool) -> Verdict {
      var refusals = JustifiedRejections()
      if isStanding {
        refusals.note(from: 0, at: Instant(nanoseconds: 11), partition: TopicPartition(topic, 0))
      } else {
        refusals.note(incarnation: 0, at: Instant(nanoseconds: 11), partition: TopicPartition(topic, 0))
      }
      return CheckResult.noUnjustifiedRejection(history, refusals).verdict
    }
    for isStanding in [false, true] {
      #expect(verdict("a", isStanding: isStanding) == .violated && verdict("b", isStanding: isStanding) == .held)
    }
  }

  @Test func aTopicIsCreatedAndClosedAsAWhole() {
    var history = History(seed: 1)
    for number in 0..<2 as Range<Int> {
      history.create(
        TopicPartition("orders", PartitionID(number)), .failed, submittedAt: Instant(nanoseconds: 5),
        at: Instant(nanoseconds: 9))
    }
    let refused = history.submit(PartitionSlot(0), firstSequence: 0, count: 1, at: Instant(nanoseconds: 10))
    history.fail(refused, certainly: true, at: Instant(nanoseconds: 11))
    history.close(.indeterminate, submittedAt: Instant(nanoseconds: 12), at: Instant(nanoseconds: 13))
    func refusals(at instant: Int64) -> JustifiedRejections {
      var refusals = JustifiedRejections()
      refusals.note(incarnation: 0, at: Instant(nanoseconds: instant), partition: TopicPartition("orders", 1))
      return refusals
    }
    #expect(
      CheckResult.noUnjustifiedRejection(history, refusals(at: 6)).verdict == .unknown, "nothing is left to judge")
    #expect(
      CheckResult.noUnjustifiedRejection(history, refusals(at: 4)).verdict == .violated, "before anybody asked for it")
    #expect(CheckResult.cleanShutdown(history, refusals(at: 4))?.verdict == .held)
    #expect(CheckResult.cleanShutdown(history)?.verdict == .violated)
  }
}
