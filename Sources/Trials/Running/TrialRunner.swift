import FaultInjection
import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// Runs one trial after another in worker processes, which it starts, kills and reaps.
package final class TrialRunner: @unchecked Sendable {
  // Owned by the thread of one job.

  private let executable: String
  private var worker: WorkerProcess?
  /// Bytes that a worker may hold before another takes its place. The tasks of a life that hangs in the model wait for
  /// ever, and keep what they have: some megabytes a trial, and with thousands of seeds more than any machine has.
  private static let mostResident = 256 << 20

  package init(executable: String) {
    self.executable = executable
  }

  /// Everything that is known of a trial when its last process has ended.
  package struct Findings {
    var judgement: Judgement?
    var runnerChecks: [CheckResult] = []
    var receipts: [Receipt] = []
    /// Where no file keeps it.
    var excusedRefusal: Refusal?
    /// Copies of the metadata that faults at the storage interface have destroyed a part of.
    var lostMetadata: Set<String> = []
    var storageFaults: [StorageFaultRecord] = []
    /// Where no file keeps it.
    var census: IncarnationCensus?
    /// Where no file keeps it.
    var writer: WriterReceipt?
    var notices: [String] = []
    var recovery = RecoveryFigures()
    var append: AppendFigures?
    var engineCounts: [EngineCount] = []
    var observed: [String: Double] = [:]
    /// How a process without memory died, until the receipt of that crash is collected.
    var deathOfMemory: String?
    var storageName = ""
    /// What the storage says of itself: once for the run, not for each trial.
    var storageNotices: [String] = []
    /// Why there is no verdict unless a check is violated.
    var doubts: [String] = []
    /// Why there is no verdict, whatever the checks say.
    var voids: [String] = []
    /// Of these and of the doubts what the machine did to the trial: limits, and signals from outside. What checks
    /// found violated says nothing then.
    package var hindrances: [String] = []
    var interrupted = false
  }

  /// Runs a trial. One that a limit of the machine keeps from its end has no verdict, and says why.
  package func run(_ spec: TrialSpec, in folder: String) throws(TrialError) -> Findings {
    do throws(TrialError) { return try course(spec, in: folder) } catch {
      guard error.isShortage else { throw error }
      end()
      return Findings(hinderedBy: "\(error)")
    }
  }

  private func course(_ spec: TrialSpec, in folder: String) throws(TrialError) -> Findings {
    var findings = Findings()
    let place = TrialFolder(path: folder)
    if spec.storage == .memory {
      if let reply = try perform(.model, spec, place, &findings) { take(reply, &findings) }
    } else {
      let receiver = spec.delivery == nil ? nil : try InProcessReceiver(spec, place)
      defer { receiver?.close() }
      for life in 0...2 {
        let phase: Phase = life == 0 ? .produce : .recover(restart: life)
        guard try live(phase, life, spec, place, &findings) else { break }
      }
      try receiver?.writeDown(place)
      if let figures = try JSONFile.read(RecoveryFigures.self, from: place.recovery) { findings.recovery = figures }
      for life in 0...2 {
        if let counts = try JSONFile.read([EngineCount].self, from: place.counts(life)) {
          findings.engineCounts.add(counts)
        }
      }
      if !findings.interrupted, let reply = try perform(.judge, spec, place, &findings) {
        take(reply, &findings)
        findings.append = reply.append
        findings.recovery.outageSeconds = reply.firstAppend.flatMap { first in
          findings.recovery.outageSeconds.map { $0 + first }
        }
      }
    }
    if let limit = spec.recoveryMemory(scanning: findings.recovery.bytesScanned) {
      findings.runnerChecks.append(
        .boundedMemory(
          used: findings.recovery.peakMemoryBytes, limit: limit, log: findings.recovery.bytesScanned))
    }
    let refusalFile = try JSONFile.read(Refusal.self, from: place.refusal)
    if let refusal = findings.excusedRefusal ?? refusalFile {
      findings.runnerChecks.append(.recoveryCompletes(restart: refusal.restart, oncePutBack: refusal.reason))
    }
    if spec.hasFaultsInLife {
      let storageFaults = spec.storage == .memory ? findings.storageFaults : try place.storageFaults.read()
      findings.receipts += storageFaults.summaries
      var census = findings.census
      if census == nil { census = try IncarnationCensus.read(place) }
      findings.doubts += spec.unfired(storageFaults, census)
      findings.lostMetadata.formUnion(storageFaults.flatMap(\.metadata))
      if let unfair = storageFaults.unfairToAReadback {
        findings.voids.append(
          "\(unfair.kind) destroyed messages, or hid them more than once, while they were being looked at; give the "
            + "fault another phase")
      }
    }
    findings.forgiveForgetting()
    if let journal = try Journal.existing(place.journal) { try note(journal, spec, place, &findings) }
    if findings.judgement == nil, !findings.interrupted { findings.doubts.append("the oracle gave no judgement") }
    return findings
  }

  /// What the journal says of the machine, of other writers and of the trace.
  private func note(
    _ journal: Journal, _ spec: TrialSpec, _ place: TrialFolder, _ findings: inout Findings
  ) throws(TrialError) {
    // A process that is killed, or hangs, says nothing any more.
    if let failure = journal.deviceFailure {
      guard failure.isShortage else { throw .system("\(failure.operation.rawValue) in", place.data, failure.code) }
      if findings.hindrances.isEmpty { findings.hinder(PhaseReply.shortage("\(failure)")) }
    }
    if spec.writers != .one {
      let file = try JSONFile.read(WriterReceipt.self, from: place.writer)
      if let receipt = findings.writer ?? file {
        let history = Judging.history(spec, journal, [])
        findings.receipts.append(receipt.summary(spec, history))
        findings.doubts += receipt.doubts(spec, history)
      } else {
        findings.doubts.append("\(spec.writers.rawValue): no second writer ever tried to open")
      }
    }
    findings.notices += Judging.notices(spec, journal)
    if let code = journal.traceFailure, let path = spec.traceTo {
      findings.notices.append("\(TrialError.system("write the whole trace to", path, code)); it is incomplete")
    }
  }

  /// - Returns: whether the next life can begin.
  private func live(
    _ phase: Phase, _ life: Int, _ spec: TrialSpec, _ place: TrialFolder, _ findings: inout Findings
  ) throws(TrialError) -> Bool {
    let crashes = spec.ending(of: life) != .none
    guard let reply = try perform(phase, spec, place, &findings, crashOf: crashes ? life : nil) else {
      // The life ended in its crash, or badly.
      let isCollected = try collectCrash(life, spec, place, &findings)
      let failure = try Journal.existing(place.journal)?.deviceFailure
      return isCollected && failure == nil && findings.doubts.isEmpty && findings.runnerChecks.isEmpty
        && findings.voids.isEmpty
    }
    take(reply, &findings)
    if reply.isTimedOut { try timedOut(phase, spec, place, &findings, limit: spec.phaseSeconds) }
    return !crashes && reply.hang == nil && !reply.isTimedOut && reply.refusal == nil && reply.failure == nil
      && !reply.crashMissed && reply.faultMissed == nil && reply.shortage == nil
  }

  private func collectCrash(
    _ life: Int, _ spec: TrialSpec, _ place: TrialFolder, _ findings: inout Findings
  ) throws(TrialError) -> Bool {
    if life == 1, let faults = try JSONFile.read([Receipt].self, from: place.faults) { findings.receipts += faults }
    guard var receipt = try JSONFile.read(Receipt.self, from: place.receipt(life)) else { return false }
    if let death = findings.deathOfMemory { receipt.places.append(death) }
    findings.deathOfMemory = nil
    if [CrashKind.processKill, .outOfMemory].contains(where: { $0.rawValue == receipt.kind }) {
      let journal = try Journal.existing(place.journal)
      let (inFlight, held) = (journal?.inFlight ?? 0, journal?.held ?? 0)
      let ended = held > 0 ? ", \(held) of them ended by the device and not yet seen by the engine" : ""
      receipt.places.append("\(inFlight) operations in flight at the storage interface\(ended)")
      let isAimed = life == 0 && !spec.isFirstLifeWhole || spec.crashStep(ofLife: life) != nil
      if isAimed, inFlight == 0, receipt.kind == CrashKind.processKill.rawValue {
        findings.doubts.append("the kill was to find operations in flight at the storage interface, and found none")
      }
    }
    findings.receipts.append(receipt)
    return true
  }

  func take(_ reply: PhaseReply, _ findings: inout Findings) {
    findings.receipts += reply.receipts
    findings.engineCounts.add(reply.engineCounts)
    findings.observed.merge(reply.observed) { $1 }
    findings.storageFaults += reply.storageFaults
    if let census = reply.census { findings.census = census }
    findings.notices += reply.notices.filter { !findings.notices.contains($0) }
    if let writer = reply.writer { findings.writer = writer }
    if let refusal = reply.excusedRefusal { findings.excusedRefusal = refusal }
    if let judgement = reply.judgement { findings.judgement = judgement }
    if let recovery = reply.recovery, let seconds = reply.recoverySeconds {
      findings.recovery = RecoveryFigures(
        seconds: seconds, bytesScanned: recovery.bytesScanned, batchesSkipped: recovery.batchesSkipped,
        peakMemoryBytes: reply.recoveryMemory ?? 0, batchesRecovered: recovery.batchesRecovered)
    }
    if let figures = reply.recoveryFigures { findings.recovery = figures }
    for notice in reply.recovery?.notices ?? [] where !findings.notices.contains(notice) {
      findings.notices.append(notice)
    }
    if let name = reply.storageName { findings.storageName = name }
    findings.storageNotices += reply.storageNotices.filter { !findings.storageNotices.contains($0) }
    findings.doubts += reply.doubts
    if let failure = reply.failure { findings.doubts.append(failure) }
    if let missed = reply.faultMissed { findings.doubts.append(missed) }
    if let shortage = reply.shortage { findings.hinder(shortage) }
    if reply.crashMissed {
      findings.doubts.append("the crash did not come at its point: the workload, or the step, ended before it")
    }
    if let refusal = reply.refusal {
      findings.runnerChecks.append(.recoveryCompletes(restart: refusal.restart, refusal: refusal.reason))
    }
    // What the harness could not do leaves the engine waiting: that is no hang of the engine's.
    if let hang = reply.hang, reply.failure == nil, reply.shortage == nil {
      findings.runnerChecks.append(CheckResult(.noHang, .violated, hang))
    }
  }

  /// One phase in the worker.
  /// - Parameter life: the life that is to end in a crash of the process, if it is.
  /// - Returns: nil where the process did not answer: it crashed as planned, or `findings` says what happened.
  private func perform(
    _ phase: Phase, _ spec: TrialSpec, _ place: TrialFolder, _ findings: inout Findings, crashOf life: Int? = nil
  ) throws(TrialError) -> PhaseReply? {
    let worker: WorkerProcess
    if let running = self.worker, running.isAlive {
      worker = running
    } else {
      worker = try WorkerProcess(executable: executable, arguments: [Worker.argument])
      self.worker = worker
    }
    let request = PhaseRequest(phase: phase, spec: spec, folder: place.path)
    // A life on real files ends itself at its limit, and has to say so.
    let limit = spec.phaseSeconds + (phase == .model ? 0 : 5)
    switch try worker.perform(request, replying: PhaseReply.self, seconds: limit) {
    case .replied(let reply):
      if worker.residentBytes > Self.mostResident { end() }
      if let failure = reply.machineFailure { throw .machine(failure) }
      return reply
    case .interrupted: findings.interrupted = true
    case .timedOut: try timedOut(phase, spec, place, &findings, limit: limit)
    case .died(let signal, let status, let errorOutput):
      let death = WorkerDeath(signal: signal, status: status, errorOutput: errorOutput)
      try judge(death, of: worker, spec, place, &findings, crashOf: life)
    }
    return nil
  }

  private func judge(
    _ death: WorkerDeath, of worker: WorkerProcess, _ spec: TrialSpec, _ place: TrialFolder, _ findings: inout Findings,
    crashOf life: Int?
  ) throws(TrialError) {
    let planned =
      try life.map { (life) throws(TrialError) in try JSONFile.read(Receipt.self, from: place.receipt(life)) != nil }
      ?? false
    if death.signal == SIGKILL, planned { return }
    if life.map({ spec.ending(of: $0) }) == .outOfMemory, planned, let signal = death.signal,
      signal == SIGALRM || WorkerDeath.ownSignals.contains(signal),
      death.mayBeOfMemory
    {
      findings.deathOfMemory =
        "died by signal \(signal)"
        + (death.words == .allocationFailed ? ", for an allocation had failed" : ", without a word")
      return
    }
    switch death.cause() {
    case .shortage(let text): findings.hinder(text)
    case .outside(let text):
      if !findings.doubts.contains(text) { findings.doubts.append(text) }
      findings.hindrances.append(text)
    case .own:
      if let stage = try Journal.existing(place.journal)?.stage(of: worker.process), stage.isEngine {
        findings.runnerChecks.append(.noEngineCrash(death: "\(death.how) while \(stage)\(death.lastWords)"))
      } else {
        let text = "the worker ended by itself (\(death.how))\(death.lastWords)"
        if !findings.doubts.contains(text) { findings.doubts.append(text) }
      }
    }
  }

  private func timedOut(
    _ phase: Phase, _ spec: TrialSpec, _ place: TrialFolder, _ findings: inout Findings, limit: Double
  ) throws(TrialError) {
    let journal = try Journal.existing(place.journal)
    switch Timeout.judge(phase, spec, journal, limit: limit, use: { worker?.use(inTheLast: $0) ?? ProcessorUse() }) {
    case .hang(let detail): findings.runnerChecks.append(CheckResult(.noHang, .violated, detail))
    case .noVerdict(let doubt): findings.doubts.append(doubt)
    }
  }

  package func end() {
    worker?.end()
    worker = nil
  }
}
