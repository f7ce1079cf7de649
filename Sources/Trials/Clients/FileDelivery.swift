import Foundation
import HTTPDelivery
import LogModel
import Metrics
import Reporting
import ScenarioFormat
import Storage
import Verification

/// One life of a trial of delivery on real files, in a worker process that the crash ends for real. The receiver is a
/// real one behind a socket, in the process of the runner.
struct FileDelivery {
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
    var crashed = false
    var isDying = false

    func fail(_ error: TrialError) { reply.fail(error) }

    /// What must be on disk; where it cannot be, the harness has failed.
    func attempt(_ body: () throws(TrialError) -> Void) {
      do throws(TrialError) { try body() } catch { fail(error) }
    }
  }

  func run() throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: life == 0 ? Journal.rowsNeeded(spec) : 0)
    journal.stage = .harness
    if !journal.hasEndings(of: life) { journal.crashKilled() }
    guard let receiver = try JSONFile.read(ReceiverAddress.self, from: folder.receiver),
      let url = URL(string: receiver.url)
    else { throw .evidenceMissing(.receiverAddress) }
    let (notes, loop) = (Notes(), EventLoop())
    let files: FileStorage
    do throws(StorageError) { files = try spec.storage.openFiles(root: folder.data, loop: loop) } catch {
      throw .directory(error)
    }
    let monitor = InFlightMonitor(files, journal, spec)
    var top: any Storage = monitor
    if let path = spec.traceTo {
      top = TracingStorage(top, trace: try TraceFile.open(path) { journal.traceFailure = journal.traceFailure ?? $0 })
    }
    // As long as the sender waits for an answer, and a little: its own limit is the one that counts.
    let http = HTTPTransport(url, timeout: (spec.delivery?.timeout ?? .seconds(10)) + .seconds(1))
    let (attempts, number) = (folder.attempts, life)
    let transport = WatchedTransport(http, loop, start: receiver.start, journal) { attempt, index in
      notes.attempt { () throws(TrialError) in
        try attempts.append(DeliveryAttemptLine(life: number, index: index, attempt: attempt))
      }
    }
    let delivery = try DeliveryIncarnation(spec, number: life, on: top, transport, journal)
    delivery.storage.note(.phase("life \(life)"))
    notes.reply.storageName = files.properties.name
    notes.reply.storageNotices = files.properties.notices.map { $0.replacing(folder.data, with: TrialFolder.anywhere) }
    let ending = loop.run(limit: .nanoseconds(Int64(spec.phaseSeconds * 1e9))) {
      await live(delivery, monitor, receiver.start, notes)
    }.ending
    notes.reply.note(monitor)
    // The signal is on its way: a life that is over waits for it. What the storage interface has met is in the journal.
    if notes.isDying { while true { pause() } }
    if notes.reply.isHindered { return notes.reply }
    switch ending {
    case .finished: break
    case .stalled: notes.reply.hang = "life \(life) stalled while \(journal.stage): nothing was ready, in flight or due"
    case .timedOut: notes.reply.isTimedOut = true
    }
    return notes.reply
  }

  private func live(_ delivery: DeliveryIncarnation, _ monitor: InFlightMonitor, _ start: Instant, _ notes: Notes) async
  {
    do throws(TrialError) {
      if let receipt = try await delivery.recoverDiskSpace() {
        try JSONFile.write([receipt], to: folder.faults)
        for failure in delivery.archiveFailures.all { try folder.archiveFailures.append(failure) }
        if receipt.fired == 0 { return notes.reply.faultMissed = "\(receipt.kind): no log was there" }
      }
      if life == 2, let slots = try JSONFile.read([Int].self, from: folder.archived) {
        try JSONFile.write(try await delivery.readArchives(slots), to: folder.archives)
      }
    } catch { return notes.fail(error) }
    let begun = ContinuousClock.now
    switch await delivery.open() {
    case .refused(let why): notes.reply.refusal = Refusal(restart: life, reason: why)
    case .opened(let jobs, let bytesScanned):
      if life == 1 {
        let figures = RecoveryFigures(seconds: (ContinuousClock.now - begun).inSeconds, bytesScanned: bytesScanned)
        notes.attempt { () throws(TrialError) in try JSONFile.write(figures, to: folder.recovery) }
      }
      if life < 2 {
        await delivery.append(to: jobs) { answered in
          guard let threshold = delivery.crashThreshold, answered >= threshold, !notes.crashed else { return }
          notes.crashed = true
          crash(delivery.journal, monitor, notes, inFlight: true)
        }
        if notes.crashed { await AsyncEvent().wait() }
        if delivery.crashThreshold != nil { return notes.reply.crashMissed = true }
        do throws(TrialError) {
          let known = delivery.archiveFailures.all.count
          if let slots = try await delivery.archiveAll(jobs, since: start) {
            try JSONFile.write(slots, to: folder.archived)
          }
          for failure in delivery.archiveFailures.all.dropFirst(known) { try folder.archiveFailures.append(failure) }
        } catch { return notes.fail(error) }
      }
      if spec.crash != .none, life < 2 {
        crash(delivery.journal, monitor, notes, inFlight: false)
        return await AsyncEvent().wait()
      }
      let deadline = monitor.loop.now + delivery.settings.stopWithin - start
      let (left, failure) = await delivery.stop(jobs)
      if let failure { notes.reply.notices.append("life \(life) did not close in order: \(failure)") }
      let stop = DeliveryStop(life: life, left: left, deadline: deadline)
      notes.attempt { () throws(TrialError) in
        try folder.stops.append(stop)
        try folder.write(delivery.registry, life: life)
      }
      delivery.journal.crash(.none, at: monitor.loop.now)
    }
  }

  /// Ends this process. What the receipt says is on disk before.
  private func crash(_ journal: Journal, _ monitor: InFlightMonitor, _ notes: Notes, inFlight: Bool) {
    guard !monitor.isHindered else { return }
    let receipt = Receipt(kind: spec.crash.rawValue, fired: 1, places: ["SIGKILL to process \(getpid()), life \(life)"])
    notes.attempt { () throws(TrialError) in
      try JSONFile.write(receipt, to: folder.receipt(life))
      let killer = inFlight ? try AimedKill(journal, delay: AimedKill.delay(spec.seed, life: life)) : nil
      notes.isDying = true
      guard let killer else { return AimedKill.kill(journal) }
      monitor.holdsCompletions = true
      killer.release()
    }
  }
}

/// Where the receiver of a trial is, and when the trial began.
struct ReceiverAddress: Codable {
  var url: String
  /// On the machine's monotonic clock, which all processes share.
  var start: Instant
}
