import Foundation
import LogModel
import ScenarioFormat
import Storage
import Synchronization
import Verification

/// The second writer of a trial in a process of its own. It has a journal of its own, which is taken over into the
/// trial's when it has ended.
struct SecondProcess: Sendable {
  let spec: TrialSpec
  let folder: TrialFolder

  /// In that process: opens the engine, sends everything, closes in order.
  func run() throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.secondJournal, capacity: Journal.rowsNeeded(spec))
    let loop = EventLoop()
    let files: FileStorage
    do throws(StorageError) {
      files = try spec.storage.openFiles(root: folder.data, loop: loop)
    } catch {
      throw .directory(error)
    }
    var plain = spec
    plain.faults = []
    let monitor = InFlightMonitor(files, journal, plain)
    let life = try Incarnation(
      plain, number: 0, try StorageFaultSetup(plain, life: 0, on: monitor, journal, earlier: [], keep: { _ in }),
      journal)
    let run = loop.run(limit: .nanoseconds(Int64(spec.phaseSeconds * 1e9))) { await life.writeAlone() }
    var reply = PhaseReply()
    reply.writer = run.value
    reply.note(monitor)
    if run.ending != .finished, !reply.isHindered { reply.failure = "it did not come to its end" }
    return reply
  }

  /// The answer of a thread, looked for by the loop.
  private final class Answer: Sendable {
    let value = Mutex<Result<PhaseReply, TrialError>?>(nil)
  }

  /// In the first writer's process: starts the other one and waits for its end; the loop goes on meanwhile.
  func perform(beside loop: EventLoop, _ journal: Journal) async throws(TrialError) -> WriterReceipt {
    let answer = Answer()
    // The process dies with the thread that has started it.
    let code = SystemThread.start { [self] in
      let result = Result { () throws(TrialError) in try exchange() }
      answer.value.withLock { $0 = result }
    }
    guard code == 0 else { throw .system("start a thread for", "the second process", code) }
    while true {
      if let result = answer.value.withLock({ $0 }) {
        let reply = try result.get()
        if let shortage = reply.shortage { throw .shortage("the second process: \(shortage)") }
        if let failure = reply.failure ?? reply.machineFailure { throw .secondWriter(.failed(reason: failure)) }
        guard let receipt = reply.writer else { throw .secondWriter(.noReceipt) }
        try takeOver(into: journal)
        return receipt
      }
      await loop.sleep(until: loop.now + .milliseconds(1))
    }
  }

  private func exchange() throws(TrialError) -> PhaseReply {
    let worker = try WorkerProcess(executable: "/proc/self/exe", arguments: [Worker.argument])
    defer { worker.end() }
    let request = PhaseRequest(phase: .secondWriter, spec: spec, folder: folder.path)
    switch try worker.perform(request, replying: PhaseReply.self, seconds: spec.phaseSeconds) {
    case .replied(let reply): return reply
    case .died(let signal, let status, let errorOutput):
      let death = WorkerDeath(signal: signal, status: status, errorOutput: errorOutput)
      if case .shortage(let text) = death.cause() { throw .shortage("the second process: \(text)") }
      throw .secondWriter(.died(how: death.how, errorOutput: death.errorOutput))
    case .timedOut: throw .secondWriter(.timedOut(seconds: spec.phaseSeconds))
    case .interrupted: throw .secondWriter(.interrupted)
    }
  }

  private func takeOver(into journal: Journal) throws(TrialError) {
    guard let second = try Journal.existing(folder.secondJournal) else { return }
    let history = second.history(of: spec)
    for operation in history.operations {
      let row = journal.produce(
        PartitionID(operation.partition.index), producer: operation.producer, first: operation.firstSequence,
        count: operation.count, at: operation.submittedAt)
      if let answeredAt = operation.answeredAt {
        journal.answer(row, operation.outcome, baseOffset: operation.baseOffset ?? 0, at: answeredAt)
      }
    }
  }
}
