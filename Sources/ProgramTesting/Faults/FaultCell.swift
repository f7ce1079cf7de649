import LogModel
import Volume

/// One operation, and what goes wrong with it.
package struct FaultCell: Sendable, Hashable, CustomStringConvertible {
  package var place: OperationPlace
  package var fault: OperationFault
  /// Which of all operations of its kind it was in the recorded run, from 1: where it is looked for if no file of the
  /// kind comes this time, as with programs that draw names. Nil: nowhere else.
  package var instead: Int?

  package init(place: OperationPlace, fault: OperationFault, instead: Int? = nil) {
    (self.place, self.fault, self.instead) = (place, fault, instead)
  }

  package var description: String { "\(place) meets: \(fault.rawValue)" }

  /// The cells of a recorded run. Of each kind of file, operation and fault there are the first occurrence, the last, a
  /// middle one, and then others, in this order; kinds with few occurrences come first.
  /// - Parameters:
  ///   - groups: operations below the program's folder, as `OperationCounter` has them.
  ///   - faults: no others are taken.
  ///   - most: of cells; nil takes the first three occurrences of each.
  static func matrix(
    _ groups: [OperationCounter.Group: [Int]], _ faults: [OperationFault], most: Int?, seed: UInt64
  ) -> [FaultCell] {
    var random = SeededGenerator(seed: seed, stream: "faults")
    var columns: [[FaultCell]] = []
    let ordered = groups.sorted {
      ($0.value.count, $0.key.kind.rawValue, $0.key.file) < ($1.value.count, $1.key.kind.rawValue, $1.key.file)
    }
    for (group, all) in ordered {
      for fault in OperationFault.possible(group.kind) where faults.contains(fault) {
        var order = [1]
        if all.count > 1 { order.append(all.count) }
        if all.count > 2 { order += (2..<all.count).shuffled(using: &random) }
        columns.append(
          order.map { occurrence in
            FaultCell(
              place: OperationPlace(kind: group.kind, file: group.file, occurrence: occurrence), fault: fault,
              instead: all[occurrence - 1])
          })
      }
    }
    var cells: [FaultCell] = []
    for row in 0..<(most == nil ? 3 : columns.map(\.count).max() ?? 0) {
      for column in columns where row < column.count && cells.count < most ?? .max { cells.append(column[row]) }
    }
    return cells
  }
}
