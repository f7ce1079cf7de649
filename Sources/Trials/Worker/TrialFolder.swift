import LogModel
import Metrics
import Reporting

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
