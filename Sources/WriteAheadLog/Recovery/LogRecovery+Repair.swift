import Glibc
import LogModel
import Storage

/// What becomes of what the scan has found.
extension LogRecovery {
  /// - Returns: the log end offset.
  mutating func decideAndRepair() async throws(StorageError) -> Offset {
    for gap in gaps {
      switch RecoveryDecision.action(for: gap.finding, testimony(at: gap.from), configuration.recoveryPolicy) {
      case .skipAndReport: reportDamage(gap, to: gap.to)
      case .truncateAndReport:
        try assertSomethingIsKnown(ofSegment: gap.segment)
        let proven = max(expected, hints.provenEnd)
        reportDamage(gap, to: proven)
        if let beforeCut { try await beforeCut(proven) }
        try await cut(at: gap, keepingCopies: true)
        return gap.from
      case .cutTail:
        try assertSomethingIsKnown(ofSegment: gap.segment)
        try await cut(at: gap, keepingCopies: false)
        return gap.from
      case .accept, .ignore, .end:
        preconditionFailure("a gap is neither accepted nor an end")
      }
    }
    let end = try await decideTail()
    try await removeHeadless()
    return end
  }

  private mutating func decideTail() async throws(StorageError) -> Offset {
    try assertSomethingIsKnown(ofSegment: scanned.count - 1)
    let finding: Finding = scanned.last?.hasGarbage == true ? .garbageEnd : .blankEnd
    let action = RecoveryDecision.action(for: finding, testimony(at: expected), configuration.recoveryPolicy)
    switch action {
    case .skipAndReport, .truncateAndReport:
      let proven = max(durable, hints.provenEnd, written)
      let last = scanned.last
      let start = last?.segment.dataEnd ?? 0
      reportDamage(
        Gap(
          from: expected, to: proven, segment: scanned.count - 1, position: start,
          path: last?.segment.path ?? directory,
          bytes: start..<max(start, last?.size ?? 0), finding: finding, mismatch: last?.mismatch),
        to: proven)
      if let last, last.hasGarbage, !last.isUnreadable(from: start) { try await copyAside(last.segment.path) }
      // What is skipped stays reserved; after a cut its offsets are given again.
      return action == .skipAndReport ? proven : expected
    case .cutTail:
      if let last = scanned.last { report.tornBytes += last.size - last.segment.dataEnd }
    case .end, .accept, .ignore: break
    }
    return expected
  }

  /// The log is about to end in that segment.
  /// - Throws: EIO where nothing behind its head can be read: anything may have been promised there.
  private func assertSomethingIsKnown(ofSegment index: Int) throws(StorageError) {
    guard scanned.indices.contains(index) else { return }
    let found = scanned[index]
    let start = Int64(SegmentHeader.size)
    guard found.segment.dataEnd == start, found.size > start,
      found.unreadable.contains(where: { $0.lowerBound <= start && $0.upperBound >= found.size })
    else { return }
    throw StorageError(errno: EIO, .read, found.segment.path, offset: start)
  }

  private func testimony(at offset: Offset) -> DurabilityEvidence {
    max(durable, written, hints.provenEnd) > offset ? .durable : .none
  }

  private mutating func reportDamage(_ gap: Gap, to end: Offset) {
    report.batchesSkipped += 1
    report.damage.append(
      DamagedRange(
        from: gap.from, to: end, path: gap.path, byteFrom: gap.bytes.lowerBound, byteTo: gap.bytes.upperBound,
        mismatch: gap.mismatch))
  }

  /// Removes everything from the gap on. What was never acknowledged goes the newest file first, so that a crash leaves
  /// no gap; what was goes the oldest first, so that the newest testifies to the damage until the last moment.
  private mutating func cut(at gap: Gap, keepingCopies: Bool) async throws(StorageError) {
    var files = headless.filter { $0.base >= gap.from }.map {
      (base: $0.base, path: $0.path, size: $0.size, isUnreadable: isUnreadable($0.path))
    }
    headless.removeAll { $0.base >= gap.from }
    while scanned.count > gap.segment + 1 {
      let entry = scanned.removeLast()
      files.append((entry.segment.baseOffset, entry.segment.path, entry.size, isUnreadable(entry.segment.path)))
    }
    if keepingCopies, let last = scanned.last, !last.isUnreadable(from: gap.position) {
      try await copyAside(last.segment.path)
    }
    for file in files.sorted(by: { keepingCopies ? $0.base < $1.base : $0.base > $1.base }) {
      if keepingCopies || file.isUnreadable {
        try await setAside(file.path)
      } else {
        report.tornBytes += file.size
        try await storage.here().unlink(file.path)
      }
    }
    if let last = scanned.indices.last {
      let segment = scanned[last].segment
      segment.dataEnd = gap.position
      segment.nextOffset = min(segment.nextOffset, gap.from)
      segment.index.truncate(at: gap.position)
      scanned[last].hasGarbage = true
    }
    // Under `never` too: what a consumer has missed once must not come back.
    try await storage.here().syncDirectory(directory)
    try await removeHeadless()
  }

  private func isUnreadable(_ path: String) -> Bool { report.unreadable.contains { $0.path == path } }

  /// Files of older writers go, with a copy kept. So do files without a head that are in the way: of no use before the
  /// log start offset; where no batch ever stood in them, their name will be needed. All others stay where they are,
  /// for whoever can read more from them.
  private mutating func removeHeadless() async throws(StorageError) {
    var changed = !superseded.isEmpty
    for file in superseded.reversed() {
      if file.size > SegmentHeader.size {
        try await setAside(file.path)
      } else {
        try await storage.here().unlink(file.path)
      }
    }
    superseded = []
    let found = headless
    headless = []
    for file in found.reversed() {
      if file.size <= SegmentHeader.size, !isUnreadable(file.path) {
        try await storage.here().unlink(file.path)
      } else if file.end == file.base || file.end <= logStart || file.size <= SegmentHeader.size {
        try await setAside(file.path)
      } else {
        headless.append(file)
        continue
      }
      changed = true
    }
    if changed, configuration.syncPolicy != .never { try await storage.here().syncDirectory(directory) }
  }

  // MARK: Quarantine

  /// Where what is cut from `path` goes. The epoch rises with every writer that appends, so that what one recovery has
  /// set aside is never replaced by a later one.
  private func quarantine(of path: String) -> String { "\(path).damaged-\(epoch)" }

  private mutating func setAside(_ path: String) async throws(StorageError) {
    let target = quarantine(of: path)
    try await storage.here().rename(path, to: target)
    report.quarantined.append(target)
  }

  /// Copies a file of which something is about to be cut.
  mutating func copyAside(_ path: String) async throws(StorageError) {
    let target = quarantine(of: path)
    let temporary = target + ".partial"
    let source = try await storage.here().open(path, [])
    do throws(StorageError) {
      let copy = try await storage.here().open(temporary, [.write, .create])
      do throws(StorageError) {
        try await self.copy(source, to: copy, temporary, upTo: try await storage.here().size(of: source))
        try await storage.here().sync(copy, .all)
      } catch {
        await storage.close(copy)
        throw error
      }
      await storage.close(copy)
    } catch {
      await storage.close(source)
      throw error
    }
    await storage.close(source)
    try await storage.here().rename(temporary, to: target)
    try await storage.here().syncDirectory(directory)
    report.quarantined.append(target)
  }

  func copy(
    _ source: FileID, to copy: FileID, _ path: String, upTo size: Int64
  ) async throws(StorageError) {
    try await storage.here().truncate(copy, to: 0)
    let buffer = storage.makeBuffer(capacity: 256 << 10)
    var at: Int64 = 0
    while at < size {
      let wanted = Int(min(Int64(buffer.capacity), size - at))
      let got = try await storage.readRetrying(source, at: at, into: buffer, 0..<wanted)
      if got == 0 { break }
      try await storage.here().writeWhole(copy, path, at: at, from: buffer, 0..<got)
      at += Int64(got)
    }
  }
}
