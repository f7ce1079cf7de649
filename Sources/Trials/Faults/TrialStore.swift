import FaultInjection
import LogModel
import ObjectStore
import PartitionEngine
import ScenarioFormat
import Storage

/// The object store of one life, in a folder of the trial's storage, and what goes wrong between it and the engine.
///
/// It lies on the device itself: a power cut meets log and store at one moment, and faults of the log's device are not
/// the store's. Its own are armed in the first two lives, as those at the storage interface are.
final class TrialStore: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  /// Beside `topics` and `metadata`: nothing that is done to the logs touches it.
  static let folder = "store"

  /// What the engine is given.
  let store: any ObjectStore
  private let faulty: FaultyObjectStore?
  private let meter: StoreMeter?
  /// Of the faults that are armed, in the trial.
  private let numbers: [Int]

  /// Objects that have been stored in part, with the receipt.
  private final class Torn: @unchecked Sendable {
    // Owned by the loop of the trial's storage.
    var value: [String: StorageFaultRecord]

    init(_ value: [String: StorageFaultRecord]) { self.value = value }
  }

  /// - Parameters:
  ///   - earlier: receipts of earlier lives. What has fired in one fires no more.
  ///   - take: given a receipt when a fault fires, before the call that it hit goes on.
  ///   - slow: given each call that the machine took too long for.
  init(
    _ spec: TrialSpec, life: Int, on base: any Storage, _ journal: Journal, earlier: [StorageFaultRecord],
    take: @escaping @Sendable (StorageFaultRecord) -> Void, slow: @escaping @Sendable (SlowStoreCall) -> Void
  ) throws(TrialError) {
    let terms = spec.checkpointTerms
    let limit = terms.mostWaiting == nil ? terms.timeout : min(terms.timeout, terms.patience)
    let meter =
      base.loop.isSimulated
      ? nil
      : StoreMeter(DirectoryObjectStore(base, root: Self.folder), base.loop, life: life, limit: limit, keep: slow)
    self.meter = meter
    let directory: any ObjectStore = meter ?? DirectoryObjectStore(base, root: Self.folder)
    let fired = Set(earlier.map(\.fault))
    let torn = Torn(earlier.tornObjects)
    var planned: [PlannedObjectFault] = []
    var numbers: [Int] = []
    for (number, fault) in spec.faults.enumerated()
    where life < 2 && ObjectStoreFaultGrammar.isOfStore(fault) && !fired.contains(number) {
      planned.append(try ObjectStoreFaultGrammar.planned(fault, topic: spec.topic))
      numbers.append(number)
    }
    self.numbers = numbers
    guard !planned.isEmpty || !torn.value.isEmpty else {
      (store, faulty) = (directory, nil)
      return
    }
    // Only an engine whose appends wait for the store has a reason to refuse any because of it.
    let refusal: StorageFaultRecord.Refusal? = spec.checkpointTerms.mostWaiting == nil ? nil : .refused
    let (faults, known) = (spec.faults, numbers)
    let faulty = FaultyObjectStore(directory, plan: planned, loop: base.loop) { receipt in
      let number = known[receipt.planned]
      var record = StorageFaultRecord(
        fault: number, life: life, kind: faults[number].kind, row: journal.rowCount, instant: receipt.instant,
        isDetectable: true, isTold: true, refusal: refusal, partition: nil)
      record.description = receipt.isFirst ? "\(receipt)" : nil
      if case .partialUpload = receipt.fault {
        record.tornObject = receipt.path
        torn.value[receipt.path] = record
      }
      base.note(.fault("\(faults[number].kind): \(receipt)"))
      take(record)
    }
    // A retry may have more messages by then, and another name.
    faulty.onStored = { name in
      for (path, record) in torn.value {
        guard let lost = ObjectName(path: path), name.holds(lost) else { continue }
        torn.value[path] = nil
        var mended = record.echo(row: journal.rowCount, touched: [])
        (mended.tornObject, mended.mendedObject, mended.refusal) = (nil, path, nil)
        take(mended)
      }
    }
    (store, self.faulty) = (faulty, faulty)
  }

  /// Whether calls still wait for an answer that a fault keeps from them.
  var isHanging: Bool { faulty.map { $0.hanging > 0 } ?? false }

  /// Calls of this life that the machine took longer for than the engine waits.
  var slowCalls: Int { meter?.slowCalls ?? 0 }

  /// Adds what was asked of the store, and what its faults were counted for.
  func count(into census: inout IncarnationCensus) {
    guard let faulty else { return }
    for (operation, calls) in faulty.calls { census.storeCalls[operation.rawValue, default: 0] += calls }
    for (number, calls) in zip(numbers, faulty.matched) { census.matched[number] = MatchedPasses(passes: calls) }
  }

  /// The store is in order again.
  func lift() { faulty?.lift() }
}

extension CheckpointPolicy {
  /// Pauses after a failure are short: a trial has no minute to wait. Within the patience of an append the store is
  /// tried at least once: whoever is refused was refused by a store that is full now.
  init(_ terms: CheckpointTerms) {
    let pause = max(.milliseconds(1), min(.milliseconds(100), terms.patience / 2))
    self.init(
      interval: terms.every, bytes: Int64(terms.bytes), objectBytes: terms.objectBytes, timeout: terms.timeout,
      firstPause: min(.milliseconds(5), pause), longestPause: pause, mostWaiting: terms.mostWaiting.map(Int64.init),
      patience: terms.patience)
  }
}
