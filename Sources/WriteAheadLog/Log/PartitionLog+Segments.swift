import Glibc
import LogModel
import Storage

/// Making segments and room in them.
///
/// A new segment is created under its final name, its head written, the file and its directory synced, and only then
/// used (`man 2 fsync`: syncing a file does not sync its directory entry). A crash in between leaves a segment
/// without a valid head or without batches, which recovery removes.
extension PartitionLog {
  /// The segment that takes the next commit: the active one, or a new one.
  func segmentWithRoom(for commit: Commit) async throws(LogError) -> Segment {
    if let segment = active, !isRotationDue(segment) {
      if segment.isEmpty
        || segment.writePosition + Int64(commit.used + IOBuffer.alignment) <= configuration.segmentBytes
      {
        return segment
      }
      await parts.rotation.begin(appends: commit.batches.count)
    }
    do throws(StorageError) {
      return try await roll()
    } catch {
      throw .poisoned(by: error)
    }
  }

  /// Seals the active segment and makes a new one at the log end offset.
  func roll() async throws(StorageError) -> Segment {
    isRotationRequested = false
    if let last = segments.last, let writer = last.writer {
      await preallocationIdle.wait()
      if case .interval = configuration.syncPolicy { await syncTail() }
      while !syncIdle.isOpen { await syncIdle.wait() }
      last.writer = nil
      last.sealedAt = loop.now
      await storage.close(writer)
    }
    if let last = segments.last, last.baseOffset == assignedOffset {
      // A segment in which nothing was ever acknowledged: its name is needed again.
      segments.removeLast()
      await retire(last)
      try await storage.here().unlink(last.path)
    }
    let segment = try await createSegment()
    if configuration.syncPolicy != .never, segment.header.durableOffset >= durableOffset { unattestedFrom = nil }
    segments.append(segment)
    return segment
  }

  private func createSegment() async throws(StorageError) -> Segment {
    let header = SegmentHeader(
      baseOffset: assignedOffset, epoch: epoch,
      salt: mix64(
        configuration.saltSeed ^ mix64(epoch.rawValue &+ mix64(UInt64(bitPattern: assignedOffset.rawValue)))
          ^ stableHash("\(source)")), durableOffset: durableOffset, bootID: storage.properties.bootID, source: source,
      isNeverSynced: configuration.syncPolicy == .never, isSyncedLater: configuration.syncPolicy.syncsLater,
      previousBase: max(segments.last?.baseOffset ?? -1, unreadableBase ?? -1),
      passedOver: passedOver.map { $0.upperBound == assignedOffset ? $0.upperBound - $0.lowerBound : 0 } ?? 0)
    let path = directory + "/" + SegmentHeader.fileName(base: header.baseOffset, epoch: epoch)
    let writer = try await create(path)
    do throws(StorageError) {
      let block = storage.makeBuffer(capacity: SegmentHeader.size)
      header.write(into: block.mutableBytes(0..<SegmentHeader.size))
      try await storage.here().writeWhole(
        writer, path, at: 0, from: block, 0..<SegmentHeader.size, isDirect: isSynchronous)
      if configuration.syncPolicy != .never {
        try await storage.here().sync(writer, .all)
        try await storage.here().syncDirectory(directory)
      }
    } catch {
      await storage.close(writer)
      // Its name is needed by the next attempt. It is this writer's own: it did not exist before.
      do throws(StorageError) { try await storage.here().unlink(path) } catch {}
      throw error
    }
    let start = Int64(SegmentHeader.size)
    let segment = Segment(header: header, path: path, writer: writer, dataEnd: start, nextOffset: header.baseOffset)
    segment.createdAt = loop.now
    return segment
  }

  /// One that is there under this name is this writer's own, for no other has its epoch, and it is no part of the log:
  /// an attempt before this one could not take it back.
  private func create(_ path: String) async throws(StorageError) -> FileID {
    let mode: OpenMode = isSynchronous ? [.write, .create, .exclusive, .direct] : [.write, .create, .exclusive]
    do throws(StorageError) { return try await storage.here().open(path, mode) } catch {
      let isOwn = error.isErrno(EEXIST) && !segments.contains { $0.path == path }
      guard isOwn, parts.leftovers.replacesOwn else { throw error }
    }
    try await storage.here().unlink(path)
    return try await storage.here().open(path, mode)
  }

  // MARK: Zero-filling ahead

  /// Waits until a commit up to `end` cannot meet a zero-fill in flight.
  func preallocate(_ segment: Segment, upTo end: Int64) async throws(LogError) {
    guard isSynchronous, preallocation > 0 else { return }
    while end > segment.zeroedEnd, segment.zeroedEnd < configuration.segmentBytes {
      if preallocationIdle.isOpen, !startPreallocation(segment, force: true) { return }
      await preallocationIdle.wait()
      if segment.isSealed { return }
    }
  }

  /// Zero-fills the next piece in the background when less than half a piece is left.
  /// - Returns: whether a zero-fill is in flight now.
  @discardableResult
  func startPreallocation(_ segment: Segment, force: Bool = false) -> Bool {
    guard preallocationIdle.isOpen else { return true }
    guard isSynchronous, preallocation > 0, let writer = segment.writer, !segment.isSealed,
      force || lifecycle == .open, segment.zeroedEnd < configuration.segmentBytes,
      force || segment.zeroedEnd - segment.writePosition < preallocation / 2
    else { return false }
    let start = max(segment.zeroedEnd, segment.writePosition)
    let end = min(start + preallocation, configuration.segmentBytes)
    guard end > start else { return false }
    preallocation = min(preallocation * 2, configuration.largestPreallocation)
    preallocationIdle.shut()
    loop.spawn {
      await self.zeroFill(segment, writer, start, end)
      self.preallocationIdle.open()
    }
    return true
  }

  private func zeroFill(_ segment: Segment, _ writer: FileID, _ start: Int64, _ end: Int64) async {
    let zeroes = self.zeroes ?? IOBuffer(capacity: 256 << 10)
    self.zeroes = zeroes
    do {
      var at = start
      while at < end {
        let count = Int(min(Int64(zeroes.capacity), end - at))
        try await storage.here().writeWhole(
          writer, segment.path, at: at, from: zeroes, 0..<count, isDirect: isSynchronous)
        at += Int64(count)
      }
      do throws(StorageError) { try await storage.here().sync(writer, .data) } catch {
        segment.isSealed = true  // nothing is built on pages whose sync has failed
        throw error
      }
      segment.zeroedEnd = max(segment.zeroedEnd, end)
    } catch {
      // No room to fill ahead: from now on commits extend the file themselves and report what they meet.
      preallocation = 0
    }
  }
}

extension SyncPolicy {
  /// After the acknowledgement.
  var syncsLater: Bool { if case .interval = self { true } else { false } }
}

// MARK: Names

extension PartitionLog {
  /// The epoch in the name of a segment's file; nil for any other name.
  public static func epoch(ofSegment name: String) -> Epoch? { SegmentHeader.identity(fileName: name)?.epoch }
}

// MARK: Retention

extension PartitionLog {
  /// The first offset that is still in a file; at or below the log start offset.
  public var firstRetainedOffset: Offset { segments.first?.baseOffset ?? logEndOffset }

  /// Bytes of the log's files, zero-filled ones included.
  public var storedBytes: Int64 { segments.reduce(0) { $0 + max($1.zeroedEnd, $1.writePosition) } }

  /// Where segment files begin, in order.
  public var segmentBases: [Offset] { segments.map(\.baseOffset) }

  /// Begins a new segment, whose first batch gets `offset`: the log end offset or one above it. The offsets in between
  /// are nobody's, and no recovery misses them.
  ///
  /// No append may be under way.
  public func beginSegment(at offset: Offset) async throws(LogError) {
    loop.assertOwned()
    precondition(offset >= assignedOffset && filling.batches.isEmpty, "offsets are given once")
    guard lifecycle == .open else { throw .closed }
    if isFenced { throw .fenced(epoch) }
    if offset > assignedOffset {
      let start = passedOver?.upperBound == assignedOffset ? passedOver?.lowerBound : nil
      passedOver = (start ?? assignedOffset)..<offset
      (assignedOffset, highWatermark, durableOffset) = (offset, offset, offset)
      recent.removeAll()
    }
    do throws(StorageError) { _ = try await roll() } catch { throw .poisoned(by: error) }
  }

  /// Renames the segment files in the directory that are not this log's: those whose heads recovery could not read, and
  /// left where they were.
  public func setAsideStrangers() async throws(StorageError) {
    let own = Set(segments.map(\.path))
    for entry in try await storage.here().list(directory) where Self.epoch(ofSegment: entry.name) != nil {
      let path = directory + "/" + entry.name
      if !own.contains(path) { try await storage.here().rename(path, to: "\(path).damaged-\(epoch)") }
    }
    if configuration.syncPolicy != .never { try await storage.here().syncDirectory(directory) }
  }

  /// Moves the log start offset to `offset` and removes the files that hold nothing from there on, the oldest first, so
  /// that a crash in between leaves no gap. Nor does a removal that fails: no younger file goes before it has been made
  /// up for.
  public func removeSegments(before offset: Offset) async throws(StorageError) {
    logStartOffset = max(logStartOffset, offset)
    while segments.count > 1, segments[1].baseOffset <= offset {
      let segment = segments.removeFirst()
      await retire(segment)
      unremoved.append(segment.path)
    }
    while let path = unremoved.first {
      do throws(StorageError) { try await storage.here().unlink(path) } catch {
        if !error.isNotFound { throw error }
      }
      if unremoved.first == path { unremoved.removeFirst() }
    }
    if configuration.syncPolicy != .never { try await storage.here().syncDirectory(directory) }
  }
}
