import LogModel
import Testing
import Verification

/// An engine that refuses everything loses nothing: the check that keeps it from passing.
@Suite struct SendsAcceptedTests {
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
    let result = CheckResult.sendsAccepted(history([(true, true), (true, false), (true, true)]))
    #expect(result.verdict == .violated)
    #expect(result.detail.contains("1 of 3"))
  }

  @Test func aRequestThatTheCrashCutOffIsNot() {
    #expect(CheckResult.sendsAccepted(history([(true, true), (false, false)])).verdict == .held)
  }

  @Test func nothingAnsweredAtAllIsNoEvidence() {
    #expect(CheckResult.sendsAccepted(history([(false, false)])).verdict == .unknown)
  }
}
