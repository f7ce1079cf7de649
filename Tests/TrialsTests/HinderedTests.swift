import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Creating the topic and closing, with a fault in the way and without: what the fault has kept the engine from is not
/// its fault, and nothing else is excused.
@Suite struct HinderedTests {
  private static func violated(_ reply: PhaseReply) -> Set<CheckName> {
    Set(reply.judgement?.checks.filter { $0.verdict == .violated }.map(\.name) ?? [])
  }

  /// - Parameter isHindered: of which phases, from which life on, an operation fails without a fault.
  private func run(
    _ faults: [FaultSpec], messages: Int = 20,
    isHindered: @escaping (_ phase: String, StorageCall) -> Bool = { _, _ in false }
  ) throws -> (reply: PhaseReply, history: History) {
    let scratch = try TrialScratch()
    let spec = spec(messages: messages, storage: .memory, faults: faults)
    nonisolated(unsafe) let isHindered = isHindered
    let reply = try SimulatedTrial(spec, scratch.folder) { base in
      let layer = Meddling(base)
      layer.onPass = { (call, _) async throws(StorageError) in
        if isHindered(layer.phase, call) { throw StorageError(errno: EIO, call.kind, call.path) }
      }
      return layer
    }.run()
    let journal = try #require(try Journal.existing(scratch.folder.journal))
    return (reply, Judging.history(spec, journal, []))
  }

  // MARK: Creation

  /// The engine was accused of having no topic: "consumption must go on at 0".
  @Test(arguments: [
    ("read-only", [:]), ("io-error", [:]), ("io-error", ["lasting": "sticky"]), ("no-space", ["lasting": "sticky"]),
    ("sync-failure", [:]), ("permission-denied", ["lasting": "sticky", "on": "makeDirectory", "target": "directory"]),
  ])
  func aTopicThatAFaultHasRefusedIsCreatedOnceTheFaultIsGone(kind: String, parameters: [String: String]) throws {
    let fault = FaultSpec(kind: kind, parameters: parameters.merging(["phase": "create"]) { $1 })
    let (reply, history) = try run([fault])
    #expect(reply.storageFaults.contains { $0.isFiring && $0.refusal == .refused })
    #expect(history.creations.map(\.outcome) == [.acknowledged])
    #expect(history.operations.count == 5 && history.operations.allSatisfy { $0.outcome == .acknowledged })
    #expect(
      reply.judgement?.verdict == .held, "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))"
    )
  }

  @Test(arguments: [0, 20])
  func aTopicThatNoFaultHasRefusedHasToBeCreated(messages: Int) throws {
    // A fault of another phase excuses nothing.
    let fault = FaultSpec(kind: "io-error", parameters: ["phase": "open", "on": "write"])
    for faults in [[], [fault]] {
      let (reply, history) = try run(faults, messages: messages) { phase, call in
        phase == "create" && call.kind == .makeDirectory
      }
      #expect(history.creations.map(\.outcome) == [.indeterminate])
      #expect(Self.violated(reply).contains(.partitionsRegistered), "\(reply)")
      #expect(
        Self.violated(reply).contains(.noUnjustifiedRejection), "what is appended after the restart is refused too")
    }
  }

  // MARK: Closing

  /// A close that a fault refused counted as an orderly one: it testified for what had been acknowledged, and a report
  /// was demanded that no log can give.
  @Test func aCloseThatAFaultHasRefusedIsNoOrderlyClose() throws {
    let (reply, history) = try run(
      [FaultSpec(kind: "read-only", parameters: ["phase": "close"]), bitFlip], messages: 10)
    #expect(history.closings.map(\.outcome) == [.indeterminate, .acknowledged, .acknowledged])
    #expect(history.crashes.map(\.kind) == [.processKill, .none, .none])
    #expect(
      reply.judgement?.verdict == .held, "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))"
    )
    #expect(reply.judgement?[.cleanShutdown]?.verdict == .held)
  }

  /// The last batch is owed a report after an orderly close, and is owed one still.
  @Test func anOrderlyCloseTestifiesAsEver() throws {
    let (reply, history) = try run([bitFlip], messages: 10)
    #expect(history.closings.map(\.outcome) == [.acknowledged, .acknowledged, .acknowledged])
    #expect(history.crashes.map(\.kind) == [.none, .none, .none])
    #expect(reply.judgement?.verdict == .held)
  }

  @Test func aCloseThatNoFaultHasRefusedIsTheEngines() throws {
    for faults in [[], [bitFlip]] {
      let (reply, history) = try run(faults) { phase, call in phase == "close" && call.kind != .read }
      #expect(history.closings.first?.outcome == .indeterminate)
      #expect(Self.violated(reply) == [.cleanShutdown], "\(String(describing: reply.judgement?.checks))")
    }
  }

  /// What was acknowledged is owed after a refused close as after a kill.
  @Test(arguments: ["always", "interval(100ms)", "never"])
  func aRefusedCloseLosesNothing(sync: String) throws {
    var history = History(seed: 1)
    let slot = history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
    history.opened(at: Instant(nanoseconds: 1))
    let number = history.submit(slot, firstSequence: 0, count: 1, at: Instant(nanoseconds: 2))
    history.acknowledge(number, baseOffset: 0, at: Instant(nanoseconds: 3))
    history.close(.indeterminate, submittedAt: Instant(nanoseconds: 4), at: Instant(nanoseconds: 5))
    history.crash(.processKill, at: Instant(nanoseconds: 5))
    history.opened(at: Instant(nanoseconds: 6))
    var observer = Observer(history)
    observer.registered([TopicPartition("orders", 0)])
    let nothing = Verification.Watermarks(logStartOffset: 0, highWatermark: 0, logEndOffset: 0)
    observer.claimedBefore(slot, nothing)
    observer.claimedAfter(slot, nothing)
    observer.ended(slot, .reached)
    var refusals = JustifiedRejections()
    refusals.note(incarnation: 0, at: Instant(nanoseconds: 4))
    let contract = Contract(sync: try #require(SyncPolicy(sync)), refusals: refusals)
    let judgement = Oracle(contract).judge(history, [observer.finish()])
    #expect(judgement[.noAcknowledgedLoss]?.verdict == .violated)
    #expect(CheckResult.cleanShutdown(history, refusals)?.verdict == .held)
    #expect(CheckResult.cleanShutdown(history)?.verdict == .violated)
  }

  // MARK: Trials that accused a sound log, as they were found

  private static let cutOffBehindALostHead =
    "t1.sc=headkill.m=60.p=3.s=always.r=skip-corrupted.c=process-kill.at=10pc.d=none.b=10.n=4.z=500.a=1.t=orders.seed=43"
    + ".st=memory.f=lost-write/occurrence-2/on-write/phase-produce/target-segment-head"
  private static let takeoverThatTruncates =
    "t1.sc=takeover.m=200.p=1.s=always.r=truncate-at-corruption.c=none.at=end.d=none.b=5.n=4.z=500.a=10.t=orders.seed=42"
    + ".st=memory.w=lock-removed.f=bit-flip/at-flight/occurrence-2/on-write/phase-produce/target-batch-payload"

  @Test(arguments: [cutOffBehindALostHead, takeoverThatTruncates])
  func aSoundLogIsHeld(token: String) throws {
    let scratch = try TrialScratch()
    let spec = try Token.decode(token)
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    #expect(spec.unfired(reply.storageFaults) == [])
    #expect(
      reply.judgement?.verdict == .held, "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))"
    )
  }
}
