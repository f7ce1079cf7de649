import EngineAdapter
import FaultInjection
import LogModel
import Metrics
import Reporting
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// A trial on the model: three lives on one `MemoryDisk`, in virtual time, decided by the seed to the last byte.
struct SimulatedTrial {
  /// Virtual time that one life may take.
  static let lifeLimit = Duration.seconds(24 * 3600)

  let spec: TrialSpec
  let folder: TrialFolder
  let between: StorageLayer
  private let tool: any LogRepairing

  /// - Parameters:
  ///   - between: what stands between the engine and everything else: nothing, but in tests.
  ///   - tool: of an operator who repairs logs.
  init(
    _ spec: TrialSpec, _ folder: TrialFolder, between: @escaping StorageLayer = { $0 },
    tool: any LogRepairing = SkipCorruptedRecords()
  ) {
    self.spec = spec
    self.folder = folder
    self.between = between
    self.tool = tool
  }

  /// Written by tasks of one life after another, on one thread.
  private final class Notes: @unchecked Sendable {
    var reply = PhaseReply(storageName: "memory")
    var readbacks: [Observation] = []
    var faults: [Receipt] = []
    var storageFaults: [StorageFaultRecord] = []
    var crashed = false
    /// The crash is on its way, if it has not come.
    var isDue = false
    /// Writes to logs of which the first crash left a part.
    var tornWrites = 0
    var testimony = StoreEvidence()
  }

  func run() throws(TrialError) -> PhaseReply {
    let disk = MemoryDisk(seed: spec.seed)
    let journal = try Journal(path: folder.journal, capacity: Journal.rowsNeeded(spec))
    let trace = try spec.traceTo.map { (path) throws(TrialError) in
      try TraceFile.open(path) { journal.traceFailure = journal.traceFailure ?? $0 }
    }
    let notes = Notes()
    try FirstOffset(spec)?.prepare { MemoryStorage(disk: disk, loop: EventLoop(simulatedWithSeed: spec.seed)) }
    for number in 0...2 {
      journal.stage = .harness
      let backup = number == 1 ? try damageAtRest(disk, journal, notes) : nil
      let loop = EventLoop(simulatedWithSeed: spec.seed &+ UInt64(number), startingAt: journal.lastInstant)
      let machine = InFlightMonitor(MemoryStorage(disk: disk, loop: loop), journal, spec)
      let tracing = trace.map { TracingStorage(machine, trace: $0) }
      let setup = try StorageFaultSetup(
        spec, life: number, on: between(tracing ?? machine), journal,
        earlier: notes.storageFaults, keep: { _ in })
      if spec.hasStorageFaults {
        for path in disk.paths { if let bytes = disk.read(path) { bytes.withUnsafeBytes { setup.note(path, $0) } } }
      }
      let storage = setup.storage
      storage.note(.phase("life \(number)"))
      if number == 1 {
        for fault in notes.faults { storage.note(.fault("\(fault.kind): \(fault.places.first ?? "")")) }
      }
      let life = try Incarnation(spec, number: number, setup, journal, backup)
      notes.crashed = false
      journal.thaw()
      life.step?.crash = { if !notes.crashed { crash(life, disk, notes) } }
      let ending = loop.run(limit: Self.lifeLimit) { await live(life, disk, notes) }.ending
      // A time of grace that is not over comes too late for this life.
      life.step?.crash = nil
      if ending != .finished && !notes.crashed {
        let how = ending == .stalled ? "stalled" : "took more than a day of virtual time"
        notes.reply.hang = "life \(number) \(how) while \(journal.stage)"
        _ = disk.processKill(seed: spec.seed)
      }
      notes.storageFaults += setup.receipts
      if spec.hasFaultsInLife, number < 2 {
        notes.reply.census = (notes.reply.census ?? IncarnationCensus()).adding(setup.census)
      }
      if let registry = life.registry { notes.reply.engineCounts.add([EngineCount](registry.snapshot)) }
      journal.stage = .harness
      // Everything of the dead machine ends with an error now: let it. But a life that hung is judged as it stood.
      tracing?.stop()
      if notes.reply.hang == nil {
        _ = loop.run(limit: .seconds(3600)) { await life.bury() }
        loop.drain()
      }
      if notes.reply.hang != nil || notes.reply.refusal != nil || notes.reply.failure != nil { break }
    }
    try judge(disk, journal, notes)
    notes.reply.storageFaults = notes.storageFaults
    return notes.reply
  }

  /// Faults at rest and what an operator does, between the first crash and the recovery.
  /// - Returns: the copy of the metadata that can be put back, where there is one.
  private func damageAtRest(
    _ disk: MemoryDisk, _ journal: Journal, _ notes: Notes
  ) throws(TrialError) -> MetadataBackup? {
    let damage = AtRestDamage(spec: spec, history: Judging.history(spec, journal, []))
    for (index, fault) in spec.faults.enumerated()
    where StorageFaultGrammar.isResting(fault) && fault.kind != RecoveryRunbook.kind {
      var receipt = try damage.apply(fault, number: index, to: disk)
      receipt.row = journal.rowCount
      notes.faults.append(receipt)
      notes.reply.receipts.append(receipt)
    }
    if let runbook = RecoveryRunbook(spec, tool: tool) {
      let loop = EventLoop(simulatedWithSeed: spec.seed, startingAt: journal.lastInstant)
      let steps = MemoryStorage(disk: disk, loop: loop)
      var (receipt, _) = try runbook.follow(
        on: steps, disk, after: damage,
        partitions: (0..<spec.partitions).map { TopicPartition(spec.topic, PartitionID($0)) })
      receipt.row = journal.rowCount
      let victim = try damage.firstPartition()
      for index in notes.faults.indices { notes.faults[index].forgetBytes(of: victim) }
      notes.faults.append(receipt)
      notes.reply.receipts.append(receipt)
    }
    return damage.metadataBackup
  }

  private func judge(_ disk: MemoryDisk, _ journal: Journal, _ notes: Notes) throws(TrialError) {
    journal.stage = .judging
    let history = Judging.history(spec, journal, notes.faults, notes.storageFaults)
    var judgement = Judging.judge(
      spec, journal, notes.faults, notes.storageFaults, notes.readbacks, notes.reply.writer, notes.testimony)
    judgement.checks = DivergenceLocator(spec: spec, history: history).complete(judgement.checks, on: disk)
    notes.reply.judgement = judgement
    notes.reply.observed = try Judging.observed(spec, history, notes.faults, notes.readbacks, disk)
    guard !spec.onlyIf.isEmpty else { return }
    let evidence = try TrialEvidence(spec, history, judgement, tornWrites: notes.tornWrites, disk)
    notes.reply.doubts += spec.onlyIf.filter { !evidence.shows($0) }.map {
      "\($0.rawValue) has not happened in this trial"
    }
  }

  private func live(_ life: Incarnation, _ disk: MemoryDisk, _ notes: Notes) async {
    switch await life.open() {
    // The crash has cut the opening off.
    case _ where notes.crashed: return
    case .refused(let why): notes.reply.refusal = Refusal(restart: life.number, reason: why)
    case .failed(let why): notes.reply.failure = why
    case .opened(let first, let recovery, let seconds, let memory, let refusal):
      var log = first
      if let refusal { notes.reply.excusedRefusal = Refusal(restart: life.number, reason: refusal) }
      if life.number == 1 {
        notes.reply.recovery = recovery
        notes.reply.recoverySeconds = seconds
        notes.reply.recoveryMemory = memory
      }
      if life.number == 0 {
        await life.createTopic(log)
        if let threshold = life.crashThreshold {
          await produce(life, log, until: threshold, disk, notes)
        } else if spec.writers != .one {
          do throws(TrialError) {
            let (newest, receipt) = try await life.produceBesideSecond(log, nil)
            notes.reply.writer = receipt
            log = newest.log
            if let failure = await life.flush(log) { notes.testimony.failures.append(failure) }
            await life.deleteRecords(log)
            await life.commitOffsets(log)
            notes.readbacks.append(
              await life.readback(
                log, notes.faults, notes.storageFaults, newest.recovery, operationsBefore: newest.operationsBefore))
          } catch {
            notes.reply.failure = "\(error)"
          }
        } else {
          if notes.crashed { return }
          if let failure = await life.work(log), !notes.crashed { notes.testimony.failures.append(failure) }
          if notes.crashed { return }
          let readback = await life.readback(log, notes.faults, notes.storageFaults, nil)
          if notes.crashed { return }
          notes.readbacks.append(readback)
        }
      } else {
        notes.readbacks.append(await life.readback(log, notes.faults, notes.storageFaults, recovery))
        if life.number == 1 {
          await life.createCutOff(log)
          await life.produce(Workload(betweenRestartsOf: spec), log) { _ in }
          await life.deleteRecords(log)
        }
      }
      if notes.crashed { return }
      if life.step != nil { return await missStep(life, log, notes) }
      switch life.ending {
      case .none: notes.reply.notices += await life.end(log)
      case .powerLossAfterClose:
        notes.reply.notices += await life.closeInOrder(log)
        crash(life, disk, notes)
      case .processKill, .powerLoss, .outOfMemory: crash(life, disk, notes)
      }
    }
  }

  /// Ends a life of which a step was to be cut off, and has not been so far: by its close, where that is the step.
  private func missStep(_ life: Incarnation, _ log: TestedLog, _ notes: Notes) async {
    let failures = spec.crashAt.step?.phase == .close ? await life.closeInOrder(log) : []
    if notes.crashed { return }
    notes.reply.notices += failures
    notes.reply.crashMissed = true
  }

  /// Sends the workload, and crashes when so many messages have been answered.
  private func produce(
    _ life: Incarnation, _ log: TestedLog, until threshold: Int, _ disk: MemoryDisk, _ notes: Notes
  ) async {
    let loop = life.storage.loop
    let delay = life.crashDelay
    await life.produce(Workload(spec), log) { answered in
      guard answered >= threshold, !notes.isDue, life.ending.isAbrupt else { return }
      notes.isDue = true
      if delay == .zero { return crash(life, disk, notes) }
      loop.spawn {
        await loop.sleep(until: loop.now + delay)
        crash(life, disk, notes)
      }
    }
    // The workload may have come to its end before.
    if notes.isDue, !notes.crashed { await loop.sleep(until: loop.now + delay + .microseconds(1)) }
    if !notes.isDue, life.ending.isAbrupt { notes.reply.crashMissed = true }
  }

  private func crash(_ life: Incarnation, _ disk: MemoryDisk, _ notes: Notes) {
    life.journal.harness {
      life.archive.noteLast()
      carryOut(life, disk, notes)
    }
  }

  private func carryOut(_ life: Incarnation, _ disk: MemoryDisk, _ notes: Notes) {
    notes.crashed = true
    life.faults.delays.noteInFlight()
    life.journal.freeze(life.ending, at: life.storage.loop.now)
    let seed = mix64(spec.seed &+ UInt64(life.number))
    let receipt =
      life.ending.losesPower
      ? disk.powerLoss(seed: seed, profile: spec.profile(life: life.number)) : disk.processKill(seed: seed)
    if life.number == 0 { notes.tornWrites = receipt.unfinished.count { $0.isTornWriteToLog } }
    life.storage.note(.fault("\(receipt)"))
    notes.reply.receipts.append(Receipt(receipt))
  }
}

extension TrialSpec {
  /// "What was not synced is gone" for the first crash; for the second, what POSIX permits beyond that. Behind a life
  /// that ended in another way either, by the seed: what recovery has found volatile, and served, must not be.
  func profile(life: Int) -> PersistenceProfile {
    if life == 1, self.secondCrash != nil, seed % 2 == 0 { return .dropUnsynced }
    return life == 0 && isFirstLifeWhole ? .dropUnsynced : .posixMinimal
  }
}

extension Receipt {
  init(_ receipt: CrashReceipt) {
    self.init(
      kind: receipt.kind.rawValue, fired: 1,
      places: "\(receipt)".split(separator: "\n").prefix(6).map { $0.trimmingPrefix("  ").description })
  }
}

extension MemoryDisk: AtRestDamage.Medium {
  func files(of partition: TopicPartition) throws(TrialError) -> [String] {
    paths.filter { FaultTarget.isLog($0) && $0.hasPrefix("topics/\(partition)/") }.sorted()
  }

  func files(ofMetadata copy: String) throws(TrialError) -> [String] {
    paths.filter { $0.hasSuffix(".log") && $0.hasPrefix(copy + "/") }.sorted()
  }

  func read<Value>(_ path: String, _ body: (UnsafeRawBufferPointer) -> Value) throws(TrialError) -> Value {
    guard let bytes: [UInt8] = read(path) else { throw .faultMissed("\(path) is not on the medium") }
    return bytes.withUnsafeBytes(body)
  }

  func apply(_ fault: AtRestFault) throws(TrialError) -> AtRestFaultReceipt {
    do throws(StorageError) { return try fault.apply(to: self) } catch { throw .faultMissed("\(error)") }
  }
}
