import FaultInjection
import LogModel
import ObjectStore
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Trials whose engine has an object store.
@Suite struct CheckpointTrialTests {
  private static func spec(
    _ setup: CheckpointSetup, messages: Int = 400, crash: CrashKind = .processKill, sync: String = "always",
    faults: [FaultSpec] = [], defect: String = "none", seed: UInt64 = 42
  ) -> TrialSpec {
    var spec = plain(messages: messages, crash: crash, sync: sync, faults: faults, seed: seed)
    (spec.messageSize, spec.batch, spec.defect, spec.checkpoint) = (1000, 10, defect, setup)
    (spec.checkpointTerms.every, spec.checkpointTerms.bytes, spec.checkpointTerms.objectBytes) = (
      .milliseconds(1), 16 << 10, 16 << 10
    )
    return spec
  }

  private static func plain(messages: Int, crash: CrashKind, sync: String, faults: [FaultSpec], seed: UInt64)
    -> TrialSpec
  {
    var spec = TrialSpec(scenario: "test", file: "", seed: seed, storage: .memory, phaseSeconds: 30)
    (spec.messages, spec.sync, spec.crash, spec.faults) = (messages, policy(sync), crash, faults)
    return spec
  }

  private func run(_ spec: TrialSpec) throws -> PhaseReply {
    let scratch = try TrialScratch()
    return try SimulatedTrial(spec, scratch.folder).run()
  }

  private static func flaws(_ reply: PhaseReply) -> [String] {
    (reply.judgement?.checks ?? []).filter { $0.verdict != .held }.map { "\($0.name.rawValue): \($0.detail)" }
  }

  private static let deleted = FaultSpec(kind: "delete-file", parameters: ["files": "all"])

  /// The claim of the Streamhouse runbook, and its control: without a store the same deletion takes everything, and is
  /// excused.
  @Test func aDeletedLogIsRebuiltFromTheStore() throws {
    let rebuilt = try run(Self.spec(.flushed, faults: [Self.deleted]))
    #expect(rebuilt.judgement?.verdict == .held, "\(Self.flaws(rebuilt))")
    #expect(rebuilt.judgement?.counts.lost == 0 && rebuilt.judgement?.counts.recovered == 400)
    #expect(rebuilt.judgement?[.checkpointCompletes]?.verdict == .held)
    let gone = try run(Self.spec(.none, faults: [Self.deleted]))
    #expect(gone.judgement?.verdict == .held && gone.judgement?.counts.lost == 400, "\(Self.flaws(gone))")
  }

  /// Every fault between engine and store fires, leaves a receipt, and costs nothing.
  @Test(
    arguments: [
      FaultSpec(kind: "store-refused", parameters: ["on": "put"]),
      FaultSpec(kind: "store-refused", parameters: ["on": "get", "times": "2"]),
      FaultSpec(kind: "store-refused", parameters: ["on": "list"]),
      FaultSpec(kind: "store-full", parameters: ["occurrence": "2"]),
      FaultSpec(kind: "store-response-lost", parameters: ["on": "put"]),
      FaultSpec(kind: "store-late", parameters: ["on": "put", "delay": "3s"]),
      FaultSpec(kind: "store-slow", parameters: ["on": "put", "delay": "3s"]),
      FaultSpec(kind: "store-timeout", parameters: ["on": "put", "times": "2"]),
      FaultSpec(kind: "store-partial-upload", parameters: ["kept": "60", "answer": "error"]),
      FaultSpec(kind: "store-partial-upload", parameters: ["kept": "60", "answer": "success"]),
    ], [CrashKind.processKill, .powerLoss])
  func aFailingStoreCostsNothing(_ fault: FaultSpec, _ crash: CrashKind) throws {
    for setup in [CheckpointSetup.background, .flushed] {
      let spec = Self.spec(setup, crash: crash, faults: [fault])
      let reply = try run(spec)
      #expect(reply.storageFaults.contains { $0.kind == fault.kind && $0.isFiring }, "\(setup)")
      #expect(spec.unfired(reply.storageFaults) == [])
      #expect(
        reply.judgement?.verdict == .held,
        "\(setup): \(Self.flaws(reply)) \(String(describing: reply.failure)) \(String(describing: reply.refusal))")
      #expect(reply.judgement?.counts.lost == 0)
    }
  }

  /// The power takes a log that was never synced while the store has a part of an object: its offsets stay reserved.
  @Test(arguments: RecoveryPolicy.allCases) func aTornObjectKeepsItsOffsets(_ recovery: RecoveryPolicy) throws {
    let token =
      "t1.sc=random.m=200.p=1.s=never.r=\(recovery.rawValue).c=power-loss.at=end"
      + ".d=none.b=3.n=4.z=513.a=10.t=orders.seed=1715"
      + ".st=memory.ck=background/1ms/4096/65536/2s/none/100ms.cm=3.rd=1.f=store-partial-upload/answer-success/kept-50"
    let judgement = try #require(try run(Token.decode(token)).judgement)
    #expect(judgement.counts.corruptReported == 12 && judgement.verdict == .held, "\(judgement.counts)")
  }

  /// An object is torn until a later put has stored all of it.
  @Test func aTornObjectIsMendedByAWholePut() throws {
    let path = "orders/0/00000000000000000000-00000000000000000012-0000000001.tlo"
    let torn = try #require(ObjectName(path: path))
    let larger = ObjectName(torn.source, base: 0, end: 20, epoch: torn.epoch)
    #expect(larger.holds(torn) && torn.holds(torn) && !torn.holds(larger))
    #expect(torn.path == path && torn.base == 0 && torn.end == 12 && torn.source == TopicPartition("orders", 0))
    for other in ["orders/0", "orders/x/" + torn.fileName, "orders/-1/" + torn.fileName, path + "/"] {
      #expect(ObjectName(path: other) == nil, "\(other)")
    }
    var first = StorageFaultRecord(
      fault: 0, life: 0, kind: "store-partial-upload", row: 0, instant: Instant(nanoseconds: 0), isDetectable: true,
      isTold: true, refusal: nil, partition: nil)
    first.tornObject = path
    var second = first.echo(row: 1, touched: [])
    (second.tornObject, second.mendedObject) = (nil, path)
    for (records, count) in [([first], 1), ([first, second], 0), ([first, second, first], 1)] {
      var history = History(seed: 1)
      history.create(TopicPartition("orders", 0), at: Instant(nanoseconds: 0))
      records.noteTornObjects(in: &history)
      #expect(history.tornObjects.count == count)
    }
    // On the way of a trial: the first put is torn and fails, the retry is whole.
    let reply = try run(
      Self.spec(
        .background, faults: [FaultSpec(kind: "store-partial-upload", parameters: ["kept": "60", "answer": "error"])]))
    #expect(reply.storageFaults.compactMap(\.tornObject).count == 1)
    #expect(reply.storageFaults.compactMap(\.mendedObject) == reply.storageFaults.compactMap(\.tornObject))
  }

  /// A fault that never comes to pass leaves no verdict.
  @Test func aStoreFaultThatNeverFiresIsNoPass() throws {
    let spec = Self.spec(
      .background, faults: [FaultSpec(kind: "store-refused", parameters: ["on": "put", "occurrence": "1000"])])
    #expect(spec.unfired(try run(spec).storageFaults) == ["the fault store-refused never fired"])
    let without = Self.spec(.none, faults: [FaultSpec(kind: "store-refused", parameters: ["on": "put"])])
    #expect(without.unfired(try run(without).storageFaults) == ["the fault store-refused never fired"])
  }

  /// The contract knows what is archived: an engine that says so too early loses what it had said to be safe.
  @Test func anEngineThatArchivesTooEarlyIsCaught() throws {
    let reply = try run(Self.spec(.background, messages: 1000, defect: "H5"))
    #expect(reply.judgement?[.noAcknowledgedLoss]?.verdict == .violated, "\(Self.flaws(reply))")
  }

  /// Appends wait for a store that is behind, and are refused: excused by its fault, and nothing that was acknowledged
  /// is lost.
  @Test func appendsAreRefusedWhileTheStoreIsFull() throws {
    var spec = Self.spec(
      .background, messages: 1000, faults: [FaultSpec(kind: "store-full", parameters: ["occurrence": "2"])])
    (spec.checkpointTerms.mostWaiting, spec.checkpointTerms.patience) = (128 << 10, .milliseconds(20))
    let reply = try run(spec)
    #expect(reply.judgement?.verdict == .held, "\(Self.flaws(reply))")
    let counts = try #require(reply.judgement?.counts)
    #expect(counts.acknowledged < 1000 && counts.acknowledged > 100 && counts.lost == 0, "\(counts)")
  }

  @Test func aTokenCarriesTheCheckpoints() throws {
    var spec = Self.spec(.flushed, faults: [FaultSpec(kind: "store-timeout", parameters: ["on": "put", "times": "2"])])
    (spec.checkpointTerms.mostWaiting, spec.phaseSeconds) = (1 << 20, 120)
    #expect(try Token.decode(Token.encode(spec)) == spec)
    #expect(throws: Token.Failure.badField("ck=flushed/1ms")) {
      try Token.decode(
        edited(Token.encode(spec), AxisDescriptor.checkpoint.token?.write(spec.settings) ?? "", "flushed/1ms"))
    }
  }
}
