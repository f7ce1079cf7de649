import LogModel
import Testing

@testable import Verification

/// Whom `sends-accepted` excuses when a newer writer has taken over.
@Suite struct TakeoverTests {
  private func verdict(producer: Int, answeredAt: Int64, incarnation: Int = 0, _ takeover: Takeover?) -> Verdict {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
    let good = history.submit(slot, producer: 5, firstSequence: 0, count: 1, at: Instant(nanoseconds: 1))
    history.acknowledge(good, baseOffset: 0, at: Instant(nanoseconds: 2))
    for _ in 0..<incarnation { history.crash(.processKill, at: Instant(nanoseconds: 3)) }
    let refused = history.submit(slot, producer: producer, firstSequence: 1, count: 1, at: Instant(nanoseconds: 4))
    history.fail(refused, certainly: true, at: Instant(nanoseconds: answeredAt))
    return CheckResult.sendsAccepted(history, takeover: takeover).verdict
  }

  private let takeover = Takeover(replaced: 0..<2, from: Instant(nanoseconds: 10))

  @Test func onlyTheReplacedMayBeRefusedAndOnlyFromThenOn() {
    #expect(verdict(producer: 0, answeredAt: 10, takeover) == .held)
    #expect(verdict(producer: 0, answeredAt: 10, nil) == .violated)
    #expect(verdict(producer: 0, answeredAt: 9, takeover) == .violated)
    #expect(verdict(producer: 2, answeredAt: 10, takeover) == .violated)
    #expect(verdict(producer: 0, answeredAt: 10, incarnation: 1, takeover) == .violated)
  }
}
