import Glibc
import LogModel
import Storage

/// Group commit.
///
/// 1. A commit carries every batch that was encoded before it was sealed, and nothing else: its buffer is swapped
///    out at the moment of sealing, so that what comes later cannot be acknowledged by it.
/// 2. Offsets are given at sealing. A commit that fails gives its offsets back: nothing after it has any yet.
/// 3. Under `always` the write itself is durable (`RWF_DSYNC`). Except under `never`, a commit begins at a block
///    boundary and is padded to one, so that no block which holds something durable is ever written again.
/// 4. A commit is acknowledged only if no newer writer had taken the log over when it had been written. The newer one
///    fences first and reads then: what it has not read is never acknowledged.
/// 5. A write that fails seals its segment: the next commit goes to a new one. Under `interval` what had been
///    acknowledged before is synced all the same; a failed sync is never tried again (see `PartitionLog+Sync`).
extension PartitionLog {
  func runCommitLoop() async {
    /// A poisoned segment that it has been tried to replace.
    var replaced: Segment?
    while true {
      if roomWaiters.isEmpty, filling.batches.allSatisfy(\.isRequeued) {
        if lifecycle != .open { break }
        if let last = segments.last, last.isPoisoned, replaced !== last {
          // The head of a new segment testifies to what the failed sync covered: if a power loss takes it, recovery
          // reports it. Where that fails too, the next commit tries again, and says so.
          replaced = last
          do throws(StorageError) { _ = try await roll() } catch {}
          continue
        }
        if isRotationRequested {
          await rotateIfDue()
          continue
        }
        await withUnsafeContinuation { committer = $0 }
      } else {
        // Those who have just been answered may have more to say.
        await loop.nextIdleTurn()
      }
      if configuration.commitWindow > .zero { await gather() }
      if filling.batches.isEmpty { continue }
      let commit = filling
      filling = spare ?? Commit(buffer: storage.makeBuffer(capacity: configuration.commitBytes + IOBuffer.alignment))
      spare = nil
      wakeRoomWaiters()
      await perform(commit)
      // Of one that failed its producers have yet to read why.
      if commit.failure == nil {
        commit.reset()
        spare = commit
      }
    }
    committerEnded.open()
  }

  /// Waits for more batches, as long as the commit window lets it. A commit that is half full goes, and so does that of
  /// a log that is being closed: a millisecond later at the most.
  private func gather() async {
    let window = configuration.commitWindow
    guard let due = filling.batches.first.map({ $0.time + window }) else { return }
    while lifecycle == .open, roomWaiters.isEmpty, filling.used < configuration.commitBytes / 2, loop.now < due {
      await loop.sleep(until: min(due, loop.now + min(window / 4, .milliseconds(1))))
    }
  }

  private func perform(_ commit: Commit) async {
    let first = assignedOffset
    do throws(LogError) {
      if isFenced { throw .fenced(epoch) }
      let bytes = paddedLength(commit.used)
      var segment = try await segmentWithRoom(for: commit)
      try await preallocate(segment, upTo: segment.writePosition + Int64(bytes))
      // Its zero-fill has failed meanwhile: another one.
      if segment.isSealed { segment = try await segmentWithRoom(for: commit) }
      let position = segment.writePosition
      seal(commit, in: segment, at: position, first: first)
      if bytes > commit.used { memset(commit.buffer.base + commit.used, 0, bytes - commit.used) }
      if parts.advancing.showsWhatIsInFlight {
        keepRecent(commit)
        highWatermark = assignedOffset
      } else {
        loop.atLeisure { [self] in keepRecent(commit) }
      }
      let wasRetried: Bool
      do throws(LogError) {
        guard let writer = segment.writer else { throw .closed }
        wasRetried = try await write(commit, bytes, to: writer, of: segment, at: position)
      } catch {
        if parts.failedCommits.sealsSegment {
          segment.isSealed = true
        } else {
          segment.writePosition = position + Int64(bytes)
        }
        throw error
      }
      // A sync of this file failed meanwhile: it cannot be made durable any more, so nothing in it is acknowledged.
      if segment.isPoisoned, let syncFailure { throw LogError.storage(syncFailure) }
      if let fence { try await assertCurrent(fence, segment) }
      // It will be acknowledged now, whatever becomes of the record. A newer writer has to read it: it is on the
      // medium.
      if isSynchronous { await bearWitness(of: segment, end: assignedOffset) }
      segment.dataEnd = position + Int64(commit.used)
      segment.writePosition = position + Int64(bytes)
      segment.zeroedEnd = max(segment.zeroedEnd, segment.writePosition)
      segment.nextOffset = assignedOffset
      if !isSynchronous { segment.unsyncedBytes += bytes }
      acknowledge(commit, in: segment, wasRetried: wasRetried)
      startPreallocation(segment)
    } catch {
      assignedOffset = first
      if parts.advancing.showsWhatIsInFlight { highWatermark = first }
      commit.failure = parts.failedCommits.answer(to: error)
      if commit.isRecent { recent.removeAll() }
      commit.isRecent = true  // and never will be, though the loop may not have had the leisure yet
      for batch in commit.batches { batch.waiter?.resume(returning: Commit.refusal) }
    }
  }

  /// Has it recorded, away from the log, that a segment holds something durable: otherwise nothing would testify to the
  /// newest file of a log, if somebody removed it. Where that fails nobody is refused for it; a commit tries again,
  /// later.
  func bearWitness(of segment: Segment, end: Offset) async {
    guard let witness, !segment.isWitnessed, loop.now >= segment.nextWitness, witnessIdle.isOpen else { return }
    witnessIdle.shut()
    let record = SegmentRecord(
      baseOffset: segment.baseOffset, epoch: segment.header.epoch, previousBase: segment.header.previousBase, end: end)
    do throws(StorageError) {
      try await witness(record)
      segment.isWitnessed = true
    } catch {
      segment.nextWitness = loop.now + Self.witnessPause
    }
    witnessIdle.open()
  }

  /// Between attempts: the failing device is another's, and has work enough.
  static var witnessPause: Duration { .seconds(1) }

  /// Nothing is acknowledged once a newer writer may have read the log without it.
  private func assertCurrent(_ fence: any WriterFence, _ segment: Segment) async throws(LogError) {
    do throws(StorageError) {
      if try await parts.fencing.mayAcknowledge(fence) { return }
    } catch {
      segment.isSealed = true
      throw .storage(error)
    }
    segment.isSealed = true
    isFenced = true
    throw .fencedInCommit(epoch)
  }

  /// Gives the batches their offsets and headers.
  private func seal(_ commit: Commit, in segment: Segment, at position: Int64, first: Offset) {
    commit.isRecent = false
    for index in commit.batches.indices {
      let batch = commit.batches[index]
      let header = BatchHeader(
        length: batch.length, baseOffset: assignedOffset, recordCount: batch.recordCount,
        position: position + Int64(batch.start), epoch: epoch, time: batch.time, durableOffset: durableOffset,
        bootID: storage.properties.bootID, commitDelta: assignedOffset - first,
        isNeverSynced: segment.header.isNeverSynced)
      parts.sealing.seal(header, at: commit.buffer.base + batch.start, salt: segment.header.salt)
      commit.batches[index].header = header
      assignedOffset = header.nextOffset
    }
  }

  private func acknowledge(_ commit: Commit, in segment: Segment, wasRetried: Bool) {
    for batch in commit.batches {
      guard let header = batch.header else { continue }
      segment.index.note(batchAt: header.position, baseOffset: header.baseOffset)
    }
    keepRecent(commit)
    appendedBytes += Int64(commit.used)
    highWatermark = parts.advancing.highWatermark(of: source, after: assignedOffset, wasRetried: wasRetried)
    lastCommit = loop.now
    if isSynchronous {
      durableOffset = assignedOffset
    } else if unsyncedSince == nil {
      unsyncedSince = lastCommit
      wakeSyncer()
    }
    storage.note(.acknowledged(source, upTo: highWatermark))
    for batch in commit.batches {
      if let header = batch.header { batch.waiter?.resume(returning: header.baseOffset.rawValue) }
    }
    parts.answering.written(QueuedAppends(commit: filling), end: assignedOffset)
  }

  /// Copies the commit to the newest batches, normally while it is being written. Nobody sees them before they are
  /// acknowledged: a fetch ends at the high watermark.
  private func keepRecent(_ commit: Commit) {
    guard !commit.isRecent else { return }
    commit.isRecent = true
    for batch in commit.batches {
      if let header = batch.header { recent.append(header, commit.buffer.base + batch.start) }
    }
  }

  private func paddedLength(_ used: Int) -> Int {
    guard configuration.syncPolicy != .never else { return used }
    let block = storage.properties.blockSize
    return (used + block - 1) / block * block
  }

  /// - Returns: whether one write was not enough.
  @inline(__always)
  private func write(
    _ commit: Commit, _ bytes: Int, to writer: FileID, of segment: Segment, at position: Int64
  ) async throws(LogError) -> Bool {
    do throws(StorageError) {
      return try await storage.here().writeWhole(
        writer, segment.path, at: position, from: commit.buffer, 0..<bytes, isSynchronous ? .durable : .volatile,
        isDirect: isSynchronous)
    } catch {
      throw .storage(error)
    }
  }
}
