import LogModel
import Testing

@testable import Benchmarks

@Suite struct BenchCaseTests {
  @Test func `every load of issue 2 is a row once`() {
    #expect(AppendCase.all.count == 4 * 2 * 3 * 2)
    #expect(Set(AppendCase.all.map(\.load)).count == AppendCase.all.count)
  }

  @Test func `the targets of issue 2 stand at their rows`() {
    func target(_ producers: Int, _ batch: Int, _ policy: SyncPolicy) -> BenchTarget? {
      let load = AppendLoad(producers: producers, recordSize: 1024, batch: batch, policy: policy)
      return AppendCase.all.first { $0.load == load }?.target
    }
    #expect(target(1, 1, .always) == BenchTarget(1, of: .ref))
    #expect(target(4, 1, .always) == nil)
    #expect(target(16, 1, .always) == BenchTarget(8, of: .ref))
    #expect(target(64, 1, .always) == BenchTarget(20, of: .ref))
    #expect(target(1, 100, .never) == BenchTarget(0.4, of: .checksummedBlocks(.growing)))
    #expect(target(1, 100, .always) == nil)
    #expect(AppendCase.all.filter { $0.target != nil }.count == 7)
    #expect(ScanCase.minimum == 0.5)
  }

  @Test func `each target's reference is measured in its row`() {
    for row in AppendCase.all {
      if let target = row.target { #expect(row.references.contains(target.reference)) }
      #expect(Set(row.references.map(\.name)).count == row.references.count)
    }
  }

  @Test func `quick keeps every row that has a target, and each policy`() {
    #expect(AppendCase.quick.filter { $0.target != nil }.count == AppendCase.all.filter { $0.target != nil }.count)
    #expect(Set(AppendCase.quick.map(\.load.policy)).count == 3)
  }
}
