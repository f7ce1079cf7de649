import Glibc
import LogModel
import Volume

/// What goes wrong with one operation.
package enum OperationFault: String, Sendable, Hashable, CaseIterable {
  case inputOutputError = "EIO"
  case noSpace = "ENOSPC"
  case quota = "EDQUOT"
  case tooManyFiles = "EMFILE"
  case shortWrite = "short"
  /// A sync fails and its pages are lost: what is read again is as before them.
  case pagesDropped = "EIO, pages dropped"
  /// A sync fails, and its pages stay dirty.
  case pagesKept = "EIO, pages kept"

  /// Those of a plain test.
  package static let usual = allCases

  func decision(_ request: VolumeRequest) -> VolumeDecision {
    switch self {
    case .inputOutputError: .fail(EIO)
    case .noSpace: .fail(ENOSPC)
    case .quota: .fail(EDQUOT)
    case .tooManyFiles: .fail(EMFILE)
    case .shortWrite: .short(Int(request.length / 2))
    case .pagesDropped: .syncFails(EIO, .evicted)
    case .pagesKept: .syncFails(EIO, .kept)
    }
  }

  /// Those that an operation of this kind can meet.
  static func possible(_ kind: VolumeOperationKind) -> [OperationFault] {
    switch kind {
    case .write: [.inputOutputError, .noSpace, .shortWrite]
    case .sync: [.pagesDropped, .pagesKept]
    case .syncDirectory, .syncWritten: [.pagesKept]
    case .create, .makeDirectory, .createUnnamed: [.noSpace, .inputOutputError]
    case .allocate: [.noSpace]
    case .rename, .unlink, .truncate, .link, .symlink, .punchHole, .zeroRange, .removeDirectory, .exchange:
      [.inputOutputError]
    case .open: [.tooManyFiles]
    default: []
    }
  }
}

/// One operation, and what goes wrong with it.
package struct FaultCell: Sendable, Hashable, CustomStringConvertible {
  package var place: OperationPlace
  package var fault: OperationFault

  package var description: String { "\(place) fails: \(fault.rawValue)" }

  /// The cells of a recorded run: of each kind the first operation, the last, and others between, as many as there is
  /// room for.
  /// - Parameters:
  ///   - counts: operations of each kind below the program's folder.
  ///   - faults: no others are taken.
  static func matrix(
    _ counts: [VolumeOperationKind: Int], _ faults: [OperationFault], most: Int, seed: UInt64
  ) -> [FaultCell] {
    var random = SeededGenerator(seed: seed, stream: "faults")
    var columns: [[FaultCell]] = []
    for (kind, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > 0 {
      for fault in OperationFault.possible(kind) where faults.contains(fault) {
        var order = [1]
        if count > 1 { order.append(count) }
        if count > 2 { order += (2..<count).shuffled(using: &random) }
        columns.append(order.map { FaultCell(place: OperationPlace(kind: kind, occurrence: $0), fault: fault) })
      }
    }
    // Round robin over kinds and faults.
    var cells: [FaultCell] = []
    var row = 0
    while cells.count < most {
      let before = cells.count
      for column in columns where row < column.count && cells.count < most { cells.append(column[row]) }
      if cells.count == before { break }
      row += 1
    }
    return cells
  }
}
