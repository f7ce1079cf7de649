import LogModel
import WriteAheadLog

/// What the metadata knows of where the logs end.
extension PartitionEngine {
  /// Takes back what an earlier shutdown, or the record of a segment, said of the end of a log that recovery has cut since: what is appended now must
  /// not be taken for the end of that. How far it went before is kept, for whoever opens it next, should this opening fail.
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
    var pending: [MetadataRecord] = []
    var bytes = 0
    for end in ends {
      bytes += end.text.utf8.count + 16
      if bytes > metadata.largestRecord {
        try await metadata.record(pending)
        (pending, bytes) = ([], end.text.utf8.count + 16)
      }
      pending.append(end)
    }
    if !pending.isEmpty { try await metadata.record(pending) }
  }
}

extension RecoveryReport {
  /// A log that was cut stays cut, and its report may have reached nobody: so each opening repeats it, until something is
  /// appended in the place of what was lost.
  mutating func `repeat`(_ cut: Range<Offset>, of log: any EngineLog, in directory: String) {
    guard log.logEndOffset == cut.lowerBound, !damage.contains(where: { $0.to >= cut.upperBound }) else { return }
    batchesSkipped += 1
    damage.append(DamagedRange(from: cut.lowerBound, to: cut.upperBound, path: directory, byteFrom: 0, byteTo: 0))
  }
}
