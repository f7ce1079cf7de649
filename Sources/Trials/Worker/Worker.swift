import CProcess
import FaultInjection
import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification
import WriteAheadLog

/// The worker process: reads one request a line from standard input, runs the phase, answers with one line.
public enum Worker {
  /// The argument that makes `tornlog` a worker.
  public static let argument = "__worker"

  public static func main() -> Never {
    // Nobody is left to read the answers of a worker whose parent has died.
    _ = tl_die_with_parent()
    tl_report_deaths()
    // A file that may not grow any more is an error of the write.
    signal(SIGXFSZ, SIG_IGN)
    // A trace may go to a pipe whose reader has gone: an error of the write, not the end of this process.
    signal(SIGPIPE, SIG_IGN)
    while let line = readLine(strippingNewline: true) {
      let reply: PhaseReply
      do {
        let request = try JSONDecoder().decode(PhaseRequest.self, from: Data(line.utf8))
        reply = run(request)
      } catch {
        reply = PhaseReply(failure: "a request cannot be read: \(error)")
      }
      do {
        var data = try JSONEncoder().encode(reply)
        data.append(UInt8(ascii: "\n"))
        try FileHandle.standardOutput.write(contentsOf: data)
      } catch {
        exit(70)
      }
    }
    exit(0)
  }

  static func run(_ request: PhaseRequest) -> PhaseReply {
    do throws(TrialError) {
      let folder = TrialFolder(path: request.folder)
      if let client = request.spec.client { return try ClientTrial(client, request.spec, folder: folder.path).run() }
      if request.spec.delivery != nil { return try delivery(request, folder) }
      switch request.phase {
      case .produce: return try FileTrial(request.spec, folder, life: 0).produce()
      case .secondWriter: return try SecondProcess(spec: request.spec, folder: folder).run()
      case .recover(let restart): return try FileTrial(request.spec, folder, life: restart).recover()
      case .judge: return try Judging.judge(request.spec, folder)
      case .model:
        return try SimulatedTrial(request.spec, folder).run()
      }
    } catch {
      if case .faultMissed = error { return PhaseReply(faultMissed: "\(error)") }
      var reply = PhaseReply()
      reply.fail(error)
      return reply
    }
  }
}

extension Worker {
  /// A phase of a trial of the job log and its sender.
  private static func delivery(_ request: PhaseRequest, _ folder: TrialFolder) throws(TrialError) -> PhaseReply {
    switch request.phase {
    case .model: return try SimulatedDelivery(request.spec, folder).run()
    case .produce: return try FileDelivery(request.spec, folder, life: 0).run()
    case .recover(let restart): return try FileDelivery(request.spec, folder, life: restart).run()
    case .judge: return try DeliveryJudging.judge(request.spec, folder)
    case .secondWriter: throw .contradiction(.deliveryHasOneWriter)
    }
  }
}

/// The oracle over what the lives of a trial left behind.
enum Judging {
  static func history(
    _ spec: TrialSpec, _ journal: Journal, _ faults: [Receipt], _ storageFaults: [StorageFaultRecord] = []
  ) -> History {
    var damages: [(row: Int, damage: Damage)] = []
    if !faults.isEmpty || storageFaults.contains(where: { !$0.touched.isEmpty }) {
      let plain = journal.history(of: spec)
      damages = faults.flatMap { receipt in
        receipt.touched.damage(
          kind: receipt.kind, receipt.places.first ?? "", isDetectable: true, places: receipt.touchedPlaces, in: plain
        ).map { (receipt.row, $0) }
      }
      damages += storageFaults.damages(in: plain, crashRows: journal.crashRows, spec.syncPolicy(ofLife:))
      damages.sort { $0.row < $1.row }
      // What was touched in the log may be in the object store without anybody having been told so.
      if spec.checkpoint != .none { for index in damages.indices { damages[index].damage.isCertain = false } }
    }
    var history = journal.history(of: spec, damages: damages)
    storageFaults.noteTornObjects(in: &history)
    return history
  }

  static func judge(_ spec: TrialSpec, _ folder: TrialFolder) throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: 0)
    journal.stage = .judging
    var readbacks: [Observation] = []
    for restart in 0...2 {
      if let readback = try JSONFile.read(Observation.self, from: folder.readback(restart)) {
        readbacks.append(readback)
      }
    }
    let faults = try JSONFile.read([Receipt].self, from: folder.faults) ?? []
    let storageFaults = try folder.storageFaults.read()
    let writer = try JSONFile.read(WriterReceipt.self, from: folder.writer)
    let testimony = StoreEvidence(
      failures: try folder.flushFailures.read(), slowCalls: try folder.slowStoreCalls.read())
    var judgement = judge(spec, journal, faults, storageFaults, readbacks, writer, testimony)
    let history = history(spec, journal, faults, storageFaults)
    judgement.checks = DivergenceLocator(spec: spec, history: history).complete(
      judgement.checks, on: FilesAtRest(folder: folder.data))
    var reply = PhaseReply(
      judgement: judgement, append: AppendFigures(history), firstAppend: history.slowestFirstAppendAfterRestart)
    reply.observed = try observed(spec, history, faults, readbacks, FilesAtRest(folder: folder.data))
    return reply
  }

  static func judge(
    _ spec: TrialSpec, _ journal: Journal, _ faults: [Receipt], _ storageFaults: [StorageFaultRecord],
    _ readbacks: [Observation],
    _ writer: WriterReceipt?, _ store: StoreEvidence = StoreEvidence()
  ) -> Judgement {
    let history = history(spec, journal, faults, storageFaults)
    let contract = Contract(
      sync: spec.syncPolicy, laterSync: spec.syncPolicy(ofLife: 1), recovery: spec.recovery,
      refusals: storageFaults.refusals(spec), takeover: writer?.takeover(spec))
    var judgement = Oracle(contract).judge(history, readbacks)
      .adding(store.excused(.noUnjustifiedRejection(history, contract.refusals, takeover: contract.takeover), spec))
    for check in store.checks(spec, history) { judgement = judgement.adding(check) }
    if let close = CheckResult.cleanShutdown(history, contract.refusals) { judgement = judgement.adding(close) }
    let isHindered = storageFaults.contains(where: \.isFiring) || faults.contains { !$0.metadata.isEmpty }
    judgement = judgement.adding(.metadataBounded(journal.metadata, history, hindered: isHindered))
    if spec.writers == .holderLives, let writer {
      judgement = judgement.adding(
        .leaseKept(
          history, takenAt: writer.openedAt, since: writer.triedAt, refused: writer.attemptsRefused,
          holder: 0..<spec.producers))
    }
    // A readback that was never made is no evidence of anything: what it would have found is not known.
    for restart in spec.readbacksOwed where !readbacks.contains(where: { $0.restart == restart }) {
      judgement = judgement.adding(
        .unknown(
          .consumerMakesProgress,
          because: "the engine was not read \(restart == 0 ? "before the crash" : "after restart \(restart)")"))
    }
    return judgement
  }

  /// What the reader of a report must know of the measurement.
  static func notices(_ spec: TrialSpec, _ journal: Journal) -> [String] {
    guard case .interval(let window) = spec.syncPolicy, spec.losesPower,
      let slowest = history(spec, journal, []).crashes.filter({ $0.kind == .powerLoss }).map(\.deviceDelay).max(),
      slowest > window / 2
    else { return [] }
    let milliseconds = Int(slowest.inSeconds * 1000)
    return [
      "the device took up to \(milliseconds) ms for one operation; the loss window is wider by twice what exceeds "
        + "\(DurationText.render(window / 2))"
    ]
  }
}
