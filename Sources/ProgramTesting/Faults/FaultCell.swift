import LogModel
import Volume

/// One operation, and what goes wrong with it.
package struct FaultCell: Sendable, Hashable, CustomStringConvertible {
  package var place: OperationPlace
  package var fault: OperationFault

  package var description: String { "\(place) meets: \(fault.rawValue)" }

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
