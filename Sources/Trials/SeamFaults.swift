import FaultInjection
import Foundation
import Glibc
import LogModel
import Storage
import Verification

/// The faults at the seam in one life: which are still to fire, and the account of those that have.
///
/// Faults are armed in the first two lives, each until it has fired in one of them; the third has none, so that every trial
/// ends with a look at what is left when the trouble is over.
final class SeamFaults: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  /// What the engine is given.
  var storage: any Storage { delays }
  /// Above them.
  let delays: DelayMeter
  private let faulty: FaultyStorage?
  private let map: MessageMap?
  /// Of this life, in order.
  private(set) var receipts: [SeamReceipt] = []
  /// Firings whose error the engine has not got yet.
  private var untold: [SeamReceipt] = []
  /// How often any of them has fired in this life.
  var firings: Int { receipts.count(where: \.isFiring) }
  /// The share of the workload, in percent, at which space is freed; nil when it has been, or never is.
  private var freedAt: Double?

  /// - Parameters:
  ///   - earlier: receipts of the lives before.
  ///   - keep: writes a receipt down, before the operation that the fault hit ends.
  init(
    _ spec: TrialSpec, life: Int, on base: any Storage, _ journal: Journal, earlier: [SeamReceipt],
    keep: @escaping @Sendable (SeamReceipt) -> Void
  ) throws(TrialError) {
    guard spec.hasSeamFaults else {
      (delays, faulty, map, freedAt) = (DelayMeter(base, journal), nil, nil, nil)
      return
    }
    let fired = Set(earlier.map(\.fault))
    var planned: [PlannedFault] = []
    var numbers: [Int] = []
    for (number, fault) in spec.faults.enumerated() where life < 2 && !FaultWords.isResting(fault) && !fired.contains(number) {
      planned.append(try FaultWords.planned(fault, seed: mix64(spec.seed &+ UInt64(number))))
      numbers.append(number)
    }
    final class Box: @unchecked Sendable {
      // Set once, before anything passes.
      weak var owner: SeamFaults?
    }
    let box = Box()
    let sectors = earlier.last { $0.unreadable != nil }?.unreadable ?? [:]
    let faulty = FaultyStorage(
      base, plan: FaultPlan(planned, seed: mix64(spec.seed &+ UInt64(life) &+ 77)), unreadable: sectors,
      onFired: { [numbers] receipt in
        guard let owner = box.owner, let map = owner.map else { return }
        // What follows from a fault of an earlier life is that one's.
        let fault = receipt.planned >= 0 ? numbers[receipt.planned] : earlier.first { $0.kind == receipt.kind.rawValue }?.fault ?? 0
        let isFirst = !owner.receipts.contains { $0.fault == fault }
        let missed = receipt.planned >= 0 && receipt.missesBatches(spec.faults[fault], map.places)
        for seam in SeamReceipt.all(receipt, fault, life, journal.rowCount, map, duringLook: owner.faulty?.phase == "look") {
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
    freedAt = spec.faults.compactMap { FaultWords.Words($0).integer("freed-at") }.min().map(Double.init)
    let loop = base.loop
    let map = MessageMap(
      faulty, spec,
      onLost: { [box] receipt, messages in
        guard let owner = box.owner, !messages.isEmpty else { return }
        let behind = receipt.echo(row: journal.rowCount, touched: messages)
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
    (self.faulty, self.map, delays) = (faulty, map, DelayMeter(map, journal))
    faulty.batches = map
    box.owner = self
    faulty.onSectors = { [box] faulty, written in
      guard let owner = box.owner,
        let cause = (earlier + owner.receipts).last(where: { $0.kind == FaultKind.latentSectorError.rawValue })
      else { return }
      var sectors = cause.echo(row: journal.rowCount, touched: written.map { map.places.messages(in: [$0]) } ?? [])
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

  /// What has gone wrong is put right: space is made, the device replaced, the file system mounted anew.
  func lift() { faulty?.lift() }

}

/// What a fault at the seam did by one firing, as a worker writes it down.
struct SeamReceipt: Codable, Hashable {
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
  /// Whose files the operation was on; nil for nobody's.
  var partition: PartitionID?
  var strike = Strike.atOnce
  var touched: [TouchedMessage] = []
  /// Files, and folders, that it made void: what is written to them later is lost too.
  var lost: [String] = []
  /// Folders of the metadata's copies that it destroyed a part of.
  var metadata: [String] = []
  /// All sectors of 512 bytes that cannot be read from here on, by path; nil where that has not changed.
  var unreadable: [String: [Int64]]?
  /// It destroyed what was being looked at: what the look should have found is not known.
  var isDuringLook = false
  /// It showed wrong what was being looked at, and destroyed nothing: whoever reads once more finds it.
  var isMisreadDuringLook = false
  /// It was aimed at batches and destroyed what belongs to none: nothing has been put to the test by that.
  var missed = false
  /// Of the first firing of the fault in a life.
  var description: String?
  /// False for what follows from a firing.
  var isFiring = true

  /// What follows from it later.
  func echo(row: Int, touched: [TouchedMessage]) -> SeamReceipt {
    var echo = self
    (echo.row, echo.touched, echo.lost, echo.metadata, echo.unreadable) = (row, touched, [], [], nil)
    (echo.description, echo.isFiring, echo.isDuringLook, echo.isMisreadDuringLook) = (nil, false, false, false)
    return echo
  }
}

extension SeamReceipt {
  /// One receipt for each kind of harm that was done; at least one.
  static func all(
    _ receipt: StorageFaultReceipt, _ fault: Int, _ life: Int, _ row: Int, _ map: MessageMap, duringLook: Bool
  ) -> [SeamReceipt] {
    let isSync = receipt.kind == .syncFailure
    var first = SeamReceipt(
      fault: fault, life: life, kind: receipt.kind.rawValue, row: row, instant: receipt.instant,
      isDetectable: receipt.isDetectable, isTold: receipt.isTold, refusal: receipt.refusal,
      partition: MessagePlaces.owner(of: receipt.path))
    first.description = receipt.description
    first.touched = map.destroy(receipt.destroyed)
    if !receipt.isTold { first.metadata = metadataCopies(receipt.destroyed.map(\.path) + receipt.entries) }
    first.isDuringLook = duringLook && !isSync && !receipt.destroyed.isEmpty
    first.isMisreadDuringLook = duringLook && !receipt.misread.isEmpty
    // A failed sync leaves the pages as they are, for as long as the machine runs.
    if isSync { first.strike = .nextPowerLoss }
    first.lost = receipt.destroyed.filter {
      $0.range.lowerBound < MessagePlaces.headBytes && $0.path.hasSuffix(".log") && map.places.isHeadLost($0.path)
    }.map(\.path)
    var all = [first]
    if !receipt.entries.isEmpty {
      var names = first
      (names.strike, names.description, names.isFiring, names.isMisreadDuringLook) = (.nextPowerLoss, nil, false, false)
      names.touched = receipt.entries.flatMap { map.places.messages(at: $0) }
      names.lost = receipt.entries
      all.append(names)
    }
    let atRisk = map.places.messages(in: receipt.atRisk)
    if !atRisk.isEmpty {
      var risk = first
      (risk.strike, risk.lost, risk.metadata, risk.description) = (.ownPowerLoss, [], [], nil)
      (risk.touched, risk.isDetectable, risk.isFiring, risk.isMisreadDuringLook) = (atRisk, true, false, false)
      all.append(risk)
    }
    return all
  }

  private static func metadataCopies(_ paths: [String]) -> [String] {
    Set(paths.compactMap { path in
      FaultTarget.metadataCopies.first { path == $0 || path.hasPrefix($0 + "/") }
    }).sorted()
  }
}

extension StorageFaultReceipt {
  /// Whether it was to destroy batches, and the bytes that it destroyed are of no message.
  fileprivate func missesBatches(_ fault: FaultSpec, _ places: MessagePlaces) -> Bool {
    FaultWords.aimsAtBatches(fault) && !destroyed.isEmpty && places.messages(in: destroyed).isEmpty
  }

  fileprivate var refusal: SeamReceipt.Refusal? {
    switch answer {
    case .error(EINTR), .error(EAGAIN): .interrupted
    case .error: .refused
    case .asUsual, .falseSuccess, .short, .none: nil
    }
  }
}

extension [SeamReceipt] {
  /// A fault that makes a look unfair: what that should have found is not known. An engine is expected to read once more
  /// what it has read wrong, and no more often.
  var unfairToALook: SeamReceipt? {
    first { receipt in
      receipt.isDuringLook
        || receipt.isMisreadDuringLook && count { $0.isMisreadDuringLook && $0.life == receipt.life } > 1
    }
  }

  /// - Parameter crashRows: of the journal, by life.
  func damages(in history: History, crashRows: [Int]) -> [(row: Int, damage: Damage)] {
    flatMap { receipt -> [(row: Int, damage: Damage)] in
      guard let row = receipt.rowOfStrike(history, crashRows) else { return [] }
      return receipt.touched.damage(
        kind: receipt.kind, receipt.description ?? receipt.kind, isDetectable: receipt.isDetectable,
        isInLife: receipt.strike == .atOnce, toldAt: receipt.isTold ? receipt.instant : nil, in: history
      ).map { (row, $0) }
    }
  }

  /// When they stood in the engine's way.
  var refusals: Refusals {
    var refusals = Refusals()
    for receipt in self {
      guard let refusal = receipt.refusal else { continue }
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

extension SeamReceipt {
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

extension TrialSpec {
  var hasSeamFaults: Bool { faults.contains { !FaultWords.isResting($0) } }

  /// Why there is no verdict: faults at the seam of which there is no receipt.
  func unfired(_ receipts: [SeamReceipt]) -> [String] {
    let fired = Set(receipts.filter { !$0.missed }.map(\.fault))
    return faults.indices.filter { !FaultWords.isResting(faults[$0]) && !fired.contains($0) }
      .map { number in
        receipts.contains { $0.fault == number }
          ? "the fault \(faults[number].kind) is aimed at batches and touched no message"
          : "the fault \(faults[number].kind) never fired"
      }
  }
}

/// Receipts in a file, a line each, appended when a fault fires: a SIGKILL takes none.
struct SeamReceiptFile {
  let path: String

  func append(_ receipt: SeamReceipt) throws(TrialError) {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system("write", path, errno) }
    defer { close(descriptor) }
    let line: [UInt8]
    do {
      line = Array(try JSONEncoder().encode(receipt)) + [UInt8(ascii: "\n")]
    } catch {
      throw .worker("a receipt cannot be written down: \(error)")
    }
    guard Glibc.write(descriptor, line, line.count) == line.count else { throw .system("write", path, errno) }
  }

  func read() throws(TrialError) -> [SeamReceipt] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    do {
      return try data.split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(SeamReceipt.self, from: Data($0)) }
    } catch {
      throw .worker("\(path) cannot be read: \(error)")
    }
  }
}
