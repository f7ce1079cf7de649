import EngineAdapter
import LogModel
import ScenarioFormat
import Storage
import SystemUnderTest

/// Writes down how far an engine says that it has archived each partition: from then on it owes that much, whatever
/// becomes of the log.
final class ArchiveObserver: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  private let spec: TrialSpec
  private let journal: Journal
  private let loop: EventLoop
  /// By partition, as it is written down; empty where there is no object store.
  private var ends: [Offset]
  private var log: TestedLog?

  init(_ spec: TrialSpec, _ journal: Journal, _ loop: EventLoop) {
    (self.spec, self.journal, self.loop) = (spec, journal, loop)
    ends = Array(repeating: 0, count: spec.checkpoint == .none ? 0 : spec.partitions)
  }

  /// Once more what the engine says that was asked last: its machine dies now.
  func noteLast() {
    if let log { note(log) }
  }

  func note(_ log: TestedLog) {
    self.log = log
    for index in ends.indices {
      let source = spec.source(of: index)
      do throws(LogFailure) {
        guard let end = try log.archivedEnd(source), end > ends[index] else { continue }
        ends[index] = end
        journal.archived(PartitionID(index), before: end, at: loop.now)
      } catch {
        // It knows no such partition, which the readback finds too.
        continue
      }
    }
  }
}
