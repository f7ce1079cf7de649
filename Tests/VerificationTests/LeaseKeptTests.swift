import LogModel
import Testing
import Verification

/// A writer that is well keeps its lease, and whoever says so must have seen somebody who wanted it.
@Suite struct LeaseKeptTests {
  /// Two requests of the holder, before and after somebody else has wanted the lease at 100 ns.
  static func judge(_ last: Outcome = .acknowledged, takenAt: Int64? = nil, refused: Int = 3, sendsAfter: Bool = true)
    -> CheckResult
  {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 1))
    for (number, instant) in [10, sendsAfter ? 200 : 20].enumerated() {
      let at = Instant(nanoseconds: Int64(instant))
      let operation = history.submit(slot, firstSequence: number, count: 1, at: at)
      switch number == 0 ? .acknowledged : last {
      case .acknowledged: history.acknowledge(operation, baseOffset: Offset(number), at: at)
      case .failed: history.fail(operation, certainly: true, at: at)
      case .indeterminate: history.fail(operation, certainly: false, at: at)
      }
    }
    return .leaseKept(
      history, takenAt: takenAt.map { Instant(nanoseconds: $0) }, since: Instant(nanoseconds: 100), refused: refused,
      holder: 0..<1)
  }

  @Test func itIsHeldWhereEverybodyElseWasRefused() { #expect(Self.judge() == CheckResult(.leaseKept, .held)) }

  @Test func aLeaseThatIsTakenIsLost() {
    let check = Self.judge(takenAt: 60_000_100)
    #expect(
      check.verdict == .violated && check.detail.contains("60 ms after the first of 4 attempts"), "\(check.detail)")
  }

  @Test(arguments: [Outcome.failed, .indeterminate]) func aHolderThatIsFencedHasLostIt(outcome: Outcome) {
    let check = Self.judge(outcome)
    #expect(
      check.verdict == .violated && check.detail.contains("found 1 of its 2 requests refused, the first with message 1")
    )
  }

  @Test func withoutAWitnessThereIsNoVerdict() {
    #expect(Self.judge(refused: 0).verdict == .unknown)
    #expect(Self.judge(sendsAfter: false).verdict == .unknown)
  }
}
