import LogModel

/// What has been reported as damaged so far. A report speaks of requests that had been submitted when it was given, and
/// of none that has got its offsets since, however far it reaches.
struct GivenReports {
  /// By falling number of operations that had been submitted: what all reports that were given no earlier name.
  private let steps: [(operations: Int, ranges: [OffsetRange])]
  /// All of them.
  let ranges: [OffsetRange]

  /// - Parameter reports: with the number of operations that had been submitted when each was given.
  init(_ reports: [(operations: Int, range: OffsetRange)]) {
    var steps: [(operations: Int, ranges: [OffsetRange])] = []
    var all: [OffsetRange] = []
    for (operations, given) in Dictionary(grouping: reports, by: \.operations).sorted(by: { $0.key > $1.key }) {
      all = OffsetRange.union(all + given.map(\.range))
      steps.append((operations, all))
    }
    self.steps = steps
    ranges = all
  }

  var isEmpty: Bool { ranges.isEmpty }

  /// What has been reported since an operation of the history was submitted.
  func since(_ operation: Int) -> [OffsetRange] { steps.last { $0.operations > operation }?.ranges ?? [] }

  /// The first of some offsets of an operation that no such report names.
  func firstUncovered(_ from: Int64, _ to: Int64, of operation: Int) -> Int64? {
    let first = since(operation).firstUncovered(from, to)
    return excuses(.reported, first == nil) ? nil : first ?? from
  }
}
