import FaultInjection
import Foundation
import Glibc
import LogModel
import ObjectStore
import ScenarioFormat
import Storage
import Verification

/// The faults at the seam in one life: which are still to fire, and the account of those that have.
///
/// Faults are armed in the first two lives, each until it has fired in one of them; the third has none, so that every trial
/// ends with a look at what is left when the trouble is over.
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
  /// Of the faults at the seam that are armed, in the trial.
  private let armed: [Int]
  /// Of this life, in order.
  private(set) var receipts: [StorageFaultRecord] = []
  /// Firings whose error the engine has not got yet.
  private var untold: [StorageFaultRecord] = []
  /// How often any of them has fired in this life.
  var firings: Int { receipts.count(where: \.isFiring) }
  /// The share of the workload, in percent, at which space is freed; nil when it has been, or never is.
  private var freedAt: Double?

  /// - Parameters:
  ///   - earlier: receipts of the lives before.
  ///   - keep: writes a receipt down, before the operation that the fault hit ends.
  ///   - slow: writes down a call to the object store that the machine took too long for.
  init(
    _ spec: TrialSpec, life: Int, on base: any Storage, _ journal: Journal, earlier: [StorageFaultRecord],
    keep: @escaping @Sendable (StorageFaultRecord) -> Void, slow: @escaping @Sendable (SlowStoreCall) -> Void = { _ in }
  ) throws(TrialError) {
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
        spec, life: life, on: base, journal, fired: fired,
        take: { receipt in
          box.owner?.receipts.append(receipt)
          keep(receipt)
        }, slow: slow)
    guard spec.hasSeamFaults else {
      delays = LatencyMeter(base, journal, sync: spec.syncPolicy(ofLife: life))
      (faulty, map, freedAt, armed) = (nil, nil, nil, [])
      box.owner = self
      return
    }
    var planned: [PlannedFault] = []
    var numbers: [Int] = []
    for (number, fault) in spec.faults.enumerated() where life < 2 && fault.isAtSeam && !fired.contains(number) {
      planned.append(try StorageFaultGrammar.planned(fault, seed: mix64(spec.seed &+ UInt64(number))))
      numbers.append(number)
    }
    armed = numbers
    let sectors = earlier.last { $0.unreadable != nil }?.unreadable ?? [:]
    let faulty = FaultyStorage(
      base, plan: FaultPlan(planned, seed: mix64(spec.seed &+ UInt64(life) &+ 77)), unreadable: sectors,
      onFired: { [numbers] receipt in
        guard let owner = box.owner, let map = owner.map else { return }
        // What follows from a fault of an earlier life is that one's.
        let fault = receipt.planned >= 0 ? numbers[receipt.planned] : earlier.first { $0.kind == receipt.kind.rawValue }?.fault ?? 0
        let isFirst = !owner.receipts.contains { $0.fault == fault }
        let missed = receipt.planned >= 0 && receipt.missesBatches(spec.faults[fault], map.places)
        for seam in StorageFaultRecord.all(receipt, fault, life, journal.rowCount, map, duringLook: owner.faulty?.phase == "look") {
          var seam = seam
          if !isFirst { seam.description = nil }
          seam.missed = missed
          owner.receipts.append(seam)
          if seam.refusal != nil, seam.isFiring { owner.untold.append(seam) }
          keep(seam)
          for place in seam.lost { map.lose(place, by: seam) }
          map.spoil(receipt.destroyed, by: seam)
        }
      })
    freedAt = spec.faults.compactMap { FaultWords($0).integer("freed-at") }.min().map(Double.init)
    let loop = base.loop
    let map = MessageLocator(
      faulty, spec,
      onLost: { [box] receipt, messages, places in
        guard let owner = box.owner, !messages.isEmpty else { return }
        let behind = receipt.echo(row: journal.rowCount, touched: messages, places: places)
        owner.receipts.append(behind)
        keep(behind)
      },
      onError: { [box] error in
        // The fault fired when the operation began to fail; what the engine was asked in between may be refused too. Each
        // firing has one such error: any other is not the fault's.
        let partition = MessagePlaces.owner(of: error.path)
        guard !error.isNotFound, let owner = box.owner,
          let index = owner.untold.firstIndex(where: { $0.partition == partition })
        else { return }
        var told = owner.untold.remove(at: index).echo(row: journal.rowCount, touched: [])
        told.instant = loop.now
        owner.receipts.append(told)
        keep(told)
      })
    (self.faulty, self.map, delays) = (faulty, map, LatencyMeter(map, journal, sync: spec.syncPolicy(ofLife: life)))
    faulty.batches = map
    if !planned.isEmpty { faulty.beginCensus() }
    box.owner = self
    faulty.onSectors = { [box] faulty, written in
      guard let owner = box.owner,
        let cause = (earlier + owner.receipts).last(where: { $0.kind == FaultKind.latentSectorError.rawValue })
      else { return }
      var sectors = cause.echo(
        row: journal.rowCount, touched: written.map { map.places.messages(in: [$0]) } ?? [],
        places: written.map { map.places.touchedPlaces(in: [$0], .bytes) } ?? [])
      sectors.life = life
      if written == nil { sectors.unreadable = faulty.unreadableSectors }
      owner.receipts.append(sectors)
      keep(sectors)
    }
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
  var census: LifeCensus {
    var census = LifeCensus()
    if let passes = faulty?.census { census.passes = passes }
    for (number, matched) in zip(armed, faulty?.matched ?? []) { census.matched[number] = matched }
    objects?.count(into: &census)
    return census
  }

  /// The machine is dead: what stands still for ever ends.
  func cut() { faulty?.cut() }
}

extension TrialSpec {
  var hasSeamFaults: Bool { self.delivery == nil && self.faults.contains(where: \.isAtSeam) }
  /// At the seam, or between engine and object store: they leave receipts when they fire.
  var hasFaultsInLife: Bool {
    self.delivery == nil && self.faults.contains { !StorageFaultGrammar.isResting($0) }
  }

  /// Why there is no verdict: faults of a running engine of which there is no receipt.
  /// - Parameter census: of the lives in which faults are armed; nil where a life ended before it could be written down.
  func unfired(_ receipts: [StorageFaultRecord], _ census: LifeCensus? = nil) -> [String] {
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
  var isAtSeam: Bool { !StorageFaultGrammar.isResting(self) && !ObjectStoreFaultGrammar.isOfStore(self) }
}
