import FaultInjection
import Glibc
import LogModel
import ObjectStore
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// What an engine has to get done when no fault stands in its way, and what the machine's speed may decide: nothing.
@Suite struct NobodyInTheWayTests {
  /// A disk that takes nothing for files below `folder`, and of which no fault of the trial is the cause.
  private static func refusing(_ folder: String) -> StorageLayer {
    { base in
      let layer = Meddling(base)
      layer.onPass = { (call, _) async throws(StorageError) in
        if call.kind == .write, call.path.hasPrefix(folder) { throw StorageError(errno: EIO, .write, call.path) }
      }
      return layer
    }
  }

  @Test func anArchiveThatNeverSucceedsIsAViolation() throws {
    let spec = DeliveryTrialTests.spec(crash: .none) { $0.archives = true }
    let scratch = try TrialScratch()
    let reply = try SimulatedDelivery(spec, scratch.folder, between: Self.refusing("archive/")).run()
    let check = try #require(reply.judgement?[.archiveKept], "\(reply)")
    #expect(reply.failure == nil && check.verdict == .violated, "\(reply.failure ?? "") \(check)")
    #expect(
      check.detail.contains("must come to the archive in life 1, in which nothing stood in the way, found an error"))
    #expect(check.detail.contains("archive/"), "\(check.detail)")
    let sound = try DeliveryTrialTests.run(spec)
    #expect(sound.judgement?[.archiveKept]?.verdict == .held, "\(sound)")
  }

  /// An archive refuses a log with events that the receiver has not taken, and rightly.
  @Test func aReceiverInTheWayLeavesNoVerdict() throws {
    let reply = try DeliveryTrialTests.run(
      DeliveryTrialTests.spec([DeliveryTrialTests.fault("receiver-refuses", ["for": "20h"])], crash: .none) {
        ($0.archives, $0.stopWithin) = (true, .seconds(60))
      })
    let check = try #require(reply.judgement?[.archiveKept], "\(reply)")
    #expect(
      check.verdict == .unknown && check.detail.contains("the receiver kept its events from being sent"), "\(check)")
  }

  @Test func aCheckpointThatFailsSaysWhy() throws {
    let scratch = try TrialScratch()
    var spec = spec(messages: 100, crash: .processKill, storage: .memory)
    (spec.checkpoint, spec.messageSize) = (.flushed, 1000)
    let reply = try SimulatedTrial(spec, scratch.folder, between: Self.refusing("store/")).run()
    let check = try #require(reply.judgement?[.checkpointCompletes], "\(reply)")
    #expect(check.verdict == .violated, "\(check)")
    #expect(check.detail.contains("found an error: ") && check.detail.contains("store/orders/0"), "\(check.detail)")
  }

  // MARK: The machine's speed

  private final class SlowStore: ObjectStore, @unchecked Sendable {
    // Owned by its loop.
    let loop: EventLoop
    let delay: Duration
    init(_ loop: EventLoop, _ delay: Duration) { (self.loop, self.delay) = (loop, delay) }

    private func pause() async { await loop.sleep(until: loop.now + delay) }
    func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) { await pause() }
    func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
      await pause()
      return []
    }
    func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
      await pause()
      return []
    }
    func delete(_ name: ObjectName) async throws(ObjectStoreError) { await pause() }
  }

  /// Touched on one loop.
  private final class Kept: @unchecked Sendable {
    var calls: [SlowStoreCall] = []
    var error: ObjectStoreError?
  }

  @Test(arguments: [(99, 0), (100, 4), (5000, 4)])
  func aCallThatTakesLongerThanTheEngineWaitsIsWrittenDown(_ milliseconds: Int, _ expected: Int) {
    let loop = EventLoop(simulatedWithSeed: 1)
    let kept = Kept()
    let meter = StoreMeter(
      SlowStore(loop, .milliseconds(milliseconds)), loop, life: 1, limit: .milliseconds(100),
      keep: { kept.calls.append($0) })
    let name = ObjectName(TopicPartition("orders", 0), base: 0, end: 5, epoch: Epoch(1))
    _ = loop.run(limit: .seconds(60)) {
      do throws(ObjectStoreError) {
        try await meter.put(name, [1])
        _ = try await meter.get(name)
        _ = try await meter.list(nil)
        try await meter.delete(name)
      } catch { kept.error = error }
    }
    #expect(kept.calls.count == expected && meter.slowCalls == expected && kept.error == nil, "\(kept.calls)")
    #expect(
      kept.calls.first.map { $0 == SlowStoreCall(life: 1, call: "put \(name)", limit: .milliseconds(100)) } ?? true)
  }

  @Test(arguments: [0, 1])
  func whatTheMachineDecidedLeavesNoVerdict(_ slowLife: Int) throws {
    var history = History(seed: 1)
    history.flush(.failed, at: Instant(nanoseconds: 2))
    var spec = spec()
    spec.checkpoint = .flushed
    let slow = SlowStoreCall(life: slowLife, call: "put x", limit: .milliseconds(100))
    let testimony = StoreEvidence(
      failures: [FlushFailure(life: 0, reason: "no answer within 100ms")], slowCalls: [slow])
    let check = try #require(testimony.checks(spec, history).first)
    #expect(check.verdict == (slowLife == 0 ? .unknown : .violated), "\(check)")
    #expect(
      check.detail.contains(slowLife == 0 ? "this machine took longer than 100ms for put x" : "no answer within 100ms"))
    let refused = CheckResult(.noUnjustifiedRejection, .violated, "refused")
    #expect(testimony.excused(refused, spec).verdict == .violated)
    spec.checkpointTerms.mostWaiting = 1 << 17
    #expect(testimony.excused(refused, spec).verdict == .unknown)
    #expect(StoreEvidence().excused(refused, spec).verdict == .violated)
  }
}
