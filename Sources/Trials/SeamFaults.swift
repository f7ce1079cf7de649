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
  let storage: any Storage
  private let faulty: FaultyStorage?
  private let map: MessageMap?
  /// Of this life, in order.
  private(set) var receipts: [SeamReceipt] = []
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
      (storage, faulty, map, freedAt) = (base, nil, nil, nil)
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
    let sectors = Self.unreadable(earlier)
    let faulty = FaultyStorage(
      base, plan: FaultPlan(planned, seed: mix64(spec.seed &+ UInt64(life) &+ 77)), unreadable: sectors,
      onFired: { [numbers] receipt in
        guard let owner = box.owner, let map = owner.map else { return }
        // What follows from a fault of an earlier life is that one's.
        let fault = receipt.planned >= 0 ? numbers[receipt.planned] : earlier.first { $0.kind == receipt.kind.rawValue }?.fault ?? 0
        let isFirst = !owner.receipts.contains { $0.fault == fault }
        let seam = SeamReceipt(
          fault: fault, life: life, kind: receipt.kind.rawValue, row: journal.rowCount,
          isDetectable: receipt.isDetectable, refuses: receipt.refuses, touched: map.destroy(receipt.destroyed),
          unreadable: receipt.kind == .latentSectorError ? receipt.destroyed : [],
          isDuringLook: owner.faulty?.phase == "look" && !receipt.destroyed.isEmpty,
          missed: receipt.planned >= 0 && receipt.missesBatches(spec.faults[fault], map.places),
          description: isFirst ? receipt.description : nil)
        owner.receipts.append(seam)
        keep(seam)
        if receipt.destroyed.contains(where: { map.lostHeads.contains($0.path) }) {
          map.onWriteBehindLostHead = { [weak owner, weak map] path, bytes in
            guard let owner, let map else { return }
            var behind = seam
            behind.row = journal.rowCount
            behind.touched = map.places.messages(in: [FileRange(path, bytes)])
            behind.description = nil
            owner.receipts.append(behind)
            keep(behind)
          }
        }
      })
    freedAt = spec.faults.compactMap { FaultWords.Words($0).integer("freed-at") }.min().map(Double.init)
    let map = MessageMap(faulty, spec)
    (self.faulty, self.map, storage) = (faulty, map, map)
    faulty.batches = map
    box.owner = self
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

  private static func unreadable(_ receipts: [SeamReceipt]) -> [String: [Int64]] {
    var sectors: [String: Set<Int64>] = [:]
    for range in receipts.flatMap(\.unreadable) where !range.range.isEmpty {
      for sector in range.range.lowerBound / 512...(range.range.upperBound - 1) / 512 {
        sectors[range.path, default: []].insert(sector)
      }
    }
    return sectors.mapValues { $0.sorted() }
  }
}

/// A fault at the seam that has fired, as a worker writes it down.
struct SeamReceipt: Codable, Hashable {
  /// Its place among the trial's faults.
  var fault: Int
  var life: Int
  var kind: String
  /// The journal's length when it fired.
  var row: Int
  var isDetectable: Bool
  /// Whether the caller got less than it had asked for.
  var refuses: Bool
  var touched: [TouchedMessage]
  var unreadable: [FileRange]
  /// It destroyed messages while they were being looked at: what the look should have found is not known.
  var isDuringLook: Bool
  /// It was aimed at batches and destroyed what belongs to none: nothing has been put to the test by that.
  var missed = false
  /// Of the first firing of the fault in a life.
  var description: String?
}

extension StorageFaultReceipt {
  /// Whether it was to destroy batches, and the bytes that it destroyed are of no message.
  fileprivate func missesBatches(_ fault: FaultSpec, _ places: MessagePlaces) -> Bool {
    FaultWords.aimsAtBatches(fault) && !destroyed.isEmpty && places.messages(in: destroyed).isEmpty
  }

  fileprivate var refuses: Bool {
    switch answer {
    case .asUsual, .falseSuccess: false
    case .short, .error, .none: true
    }
  }
}

extension [SeamReceipt] {
  func damages(in history: History) -> [(row: Int, damage: Damage)] {
    flatMap { receipt in
      receipt.touched.damage(
        kind: receipt.kind, receipt.description ?? receipt.kind, isDetectable: receipt.isDetectable, isInLife: true,
        in: history
      ).map { (receipt.row, $0) }
    }
  }

  /// Lives in which the engine had reason to refuse.
  var refusingLives: Set<Int> { Set(filter(\.refuses).map(\.life)) }

  /// One line of a report for each fault that has fired.
  var summaries: [Receipt] {
    Dictionary(grouping: self, by: \.fault).sorted { $0.key < $1.key }.map { _, fired in
      Receipt(kind: fired[0].kind, fired: fired.count, places: fired.compactMap(\.description))
    }
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
