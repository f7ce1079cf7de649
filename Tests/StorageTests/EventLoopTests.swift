import Foundation
import LogModel
import Storage
import Testing

@Suite struct EventLoopTests {
  /// A loop on the machine's clock without a ring, which waits for a far timer: what another thread resumes runs at
  /// once.
  @Test func anotherThreadEndsAWaitWithoutARing() {
    let loop = EventLoop()
    let result = loop.run(limit: .seconds(30)) { () async -> Duration in
      loop.spawn { await loop.sleep(until: loop.now + .seconds(20)) }
      let begun = loop.now
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
        // A thread of its own: those of the runtime may all be other tests' loops.
        Thread.detachNewThread {
          usleep(50_000)
          continuation.resume()
        }
      }
      return loop.now - begun
    }
    #expect(
      result.ending == .finished && result.value.map { $0 < .seconds(10) } == true,
      "\(String(describing: result.value))")
  }

  @Test func aBodyThatWaitsForEverIsStalled() {
    let loop = EventLoop(simulatedWithSeed: 1)
    let parked = Shared<UnsafeContinuation<Void, Never>?>(nil)
    let ending = loop.run { await withUnsafeContinuation { parked.value = $0 } }.ending
    #expect(ending == .stalled)
    parked.value?.resume()
    #expect(loop.run { 1 }.value == 1)
  }

  @Test func theLimitCountsVirtualTime() {
    let loop = EventLoop(simulatedWithSeed: 1)
    let (ending, _) = loop.run(limit: .seconds(1)) {
      while loop.now < Instant(nanoseconds: 5_000_000_000) { await loop.sleep(until: loop.now + .milliseconds(300)) }
    }
    #expect(ending == .timedOut)
    #expect(loop.now == Instant(nanoseconds: 1_200_000_000))
    #expect(loop.run { 1 }.ending == .finished)
    // The first body is still there, and ends when the loop is driven on.
    _ = loop.run { await loop.sleep(until: Instant(nanoseconds: 6_000_000_000)) }
  }

  @Test(arguments: 1...20) func sleepersWakeInTheOrderOfTheirTimes(seed: Int) throws {
    let order = try simulate(seed: UInt64(seed)) { loop in
      let order = Shared<[Int]>([])
      for i in [5, 3, 9, 1, 7] {
        loop.spawn {
          await loop.sleep(until: Instant(nanoseconds: Int64(i) * 100))
          order.value.append(i)
        }
      }
      await loop.sleep(until: Instant(nanoseconds: 10_000))
      return order.value
    }
    #expect(order == [1, 3, 5, 7, 9])
  }

  @Test func theIdleTurnComesAfterAllReadyJobs() throws {
    var late = 0
    for seed in 1...50 {
      let ran = try simulate(seed: UInt64(seed)) { loop in
        let ran = Shared(0)
        for _ in 0..<4 { loop.spawn { ran.value += 1 } }
        await loop.nextIdleTurn()
        return ran.value
      }
      #expect(ran <= 4)
      if ran == 4 { late += 1 }
    }
    // In a simulation the seed may end the wait earlier, in about one of sixteen steps.
    #expect(late >= 25)
    #expect(late < 50)
  }

  @Test func onTheMachinesClockTheIdleTurnComesAfterAllReadyJobs() {
    let loop = EventLoop()
    let (ending, ran) = loop.run { () -> Int in
      let ran = Shared(0)
      for _ in 0..<4 { loop.spawn { ran.value += 1 } }
      await loop.nextIdleTurn()
      return ran.value
    }
    #expect(ending == .finished)
    #expect(ran == 4)
  }

  @Test func theSeedPicksTheSchedule() throws {
    func order(_ seed: UInt64) throws -> [Int] {
      try simulate(seed: seed) { loop in
        let order = Shared<[Int]>([])
        for i in 0..<8 { loop.spawn { order.value.append(i) } }
        await loop.sleep(until: loop.now + .nanoseconds(1))
        return order.value
      }
    }
    #expect(try order(3) == order(3))
    #expect(Set(try (1...10).map { try order(UInt64($0)) }).count > 5)
  }
}
