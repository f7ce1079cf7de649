import LogModel
import PartitionEngine
import ScenarioFormat
import Storage

/// Writes down how far an engine says that it has archived each partition: from then on it owes that much, whatever becomes
/// of the log.
final class ArchiveObserver: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  private let spec: TrialSpec
  private let journal: Journal
  private let loop: EventLoop
  /// By partition, as it is written down; empty where there is no object store.
  private var ends: [Offset]
  private var engine: PartitionEngine?

  init(_ spec: TrialSpec, _ journal: Journal, _ loop: EventLoop) {
    (self.spec, self.journal, self.loop) = (spec, journal, loop)
    ends = Array(repeating: 0, count: spec.checkpoint == .none ? 0 : spec.partitions)
  }

  /// Once more what the engine says that was asked last: its machine dies now.
  func noteLast() {
    if let engine { note(engine) }
  }

  func note(_ engine: PartitionEngine) {
    self.engine = engine
    for index in ends.indices {
      let source = spec.source(of: index)
      do throws(EngineError) {
        guard let end = try engine.archivedEnd(source.topic, source.partition), end > ends[index] else { continue }
        ends[index] = end
        journal.archived(PartitionID(index), before: end, at: loop.now)
      } catch {
        // It knows no such partition, which the look finds too.
        continue
      }
    }
  }
}
