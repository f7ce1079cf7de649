import LogModel
import ScenarioFormat
import Testing
import Verification

@testable import Trials

/// Trials in which a review found a sound engine accused, or a broken one excused, by their tokens.
@Suite struct FoundTrialsTests {
  static let common = "s=always.c=none.at=end.d=none.t=orders.seed=42.st=memory"

  private func losses(_ token: String) throws -> PartitionLoss {
    let scratch = try TrialScratch()
    let spec = try Token.decode(token)
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    #expect(spec.unfired(reply.storageFaults) == [])
    let judgement = try #require(reply.judgement)
    #expect(judgement.verdict == .held, "\(judgement)")
    return try #require(judgement.losses.first)
  }

  /// One read gives other bytes than the medium holds: recovery reads again before it believes that, and cuts nothing.
  @Test(arguments: ["skip-corrupted", "truncate-at-corruption"]) func aWrongReadCostsNothing(policy: String) throws {
    let loss = try losses(
      "t1.sc=x.m=200.p=1.r=\(policy).b=5.n=4.z=500.a=10.\(Self.common).f=bit-flip/at-flight/on-read/phase-recover/target-batch-payload"
    )
    #expect(loss.lost == 0 && loss.reported == 0)
  }

  /// A write of less than a block is not yet a full disk.
  @Test func aShortWriteOfAHeadIsTriedAgain() throws {
    let loss = try losses(
      "t1.sc=x.m=200.p=3.s=interval-100ms.r=skip-corrupted.c=none.at=end.d=none.b=5.n=4.z=500.a=1.t=orders.seed=42.st=memory"
        + ".f=short-write/bytes-113B/phase-append/target-segment-head")
    #expect(loss.lost == 0)
  }

  /// A bad sector that has been written since is well in the next life too; one that has been written in part is not,
  /// and takes what was written.
  @Test(arguments: [
    "t1.sc=x.m=60.p=1.s=always.r=skip-corrupted.c=none.at=end.d=none.b=3.n=4.z=4000.a=10.t=orders.seed=42.st=memory"
      + ".f=latent-sector-error/occurrence-2/on-write/phase-produce/target-segment",
    "t1.sc=x.m=200.p=1.s=never.r=skip-corrupted.c=none.at=end.d=none.b=1.n=4.z=100.a=10.t=orders.seed=44.st=memory"
      + ".f=latent-sector-error/occurrence-2/on-write/phase-produce/target-batch",
  ]) func aBadSectorIsBadUntilItIsWritten(token: String) throws {
    let loss = try losses(token)
    #expect((loss.least...loss.most).contains(loss.lost), "\(loss)")
  }

  /// What befalls a copy that recovery makes excuses nothing of the log: 130 of 200 messages lie behind the flipped
  /// bit.
  @Test func aCopyIsNoLog() throws {
    let loss = try losses(
      "t1.sc=x.m=200.p=1.s=always.r=truncate-at-corruption.c=process-kill.at=end.d=none.b=5.n=4.z=500.a=10.t=orders.seed=42"
        + ".st=memory.f=bit-flip/at-rest/target-batch-payload"
        + ".f=torn-write/answer-success/bytes-5000B/kept-prefix/on-write/partition-0/phase-recover/rest-zero/target-any"
    )
    #expect(loss.lost == 130 && loss.least == 130 && loss.most == 130, "\(loss)")
  }

  /// Only a later segment outlived the power loss, and was set aside; the store had the first 61 messages, whose upload
  /// had not been recorded. They were missing after that restart and there after the next one.
  @Test func whatTheStoreHasIsTakenByTheOpeningThatFindsNothingElse() throws {
    _ = try losses(
      "t1.sc=random.m=1500.p=1.s=never.r=skip-corrupted.c=power-loss.at=31pc.d=none.b=1.n=8.z=1000.a=0.t=orders.seed=7000384"
        + ".st=memory.ck=background/1ms/65536/65536/2s/none/100ms.cm=2.del=all.rd=3")
  }

  /// A fenced writer's messages stood behind the newer writer's first offset in the older segment. A restart did not
  /// show them. A power loss took the newer segment, which `never` had not synced, and they were served.
  @Test func whatANewerSegmentHasReplacedStaysAwayWhenThatIsLost() throws {
    _ = try losses(
      "t1.sc=random.m=20.p=2.s=never.r=skip-corrupted.c=process-kill.at=end.d=none.b=1.n=8.z=511.a=0.t=orders.seed=327.st=memory"
        + ".w=clock-skew.c2=power-loss.fo=9007199254740990")
  }

  /// Empty messages of requests without an answer are all alike. Once a deletion has taken some, nobody can know which
  /// are left: the readback placed them elsewhere than the readback before, and that was a violation.
  @Test func emptyMessagesBehindADeletionAreNobodysInParticular() throws {
    let scratch = try TrialScratch()
    let spec = try Token.decode(
      "t1.sc=random.m=200.p=1.s=interval-2ms.r=skip-corrupted.c=process-kill.at=7pc.d=none.b=1.n=8.z=0.a=10.t=orders.seed=1152"
        + ".st=memory.del=half")
    let judgement = try #require(try SimulatedTrial(spec, scratch.folder).run().judgement)
    #expect(judgement.verdict == .unknown, "\(judgement)")
  }

  /// The deletion cuts a request: what is left of it, and what follows, was told to be messages that had been
  /// acknowledged before the cut.
  @Test func emptyMessagesOfARequestThatADeletionHasCutAreTold() throws {
    let scratch = try TrialScratch()
    let spec = try Token.decode(
      "t1.sc=random.m=60.p=2.s=interval-100ms.r=skip-corrupted.c=process-kill.at=23pc.d=none.b=3.n=8.z=0.a=10.t=orders"
        + ".seed=1999.st=memory.k=nul.del=half")
    let judgement = try #require(try SimulatedTrial(spec, scratch.folder).run().judgement)
    #expect(judgement.verdict == .held, "\(judgement)")
  }

  /// Under `never` the power took the head of a segment and left half of a batch: to a recovery under `always` that was
  /// damage.
  @Test func aHeadThatNobodySyncedIsNoDamageToALaterPolicy() throws {
    _ = try losses(
      "t1.sc=random.m=200.p=11.s=never.r=skip-corrupted.c=power-loss.at=16pc.d=none.b=3.n=8.z=100.a=0.t=orders/o/orders-0/payments"
        + ".seed=5399.st=memory.cm=2.c2=none.ls=always.fo=4294967233")
  }

  /// A log of single records takes nothing more in the life in which a sync of its file has failed; the next life does.
  @Test(arguments: ["streamhouse", "airunner", "chronik", "chronik-v1"], ["always", "interval-2ms"])
  func aLogOfRecordsRefusesBehindAFailedSync(system: String, sync: String) throws {
    _ = try losses(
      "t1.sc=x.m=60.p=3.s=\(sync).r=truncate-at-corruption.c=process-kill.at=end.d=none.b=1.n=4.z=1000.a=10.t=orders.seed=42"
        + ".st=memory.y=\(system).f=sync-failure/how-leaves-dirty/occurrence-1/on-sync/phase-produce/target-segment")
  }

  /// A slow device for the metadata takes no time from the syncs of the messages: with the record of a segment awaited
  /// in the sync loop, messages were lost that had been acknowledged d before the cut.
  @Test func slowMetadataDelaysNoSync() throws {
    _ = try losses(
      "t1.sc=x.m=580.p=3.s=interval-200ms.r=skip-corrupted.c=power-loss.at=98pc.d=none.b=5.n=6.z=500.a=10.t=orders.seed=42.st=memory"
        + ".f=stall/delay-20ms/on-write/phase-produce/target-batch/times-1000000"
        + ".f=stall/delay-94ms/on-sync/phase-produce/target-segment/times-1000000"
        + ".f=stall/delay-94ms/on-write/phase-produce/target-metadata/times-1000000")
  }

  /// What the metadata said of a segment is destroyed in both copies, and the segment with it: nobody can know of it.
  @Test(arguments: 42...45) func whatBothCopiesForgotIsNobodysFault(seed: Int) throws {
    let spec = try Token.decode(
      "t1.sc=x.m=40.p=1.s=always.r=skip-corrupted.c=process-kill.at=50pc.d=none.b=5.n=1.z=500.a=10.t=orders.seed=\(seed).st=memory"
        + ".f=lost-write/phase-produce/target-metadata/times-2.f=delete-file/files-all")
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    #expect(reply.judgement?.verdict == .violated, "the oracle alone does not know of the metadata")
    var findings = TrialRunner.Findings()
    findings.judgement = reply.judgement
    findings.lostMetadata.formUnion(reply.storageFaults.flatMap(\.metadata))
    findings.forgiveForgetting()
    #expect(findings.judgement?.verdict == .unknown, "\(String(describing: findings.judgement))")
  }
}
