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
      guard unsyncedSince != nil, let segment = segments.last else {
        if lifecycle != .open { break }
        await withUnsafeContinuation { syncer = $0 }
        continue
      }
      while lifecycle == .open, let since = unsyncedSince, segment.unsyncedBytes < Self.eagerBytes, !segment.isSealed,
        !parts.timing.isDue(since + delay, lastCommit: lastCommit, now: loop.now)
      {
        let soon = loop.now + delay / 4
        await loop.sleep(until: since + delay > loop.now ? min(since + delay, soon) : soon)
      }
      guard lifecycle == .open || parts.closing.syncsTail else { break }
      await syncTail()
    }
    syncerEnded.open()
  }

  /// Syncs what has been acknowledged so far; all of it is in the last segment, or had been synced when that was made.
  ///
  /// A sync that fails poisons the segment. It is not tried again: `atRisk` says what it covered, and the next commit
  /// goes to a new segment.
  ///
  /// Who waits for a sync in flight may find the next one in flight when that has ended: another who waited has begun
  /// it. That one covers what has been acknowledged, and is waited for too.
  func syncTail() async {
    let acknowledged = highWatermark
    if !syncIdle.isOpen {
      repeat { await syncIdle.wait() } while parts.offsets.waitsForEverySync && !syncIdle.isOpen
      if durableOffset >= acknowledged { return }
    }
    guard unsyncedSince != nil else { return }
    unsyncedSince = nil
    guard let segment = segments.last, let writer = segment.writer else { return }
    var covered = highWatermark
    if !segment.isPoisoned {
      syncIdle.shut()
      segment.unsyncedBytes = 0
      do throws(StorageError) {
        try await storage.here().sync(writer, .data)
        covered = parts.coverage.durableEnd(submitted: covered, completed: highWatermark)
      } catch {
        segment.isPoisoned = true
        syncFailure = syncFailure ?? error
        wakeCommitter()
      }
      syncIdle.open()
    }
    if segment.isPoisoned { noteRisk(segment, upTo: covered) }
    durableOffset = max(durableOffset, covered)
    // Beside the syncs: what is promised for them leaves no time for another device.
    let end = covered
    if !segment.isPoisoned, !segment.isWitnessed { loop.spawn { await self.bearWitness(of: segment, end: end) } }
  }

  /// Syncs what has been acknowledged so far, before the policy would. A failure stands in `atRisk`.
  public func sync() async { await syncTail() }

  /// Whether no power loss can give the offsets before `offset` to other messages: they are on the medium, or the head
  /// of a segment is, which testifies that there were such messages.
  public func isSecure(before offset: Offset) -> Bool {
    offset <= durableOffset && offset <= unattestedFrom ?? offset
  }

  private func noteRisk(_ segment: Segment, upTo end: Offset) {
    guard end > durableOffset else { return }
    if unattestedFrom == nil { unattestedFrom = durableOffset }
    if let last = atRisk.last, last.path == segment.path, last.to == durableOffset {
      atRisk[atRisk.count - 1].to = end
      atRisk[atRisk.count - 1].byteTo = segment.dataEnd
    } else {
      atRisk.append(
        DamagedRange(
          from: durableOffset, to: end, path: segment.path,
          byteFrom: segment.index.position(atOrBefore: durableOffset) ?? Int64(SegmentHeader.size),
          byteTo: segment.dataEnd))
    }
  }

  func wakeSyncer() {
    guard let syncer else { return }
    self.syncer = nil
    syncer.resume()
  }
}
