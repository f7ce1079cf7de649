import Testing
import Volume

@testable import ProgramTesting

/// The order in which operations are made to fail: whoever gets no further than the first ones has met much that
/// differs.
@Suite struct FaultCellTests {
  private let groups: [OperationCounter.Group: [Int]] = [
    .init(kind: .write, file: "log"): Array(1...90), .init(kind: .write, file: "index"): Array(91...100),
    .init(kind: .write, file: "lock"): [101], .init(kind: .sync, file: "log"): Array(1...40),
    .init(kind: .rename, file: "index"): [1, 2],
  ]

  @Test func eachOperationMeetsEachFaultBeforeAnyMeetsOneAgain() {
    let cells = FaultCell.matrix(groups, OperationFault.usual, most: nil, seed: 1)
    func pair(_ cell: FaultCell) -> String { "\(cell.place.kind!) \(cell.fault)" }
    let pairs = Set(cells.map(pair))
    #expect(Set(cells.prefix(pairs.count).map(pair)) == pairs)
    // One fault of each kind first, the kinds with few operations before the others.
    #expect(cells.prefix(3).map(\.place.kind) == [.rename, .sync, .write])
  }

  @Test func theBusiestFileComesFirstAndThenTheRarest() {
    let cells = FaultCell.matrix(groups, [.noSpace], most: nil, seed: 1)
    #expect(cells.map(\.place.file) == ["log", "log", "lock", "log", "index", "index", "index"])
    #expect(cells.map(\.place.occurrence).prefix(2) == [1, 90])
  }

  @Test func allOccurrencesComeWhereThereIsRoom() {
    let all = FaultCell.matrix(groups, [.noSpace], most: 1000, seed: 1)
    #expect(all.count == 101 && Set(all).count == 101)
    #expect(FaultCell.matrix(groups, [.noSpace], most: 5, seed: 1) == Array(all.prefix(5)))
  }
}
