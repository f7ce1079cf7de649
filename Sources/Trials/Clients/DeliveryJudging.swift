import ClientWorkloads
import EventReceivers
import Foundation
import LogClients
import LogModel
import RecordLogs
import Reporting
import ScenarioFormat
import Verification

/// What a trial of delivery left behind, and what the oracle says of it.
struct DeliveryEvidence: Codable {
  /// What the receiver has in the end.
  var delivered: [Delivered]
  var foreign: Int
  var repeats: Int

  init(_ received: ReceivedEvents, _ spec: TrialSpec) throws(TrialError) {
    var slots: [JobID: Int] = [:]
    do throws(JobLogError) {
      for slot in 0..<spec.partitions * DeliveryIncarnation.executions(spec) {
        slots[try spec.deliveryJobs.job(slot)] = slot
      }
    } catch { throw .operatorStep(.listJobs, reason: "\(error)") }
    (delivered, foreign, repeats) = ([], 0, received.repeats)
    for (job, events) in received.taken {
      guard let slot = slots[job] else {
        foreign += events.count
        continue
      }
      delivered.append(spec.deliveryJobs.delivered(events, slot: slot))
    }
    delivered.sort { $0.slot < $1.slot }
  }
}

/// How a life ended that was stopped in order, as it is written down.
struct DeliveryStop: Codable {
  var life: Int
  var left: Int
  /// Until when the senders might have sent, since the beginning of the first life.
  var deadline: Duration
}

enum DeliveryJudging {
  static func judge(
    _ spec: TrialSpec, _ journal: Journal, _ evidence: DeliveryEvidence, _ attempts: [DeliveryAttempt],
    _ stops: [DeliveryStop],
    _ archives: [Delivered]?, settled: [SettledEvents], _ unarchived: [ArchiveFailure] = []
  ) throws(TrialError) -> PhaseReply {
    let schedule = try ReceiverFaultGrammar.schedule(spec)
    let history = journal.history(of: spec)
    let patience = (spec.delivery?.longestBackOff ?? .zero) * 2 + (spec.delivery?.timeout ?? .zero)
    let stopped = stops.map { stop in
      StoppedSender(life: stop.life, left: stop.left, couldSend: schedule.end + patience < stop.deadline)
    }
    var judgement = DeliveryOracle.judge(
      history, evidence.delivered, foreign: evidence.foreign, stops: stopped, archives: archives ?? [],
      settled: settled,
      rejected: schedule.rejected
    )
    .adding(.noUnjustifiedRejection(history))
    for failure in unarchived {
      judgement = judgement.adding(failure.check(couldSend: schedule.end + patience < failure.deadline))
    }
    var reply = PhaseReply(judgement: judgement)
    reply.receipts = schedule.receipts(attempts)
    reply.faultMissed = schedule.unfired(reply.receipts)
    if spec.delivery?.archives == true, archives == nil { reply.failure = "the archives were not read" }
    reply.notices = [
      "the sender made \(attempts.count) attempts; \(evidence.repeats) events came to the receiver again, which knew "
        + "them"
    ]
    return reply
  }

  /// The judgement over the files that the lives on a real file system have left.
  static func judge(_ spec: TrialSpec, _ folder: TrialFolder) throws(TrialError) -> PhaseReply {
    let journal = try Journal(path: folder.journal, capacity: 0)
    journal.stage = .judging
    guard let evidence = try JSONFile.read(DeliveryEvidence.self, from: folder.received) else {
      throw .evidenceMissing(.receivedEvents)
    }
    var attempts: [[Int]: DeliveryAttempt] = [:]
    for line in try folder.attempts.read() { attempts[[line.life, line.index]] = line.attempt }
    let settled = try SettledEvents.all(spec) { path in
      FileManager.default.contents(atPath: "\(folder.data)/\(path)").map { Array($0) }
    }
    var reply = try judge(
      spec, journal, evidence, attempts.inOrder, try folder.stops.read(),
      try JSONFile.read([Delivered].self, from: folder.archives),
      settled: settled, try folder.archiveFailures.read())
    reply.append = AppendFigures(journal.history(of: spec))
    return reply
  }
}

extension SettledEvents {
  /// What the logs of a trial's jobs say in the end of their events, read by the harness, record by record;
  /// AirunnerCodec.swift has their layout. A log that has been archived, or that an operator has removed, says nothing.
  /// - Parameter read: a file below the trial's data; nil where there is none.
  static func all(_ spec: TrialSpec, _ read: (String) throws(TrialError) -> [UInt8]?) throws(TrialError)
    -> [SettledEvents]
  {
    var found: [SettledEvents] = []
    for slot in 0..<spec.partitions * DeliveryIncarnation.executions(spec) {
      let job: JobID
      do throws(JobLogError) { job = try spec.deliveryJobs.job(slot) } catch {
        throw .operatorStep(.listJobs, reason: "\(error)")
      }
      guard let bytes = try read("wal/\(job).wal") else { continue }
      found.append(bytes.withUnsafeBytes { SettledEvents(PartitionSlot(slot), log: $0) })
    }
    return found
  }

  private init(_ slot: PartitionSlot, log bytes: UnsafeRawBufferPointer) {
    var (sent, failed): ([Int64], [Int64]) = ([], [])
    var at = 16
    while at + 32 <= bytes.count {
      let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
      guard length >= 32, at + length <= bytes.count else { break }
      let number = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 4, as: Int64.self))
      switch bytes[at + 12] {
      case 2: sent.append(number)
      case 3: failed.append(number)
      default: break
      }
      at += length
    }
    self.init(slot: slot, sent: sent, failed: failed)
  }
}

/// An attempt with its place, as a line of a file.
struct DeliveryAttemptLine: Codable {
  var life: Int
  var index: Int
  var attempt: DeliveryAttempt
}

extension [[Int]: DeliveryAttempt] {
  /// By life, and in each in the order in which they began.
  var inOrder: [DeliveryAttempt] { sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value) }
}
