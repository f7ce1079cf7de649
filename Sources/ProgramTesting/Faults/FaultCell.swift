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

  /// The cells of a recorded run. The first of them differ as much as they can: each kind of operation meets each fault
  /// before another file or another occurrence of it is tried. Kinds with few operations come first. Of the files of a
  /// kind the busiest comes first, where most of the data go, then the one with the fewest operations, then the second
  /// busiest, and so on. Of the occurrences come the first, the last, a middle one, and then others.
  /// - Parameters:
  ///   - groups: operations below the program's folder, as `OperationCounter` has them.
  ///   - faults: no others are taken.
  ///   - most: of cells; nil takes the first three occurrences of each.
  static func matrix(
    _ groups: [OperationCounter.Group: [Int]], _ faults: [OperationFault], most: Int?, seed: UInt64
  ) -> [FaultCell] {
    struct Planned {
      var cell: FaultCell
      /// Files and occurrences of the same operation and fault that come before.
      var round: Int
      /// Faults of the same operation that come before.
      var rank: Int
      /// Operations of the kind.
      var count: Int
    }
    var random = SeededGenerator(seed: seed, stream: "faults")
    var planned: [Planned] = []
    for (kind, files) in Dictionary(grouping: groups, by: \.key.kind).sorted(by: { $0.key.rawValue < $1.key.rawValue })
    {
      let count = files.reduce(0) { $0 + $1.value.count }
      for (layer, file) in busiestAndRarest(files.map { (file: $0.key.file, all: $0.value) }).enumerated() {
        for (rank, fault) in OperationFault.possible(kind).filter(faults.contains).enumerated() {
          var order = [1]
          if file.all.count > 1 { order.append(file.all.count) }
          if file.all.count > 2 { order += (2..<file.all.count).shuffled(using: &random) }
          for (row, occurrence) in order.prefix(most == nil ? 3 : .max).enumerated() {
            let place = OperationPlace(kind: kind, file: file.file, occurrence: occurrence)
            let cell = FaultCell(place: place, fault: fault, instead: file.all[occurrence - 1])
            planned.append(Planned(cell: cell, round: layer + row, rank: rank, count: count))
          }
        }
      }
    }
    // What is the same in all of these stays in the order in which it was planned.
    let order = planned.enumerated().sorted { one, other in
      (one.element.round, one.element.rank, one.element.count, one.offset)
        < (other.element.round, other.element.rank, other.element.count, other.offset)
    }
    return order.prefix(most ?? .max).map(\.element.cell)
  }

  /// From both ends of their order by number of operations, in turn.
  private static func busiestAndRarest(_ files: [(file: String, all: [Int])]) -> [(file: String, all: [Int])] {
    var left = files.sorted { ($1.all.count, $0.file) < ($0.all.count, $1.file) }[...]
    var taken: [(file: String, all: [Int])] = []
    while !left.isEmpty { taken.append(taken.count % 2 == 0 ? left.removeFirst() : left.removeLast()) }
    return taken
  }
}
