import LogModel
import Storage

/// What an archive of the log has to know, and what it may ask for.
///
/// The log start offset of an archived log is where its files begin. What came before is in the archive, and the
/// archive's business.
extension PartitionLog {
  /// Everything before it may go to an archive: it is acknowledged, and as durable as the policy will make it.
  public var archivableEnd: Offset {
    configuration.syncPolicy == .never ? highWatermark : min(durableOffset, highWatermark)
  }

  /// Whether it has not been closed.
  public var canBeRead: Bool { lifecycle != .closed }

  /// Where the segment begins that takes the appends, or the last one that was found.
  public var activeBase: Offset { segments.last?.baseOffset ?? logEndOffset }

  /// Bytes of the files' batches from `offset` on, to the granularity of the sparse index.
  public func bytes(from offset: Offset) -> Int64 {
    var sum: Int64 = 0
    for segment in segments.reversed() where !segment.isEmpty {
      guard segment.baseOffset <= offset else {
        sum += segment.dataEnd - Int64(SegmentHeader.size)
        continue
      }
      if segment.nextOffset > offset {
        sum += segment.dataEnd - (segment.index.position(atOrBefore: offset) ?? Int64(SegmentHeader.size))
      }
      break
    }
    return sum
  }

  /// Removes the files that hold nothing from `archived` on and that `retention` does not keep, the oldest first.
  /// - Parameter archived: everything before it is in an archive, durably.
  public func removeSegments(archivedBefore archived: Offset, keeping retention: LocalRetention?)
    async throws(StorageError)
  {
    var kept = segments.reduce(0) { $0 + $1.dataEnd }
    var start: Offset?
    for (segment, next) in zip(segments, segments.dropFirst()) {
      guard next.baseOffset <= archived, !(retention?.keeps(segment, of: kept, at: loop.now) ?? false) else { break }
      kept -= segment.dataEnd
      start = next.baseOffset
      if damagedPaths.contains(segment.path) || damage.contains(where: { $0.path == segment.path }) {
        // What is damaged in it is nowhere else: somebody may read more of it yet.
        try await storage.here().rename(segment.path, to: "\(segment.path).damaged-\(epoch)")
      }
    }
    if let start {
      try await removeSegments(before: start)
    } else if !unremoved.isEmpty {
      try await removeSegments(before: logStartOffset)
    }
  }

  /// When the oldest file that is archived is kept no longer; nil where none waits for that.
  public func nextRemoval(archivedBefore archived: Offset, keeping retention: LocalRetention?) -> Instant? {
    guard let age = retention?.age, segments.count > 1, segments[1].baseOffset <= archived,
      let sealed = segments[0].sealedAt
    else { return nil }
    return sealed + age
  }

  /// Whether it counts as damaged perhaps only because the device could not read it: it may be whole, and there when
  /// the device is well again.
  public func mayBeReadYet(_ range: DamagedRange) -> Bool {
    unreadablePaths.contains(range.path) || unreadableBase != nil
  }

  /// The file is not removed, but set aside, when the rest of it has been archived.
  public func keepAside(_ path: String) { damagedPaths.insert(path) }

  /// The same of the files whose offsets meet `range`.
  public func keepAside(filesHolding range: Range<Offset>) {
    for (index, segment) in segments.enumerated() where segment.baseOffset < range.upperBound {
      let end = segments.indices.contains(index + 1) ? segments[index + 1].baseOffset : logEndOffset
      if end > range.lowerBound { keepAside(segment.path) }
    }
  }

  /// Puts what the files hold before `offset` into the next commits, as if somebody had sent it again.
  public func requeueBatches(before offset: Offset) async throws(LogError) {
    let response = FetchResponse()
    var at = logStartOffset
    while at < offset {
      try await readLog(
        from: at, below: offset, maxBytes: configuration.commitBytes / 4, batchLimit: nil, into: response)
      for index in response.batches.indices { requeue(response.batches[index].header, response.bytes(of: index)) }
      at = response.nextOffset
    }
  }

  // MARK: Rotation

  /// Has the active segment closed, if anything stands in it, without waiting for a commit that needs another one.
  public func rotate() {
    isRotationRequested = true
    wakeCommitter()
  }

  /// When the active segment reaches the age at which it is closed; nil for never.
  public var rotationDue: Instant? {
    guard let segment = active, !segment.isEmpty, let created = segment.createdAt, let age = configuration.segmentAge
    else { return nil }
    return created + age
  }

  func isRotationDue(_ segment: Segment) -> Bool {
    guard !segment.isEmpty else { return false }
    if isRotationRequested { return true }
    guard let created = segment.createdAt, let age = configuration.segmentAge else { return false }
    return loop.now >= created + age
  }

  /// Between commits. Where it fails, the next commit makes the segment, and says what it meets.
  func rotateIfDue() async {
    guard let segment = active, isRotationDue(segment) else {
      isRotationRequested = false
      return
    }
    do throws(StorageError) { _ = try await roll() } catch {}
  }
}

/// Which of the files that are in an archive stay all the same, for those who read what is not so new any more. A file
/// goes when either limit is passed. It is for this process only: what an opening finds archived goes at once.
public struct LocalRetention: Hashable, Sendable {
  /// Bytes of the partition's files together; nil for no limit.
  public var bytes: Int64?
  /// Since the file was closed; nil for no limit.
  public var age: Duration?

  public init(bytes: Int64? = nil, age: Duration? = nil) { (self.bytes, self.age) = (bytes, age) }

  func keeps(_ segment: Segment, of kept: Int64, at now: Instant) -> Bool {
    guard let sealed = segment.sealedAt else { return false }
    if let bytes, kept > bytes { return false }
    if let age, now >= sealed + age { return false }
    return true
  }
}
