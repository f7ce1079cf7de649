import Glibc
import LogModel
import ObjectStore
import Storage
import WriteAheadLog

extension PartitionArchive {
  /// A piece of the log on its way to the store.
  private struct Piece {
    var name: ObjectName
    var batchCount: Int
    var batches: [UInt8]
  }

  /// Archives the next piece, and removes what need not stay.
  /// - Returns: false where there was nothing to archive.
  func checkpointNextPiece() async throws(EngineError) -> Bool {
    let start = services.loop.now
    try await assertCurrent()
    if let pendingEnd, pendingEnd <= cursor { self.pendingEnd = nil }
    let end = pendingEnd ?? log.archivableEnd
    guard cursor < end else { return false }
    let (piece, next) = try await collect(upTo: end)
    if let piece {
      pendingEnd = piece.name.end
      do throws(ObjectStoreError) { try await upload(piece) } catch {
        if !services.parts.failedUploads.triesAgain { (givenUpEnd, pendingEnd) = (piece.name.end, nil) }
        throw .store(error)
      }
    }
    let archived = services.parts.bounding.archivedEnd(uploaded: next, acknowledged: log.highWatermark)
    try await services.metadata.record([.archived(source, archived)])
    archivedEnd = max(archivedEnd, archived)
    pendingEnd = nil
    if let piece { chain?.append(piece.name, logStart: logStartOffset) }
    settle(startedAt: start)
    return true
  }

  /// Removes files that are archived, and objects that nobody needs. What cannot be removed now is tried again.
  func clean() async throws(EngineError) {
    try await assertCurrent()
    chain?.forgetGaps(before: logStartOffset)
    if log.firstRetainedOffset < archivedEnd {
      // The store may have lost what it had, or be another one.
      for gap in try await loadChain().gaps { log.keepAside(filesHolding: gap) }
    }
    do throws(StorageError) {
      try await log.removeSegments(archivedBefore: archivedEnd, keeping: services.policy.retention)
    } catch {
      throw .storage(error)
    }
    guard chain?.gaps.isEmpty ?? false else { return }
    let superseded = chain?.takeStrays(before: archivedEnd) ?? []
    let deleted = chain?.removeFirst(before: logStartOffset) ?? []
    for name in superseded + deleted {
      do throws(ObjectStoreError) { try await services.client.delete(name) } catch { throw .store(error) }
    }
  }

  private func assertCurrent() async throws(EngineError) {
    let isCurrent: Bool
    do throws(StorageError) { isCurrent = try await services.claim.isCurrent() } catch { throw .storage(error) }
    if !isCurrent { throw .log(source, .fenced(services.claim.epoch)) }
  }

  // MARK: Steps

  /// Reads a piece that begins at the cursor, ends at `end` or before, and is as large as an object may be.
  /// - Returns: the piece, nil where all of it is damaged; and the offset after it.
  private func collect(upTo end: Offset) async throws(EngineError) -> (piece: Piece?, next: Offset) {
    let limit = services.policy.objectBytes
    let response = FetchResponse()
    var batches: [UInt8] = []
    var count = 0
    var base = cursor
    var at = cursor
    while at < end, batches.count < limit {
      do throws(LogError) {
        try await log.fetch(from: at, maxBytes: min(256 << 10, limit - batches.count), into: response)
      } catch {
        // What is damaged stays damaged, and a fetch says so. What stands before it is a piece of its own.
        guard case .damaged(let range) = error else { throw .log(source, error) }
        if count > 0 { break }
        // What the device does not read now it may read one day: that is not passed over, and nothing behind it is cut.
        if log.mayBeReadYet(range) {
          throw .log(source, .storage(StorageError(errno: EIO, .read, range.path, offset: range.byteFrom)))
        }
        log.keepAside(range.path)
        at = min(max(range.to, at + 1), end)
        continue
      }
      guard let first = response.batches.first?.header else {
        throw .log(source, .offsetOutOfRange(at, start: base, end: end))
      }
      if count == 0 { base = first.baseOffset }
      guard first.baseOffset <= at else { throw .log(source, .offsetOutOfRange(at, start: first.baseOffset, end: end)) }
      let taken = ArchivedBatches.append(response, below: end, limit: limit, to: &batches)
      if taken.count == 0 { break }
      count += taken.count
      at = taken.next
    }
    guard count > 0 else { return (nil, at) }
    let name = ObjectName(source, base: base, end: at, epoch: services.claim.epoch)
    return (Piece(name: name, batchCount: count, batches: batches), at)
  }

  private func upload(_ piece: Piece) async throws(ObjectStoreError) {
    let bytes = SegmentObject(
      name: piece.name, partitionCount: partitionCount, batchCount: piece.batchCount, batches: piece.batches
    ).encoded()
    try await services.client.put(piece.name, bytes)
    // An upload may be cut on its way, and nobody told.
    guard try await services.client.get(piece.name) == bytes else {
      throw .damaged(piece.name, "read back after its upload, it is another")
    }
  }
}
