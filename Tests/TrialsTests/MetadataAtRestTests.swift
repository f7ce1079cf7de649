import FaultInjection
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Damage at rest of the metadata, which is kept twice: one copy is enough for everything, without both the engine says
/// so.
@Suite struct MetadataAtRestTests {
  private static func fault(_ kind: String, _ parameters: [String: String] = [:]) -> FaultSpec {
    FaultSpec(kind: kind, parameters: ["target": "metadata"].merging(parameters) { $1 })
  }

  private func run(
    _ faults: [FaultSpec], partitions: Int = 3, crash: CrashKind = .processKill, seed: UInt64 = 42,
    between: @escaping StorageLayer = { $0 }
  ) throws -> PhaseReply {
    let scratch = try TrialScratch()
    let spec = spec(messages: 30, partitions: partitions, crash: crash, storage: .memory, seed: seed, faults: faults)
    return try SimulatedTrial(spec, scratch.folder, between: between).run()
  }

  private static func violated(_ reply: PhaseReply) -> Set<CheckName> {
    Set(reply.judgement?.checks.filter { $0.verdict == .violated }.map(\.name) ?? [])
  }

  @Test(
    arguments: [
      ("bit-flip", ["at": "rest"]), ("bit-flip", ["bits": "8"]), ("truncate-file", ["cut": "boundary"]),
      ("truncate-file", ["cut": "mid-record"]), ("truncate-file", ["cut": "mid-header"]),
      ("truncate-file", ["cut": "zero"]),
      ("delete-file", ["files": "one"]), ("delete-file", ["files": "all"]), ("zero-sectors", ["share": "100"]),
      ("garbage", ["share": "50"]),
    ], ["metadata", "metadata-mirror"])
  func oneCopyIsEnough(fault: (kind: String, parameters: [String: String]), copy: String) throws {
    for crash in CrashKind.allCases {
      let reply = try run([Self.fault(fault.kind, fault.parameters.merging(["copy": copy]) { $1 })], crash: crash)
      let receipt = try #require(reply.receipts.first { $0.kind == fault.kind })
      #expect(receipt.fired == 1 && receipt.metadata == [copy] && receipt.touched.isEmpty)
      #expect(receipt.places.allSatisfy { $0.hasPrefix(copy + "/") }, "\(receipt)")
      #expect(reply.refusal == nil && reply.excusedRefusal == nil)
      #expect(
        reply.judgement?.verdict == .held,
        "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))")
      #expect(reply.judgement?[.consumerOffsets]?.detail == "", "it had something to find")
    }
  }

  @Test func whichCopyIsTheSeedsChoice() throws {
    var copies: Set<[String]> = []
    for seed in 1...8 as ClosedRange<UInt64> {
      copies.formUnion(
        try run([Self.fault("bit-flip")], seed: seed).receipts.filter { $0.kind == "bit-flip" }.map(\.metadata))
    }
    #expect(copies == [["metadata"], ["metadata-mirror"]])
  }

  // MARK: Both

  static let both = fault("bit-flip", ["copy": "both"])

  @Test(arguments: [1, 3], CrashKind.allCases)
  func withBothDamagedItRefusesUntilOneIsPutBack(partitions: Int, crash: CrashKind) throws {
    for seed in 1...10 as ClosedRange<UInt64> {
      let reply = try run([Self.both], partitions: partitions, crash: crash, seed: seed)
      let refusal = try #require(reply.excusedRefusal)
      #expect(refusal.restart == 1 && refusal.reason.contains("are in neither copy"), "\(refusal)")
      #expect(reply.refusal == nil)
      #expect(
        reply.judgement?.verdict == .held,
        "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))")
    }
    let check = CheckResult.recoveryCompletes(restart: 1, oncePutBack: "damaged")
    #expect(check.verdict == .held && check.remark?.contains("refused to open after restart 1 (damaged)") == true)
  }

  /// A record behind the damaged one testifies in both copies, so that an engine which ends its metadata at the damage,
  /// and says nothing, has forgotten what it knew.
  @Test func openingWithoutWhatIsGoneIsCaught() throws {
    var caught = 0
    for seed in 1...10 as ClosedRange<UInt64> {
      let reply = try run([Self.both], seed: seed) { base in
        let layer = Meddling(base)
        nonisolated(unsafe) var isDone = false
        layer.onPass = { (call, base) async throws(StorageError) in
          guard layer.phase == "recover", call.path.hasPrefix("metadata"), !isDone else { return }
          isDone = true
          for copy in FaultTarget.metadataCopies { try await Self.cutBehindTheFirstRecord(copy, base) }
        }
        return layer
      }
      // Where it was the first record that was hit, the topic's, nothing of the topic is left and the engine sees its
      // logs.
      guard reply.excusedRefusal == nil else { continue }
      caught += 1
      #expect(Self.violated(reply) == [.consumerOffsets], "\(String(describing: reply.judgement?.checks))")
    }
    #expect(caught > 0)
  }

  private static func cutBehindTheFirstRecord(_ copy: String, _ storage: any Storage) async throws(StorageError) {
    for entry in try await storage.list(copy) {
      let file = try await storage.open("\(copy)/\(entry.name)", [.write])
      try await storage.truncate(file, to: 4096 + 512)
      try await storage.sync(file, .all)
      await storage.close(file)
    }
  }

  /// Only what was damaged twice excuses a refusal; nor does a copy that has been put back excuse a second one.
  @Test(arguments: [
    (fault("bit-flip", ["copy": "metadata"]), "metadata-mirror/"), (both, "topics/"),
  ])
  func aRefusalThatNothingExcusesIsCaught(_ fault: FaultSpec, refused: String) throws {
    let reply = try run([fault]) { base in
      let layer = Meddling(base)
      layer.onPass = { (call, _) async throws(StorageError) in
        if layer.phase == "recover", call.kind == .open, call.path.hasPrefix(refused) {
          throw StorageError(errno: EACCES, .open, call.path)
        }
      }
      return layer
    }
    #expect(reply.refusal?.restart == 1 && reply.excusedRefusal == nil, "\(reply)")
  }

  @Test func withoutARecordBehindThereIsNothingToHit() throws {
    let scratch = try TrialScratch()
    // Under `never` no segment is recorded beside the topic.
    let spec = spec(
      messages: 30, sync: "never", crash: .processKill, crashAt: .percent(50), storage: .memory, faults: [Self.both])
    #expect(
      throws: TrialError.faultMissed("no record of the metadata stands in both copies with another one behind it")
    ) {
      try SimulatedTrial(spec, scratch.folder).run()
    }
  }

  // MARK: Zeros and garbage in both

  static let zeros = fault("zero-sectors", ["share": "100", "copy": "both"])

  /// A registry full of NUL (elastic/beats#3537): the logs still name their topic, and the engine must not begin anew.
  @Test(arguments: ["zero-sectors", "garbage"], ["1", "40", "100"])
  func bothMayBeOverwritten(kind: String, share: String) throws {
    var refusals = 0
    for seed in 1...10 as ClosedRange<UInt64> {
      for crash in [CrashKind.none, .processKill, .powerLoss] {
        let reply = try run([Self.fault(kind, ["share": share, "copy": "both"])], crash: crash, seed: seed)
        let receipt = try #require(reply.receipts.first { $0.kind == kind })
        #expect(receipt.metadata == FaultTarget.metadataCopies && receipt.touched.isEmpty)
        #expect(
          Set(receipt.places.compactMap { $0.split(separator: "/").first }) == ["metadata", "metadata-mirror"],
          "\(receipt)")
        if reply.excusedRefusal != nil { refusals += 1 }
        #expect(reply.refusal == nil, "\(reply)")
        var findings = TrialRunner.Findings()
        TrialRunner(executable: "").take(reply, &findings)
        findings.forgiveForgetting()
        let (judgement, verdict) = findings.judged()
        // What only records at the very end said may be forgotten, and then nobody knows.
        let isFine = reply.excusedRefusal != nil ? verdict == .held : verdict != .violated
        #expect(isFine, "\(crash) \(seed): \(judgement.checks.filter { $0.verdict != .held })")
      }
    }
    #expect(refusals > 0)
    if share == "100" { #expect(refusals == 30, "with all records gone and logs that hold messages it must refuse") }
  }

  /// An engine that begins anew over logs that hold messages has lost them, whatever nobody can know of the metadata.
  @Test func beginningAnewOverFullLogsIsCaught() throws {
    let reply = try run([Self.zeros]) { base in
      let layer = Meddling(base)
      nonisolated(unsafe) var isDone = false
      layer.onPass = { (call, base) async throws(StorageError) in
        guard layer.phase == "recover", !isDone else { return }
        isDone = true
        for topic in try await base.list("topics") {
          for partition in try await base.list("topics/\(topic.name)") {
            let folder = "topics/\(topic.name)/\(partition.name)"
            for file in try await base.list(folder) { try await base.unlink("\(folder)/\(file.name)") }
          }
        }
      }
      return layer
    }
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "").take(reply, &findings)
    findings.forgiveForgetting()
    let (judgement, verdict) = findings.judged()
    #expect(reply.excusedRefusal == nil && verdict == .violated, "\(judgement)")
    #expect(judgement.checks.contains { $0.name == .partitionsRegistered && $0.verdict == .violated }, "\(judgement)")
  }

  @Test func whatIsLeftDecidesWhatIsForgiven() {
    func verdict(_ testimony: MetadataDamage.DurabilityEvidence, _ violated: [CheckName]) -> Verdict? {
      var findings = TrialRunner.Findings()
      var receipt = Receipt(kind: "zero-sectors", fired: 1, places: [])
      (receipt.metadata, receipt.testimony) = (FaultTarget.metadataCopies, testimony)
      findings.receipts = [receipt]
      findings.judgement = Judgement(checks: violated.map { CheckResult($0, .violated, "found it missing") })
      findings.forgiveForgetting()
      return findings.judgement?.verdict
    }
    #expect(verdict(.records, [.consumerOffsets]) == .violated)
    #expect(verdict(.logs, [.consumerOffsets]) == .unknown)
    #expect(verdict(.logs, [.partitionsRegistered, .noUnjustifiedRejection]) == .violated)
    #expect(verdict(.logs, [.noAcknowledgedLoss]) == .violated)
    #expect(verdict(.none, [.partitionsRegistered, .noUnjustifiedRejection]) == .unknown)
    #expect(verdict(.none, [.noAcknowledgedLoss]) == .violated)
  }

  // MARK: What nobody can know

  private static func findings(_ metadata: [[String]], storageFaults: Set<String> = [], _ violated: [CheckName])
    -> TrialRunner.Findings
  {
    var findings = TrialRunner.Findings()
    findings.receipts = metadata.map { copies in
      var receipt = Receipt(kind: "delete-file", fired: 1, places: [])
      receipt.metadata = copies
      return receipt
    }
    findings.lostMetadata = storageFaults
    findings.judgement = Judgement(checks: violated.map { CheckResult($0, .violated, "found it missing") })
    findings.forgiveForgetting()
    return findings
  }

  /// Both ends gone, or one by each of two faults: nobody can say what an engine may still know. No violation, and no
  /// pass.
  @Test func whatBothHaveLostForAllAnybodyKnowsIsUnknown() {
    let (first, second) = (["metadata"], ["metadata-mirror"])
    #expect(Self.findings([first, second], [.consumerOffsets]).judgement?.verdict == .unknown)
    #expect(
      Self.findings([first], storageFaults: ["metadata-mirror"], [.consumerOffsets]).judgement?.verdict == .unknown)
    #expect(Self.findings([first, first], [.consumerOffsets]).judgement?.verdict == .violated)
    #expect(Self.findings([first, second], [.noAcknowledgedLoss]).judgement?.verdict == .violated)
    #expect(
      Self.findings([first, second], [.partitionsRegistered, .noUnjustifiedRejection]).judgement?.verdict == .unknown,
      "no topic"
    )
    #expect(
      Self.findings([["metadata", "metadata-mirror"]], [.consumerOffsets]).judgement?.verdict == .violated,
      "one record of both")
  }

  // MARK: Partitions

  @Test func apartFromTheChosenPartitionNothingIsHit() throws {
    for partition in 0..<3 {
      for (kind, parameters) in [
        ("delete-file", ["files": "all"]), ("bit-flip", ["target": "batch-length"]), ("garbage", [:]),
        ("bit-flip", ["target": "padding"]),
      ] {
        let fault = FaultSpec(kind: kind, parameters: parameters.merging(["partition": "\(partition)"]) { $1 })
        let reply = try run([fault])
        let receipt = try #require(reply.receipts.first { $0.kind == kind })
        #expect(receipt.places.allSatisfy { $0.hasPrefix("topics/orders/\(partition)/") }, "\(receipt)")
        #expect(receipt.touched.allSatisfy { $0.partition == TopicPartition("orders", PartitionID(partition)) })
        #expect(
          reply.judgement?.verdict == .held,
          "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))")
      }
    }
  }

  @Test func aPartitionThatThereIsNotIsNotHit() throws {
    #expect(throws: TrialError.faultMissed("nothing of partition 7 was acknowledged")) {
      try run([FaultSpec(kind: "delete-file", parameters: ["partition": "7"])])
    }
  }
}
