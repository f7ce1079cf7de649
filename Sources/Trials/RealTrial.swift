import FaultInjection
import Foundation
import Glibc
import LogModel
import PartitionEngine
import Reporting
import Storage
import Verification

/// One life of a trial on real files, in a worker process that the crash ends for real.
struct RealTrial {
  let spec: TrialSpec
  let folder: TrialFolder
  let life: Int

  init(_ spec: TrialSpec, _ folder: TrialFolder, life: Int) {
    self.spec = spec
    self.folder = folder
    self.life = life
  }

  /// Written by the tasks of one loop and read after it.
  private final class Notes: @unchecked Sendable {
    var reply = PhaseReply()
    var look: Observation?
    var crashed = false
    var isDying = false

    /// Whose failure it is decides what becomes of it: the machine's ends the run, the harness's this trial.
    func fail(_ error: TrialError) {
      if error.isEnvironment { reply.machineFailure = "\(error)" } else { reply.failure = "\(error)" }
    }
  }

  private struct Rig {
    var loop: EventLoop
    var storage: any Storage
    var power: PowerLossStorage?
    var seam: SeamMeter
  }

  private func makeRig(_ journal: Journal) throws(TrialError) -> Rig {
    let loop = EventLoop()
    let files: FileStorage
    do throws(StorageError) {
      files = try spec.storage.openFiles(root: folder.data, loop: loop)
    } catch {
      throw .directory(error)
    }
    let seam = SeamMeter(files, journal)
    let power = spec.crash == .powerLoss ? PowerLossStorage(seam, boot: UInt32(life), tearsDurableWrites: true) : nil
    var top: any Storage = power ?? seam
    if let path = spec.traceTo { top = TracingStorage(top, trace: try TraceFile.open(path)) }
    return Rig(loop: loop, storage: top, power: power, seam: seam)
  }

  func produce() throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: Journal.rowsNeeded(spec))
    return try live(journal, []) { life, engine, _, notes, crash in
      await life.createTopic(engine)
      if let threshold = life.crashThreshold, spec.crash != .none {
        await life.produce(Workload(spec), engine) { answered in
          guard answered >= threshold, !notes.crashed else { return }
          notes.crashed = true
          crash(true)
        }
        if !notes.crashed { notes.reply.crashMissed = true } else { await Gate().wait() }
      } else {
        await life.produce(Workload(spec), engine) { _ in }
        await life.commitOffsets(engine)
        notes.look = await life.look(engine, Judging.history(spec, journal, []), nil)
      }
    }
  }

  func recover() throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: 0)
    if !journal.endsInCrash { journal.crash(spec.crash, at: EventLoop().now) }
    var faults = try JSONFile.read([Receipt].self, from: folder.faults) ?? []
    var fresh: [Receipt] = []
    if life == 1 {
      let history = Judging.history(spec, journal, faults)
      for (index, fault) in spec.faults.enumerated() {
        var receipt = try RestingDamage(spec: spec, history: history).apply(
          fault, number: index, to: FilesAtRest(folder: folder.data, topic: spec.topic))
        receipt.row = journal.rowCount
        fresh.append(receipt)
      }
      faults += fresh
      if !fresh.isEmpty { try JSONFile.write(faults, to: folder.faults) }
    }
    return try live(journal, fresh) { [faults] life, engine, recovery, notes, _ in
      notes.look = await life.look(engine, Judging.history(spec, journal, faults), recovery)
      if life.number == 1 { await life.produce(Workload(betweenRestartsOf: spec), engine) { _ in } }
    }
  }

  /// Opens the engine, runs `body`, and ends the life: in order, or by the trial's crash, from which nothing returns.
  private func live(
    _ journal: Journal, _ receipts: [Receipt],
    _ body: @escaping @Sendable (Life, PartitionEngine, EngineRecovery, Notes, @escaping @Sendable (Bool) -> Void) async -> Void
  ) throws(TrialError) -> PhaseReply {
    let rig = try makeRig(journal)
    let life = try Life(spec, number: life, on: rig.storage, journal)
    rig.storage.note(.phase("life \(life.number)"))
    for receipt in receipts { rig.storage.note(.fault("\(receipt.kind): \(receipt.places.first ?? "")")) }
    let notes = Notes()
    notes.reply.receipts = receipts
    notes.reply.storageName = rig.storage.properties.name
    notes.reply.notices = rig.storage.properties.notices
    let ending = rig.loop.run(limit: .nanoseconds(Int64(spec.phaseSeconds * 1e9))) {
      switch await life.open() {
      case .refused(let why): notes.reply.refusal = "restart \(life.number): \(why)"
      case .opened(let engine, let recovery, let seconds, let memory):
        notes.reply.recovery = recovery
        notes.reply.recoverySeconds = seconds
        if life.number == 1 {
          let figures = RecoveryFigures(
            seconds: seconds, bytesScanned: recovery.bytesScanned, batchesSkipped: recovery.batchesSkipped,
            peakMemoryBytes: memory)
          do throws(TrialError) {
            try JSONFile.write(figures, to: folder.recovery)
          } catch {
            notes.reply.failure = "\(error)"
            return
          }
        }
        await body(life, engine, recovery, notes) { inFlight in crash(rig, journal, notes, inFlight: inFlight) }
        if let look = notes.look {
          do throws(TrialError) {
            try JSONFile.write(look, to: folder.look(life.number))
          } catch {
            return notes.fail(error)
          }
        }
        if notes.reply.crashMissed || rig.seam.machineFailure != nil { return }
        if spec.crash == .none || life.number == 2 {
          journal.stage = .closing
          do throws(EngineError) { try await engine.close() } catch { notes.reply.notices.append("close: \(error)") }
          journal.crash(.none, at: rig.loop.now)
        } else {
          crash(rig, journal, notes, inFlight: false)
          await Gate().wait()
        }
      }
    }.ending
    if let failure = rig.seam.machineFailure { notes.reply.machineFailure = "\(failure)" }
    // The signal is on its way: a life that is over waits for it.
    if notes.isDying { while true { pause() } }
    switch ending {
    case .finished: break
    case .stalled:
      notes.reply.hang = "life \(life.number) stalled while \(journal.stage): nothing was ready, in flight or due"
    case .timedOut: notes.reply.isTimedOut = true
    }
    return notes.reply
  }

  /// Ends this process. What the receipt says is on disk before.
  private func crash(_ rig: Rig, _ journal: Journal, _ notes: Notes, inFlight: Bool) {
    // After a failure of the machine, a full disk say, there is nothing left to learn from a crash.
    guard rig.seam.machineFailure == nil else { return }
    rig.storage.note(.fault("\(spec.crash.rawValue)"))
    if let power = rig.power {
      power.freeze()
      journal.freeze(spec.crash, at: rig.loop.now)
      rig.loop.spawn {
        do throws(StorageError) {
          let receipt = try await power.cutPower(
            seed: mix64(spec.seed &+ UInt64(life)), profile: spec.profile(life: life))
          die(Receipt(receipt), notes)
        } catch {
          notes.reply.failure = "the power cut could not be carried out: \(error)"
        }
      }
      return
    }
    // The process dies while the ring is at work: the signal comes from another thread, a seeded moment later.
    var random = SeededGenerator(seed: spec.seed, stream: "kill-\(life)")
    let delay = inFlight ? UInt32.random(in: 0...200, using: &random) : 0
    let seam = rig.seam
    let receipt = Receipt(kind: spec.crash.rawValue, fired: 1, places: ["SIGKILL to process \(getpid()), life \(life)"])
    do throws(TrialError) {
      try JSONFile.write(receipt, to: folder.receipt(life))
    } catch {
      return notes.fail(error)
    }
    notes.isDying = true
    guard inFlight else {
      kill(getpid(), SIGKILL)
      return
    }
    Thread.detachNewThread {
      usleep(delay)
      journal.inFlightAtCrash = seam.inFlight
      kill(getpid(), SIGKILL)
    }
  }

  private func die(_ receipt: Receipt, _ notes: Notes) {
    do throws(TrialError) {
      try JSONFile.write(receipt, to: folder.receipt(life))
      kill(getpid(), SIGKILL)
    } catch {
      notes.fail(error)
    }
  }
}

/// The engine's files while no engine runs.
struct FilesAtRest: RestingDamage.Medium {
  let folder: String
  let topic: String

  func files(of partition: PartitionID) throws(TrialError) -> [(path: String, bytes: [UInt8])] {
    let directory = "topics/\(topic)/\(partition)"
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder + "/" + directory).filter { $0.hasSuffix(".log") }
        .sorted().map { ("\(directory)/\($0)", [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(directory)/\($0)")))) }
    } catch {
      throw .faultMissed("cannot read \(directory): \(error.localizedDescription)")
    }
  }

  func flipBit(_ path: String, byte: Int, bit: Int) throws(TrialError) {
    let descriptor = Glibc.open(folder + "/" + path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", path, errno) }
    defer { close(descriptor) }
    var value: UInt8 = 0
    guard pread(descriptor, &value, 1, off_t(byte)) == 1 else { throw .faultMissed("\(path) has no byte \(byte)") }
    value ^= 1 << bit
    guard pwrite(descriptor, &value, 1, off_t(byte)) == 1, fsync(descriptor) == 0 else {
      throw .system("flip a bit of", path, errno)
    }
  }
}
