import EngineAdapter
import LogClients
import LogModel
import ScenarioFormat
import Storage

/// Consumers that read while messages are sent.
extension Incarnation {
  /// Nil where the trial has none.
  func readers(of log: TestedLog, beside workload: Workload) -> ConcurrentReaders? {
    guard spec.readers > 0 else { return nil }
    let part = workload.part ?? 0..<workload.requests
    let rows = Self.readRowsOfOne(spec)
    return ConcurrentReaders(
      log, on: storage.loop, workload.sources, seed: spec.seed, name: "life \(number) from \(part.lowerBound)",
      rows: rows,
      wakings: part.count
    ) { [journal] answer in journal.harness { journal.read(answer) } }
  }

  /// Rows of the journal that one reader may take while one part of a workload is sent.
  private static func readRowsOfOne(_ spec: TrialSpec) -> Int {
    let messages = max(spec.messages, spec.appendBetween * spec.partitions)
    let operations = spec.system.requestsAreAtomic ? messages / spec.batch + spec.partitions : messages
    return min(4096, 2 * operations + 64 * min(spec.partitions, 16) + 2 * ConcurrentReaders.mostRuns)
  }

  /// Of all readers in both lives that send: the first may send in two parts.
  static func readRows(_ spec: TrialSpec) -> Int { 3 * spec.readers * readRowsOfOne(spec) }
}
