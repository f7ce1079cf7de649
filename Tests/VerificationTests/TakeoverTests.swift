import LogModel
import Testing

@testable import Verification

/// Whom `no-unjustified-rejection` excuses when a newer writer has taken over.
@Suite struct TakeoverTests {
  private func verdict(producer: Int, answeredAt: Int64, incarnation: Int = 0, _ takeover: Takeover?) -> Verdict {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
    let good = history.submit(slot, producer: 5, firstSequence: 0, count: 1, at: Instant(nanoseconds: 1))
    history.acknowledge(good, baseOffset: 0, at: Instant(nanoseconds: 2))
    for _ in 0..<incarnation { history.crash(.processKill, at: Instant(nanoseconds: 3)) }
    let refused = history.submit(slot, producer: producer, firstSequence: 1, count: 1, at: Instant(nanoseconds: 4))
    history.fail(refused, certainly: true, at: Instant(nanoseconds: answeredAt))
    return CheckResult.noUnjustifiedRejection(history, takeover: takeover).verdict
  }

  private let takeover = Takeover(replaced: 0..<2, from: Instant(nanoseconds: 10))

  @Test func onlyTheReplacedMayBeRefusedAndOnlyFromThenOn() {
    #expect(verdict(producer: 0, answeredAt: 10, takeover) == .held)
    #expect(verdict(producer: 0, answeredAt: 10, nil) == .violated)
    #expect(verdict(producer: 0, answeredAt: 9, takeover) == .violated)
    #expect(verdict(producer: 2, answeredAt: 10, takeover) == .violated)
    #expect(verdict(producer: 0, answeredAt: 10, incarnation: 1, takeover) == .violated)
  }

  /// The second writer's recovery cuts three messages off and says so; what it sends then gets their offsets. It was
  /// said that it had reported what no fault had touched.
  private func judge(
    _ recovery: RecoveryPolicy = .truncateAtCorruption, reported: Range<Int64> = 3..<6, operationsBefore: Int? = 2
  ) -> Judgement {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
    func send(_ first: Int, at offset: Offset, producer: Int = 0) {
      let number = history.submit(slot, producer: producer, firstSequence: first, count: 3, at: Instant(nanoseconds: 1))
      history.acknowledge(number, baseOffset: offset, at: Instant(nanoseconds: 2))
    }
    send(0, at: 0)
    send(3, at: 3)
    history.damage(
      Damage(
        partition: slot, kind: "bit-flip", touched: [OffsetRange(from: 4, to: 5)], description: "byte 9", isInLife: true
      ))
    send(6, at: 3, producer: 2)
    var observer = Observer(history)
    let marks = Watermarks(logStartOffset: 0, highWatermark: 6, logEndOffset: 6)
    observer.registered([TopicPartition("orders", 0)])
    observer.claimedBefore(slot, marks)
    for (offset, sequence) in [0, 1, 2, 6, 7, 8].enumerated() {
      observer.observe(slot, Offset(offset), .intact(sequence: UInt64(sequence)))
    }
    observer.claimedAfter(slot, marks)
    observer.ended(slot, .reached)
    observer.reported(
      ReportedDamage(
        partition: slot, offsets: OffsetRange(from: Offset(reported.lowerBound), to: Offset(reported.upperBound)),
        reason: "checksum", operationsBefore: operationsBefore))
    observer.probeAll(slot, [0, 1, 2, 6, 7, 8])
    return Oracle(Contract(sync: .always, recovery: recovery, takeover: takeover)).judge(history, [observer.finish()])
  }

  @Test func aReportIsJudgedByWhatThereWasWhenItWasGiven() {
    #expect(judge().verdict == .held, "\(judge().checks.filter { $0.verdict != .held })")
    let falsely = judge(reported: 2..<6)
    #expect(falsely[.damageReported]?.divergence?.offset == 2, "what was there before is there")
    #expect(judge(operationsBefore: 3)[.damageReported]?.verdict == .violated, "what had been sent by then counts")
    #expect(judge(operationsBefore: nil)[.damageReported]?.verdict == .violated)
    #expect(judge(.skipCorrupted)[.damageReported]?.verdict == .violated, "offsets that are skipped stay reserved")
  }

  /// Six messages of the first writer, of which a fault destroys the second three; the second writer's recovery cuts
  /// them off, and it sends three more at their offsets, and three behind them.
  private func secondLook(serving served: [Int], _ takeover: Takeover?) -> Judgement {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
    func send(_ first: Int, at offset: Offset, producer: Int) {
      let number = history.submit(slot, producer: producer, firstSequence: first, count: 3, at: Instant(nanoseconds: 1))
      history.acknowledge(number, baseOffset: offset, at: Instant(nanoseconds: 2))
    }
    send(0, at: 0, producer: 0)
    send(3, at: 3, producer: 1)
    history.damage(
      Damage(
        partition: slot, kind: "bit-flip", touched: [OffsetRange(from: 4, to: 5)], description: "byte 9", isInLife: true
      ))
    send(6, at: 3, producer: 2)
    send(9, at: 6, producer: 3)
    history.crash(.processKill, at: Instant(nanoseconds: 3))
    var observer = Observer(history)
    let marks = Watermarks(logStartOffset: 0, highWatermark: Offset(served.count), logEndOffset: Offset(served.count))
    observer.registered([TopicPartition("orders", 0)])
    observer.claimedBefore(slot, marks)
    for (offset, sequence) in served.enumerated() {
      observer.observe(slot, Offset(offset), .intact(sequence: UInt64(sequence)))
    }
    observer.claimedAfter(slot, marks)
    observer.ended(slot, .reached)
    observer.probeAll(slot, served)
    observer.reported(
      ReportedDamage(
        partition: slot, offsets: OffsetRange(from: 3, to: 6), reason: "checksum", operationsBefore: 2))
    return Oracle(Contract(sync: .always, recovery: .truncateAtCorruption, takeover: takeover)).judge(
      history, [observer.finish()])
  }

  /// It counted as cut off what was sent after the cut: expected to be lost, and excused where it really was.
  @Test func whatANewerWriterSendsStandsBehindNoOlderDamage() {
    let (whole, short) = ([0, 1, 2, 6, 7, 8, 9, 10, 11], [0, 1, 2, 6, 7, 8])
    let held = secondLook(serving: whole, takeover)
    #expect(held.verdict == .held, "\(held.checks.filter { $0.verdict != .held })")
    #expect(held.losses[0].least == 3 && held.losses[0].most == 3 && held.losses[0].lost == 3)
    #expect(secondLook(serving: short, takeover).violated.isSuperset(of: [.noAcknowledgedLoss, .lossWithinExpected]))
    #expect(secondLook(serving: whole, nil)[.lossWithinExpected]?.verdict == .unknown)
  }
}
