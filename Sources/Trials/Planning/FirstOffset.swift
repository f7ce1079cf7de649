import FaultInjection
import LogModel
import ScenarioFormat
import Storage
import WriteAheadLog

/// Has the log of every partition begin at another offset than 0, before the engine is opened for the first time.
///
/// What a topic leaves behind whose messages were deleted: in both copies of the metadata a record `start TOPIC
/// PARTITION OFFSET` for each partition, with tabs between the words (MetadataRecord.swift), and no segment. The engine
/// that creates the topic begins its logs there.
struct FirstOffset {
  /// Under which the metadata keeps its log.
  private static let source = TopicPartition("__metadata", 0)
  /// A batch of them is far smaller than the largest.
  private static let recordsABatch = 500

  private let spec: TrialSpec

  /// Nil where logs begin at 0.
  init?(_ spec: TrialSpec) {
    guard spec.firstOffset > 0 else { return nil }
    self.spec = spec
  }

  private struct Failure: Sendable { var text: String? }

  /// - Parameter open: opens the storage of the trial, empty as yet.
  /// - Throws: `TrialError` where the storage cannot be written.
  func prepare(_ open: () throws(TrialError) -> any Storage) throws(TrialError) {
    let storage = try open()
    let (ending, failure) = storage.loop.run(limit: .seconds(60)) { [self] in await write(to: storage) }
    guard ending == .finished, let failure, failure.text == nil else {
      throw .operatorStep(.prepareLogs(firstOffset: spec.firstOffset), reason: failure?.text ?? "\(ending)")
    }
  }

  private func write(to storage: any Storage) async -> Failure {
    do throws(StorageError) {
      for (index, copy) in FaultTarget.metadataCopies.enumerated() {
        try await storage.makeDirectory(copy)
        try await storage.syncDirectory("")
        let configuration = LogConfiguration(firstPreallocation: 0, saltSeed: mix64(spec.seed &+ UInt64(index)))
        let (log, _) = try await PartitionLog.open(Self.source, in: copy, of: storage, configuration)
        if let failure = await append(to: log) { return Failure(text: failure) }
        try await log.close()
      }
      return Failure()
    } catch {
      return Failure(text: "\(error)")
    }
  }

  private func append(to log: PartitionLog) async -> String? {
    for first in stride(from: 0, to: spec.partitions, by: Self.recordsABatch) {
      let texts = (first..<min(spec.partitions, first + Self.recordsABatch)).map { number in
        let source = spec.source(of: number)
        return Array("start\t\(source.topic)\t\(source.partition)\t\(spec.firstOffset)".utf8)
      }
      do throws(LogError) {
        _ = try await log.append(recordCount: texts.count, payloadBytes: texts.reduce(0) { $0 + $1.count }) { writer in
          for text in texts { text.withUnsafeBytes { writer.append(value: $0) } }
        }
      } catch {
        return "\(error)"
      }
    }
    return nil
  }
}
