import LogModel
import Storage

extension PartitionLog {
  /// Opens the log of `source` in `directory`, which is there, and recovers it.
  /// - Parameter idleReaders: shared by the logs of one engine.
  /// - Throws: `StorageError` where the device fails; damaged contents are no error but stand in the report.
  public static func open(
    _ source: TopicPartition, in directory: String, of storage: any Storage, _ configuration: LogConfiguration,
    parts: LogParts = LogParts(), hints: RecoveryHints = RecoveryHints(), fence: (any WriterFence)? = nil,
    beforeCut: BeforeCut? = nil, witness: SegmentEvidence? = nil, idleReaders: IdleReaders = IdleReaders(most: 6)
  ) async throws(StorageError) -> (log: PartitionLog, report: RecoveryReport) {
    var recovery = LogRecovery(
      storage: storage, directory: directory, source: source, configuration: configuration, parts: parts, hints: hints,
      isFenced: fence.map { $0.epoch > Epoch(0) } ?? false, beforeCut: beforeCut)
    let recovered = try await recovery.run()
    let log = PartitionLog(
      source: source, directory: directory, configuration: configuration, storage: storage, parts: parts,
      fence: fence, witness: witness, idleReaders: idleReaders, recovered: recovered)
    try await log.resumeAppends()
    if parts.handover.requeuesRecoveredBatches { try await log.requeueActiveSegment() }
    log.start()
    // Its batches say that they were never synced: without its head nothing else would testify for them from now on.
    if recovered.hasAdoptedLast, let last = recovered.segments.last {
      await log.bearWitness(of: last, end: last.nextOffset)
    }
    return (log, recovery.report)
  }

  private func requeueActiveSegment() async throws(StorageError) {
    guard let segment = segments.last else { return }
    let response = FetchResponse()
    do throws(LogError) {
      try await readLog(
        from: segment.baseOffset, below: logEndOffset, maxBytes: configuration.commitBytes, batchLimit: nil,
        into: response)
    } catch {
      if case .storage(let failure) = error { throw failure }
      return  // damaged: nothing to hand over
    }
    for index in response.batches.indices { requeue(response.batches[index].header, response.bytes(of: index)) }
  }
}
