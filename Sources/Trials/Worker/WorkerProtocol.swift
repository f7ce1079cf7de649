import LogModel
import Reporting
import Storage
import SystemUnderTest
import Verification

// What the runner and a worker process say to each other: a request and a reply, each a line of JSON
// (`WorkerProcess`). A worker that is killed as planned replies nothing: what it leaves is in `TrialFolder`.

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
