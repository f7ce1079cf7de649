import LogModel
import Storage

/// Syncing under `interval(d)`.
///
/// What was acknowledged at *t* must be durable at *t + d*. A sync is submitted d/4 after the first acknowledgement
/// that it covers, or earlier when `eagerBytes` wait, which leaves 3d/4 for the device. It covers what had been
/// written when it was *submitted*. An idle tail is synced like any other: the clock starts with the acknowledgement,
/// not with the next append.
extension PartitionLog {
  /// Written bytes that call for a sync before its time, so that no sync has much to write.
  static var eagerBytes: Int { 8 << 20 }

  func runSyncLoop(limit: Duration) async {
    let delay = limit / 4
    while true {
      if unsyncedSince == nil {
        if lifecycle != .open { break }
        await withUnsafeContinuation { syncer = $0 }
        continue
      }
      guard let segment = active else {
        unsyncedSince = nil  // poisoned: what was acknowledged there cannot be made durable any more
        continue
      }
      while lifecycle == .open, let since = unsyncedSince, segment.unsyncedBytes < Self.eagerBytes,
        loop.now < since + delay
      {
        await loop.sleep(until: min(since + delay, loop.now + delay / 4))
      }
      do {
        try await syncActive(segment)
      } catch {
        segment.isPoisoned = true
        failure = error
      }
    }
    syncerEnded.open()
  }

  /// Syncs what has been written to the segment so far.
  func syncActive(_ segment: Segment) async throws(StorageError) {
    await syncIdle.wait()
    guard let writer = segment.writer, unsyncedSince != nil else { return }
    syncIdle.shut()
    defer { syncIdle.open() }
    let covered = highWatermark
    let since = unsyncedSince
    unsyncedSince = nil
    segment.unsyncedBytes = 0
    do throws(StorageError) {
      try await storage.sync(writer, .data)
      durableOffset = max(durableOffset, covered)
    } catch {
      unsyncedSince = since
      throw error
    }
  }

  func wakeSyncer() {
    guard let syncer else { return }
    self.syncer = nil
    syncer.resume()
  }
}
