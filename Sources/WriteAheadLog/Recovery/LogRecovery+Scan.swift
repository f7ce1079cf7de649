import Glibc
import LogModel
import Storage

/// What there is: segments, batches, and the gaps between them.
extension LogRecovery {
  private struct Head {
    var base: Offset
    var epoch: Epoch
    var path: String
    var header: SegmentHeader?
    /// Where the copy of its head stands that is damaged, though the device can read it; nil for none.
    var damagedCopy: Int?
    var size: Int64
    /// For a file without a valid header; see `Headless`.
    var end: Offset
    var isSuperseded = false
    /// There is no such file any more: it is `RecoveryHints.newest`.
    var isMissing = false
  }

  /// Reads every segment once, and changes nothing.
  mutating func scan() async throws(StorageError) {
    let names = try await storage.here().list(directory).filter { !$0.isDirectory }.map(\.name)
    var heads: [Head] = []
    for name in parts.ordering.order(names) {
      if name.hasSuffix(Self.suspectSuffix) {
        suspects.insert(directory + "/" + name.dropLast(Self.suspectSuffix.count))
      }
      guard let (base, epoch) = SegmentHeader.identity(fileName: name) else { continue }
      // A newer writer has been here: what it does must not be undone.
      if isFenced, epoch > hints.epoch { throw StorageError(errno: ESTALE, .open, directory + "/" + name) }
      heads.append(try await readHead(base, epoch, directory + "/" + name))
    }
    recallNewest(&heads)
    removeSuperseded(&heads)
    if hints.logStartOffset == nil { expected = heads.first { $0.header != nil || $0.end > $0.base }?.base ?? 0 }
    logStart = expected
    for (index, head) in heads.enumerated() {
      // Offsets from the next segment's base on are that segment's: what stands here is a leftover.
      let limit = heads[(index + 1)...].first { $0.header != nil || $0.end > $0.base }?.base
      guard let header = head.header else {
        let end = limit ?? head.end
        if !head.isMissing { headless.append(Headless(base: head.base, path: head.path, size: head.size, end: end)) }
        if head.end > head.base, end > expected { noteLostHead(head, end: end) }
        continue
      }
      epoch = max(epoch, header.epoch)
      durable = max(durable, header.durableOffset)
      let end = header.baseOffset + -header.passedOver
      if end > expected { noteGap(to: end, .gap, in: nil) }
      try await scan(head, header, limit: limit)
    }
  }

  /// Puts the newest segment that is known of in its place where its file is gone.
  private func recallNewest(_ heads: inout [Head]) {
    guard let newest = hints.newest else { return }
    if heads.contains(where: { $0.base == newest.baseOffset && $0.epoch == newest.epoch }) { return }
    let path = directory + "/" + SegmentHeader.fileName(base: newest.baseOffset, epoch: newest.epoch)
    let head = Head(base: newest.baseOffset, epoch: newest.epoch, path: path, size: 0, end: newest.end, isMissing: true)
    heads.insert(head, at: heads.firstIndex { ($0.base, $0.epoch) > (head.base, head.epoch) } ?? heads.count)
  }

  /// A writer that takes over reads the segments that there are, and names the last of them in its own. Whatever older
  /// writers have put after that one was never acknowledged: they had been fenced before the segments were read.
  private mutating func removeSuperseded(_ heads: inout [Head]) {
    var claims = heads.compactMap { head in head.header.map { (epoch: head.epoch, previous: $0.previousBase) } }
    if let newest = hints.newest { claims.append((newest.epoch, newest.previousBase)) }
    for index in heads.indices {
      let head = heads[index]
      epoch = max(epoch, head.epoch)
      guard claims.contains(where: { $0.epoch > head.epoch && head.base > $0.previous }) else { continue }
      if !head.isMissing { superseded.append((head.path, head.size)) }
      heads[index].isSuperseded = true
    }
    heads.removeAll { $0.isSuperseded }
  }

  private mutating func readHead(
    _ base: Offset, _ epoch: Epoch, _ path: String
  ) async throws(StorageError) -> Head {
    var head = Head(base: base, epoch: epoch, path: path, size: 0, end: base)
    let file = try await storage.here().open(path, [])
    do throws(StorageError) {
      head.size = try await storage.here().size(of: file)
      var unreadable: [Range<Int64>] = []
      let got = try await storage.readAround(file, at: 0, into: window, 0..<SegmentHeader.size, .recovery, &unreadable)
      for position in SegmentHeader.copyPositions {
        guard let version = SegmentHeader.version(ofCopyAt: position, of: window[0..<got]),
          version != SegmentHeader.version
        else { continue }
        throw StorageError(
          .unknownVersion(Int(version), known: Int(SegmentHeader.version)), .read, path, offset: Int64(position))
      }
      head.header = SegmentHeader.copyPositions.lazy.compactMap { [window] in
        SegmentHeader(copyAt: $0, of: window[0..<got])
      }.first { $0.baseOffset == base && $0.epoch == epoch && $0.source == source }
      if let header = head.header, unreadable.isEmpty { head.damagedCopy = header.damagedCopy(in: window[0..<got]) }
      var isBlank = false
      if head.header == nil {
        let recorded = hints.newest.flatMap { $0.baseOffset == base && $0.epoch == epoch ? $0.end : nil }
        (head.end, isBlank) = try await estimateEnd(file, path, base, recorded ?? base, size: head.size, &unreadable)
      }
      isBlank = isBlank && unreadable.allSatisfy { $0.upperBound <= SegmentHeader.size }
      // Where not one byte can be read, a record of what the file began with says too little.
      let isAllUnreadable = unreadable.reduce(0) { $0 + $1.upperBound - $1.lowerBound } >= head.size
      let isKnown = head.header != nil || (head.end > base && !isAllUnreadable) || isBlank
      for bytes in unreadable {
        guard isKnown || bytes.lowerBound >= SegmentHeader.size else {
          throw StorageError(errno: EIO, .read, path, offset: bytes.lowerBound)
        }
        report.unreadable.append(UnreadableBytes(path: path, from: bytes.lowerBound, to: bytes.upperBound))
      }
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
    return head
  }

  /// Without a head nothing in a segment can be checked: the salt is gone. Its batch headers, unverified, still say how
  /// far it went, as long as they follow one another.
  /// - Parameter recorded: the offset after the first commit, where the metadata knows it.
  /// - Returns: the end, and whether nothing but zeros stands behind that.
  private mutating func estimateEnd(
    _ file: FileID, _ path: String, _ base: Offset, _ recorded: Offset, size: Int64, _ unreadable: inout [Range<Int64>]
  ) async throws(StorageError) -> (end: Offset, isBlank: Bool) {
    var parts = parts
    parts.validator = UnsaltedValidator()
    var scanner = SegmentScanner(
      storage: storage, file: file, path: path, size: size, salt: 0, parts: parts, window: window)
    scanner.isSaltKnown = false
    var end = recorded
    var at = Int64(SegmentHeader.size)
    var isBlank = false
    reading: while true {
      let step = try await scanner.next(from: at)
      guard case .batch(let header) = step else {
        if case .end(let blank) = step { isBlank = blank }
        break reading
      }
      at = header.position + Int64(header.length)
      guard header.baseOffset == end else { continue }
      // Under `never` a power loss may take a head and leave what was written after it, or what somebody else has left
      // there; in the same boot it has taken none.
      let isUnsynced = header.isNeverSynced || configuration.syncPolicy == .never
      if isUnsynced && !storage.properties.isSameBoot(as: header.bootID) { break }
      end = header.nextOffset
    }
    window = scanner.window
    unreadable += scanner.unreadable
    return (end, isBlank)
  }

  private mutating func scan(_ head: Head, _ header: SegmentHeader, limit: Offset?) async throws(StorageError) {
    let start = Int64(SegmentHeader.size)
    expected = max(expected, header.baseOffset)
    let segment = Segment(header: header, path: head.path, writer: nil, dataEnd: start, nextOffset: expected)
    scanned.append(Scanned(segment: segment, size: head.size, damagedCopy: head.damagedCopy))
    let file = try await storage.here().open(head.path, [])
    var scanner = SegmentScanner(
      storage: storage, file: file, path: head.path, size: head.size, salt: header.salt, parts: parts, window: window)
    var at = start
    let properties = storage.properties
    var isReadTwice = false
    do throws(StorageError) {
      reading: while true {
        let step = try await scanner.next(from: at)
        // Damage is not believed at once: the device, or the way from it, may have given other bytes than it holds.
        if !isReadTwice, step.isDamage(from: expected, to: limit), scanner.forget(from: at) {
          isReadTwice = true
          continue
        }
        isReadTwice = false
        let place = scanned.count - 1
        scanned[place].mismatch = scanned[place].mismatch ?? scanner.mismatch
        switch step {
        case .end(let blank):
          scanned[place].hasGarbage = !blank
          break reading
        case .batch(var batch):
          at = parts.stepper.position(after: batch)
          batch.baseOffset = parts.reading.baseOffset(ofScanned: batch, expected: expected, salt: header.salt)
          if batch.nextOffset <= expected { continue }
          // The log may start in the middle of a batch: its first records have been deleted.
          if batch.baseOffset < expected, expected != logStart || batches > 0 { continue }
          if let limit, batch.nextOffset > limit {
            scanned[place].hasLeftover = true
            continue
          }
          if batch.baseOffset > expected { noteGap(to: batch.baseOffset, .gap, in: batch.position) }
          scanned[place].mismatch = nil
          epoch = max(epoch, batch.epoch)
          durable = max(durable, batch.durableOffset)
          if properties.isSameBoot(as: batch.bootID) { written = max(written, batch.commitBase) }
          segment.index.note(batchAt: batch.position, baseOffset: batch.baseOffset)
          segment.dataEnd = batch.position + Int64(batch.length)
          expected = batch.nextOffset
          segment.nextOffset = expected
          batches += 1
        }
      }
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
    report.bytesScanned += scanner.bytesRead
    window = scanner.window
    scanned[scanned.count - 1].unreadable = scanner.unreadable
    report.unreadable += scanner.unreadable.map {
      UnreadableBytes(path: head.path, from: $0.lowerBound, to: $0.upperBound)
    }
  }

  /// - Parameter position: of the next valid batch, where that stands in the same segment.
  private mutating func noteGap(to end: Offset, _ finding: Finding, in position: Int64?) {
    let last = scanned.last
    let start = last?.segment.dataEnd ?? 0
    gaps.append(
      Gap(
        from: expected, to: end, segment: scanned.count - 1, position: start, path: last?.segment.path ?? directory,
        bytes: start..<max(start, position ?? last?.size ?? 0), finding: finding,
        mismatch: last?.mismatch))
  }

  private mutating func noteLostHead(_ head: Head, end: Offset) {
    if head.base > expected {
      noteGap(to: head.base, .gap, in: nil)
      expected = head.base
    }
    noteGap(to: end, .lostHead, in: nil)
    gaps[gaps.count - 1].path = head.path
    gaps[gaps.count - 1].bytes = 0..<head.size
    gaps[gaps.count - 1].mismatch = nil
    expected = end
  }
}

extension SegmentScanner.Step {
  /// Whether it says that something is damaged at offset `expected`. What goes past `limit` is another segment's.
  fileprivate func isDamage(from expected: Offset, to limit: Offset?) -> Bool {
    switch self {
    case .batch(let batch): batch.baseOffset > expected && limit.map { batch.nextOffset <= $0 } ?? true
    case .end(let blank): !blank
    }
  }
}

/// Takes every batch whose header makes sense.
private struct UnsaltedValidator: BatchValidating {
  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    header.recordCount <= (header.length - BatchHeader.size) / RecordFormat.headerSize
  }
}
