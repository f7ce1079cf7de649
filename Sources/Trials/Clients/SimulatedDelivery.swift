import EventReceivers
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification

/// A trial of delivery in the model: three lives of a worker on one `MemoryDisk`, and a receiver that is another
/// machine and survives them, in virtual time, decided by the seed.
struct SimulatedDelivery {
  let spec: TrialSpec
  let folder: TrialFolder
  let between: StorageLayer

  /// - Parameter between: what stands between the logs and the disk: nothing, but in tests.
  init(_ spec: TrialSpec, _ folder: TrialFolder, between: @escaping StorageLayer = { $0 }) {
    self.spec = spec
    self.folder = folder
    self.between = between
  }

  /// Written by tasks of one life after another, on one thread.
  private final class Notes: @unchecked Sendable {
    var reply = PhaseReply(storageName: "memory")
    var attempts: [[Int]: DeliveryAttempt] = [:]
    var stops: [DeliveryStop] = []
    var archived: [Int]?
    var archives: [Delivered]?
    var unarchived: [ArchiveFailure] = []
    var crashed = false
  }

  func run() throws(TrialError) -> PhaseReply {
    let disk = MemoryDisk(seed: spec.seed)
    let journal = try Journal(path: folder.journal, capacity: Journal.rowsNeeded(spec))
    let trace = try spec.traceTo.map { (path) throws(TrialError) in
      try TraceFile.open(path) { journal.traceFailure = journal.traceFailure ?? $0 }
    }
    let schedule = try ReceiverFaultGrammar.schedule(spec)
    let receiver = ModelReceiver()
    receiver.behavior = { now, _ in schedule.behavior(at: now - Instant(nanoseconds: 0)) }
    let notes = Notes()
    for number in 0...2 {
      let loop = EventLoop(simulatedWithSeed: spec.seed &+ UInt64(number), startingAt: journal.lastInstant)
      receiver.loop = loop
      let machine = InFlightMonitor(MemoryStorage(disk: disk, loop: loop), journal, spec)
      let transport = WatchedTransport(receiver, loop, start: Instant(nanoseconds: 0), journal) {
        notes.attempts[[number, $1]] = $0
      }
      let tracing = trace.map { TracingStorage(machine, trace: $0) }
      let life = try DeliveryIncarnation(spec, number: number, on: between(tracing ?? machine), transport, journal)
      life.storage.note(.phase("life \(number)"))
      notes.crashed = false
      journal.thaw()
      let ending = loop.run(limit: SimulatedTrial.lifeLimit) { await live(life, disk, notes) }.ending
      if ending != .finished && !notes.crashed {
        notes.reply.hang =
          "life \(number) \(ending == .stalled ? "stalled" : "took more than a day of virtual time") while "
          + "\(journal.stage)"
        _ = disk.processKill(seed: spec.seed)
      }
      notes.unarchived += life.archiveFailures.all
      receiver.loop = nil
      journal.stage = .harness
      // Everything of the dead machine ends with an error now: let it; but no sender of it may go on trying for ever.
      tracing?.stop()
      _ = loop.run(limit: .seconds(3600)) { for _ in 0..<64 { await loop.nextIdleTurn() } }
      if notes.reply.hang != nil || notes.reply.refusal != nil || notes.reply.failure != nil { break }
    }
    let evidence = try DeliveryEvidence(receiver.received, spec)
    let judged = try DeliveryJudging.judge(
      spec, journal, evidence, notes.attempts.inOrder, notes.stops, notes.archives,
      settled: try SettledEvents.all(spec) { disk.read($0) }, notes.unarchived)
    notes.reply.judgement = judged.judgement
    notes.reply.receipts += judged.receipts
    notes.reply.faultMissed = notes.reply.faultMissed ?? judged.faultMissed
    notes.reply.failure = notes.reply.failure ?? judged.failure
    notes.reply.notices += judged.notices
    return notes.reply
  }

  private func live(_ life: DeliveryIncarnation, _ disk: MemoryDisk, _ notes: Notes) async {
    let loop = life.storage.loop
    do throws(TrialError) {
      if let receipt = try await life.recoverDiskSpace() {
        notes.reply.receipts.append(receipt)
        if receipt.fired == 0 { notes.reply.faultMissed = "\(receipt.kind): no log was there" }
      }
      if life.number == 2, let slots = notes.archived { notes.archives = try await life.readArchives(slots) }
    } catch { return notes.reply.failure = "\(error)" }
    let begun = ContinuousClock.now
    switch await life.open() {
    case .refused(let why): notes.reply.refusal = Refusal(restart: life.number, reason: why)
    case .opened(let jobs, let bytesScanned):
      if life.number == 1 {
        notes.reply.recoveryFigures = RecoveryFigures(
          seconds: (ContinuousClock.now - begun).inSeconds, bytesScanned: bytesScanned)
      }
      if life.number < 2 {
        await life.append(to: jobs) { answered in
          guard let threshold = life.crashThreshold, answered >= threshold, !notes.crashed else { return }
          life.journal.harness { crash(life, disk, notes) }
        }
        if notes.crashed { return }
        if life.crashThreshold != nil { return notes.reply.crashMissed = true }
        do throws(TrialError) {
          notes.archived = try await life.archiveAll(jobs, since: Instant(nanoseconds: 0)) ?? notes.archived
        } catch {
          return notes.reply.failure = "\(error)"
        }
      }
      if spec.crash != .none, life.number < 2 { return crash(life, disk, notes) }
      let deadline = loop.now + life.settings.stopWithin - Instant(nanoseconds: 0)
      let (left, failure) = await life.stop(jobs)
      notes.stops.append(DeliveryStop(life: life.number, left: left, deadline: deadline))
      if let failure { notes.reply.notices.append("life \(life.number) did not close in order: \(failure)") }
      life.journal.crash(.none, at: loop.now)
    }
  }

  private func crash(_ life: DeliveryIncarnation, _ disk: MemoryDisk, _ notes: Notes) {
    notes.crashed = true
    life.journal.freeze(spec.crash, at: life.storage.loop.now)
    let seed = mix64(spec.seed &+ UInt64(life.number))
    let receipt =
      spec.crash == .powerLoss
      ? disk.powerLoss(seed: seed, profile: spec.profile(life: life.number)) : disk.processKill(seed: seed)
    life.storage.note(.fault("\(receipt)"))
    notes.reply.receipts.append(Receipt(receipt))
  }
}
