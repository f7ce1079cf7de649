import LogModel
import WriteAheadLog

/// What the metadata knows of where the logs end.
extension PartitionEngine {
  /// Takes back what an earlier shutdown, or the record of a segment, said of the end of a log that recovery has cut
  /// since: what is appended now must not be taken for the end of that. How far it went before is kept, for whoever
  /// opens it next, should this opening fail.
  func lowerEnds() async throws(EngineError) {
    try await recordEnds { log, recorded in
      let proven = max(recorded, metadata.state.newestSegments[log.source]?.end ?? 0)
      guard log.logEndOffset < proven else { return nil }
      let before = metadata.state.cut(of: log.source)?.upperBound ?? 0
      return .cutEnd(log.source, log.logEndOffset, was: max(proven, before))
    }
  }

  /// - Parameter end: what to record for a log; nil for nothing.
  func recordEnds(_ end: (any EngineLog, _ recorded: Offset) -> MetadataRecord?) async throws(EngineError) {
    let ends = topics.flatMap { topic in
      (logs[topic.name] ?? []).compactMap { end($0, metadata.state.durableEnds[$0.source] ?? 0) }
    }
    try await record(ends)
  }

  /// Lowers the offsets that groups have committed beyond the end of what their logs have come back with: what is
  /// appended now gets these offsets, and must reach the groups. Under `never` a power loss leads here, elsewhere
  /// damage that was cut.
  ///
  /// Before anything is appended, and durably. The report may have reached nobody: so each opening repeats it, until
  /// the group commits again.
  func lowerOffsets() async throws(EngineError) -> [LoweredOffset] {
    let beyond = metadata.state.consumerOffsets.compactMap { position, offset -> MetadataRecord? in
      let source = position.partition
      guard let logs = logs[source.topic], logs.indices.contains(source.partition.index) else { return nil }
      let lowered = parts.offsets.offset(after: offset, logEnd: logs[source.partition.index].logEndOffset)
      guard lowered < offset else { return nil }
      let was = max(offset, metadata.state.offsetsBeforeLowering[position] ?? 0)
      return .loweredOffset(group: position.group, source, lowered, was: was)
    }
    try await record(beyond.sorted { $0.text < $1.text })
    return metadata.state.offsetsBeforeLowering.sorted { $0.key < $1.key }.map { position, was in
      LoweredOffset(
        group: position.group, partition: position.partition, from: was,
        to: metadata.state.consumerOffsets[position] ?? 0)
    }
  }

  /// Records so many changes at a time as one record of the metadata log holds.
  private func record(_ changes: [MetadataRecord]) async throws(EngineError) {
    var pending: [MetadataRecord] = []
    var bytes = 0
    for change in changes {
      bytes += change.text.utf8.count + 16
      if bytes > metadata.largestRecord {
        try await metadata.record(pending)
        (pending, bytes) = ([], change.text.utf8.count + 16)
      }
      pending.append(change)
    }
    if !pending.isEmpty { try await metadata.record(pending) }
  }
}

/// An offset that a consumer group had committed, and that lay beyond the end of its log when the engine was opened.
public struct LoweredOffset: Hashable, Sendable, Codable {
  public var group: String
  public var partition: TopicPartition
  /// What the group had committed.
  public var from: Offset
  /// Where it goes on: the end of the log, as recovery found it.
  public var to: Offset
}

extension RecoveryReport {
  /// A log that was cut stays cut, and its report may have reached nobody: so each opening repeats it, until something
  /// is appended in the place of what was lost.
  mutating func `repeat`(_ cut: Range<Offset>, of log: any EngineLog, in directory: String) {
    guard log.logEndOffset == cut.lowerBound, !damage.contains(where: { $0.to >= cut.upperBound }) else { return }
    batchesSkipped += 1
    damage.append(DamagedRange(from: cut.lowerBound, to: cut.upperBound, path: directory, byteFrom: 0, byteTo: 0))
  }
}
