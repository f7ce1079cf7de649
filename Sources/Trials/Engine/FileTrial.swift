import EngineAdapter
import FaultInjection
import Foundation
import Glibc
import LogModel
import Metrics
import Reporting
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// One life of a trial on real files, in a worker process that the crash ends for real.
struct FileTrial {
  let spec: TrialSpec
  let folder: TrialFolder
  let life: Int
  let between: StorageLayer

  /// - Parameter between: what stands between the engine and everything else: nothing, but in tests.
  init(_ spec: TrialSpec, _ folder: TrialFolder, life: Int, between: @escaping StorageLayer = { $0 }) {
    self.spec = spec
    self.folder = folder
    self.life = life
    self.between = between
  }

  /// Written by the tasks of one loop and read after it.
  final class Notes: @unchecked Sendable {
    var reply = PhaseReply()
    var readback: Observation?
    var crashed = false
    var isDying = false

    func fail(_ error: TrialError) { reply.fail(error) }
  }

  struct Rig {
    var loop: EventLoop
    var storage: any Storage
    var power: PowerLossStorage?
    var monitor: InFlightMonitor
    var faults: StorageFaultSetup
  }

  private func openFiles(_ loop: EventLoop) throws(TrialError) -> FileStorage {
    do throws(StorageError) { return try spec.storage.openFiles(root: folder.data, loop: loop) } catch {
      throw .directory(error)
    }
  }

  private func makeRig(_ journal: Journal, _ notes: Notes) throws(TrialError) -> Rig {
    let loop = EventLoop()
    let files = try openFiles(loop)
    let monitor = InFlightMonitor(files, journal, spec)
    let boots = spec.powerLosses(before: life)
    let power =
      spec.ending(of: life).losesPower ? PowerLossStorage(monitor, boot: boots, tearsDurableWrites: true) : nil
    var top: any Storage = power ?? (boots > 0 ? RebootedStorage(monitor, boots: boots) : monitor)
    if let path = spec.traceTo {
      top = TracingStorage(top, trace: try TraceFile.open(path) { journal.traceFailure = journal.traceFailure ?? $0 })
    }
    let (file, slowCalls) = (folder.storageFaults, folder.slowStoreCalls)
    let faults = try StorageFaultSetup(
      spec, life: life, on: between(top), journal, earlier: try file.read(),
      keep: { receipt in
        do throws(TrialError) { try file.append(receipt) } catch { notes.fail(error) }
      },
      slow: { call in
        do throws(TrialError) { try slowCalls.append(call) } catch { notes.fail(error) }
      })
    if spec.hasStorageFaults, life > 0 {
      let medium = FilesAtRest(folder: folder.data)
      for number in 0..<spec.partitions {
        for path in try medium.files(of: spec.source(of: number)) { try medium.read(path) { faults.note(path, $0) } }
      }
    }
    return Rig(loop: loop, storage: faults.storage, power: power, monitor: monitor, faults: faults)
  }

  /// Writes down why not everything was brought to the object store, before the trial's crash ends this process.
  private func keep(_ failure: FlushFailure, _ notes: Notes) {
    do throws(TrialError) { try folder.flushFailures.append(failure) } catch { notes.fail(error) }
  }

  func produce() throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: Journal.rowsNeeded(spec))
    try FirstOffset(spec)?.prepare { () throws(TrialError) in try openFiles(EventLoop()) }
    return try live(journal, []) { life, log, _, notes, crash in
      await life.createTopic(log)
      if let threshold = life.crashThreshold, life.ending.isAbrupt {
        let (loop, delay) = (life.storage.loop, life.crashDelay)
        await life.produce(Workload(spec), log) { answered in
          guard answered >= threshold, !notes.crashed else { return }
          notes.crashed = true
          if delay == .zero { return crash(true) }
          loop.spawn {
            await loop.sleep(until: loop.now + delay)
            crash(true)
          }
        }
        if !notes.crashed { notes.reply.crashMissed = true } else { await AsyncEvent().wait() }
      } else {
        guard spec.writers != .one else {
          if let failure = await life.work(log) { keep(failure, notes) }
          notes.readback = await life.readback(log, [], [], nil)
          return log
        }
        do throws(TrialError) {
          let process = SecondProcess(spec: spec, folder: folder)
          let (newest, receipt) = try await life.produceBesideSecond(log, process)
          try JSONFile.write(receipt, to: folder.writer)
          if let failure = await life.flush(newest.log) { keep(failure, notes) }
          await life.deleteRecords(newest.log)
          await life.commitOffsets(newest.log)
          notes.readback = await life.readback(
            newest.log, [], [], newest.recovery, operationsBefore: newest.operationsBefore)
          return newest.log
        } catch {
          notes.fail(error)
          return nil
        }
      }
      return log
    }
  }

  func recover() throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: 0)
    journal.stage = .harness
    if !journal.hasEndings(of: life) { journal.crashKilled() }
    var faults = try JSONFile.read([Receipt].self, from: folder.faults) ?? []
    var fresh: [Receipt] = []
    var backup: MetadataBackup?
    var operatorSeconds = 0.0
    if life == 1 {
      let damage = AtRestDamage(spec: spec, history: Judging.history(spec, journal, faults))
      for (index, fault) in spec.faults.enumerated()
      where StorageFaultGrammar.isResting(fault) && fault.kind != RecoveryRunbook.kind {
        var receipt = try damage.apply(
          fault, number: index, to: FilesAtRest(folder: folder.data))
        receipt.row = journal.rowCount
        fresh.append(receipt)
      }
      backup = damage.metadataBackup
      if let runbook = RecoveryRunbook(spec) {
        let followed = try runbook.follow(
          on: try openFiles(EventLoop()), FilesAtRest(folder: folder.data), after: damage,
          partitions: (0..<spec.partitions).map { TopicPartition(spec.topic, PartitionID($0)) })
        var receipt = followed.receipt
        receipt.row = journal.rowCount
        let victim = try damage.firstPartition()
        for index in fresh.indices { fresh[index].forgetBytes(of: victim) }
        fresh.append(receipt)
        operatorSeconds = followed.seconds
      }
      faults += fresh
      if !fresh.isEmpty { try JSONFile.write(faults, to: folder.faults) }
    }
    let earlier = try folder.storageFaults.read()
    return try live(journal, fresh, backup) { [faults, operatorSeconds] life, log, recovery, notes, _ in
      notes.readback = await life.readback(log, faults, earlier, recovery)
      if life.number == 1, !noteOutage(life, operatorSeconds, notes) { return nil }
      if life.number == 1 {
        await life.createCutOff(log)
        await life.produce(Workload(betweenRestartsOf: spec), log) { _ in }
        await life.deleteRecords(log)
      }
      return log
    }
  }

  /// Opens the engine, runs `body`, and ends the life: in order, or by the trial's crash, from which nothing returns.
  /// - Parameter body: answers the engine that serves in the end; nil where the harness has failed.
  private func live(
    _ journal: Journal, _ receipts: [Receipt], _ backup: MetadataBackup? = nil,
    _ body:
      @escaping @Sendable (Incarnation, TestedLog, RecoverySummary, Notes, @escaping @Sendable (Bool) -> Void) async ->
      TestedLog?
  ) throws(TrialError) -> PhaseReply {
    let notes = Notes()
    let rig = try makeRig(journal, notes)
    let life = try Incarnation(spec, number: life, rig.faults, journal, backup)
    rig.storage.note(.phase("life \(life.number)"))
    for receipt in receipts { rig.storage.note(.fault("\(receipt.kind): \(receipt.places.first ?? "")")) }
    notes.reply.receipts = receipts
    notes.reply.storageName = rig.storage.properties.name
    notes.reply.storageNotices = rig.storage.properties.notices.map {
      $0.replacing(folder.data, with: TrialFolder.anywhere)
    }
    life.step?.crash = {
      guard !notes.crashed else { return }
      notes.crashed = true
      life.archive.noteLast()
      crash(life, rig, journal, notes, inFlight: true)
    }
    let ending = rig.loop.run(limit: .nanoseconds(Int64(spec.phaseSeconds * 1e9))) {
      switch await life.open() {
      // The crash has cut the opening off, and is under way.
      case _ where notes.crashed: await AsyncEvent().wait()
      case .refused(let why): notes.reply.refusal = Refusal(restart: life.number, reason: why)
      case .failed(let why): notes.reply.failure = why
      case .opened(let log, let recovery, let seconds, let memory, let refusal):
        if let refusal, !keep(refusal: refusal, notes) { return }
        notes.reply.recovery = recovery
        notes.reply.recoverySeconds = seconds
        if life.number == 1, !keep(recovery, seconds: seconds, memory: memory, notes) { return }
        let serving = await body(life, log, recovery, notes) { inFlight in
          life.archive.noteLast()
          crash(life, rig, journal, notes, inFlight: inFlight)
        }
        guard let serving else { return }
        guard await passStep(life, serving, rig, notes) else { return }
        if notes.reply.crashMissed || rig.monitor.isHindered {
          keepCensus(rig, notes)
          keep(notes.readback, notes)
          return
        }
        if life.ending == .none {
          notes.reply.notices += await life.end(serving)
          keepCounts(life, notes)
          keepCensus(rig, notes)
          keep(notes.readback, notes)
        } else {
          if !life.ending.isAbrupt { _ = await life.closeInOrder(serving) }
          life.archive.noteLast()
          crash(life, rig, journal, notes, inFlight: false)
          await AsyncEvent().wait()
        }
      }
    }.ending
    notes.reply.note(rig.monitor)
    // The signal is on its way: a life that is over waits for it. What the storage interface has met is in the journal.
    if notes.isDying { while true { pause() } }
    // A crash that the harness could not make leaves everybody waiting for it: no hang of the engine's.
    if notes.reply.isHindered { return notes.reply }
    switch ending {
    case .finished: break
    case .stalled:
      notes.reply.hang = "life \(life.number) stalled while \(journal.stage): nothing was ready, in flight or due"
    case .timedOut: notes.reply.isTimedOut = true
    }
    return notes.reply
  }

  /// - Returns: whether it is written down.
  private func keep(_ recovery: RecoverySummary, seconds: Double, memory: Int, _ notes: Notes) -> Bool {
    let figures = RecoveryFigures(
      seconds: seconds, bytesScanned: recovery.bytesScanned, batchesSkipped: recovery.batchesSkipped,
      peakMemoryBytes: memory, batchesRecovered: recovery.batchesRecovered)
    do throws(TrialError) { try JSONFile.write(figures, to: folder.recovery) } catch {
      notes.fail(error)
      return false
    }
    return true
  }

  /// Closes an engine whose close is to be cut off. Where the crash has come it waits for that; where the step has gone
  /// by without it, the crash is missed.
  /// - Returns: whether the life goes on to its end.
  private func passStep(_ life: Incarnation, _ log: TestedLog, _ rig: Rig, _ notes: Notes) async -> Bool {
    guard let step = spec.crashStep(ofLife: life.number) else { return true }
    if !notes.crashed, !rig.monitor.isHindered {
      if step.phase == .close {
        guard keep(notes.readback, notes) else { return false }
        _ = await life.closeInOrder(log)
      }
      notes.reply.crashMissed = !notes.crashed
    }
    if notes.crashed { await AsyncEvent().wait() }
    return true
  }

  /// Writes down what the engine has counted: in OpenMetrics text, as a scraper would have found it, and for the run's
  /// own metrics.
  /// - Returns: whether it is written down, or there was nothing.
  @discardableResult
  func keepCounts(_ life: Incarnation, _ notes: Notes) -> Bool {
    guard let registry = life.registry else { return true }
    do throws(TrialError) {
      try folder.write(registry, life: life.number)
      try JSONFile.write([EngineCount](registry.snapshot), to: folder.counts(life.number))
      return true
    } catch {
      notes.fail(error)
      return false
    }
  }

  /// Writes down what passed, for faults that never fire.
  /// - Returns: whether it is written down, or nobody needs it.
  @discardableResult
  func keepCensus(_ rig: Rig, _ notes: Notes) -> Bool {
    guard spec.hasFaultsInLife, life < 2 else { return true }
    do throws(TrialError) {
      try JSONFile.write(rig.faults.census, to: folder.census(life))
      return true
    } catch {
      notes.fail(error)
      return false
    }
  }

  /// Writes down how long nobody could fetch; the first append that follows is in the journal.
  /// - Returns: whether it is written down.
  private func noteOutage(_ life: Incarnation, _ operatorSeconds: Double, _ notes: Notes) -> Bool {
    do throws(TrialError) {
      guard var figures = try JSONFile.read(RecoveryFigures.self, from: folder.recovery) else { return true }
      figures.outageSeconds = operatorSeconds + figures.seconds + life.firstFetches.seconds
      try JSONFile.write(figures, to: folder.recovery)
      return true
    } catch {
      notes.fail(error)
      return false
    }
  }

  /// Writes a readback down, which may take a while in which the engine cannot run: not before its life has ended.
  /// - Returns: whether it is kept, or there was none.
  @discardableResult
  func keep(_ readback: Observation?, _ notes: Notes) -> Bool {
    guard let readback else { return true }
    do throws(TrialError) { try JSONFile.write(readback, to: folder.readback(life)) } catch {
      notes.fail(error)
      return false
    }
    return true
  }

  /// - Returns: whether it is written down.
  private func keep(refusal: String, _ notes: Notes) -> Bool {
    do throws(TrialError) { try JSONFile.write(Refusal(restart: life, reason: refusal), to: folder.refusal) } catch {
      notes.fail(error)
      return false
    }
    return true
  }
}

/// Wraps the storage that an engine is given.
typealias StorageLayer = @Sendable (any Storage) -> any Storage
