import FaultInjection
import Foundation
import Glibc
import LogModel
import ObjectStore
import ScenarioFormat
import Storage
import Verification

/// The faults at the storage interface in one life: which are still to fire, and the account of those that have.
///
/// Faults are armed in the first two lives, each until it has fired in one of them; the third has none, so that every
/// trial ends with a readback of what is left when the trouble is over.
final class StorageFaultSetup: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  /// What the engine is given.
  var storage: any Storage { delays }
  /// Above them.
  let delays: LatencyMeter
  /// Nil where the engine has none.
  var store: (any ObjectStore)? { objects?.store }
  private var objects: TrialStore?
  private let faulty: FaultyStorage?
  private let map: MessageLocator?
  /// Of the faults at the storage interface that are armed, in the trial.
  private let armed: [Int]
  /// Of this life, in order.
  private(set) var receipts: [StorageFaultRecord] = []
  /// Firings whose error the engine has not got yet.
  private var untold: [StorageFaultRecord] = []
  /// How often any of them has fired in this life.
  var firings: Int { receipts.count(where: \.isFiring) }
  /// The share of the workload, in percent, at which space is freed; nil when it has been, or never is.
  private var freedAt: Double?

  /// What receipts are made from.
  private struct Surroundings {
    var spec: TrialSpec
    var life: Int
    var journal: Journal
    var earlier: [StorageFaultRecord]
    var keep: @Sendable (StorageFaultRecord) -> Void
  }

  private let surroundings: Surroundings

  /// - Parameters:
  ///   - earlier: receipts of the lives before.
  ///   - keep: writes a receipt down, before the operation that the fault hit ends.
  ///   - slow: writes down a call to the object store that the machine took too long for.
  init(
    _ spec: TrialSpec, life: Int, on base: any Storage, _ journal: Journal, earlier: [StorageFaultRecord],
    keep: @escaping @Sendable (StorageFaultRecord) -> Void, slow: @escaping @Sendable (SlowStoreCall) -> Void = { _ in }
  ) throws(TrialError) {
    surroundings = Surroundings(spec: spec, life: life, journal: journal, earlier: earlier, keep: keep)
    let fired = Set(earlier.map(\.fault))
    final class Box: @unchecked Sendable {
      // Set once, before anything passes.
      weak var owner: StorageFaultSetup?
    }
    let box = Box()
    objects =
      spec.checkpoint == .none
      ? nil
      : try TrialStore(
        spec, life: life, on: base, journal, earlier: earlier,
        take: { receipt in
          box.owner?.receipts.append(receipt)
          keep(receipt)
        }, slow: slow)
    guard spec.hasStorageFaults else {
      delays = LatencyMeter(base, journal, sync: spec.syncPolicy(ofLife: life))
      (faulty, map, freedAt, armed) = (nil, nil, nil, [])
      box.owner = self
      return
    }
    let (planned, numbers) = try Self.plan(spec, life: life, fired: fired)
    armed = numbers
    let sectors = earlier.last { $0.unreadable != nil }?.unreadable ?? [:]
    let faulty = FaultyStorage(
      base, plan: FaultPlan(planned, seed: mix64(spec.seed &+ UInt64(life) &+ 77)), unreadable: sectors,
      onFired: { box.owner?.note(fired: $0) })
    freedAt = spec.faults.compactMap { FaultWords($0).integer("freed-at") }.min().map(Double.init)
    let loop = base.loop
    let map = MessageLocator(
      faulty, spec,
      onLost: { [box] receipt, messages, places in box.owner?.note(lost: messages, places, by: receipt) },
      onError: { [box] error in box.owner?.note(told: error, at: loop.now) })
    (self.faulty, self.map, delays) = (faulty, map, LatencyMeter(map, journal, sync: spec.syncPolicy(ofLife: life)))
    faulty.batches = map
    if !planned.isEmpty { faulty.beginCensus() }
    box.owner = self
    faulty.onSectors = { [box] faulty, written in box.owner?.note(sectors: faulty, written: written) }
  }

  /// What a fault did, as it fires.
  private func note(fired receipt: StorageFaultReceipt) {
    guard let map else { return }
    // What follows from a fault of an earlier life is that one's.
    let fault =
      receipt.planned >= 0
      ? armed[receipt.planned] : surroundings.earlier.first { $0.kind == receipt.kind.rawValue }?.fault ?? 0
    let isFirst = !receipts.contains { $0.fault == fault }
    let missed = receipt.planned >= 0 && receipt.missesBatches(surroundings.spec.faults[fault], map.places)
    for record in StorageFaultRecord.all(
      receipt, fault, surroundings.life, surroundings.journal.rowCount, map, duringReadback: faulty?.phase == "verify")
    {
      var record = record
      if !isFirst { record.description = nil }
      record.missed = missed
      receipts.append(record)
      if record.refusal != nil, record.isFiring { untold.append(record) }
      surroundings.keep(record)
      for place in record.lost { map.lose(place, by: record) }
      map.spoil(receipt.destroyed, by: record)
    }
  }

  /// What is written later to a file that a fault has made void.
  private func note(lost messages: [TouchedMessage], _ places: [TouchedPlace], by receipt: StorageFaultRecord) {
    guard !messages.isEmpty else { return }
    let behind = receipt.echo(row: surroundings.journal.rowCount, touched: messages, places: places)
    receipts.append(behind)
    surroundings.keep(behind)
  }

  /// The fault fired when the operation began to fail; what the engine was asked in between may be refused too. Each
  /// firing has one such error: any other is not the fault's.
  private func note(told error: StorageError, at instant: Instant) {
    let partition = MessagePlaces.owner(of: error.path)
    guard !error.isNotFound, let index = untold.firstIndex(where: { $0.partition == partition }) else { return }
    var told = untold.remove(at: index).echo(row: surroundings.journal.rowCount, touched: [])
    told.instant = instant
    receipts.append(told)
    surroundings.keep(told)
  }

  /// - Parameter written: where sectors can be read again; nil where more of them cannot.
  private func note(sectors faulty: FaultyStorage, written: FileRange?) {
    let all = surroundings.earlier + receipts
    guard let map, let cause = all.last(where: { $0.kind == FaultKind.latentSectorError.rawValue }) else { return }
    var sectors = cause.echo(
      row: surroundings.journal.rowCount, touched: written.map { map.places.messages(in: [$0]) } ?? [],
      places: written.map { map.places.touchedPlaces(in: [$0], .bytes) } ?? [])
    sectors.life = surroundings.life
    if written == nil { sectors.unreadable = faulty.unreadableSectors }
    receipts.append(sectors)
    surroundings.keep(sectors)
  }

  /// The faults at the storage interface that may still fire in this life, with their numbers in the trial.
  private static func plan(
    _ spec: TrialSpec, life: Int, fired: Set<Int>
  ) throws(TrialError) -> (faults: [PlannedFault], numbers: [Int]) {
    var planned: [PlannedFault] = []
    var numbers: [Int] = []
    for (number, fault) in spec.faults.enumerated() where life < 2 && fault.isStorageFault && !fired.contains(number) {
      planned.append(try StorageFaultGrammar.planned(fault, seed: mix64(spec.seed &+ UInt64(number))))
      numbers.append(number)
    }
    return (planned, numbers)
  }

  /// Notes what earlier lives have left in the files: a fault may destroy that too.
  func note(_ path: String, _ bytes: UnsafeRawBufferPointer) { map?.note(path, bytes, at: 0) }

  /// How much of the workload has been answered, for triggers by share and for space that is freed at one.
  func progress(_ percent: Double) {
    faulty?.progress = percent
    guard let freedAt, percent >= freedAt else { return }
    self.freedAt = nil
    faulty?.freeSpace()
    faulty?.note(.fault("space has been freed"))
  }

  /// Whether a fault has kept the engine from what it was asked to do when `firings` was as given.
  func stoodInTheWay(since firings: Int) -> Bool { self.firings > firings || objects?.isHanging ?? false }

  /// Calls to the object store that the machine took longer for than the engine waits, in this life.
  var slowStoreCalls: Int { objects?.slowCalls ?? 0 }

  /// What has gone wrong is put right: space is made, the device replaced, the file system mounted anew.
  func lift() {
    faulty?.lift()
    objects?.lift()
  }

  /// What has passed, and what the faults that are armed were counted for.
  var census: IncarnationCensus {
    var census = IncarnationCensus()
    if let passes = faulty?.census { census.passes = passes }
    for (number, matched) in zip(armed, faulty?.matched ?? []) { census.matched[number] = matched }
    objects?.count(into: &census)
    return census
  }

  /// The machine is dead: what stands still for ever ends.
  func cut() { faulty?.cut() }
}

extension TrialSpec {
  var hasStorageFaults: Bool { self.delivery == nil && self.faults.contains(where: \.isStorageFault) }
  /// At the storage interface, or between engine and object store: they leave receipts when they fire.
  var hasFaultsInLife: Bool {
    self.delivery == nil && self.faults.contains { !StorageFaultGrammar.isResting($0) }
  }

  /// Why there is no verdict: faults of a running engine of which there is no receipt.
  /// - Parameter census: of the lives in which faults are armed; nil where a life ended before it could be written
  ///   down.
  func unfired(_ receipts: [StorageFaultRecord], _ census: IncarnationCensus? = nil) -> [String] {
    guard hasFaultsInLife else { return [] }
    let faults = self.faults
    let fired = Set(receipts.filter { !$0.missed }.map(\.fault))
    return faults.indices.filter { !StorageFaultGrammar.isResting(faults[$0]) && !fired.contains($0) }
      .map { number -> String in
        let kind = faults[number].kind
        if receipts.contains(where: { $0.fault == number }) {
          return "the fault \(kind) is aimed at batches and touched no message"
        }
        return "the fault \(kind) never fired" + (NeverFired(self, number, census)?.reason.map { ": \($0)" } ?? "")
      }
  }
}

extension FaultSpec {
  /// Whether it is an edit of what passes between the engine and its files.
  var isStorageFault: Bool { !StorageFaultGrammar.isResting(self) && !ObjectStoreFaultGrammar.isOfStore(self) }
}
