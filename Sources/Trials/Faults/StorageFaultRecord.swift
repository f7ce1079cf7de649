import FaultInjection
import Glibc
import LogModel
import ObjectStore
import ScenarioFormat
import Storage
import Verification

/// What a fault at the storage interface did by one firing, as a worker writes it down.
struct StorageFaultRecord: Codable, Hashable {
  /// When what it took is gone.
  enum Strike: String, Codable {
    case atOnce
    /// With the power loss that ends the same life, if one does.
    case ownPowerLoss
    /// With the first power loss after it.
    case nextPowerLoss
  }

  enum Refusal: String, Codable {
    case refused
    /// Nothing has happened: EINTR, EAGAIN.
    case interrupted
  }

  /// Its place among the trial's faults.
  var fault: Int
  var life: Int
  var kind: String
  /// The journal's length when it fired.
  var row: Int
  var instant: Instant
  var isDetectable: Bool
  /// The engine was told then and there.
  var isTold: Bool
  /// Nil where the engine got what it had asked for, or believes so.
  var refusal: Refusal?
  /// The engine was told that a sync had failed.
  var isRefusedSync = false
  /// Whose files the operation was on; nil for nobody's.
  var partition: TopicPartition?
  var strike = Strike.atOnce
  var touched: [TouchedMessage] = []
  /// Where these are.
  var touchedPlaces: [TouchedPlace] = []
  /// Files, and folders, that it made void: what is written to them later is lost too.
  var lost: [String] = []
  /// The path of the object that it has stored in part.
  var tornObject: String?
  /// That of one that it had stored in part, and whose messages are in a whole object by now.
  var mendedObject: String?
  /// Folders of the metadata's copies that it destroyed a part of.
  var metadata: [String] = []
  /// All sectors of 512 bytes that cannot be read from here on, by path; nil where that has not changed.
  var unreadable: [String: [Int64]]?
  /// It destroyed what was being looked at: what the readback should have found is not known.
  var isDuringReadback = false
  /// It showed wrong what was being looked at, and destroyed nothing: whoever reads once more finds it.
  var isMisreadDuringReadback = false
  /// It was aimed at batches and destroyed what belongs to none: nothing has been put to the test by that.
  var missed = false
  /// Of the first firing of the fault in a life.
  var description: String?
  /// False for what follows from a firing.
  var isFiring = true

  /// What follows from it later.
  func echo(row: Int, touched: [TouchedMessage], places: [TouchedPlace] = []) -> StorageFaultRecord {
    var echo = self
    echo.touchedPlaces = places
    (echo.row, echo.touched, echo.lost, echo.metadata, echo.unreadable) = (row, touched, [], [], nil)
    (echo.description, echo.isFiring, echo.isDuringReadback, echo.isMisreadDuringReadback) = (nil, false, false, false)
    return echo
  }
}

extension StorageFaultRecord {
  /// One receipt for each kind of harm that was done; at least one.
  static func all(
    _ receipt: StorageFaultReceipt, _ fault: Int, _ life: Int, _ row: Int, _ map: MessageLocator, duringReadback: Bool
  ) -> [StorageFaultRecord] {
    let isSync = receipt.kind == .syncFailure
    var first = StorageFaultRecord(
      fault: fault, life: life, kind: receipt.kind.rawValue, row: row, instant: receipt.instant,
      isDetectable: receipt.isDetectable, isTold: receipt.isTold, refusal: receipt.refusal,
      partition: MessagePlaces.owner(of: receipt.path))
    first.description = receipt.description
    first.isRefusedSync =
      first.refusal == .refused && (receipt.operation == .sync || receipt.operation == .syncDirectory)
    first.touched = map.destroy(receipt.destroyed)
    first.touchedPlaces = map.places.touchedPlaces(in: receipt.destroyed, receipt.kind.precision)
    if !receipt.isTold { first.metadata = metadataCopies(receipt.destroyed.map(\.path) + receipt.entries) }
    first.isDuringReadback = duringReadback && !isSync && !receipt.destroyed.isEmpty
    first.isMisreadDuringReadback = duringReadback && !receipt.misread.isEmpty
    // A failed sync leaves the pages as they are, for as long as the machine runs.
    if isSync { first.strike = .nextPowerLoss }
    first.lost = receipt.destroyed.filter {
      $0.range.lowerBound < map.places.layout.headBytes && MessagePlaces.isLog($0.path)
        && map.places.isHeadLost($0.path)
    }.map(\.path)
    var all = [first]
    if !receipt.entries.isEmpty {
      var names = first
      (names.strike, names.description, names.isFiring, names.isMisreadDuringReadback) = (
        .nextPowerLoss, nil, false, false
      )
      names.touched = receipt.entries.flatMap { map.places.messages(at: $0) }
      names.touchedPlaces = receipt.entries.flatMap { map.places.touchedPlaces(at: $0) }
      names.lost = receipt.entries
      all.append(names)
    }
    let atRisk = map.places.messages(in: receipt.atRisk)
    if !atRisk.isEmpty {
      var risk = first
      (risk.strike, risk.lost, risk.metadata, risk.description) = (.ownPowerLoss, [], [], nil)
      risk.touchedPlaces = map.places.touchedPlaces(in: receipt.atRisk, .start)
      (risk.touched, risk.isDetectable, risk.isFiring, risk.isMisreadDuringReadback) = (atRisk, true, false, false)
      all.append(risk)
    }
    return all
  }

  private static func metadataCopies(_ paths: [String]) -> [String] {
    Set(
      paths.compactMap { path in
        FaultTarget.metadataCopies.first { path == $0 || path.hasPrefix($0 + "/") }
      }
    ).sorted()
  }
}

extension FaultKind {
  /// Bits that turned over, and sectors that cannot be read, stand where they are. What did not arrive may be missing,
  /// or older.
  fileprivate var precision: TouchedPlace.Precision {
    switch self {
    case .bitFlip, .latentSectorError: .bytes
    default: .start
    }
  }
}

extension StorageFaultReceipt {
  /// Whether it was to destroy batches, and the bytes that it destroyed are of no message.
  func missesBatches(_ fault: FaultSpec, _ places: MessagePlaces) -> Bool {
    StorageFaultGrammar.aimsAtBatches(fault) && !destroyed.isEmpty && places.messages(in: destroyed).isEmpty
  }

  fileprivate var refusal: StorageFaultRecord.Refusal? {
    switch answer {
    case .error(EINTR), .error(EAGAIN): .interrupted
    case .error: .refused
    case .asUsual, .falseSuccess, .short, .none: nil
    }
  }
}

extension [StorageFaultRecord] {
  /// A fault that makes a readback unfair: what that should have found is not known. An engine is expected to read once
  /// more what it has read wrong, and no more often.
  var unfairToAReadback: StorageFaultRecord? {
    first { receipt in
      receipt.isDuringReadback
        || receipt.isMisreadDuringReadback && count { $0.isMisreadDuringReadback && $0.life == receipt.life } > 1
    }
  }

  /// - Parameters:
  ///   - crashRows: of the journal, by life.
  ///   - sync: the policy of a life. But under `never` an engine that has been told of a failed sync, and says at its
  ///     close
  ///     that all is well, has promised that it is: the failure excuses nothing.
  func damages(
    in history: History, crashRows: [Int], _ sync: (_ life: Int) -> SyncPolicy
  ) -> [(row: Int, damage: Damage)] {
    flatMap { receipt -> [(row: Int, damage: Damage)] in
      guard let row = receipt.rowOfStrike(history, crashRows) else { return [] }
      let isPromised = sync(receipt.life) != .never && history.wasClosed(receipt.life)
      if receipt.strike != .atOnce, receipt.isTold, isPromised { return [] }
      return receipt.touched.damage(
        kind: receipt.kind, receipt.description ?? receipt.kind, isDetectable: receipt.isDetectable,
        isInLife: receipt.strike == .atOnce, toldAt: receipt.isTold ? receipt.instant : nil,
        isFailedSync: receipt.isTold && receipt.strike != .atOnce, places: receipt.touchedPlaces, in: history
      ).map { (row, $0) }
    }
  }

  /// Objects that are incomplete, by their paths, each with the receipt of that.
  var tornObjects: [String: StorageFaultRecord] {
    reduce(into: [:]) { torn, record in
      if let path = record.tornObject { torn[path] = record }
      if let path = record.mendedObject { torn[path] = nil }
    }
  }

  /// Tells the history of them.
  func noteTornObjects(in history: inout History) {
    for case let name? in tornObjects.keys.sorted().map(ObjectName.init(path:)) {
      guard let slot = history.creations.firstIndex(where: { $0.partition == name.source }) else { continue }
      history.torn(PartitionSlot(slot), OffsetRange(from: name.base, to: name.end))
    }
  }

  /// When they stood in the engine's way.
  func refusals(_ spec: TrialSpec) -> JustifiedRejections {
    var refusals = JustifiedRejections()
    // So many bytes may wait for the store, and then it is the store that refuses, whenever it was asked last.
    let hasBackPressure = spec.checkpoint != .none && spec.checkpointTerms.mostWaiting != nil
    for receipt in self {
      guard let refusal = receipt.refusal else { continue }
      if hasBackPressure, spec.faults.indices.contains(receipt.fault),
        ObjectStoreFaultGrammar.isStanding(spec.faults[receipt.fault])
      {
        refusals.note(from: receipt.life, at: receipt.instant, partition: receipt.partition)
      }
      // A log of single records takes nothing more in the life in which a sync of its file has failed (`RecordLog`).
      if spec.system != .tornlog, receipt.isRefusedSync, let partition = receipt.partition {
        refusals.note(from: receipt.life, at: receipt.instant, partition: partition)
      }
      refusals.note(
        incarnation: receipt.life, at: receipt.instant, partition: receipt.partition,
        isInterruption: refusal == .interrupted)
    }
    return refusals
  }

  /// One line of a report for each fault that has fired.
  var summaries: [Receipt] {
    Dictionary(grouping: self, by: \.fault).sorted { $0.key < $1.key }.map { _, fired in
      Receipt(kind: fired[0].kind, fired: fired.count(where: \.isFiring), places: fired.compactMap(\.description))
    }
  }
}

extension StorageFaultRecord {
  /// The row of the journal before which what it took is gone; nil where it never goes.
  fileprivate func rowOfStrike(_ history: History, _ crashRows: [Int]) -> Int? {
    if strike == .atOnce { return row }
    let lives = strike == .ownPowerLoss ? life..<life + 1 : life..<Swift.max(life, crashRows.count)
    for crash in lives where crash < crashRows.count && history.crashes[crash].kind == .powerLoss {
      return crashRows[crash] + 1
    }
    return nil
  }
}
