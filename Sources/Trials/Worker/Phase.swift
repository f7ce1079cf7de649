import LogModel
import Metrics
import Reporting
import Storage
import SystemUnderTest
import Verification

/// A part of a trial that one process runs.
public enum Phase: Hashable, Sendable, Codable {
  /// The whole trial in the model: every life of the machine, and the judgement.
  case model
  /// The first life: produce, look, crash.
  case produce
  /// The second writer of the first life, while the first is at work.
  case secondWriter
  /// Life `restart` (1, 2): recover, look; after the first restart append and crash again.
  case recover(restart: Int)
  /// The oracle, over the journal and the readbacks.
  case judge
}

extension Phase: CustomStringConvertible {
  public var description: String {
    switch self {
    case .model: "model"
    case .produce: "produce"
    case .secondWriter: "second writer"
    case .recover(let restart): "restart \(restart)"
    case .judge: "judge"
    }
  }
}

struct PhaseRequest: Codable {
  var phase: Phase
  var spec: TrialSpec
  /// The trial's folder: `data` for the engine, the journal and the readbacks beside it.
  var folder: String
}

struct PhaseReply: Codable {
  /// How the engine came to hang, where it did.
  var hang: String?
  /// The life's time ran out; whether the engine hung follows from its last progress.
  var isTimedOut = false
  var refusal: Refusal?
  /// It did not open, as it may where both copies of its metadata were damaged, and did once one had been put back;
  /// where no file keeps it.
  var excusedRefusal: Refusal?
  var recovery: RecoverySummary?
  var recoverySeconds: Double?
  /// Of the first restart, where it is no engine's that has a report of its own.
  var recoveryFigures: RecoveryFigures?
  /// In the first restart; see `RecoveryFigures`.
  var recoveryMemory: Int?
  var receipts: [Receipt] = []
  /// Of faults at the storage interface, where no file keeps them.
  var storageFaults: [StorageFaultRecord] = []
  /// Of the lives in which faults at the storage interface are armed, where no file keeps it.
  var census: IncarnationCensus?
  var notices: [String] = []
  /// What became of the second writer, where no file keeps it.
  var writer: WriterReceipt?
  var judgement: Judgement?
  /// Why there is no verdict unless a check is violated.
  var doubts: [String] = []
  /// What appending cost, on the machine's clock.
  var append: AppendFigures?
  /// What engines have counted, where no file keeps it.
  var engineCounts: [EngineCount] = []
  /// As in `TrialResult`.
  var observed: [String: Double] = [:]
  /// See `History.slowestFirstAppendAfterRestart`.
  var firstAppend: Double?
  /// The harness itself failed: the trial is unknown.
  var failure: String?
  /// The machine failed, not the engine and not the harness: a full disk, a missing permission.
  var machineFailure: String?
  /// The crash that this life was to end in did not come.
  var crashMissed = false
  /// A fault at rest found nothing to hit: why.
  var faultMissed: String?
  /// A limit of the machine was reached: descriptors, memory, bytes of a file, a quota. Whatever the checks say, there
  /// is no verdict.
  var shortage: String?
  var storageName: String?
  /// What the user should know of the storage, about its choice: of the run more than of the trial.
  var storageNotices: [String] = []
}

extension PhaseReply {
  /// The words of a shortage.
  static func shortage(_ what: String) -> String { "a limit of the machine decided this trial: \(what)" }

  /// Whose failure it is decides what becomes of it: a limit of the machine's leaves this trial without a verdict, any
  /// other failure of the machine's ends the run, and the harness's own is a doubt.
  mutating func fail(_ error: TrialError) {
    if error.isShortage {
      shortage = shortage ?? Self.shortage("\(error)")
    } else if error.isEnvironment {
      machineFailure = "\(error)"
    } else {
      failure = "\(error)"
    }
  }

  /// What the storage interface has met; see `InFlightMonitor`.
  mutating func note(_ monitor: InFlightMonitor) {
    if let failure = monitor.machineFailure { machineFailure = "\(failure)" }
    if let met = monitor.shortage { shortage = shortage ?? Self.shortage(Shortage.text(met)) }
  }

  /// Whether the phase came to no end of its own, for a reason that is not the engine's.
  var isHindered: Bool { failure != nil || machineFailure != nil || shortage != nil }
}

/// The engine did not open.
struct Refusal: Codable, Hashable {
  /// 0: not even on an empty directory.
  var restart: Int
  var reason: String
}

/// What a fault did, as a worker writes it down before it goes.
struct Receipt: Codable, Hashable {
  var kind: String
  var fired: Int
  var places: [String]
  /// Messages of which bytes were touched at rest.
  var touched: [TouchedMessage] = []
  /// Where these are.
  var touchedPlaces: [TouchedPlace] = []
  /// Folders of the metadata's copies that were damaged at rest.
  var metadata: [String] = []
  /// Where both copies were damaged by one fault.
  var testimony = MetadataDamage.DurabilityEvidence.records
  /// The journal's length when it happened.
  var row: Int = 0
  /// Of what bits were flipped in: the checksums that the recovery report should name.
  var checksums: [ChecksumAtRest] = []
}

/// The files of a trial beside the engine's.
struct TrialFolder {
  /// In notices that hold for every trial of a run, in the place of the one trial's folder.
  static let anywhere = "the trials' directory"

  let path: String
  var data: String { path + "/data" }
  var journal: String { path + "/journal" }
  /// Of a second writer in a process of its own.
  var secondJournal: String { path + "/second-journal" }
  /// What became of the second writer.
  var writer: String { path + "/second-writer.json" }
  func readback(_ restart: Int) -> String { "\(path)/readback-\(restart).json" }
  func receipt(_ life: Int) -> String { "\(path)/crash-\(life).json" }
  /// What the first recovery cost, written before anything can kill the process.
  var recovery: String { "\(path)/recovery.json" }
  var faults: String { path + "/faults.json" }
  /// An `excusedRefusal`, written before anything can kill the process.
  var refusal: String { path + "/refusal.json" }
  /// Of faults at the storage interface.
  var storageFaults: LineFile<StorageFaultRecord> { LineFile(path: path + "/storage-faults.jsonl") }

  /// Of its object store.
  var flushFailures: LineFile<FlushFailure> { LineFile(path: path + "/flush-failures.jsonl") }
  var slowStoreCalls: LineFile<SlowStoreCall> { LineFile(path: path + "/slow-store-calls.jsonl") }
  /// What passed in a life in which faults at the storage interface are armed, written before anything can kill the
  /// process.
  func census(_ life: Int) -> String { "\(path)/census-\(life).json" }

  /// What the engine of a life has counted, written before anything can kill the process.
  func counts(_ life: Int) -> String { "\(path)/counts-\(life).json" }

  // Of a trial of delivery: where the receiver is, what it has in the end, what the sender tried, how it was stopped.
  var receiver: String { path + "/receiver.json" }
  var received: String { path + "/received.json" }
  var attempts: LineFile<DeliveryAttemptLine> { LineFile(path: path + "/attempts.jsonl") }
  /// The jobs whose logs have been archived, and what their archives hold in the end.
  var archived: String { path + "/archived.json" }
  var archives: String { path + "/archives.json" }
  var stops: LineFile<DeliveryStop> { LineFile(path: path + "/stops.jsonl") }
  var archiveFailures: LineFile<ArchiveFailure> { LineFile(path: path + "/archive-failures.jsonl") }

  /// The metrics of a life, in OpenMetrics text.
  func write(_ metrics: MetricRegistry, life: Int) throws(TrialError) {
    let file = "\(path)/metrics-\(life).openmetrics"
    do throws(ReportError) { try AtomicFileSink(path: file).write(OpenMetricsText.render(metrics.snapshot)) } catch {
      if case .cannotWrite(let path, let code) = error { throw .system("write", path, code) }
      throw .machine("\(error)")
    }
  }
}
