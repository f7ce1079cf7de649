import Glibc
import LogModel
import Storage

/// What becomes of what the scan has found.
extension LogRecovery {
  /// - Returns: the log end offset.
  mutating func decideAndRepair() async throws(StorageError) -> Offset {
    for gap in gaps {
      switch RecoveryCase.action(for: gap.finding, testimony(at: gap.from), configuration.recoveryPolicy) {
      case .skipAndReport: reportDamage(gap, to: gap.to)
      case .truncateAndReport:
        let proven = max(expected, hints.cleanEnd ?? 0)
        reportDamage(gap, to: proven)
        if let beforeCut { try await beforeCut(proven) }
        try await cut(at: gap, keepingCopies: true)
        return gap.from
      case .cutTail:
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
    let finding: Finding = scanned.last?.hasGarbage == true ? .garbageEnd : .blankEnd
    let action = RecoveryCase.action(for: finding, testimony(at: expected), configuration.recoveryPolicy)
    switch action {
    case .skipAndReport, .truncateAndReport:
      let proven = max(durable, hints.cleanEnd ?? 0, written)
      let last = scanned.last
      let start = last?.segment.dataEnd ?? 0
      reportDamage(
        Gap(
          from: expected, to: proven, segment: scanned.count - 1, position: start, path: last?.segment.path ?? directory,
          bytes: start..<max(start, last?.size ?? 0), finding: finding), to: proven)
      if let last, last.hasGarbage, !last.isUnreadable(from: start) { try await copyAside(last.segment.path) }
      // What is skipped stays reserved; after a cut its offsets are given again.
      return action == .skipAndReport ? proven : expected
    case .cutTail:
      if let last = scanned.last { report.tornBytes += last.size - last.segment.dataEnd }
    case .end, .accept, .ignore: break
    }
    return expected
  }

  private func testimony(at offset: Offset) -> Testimony {
    max(durable, written, hints.cleanEnd ?? 0) > offset ? .durable : .none
  }

  private mutating func reportDamage(_ gap: Gap, to end: Offset) {
    report.batchesSkipped += 1
    report.damage.append(
      DamagedRange(from: gap.from, to: end, path: gap.path, byteFrom: gap.bytes.lowerBound, byteTo: gap.bytes.upperBound))
  }

  /// Removes everything from the gap on. What was never acknowledged goes the newest file first, so that a crash leaves no
  /// gap; what was goes the oldest first, so that the newest testifies to the damage until the last moment.
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
        try await storage.unlink(file.path)
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
    try await storage.syncDirectory(directory)
    try await removeHeadless()
  }

  private func isUnreadable(_ path: String) -> Bool { report.unreadable.contains { $0.path == path } }

  /// Files of older writers go, with a copy kept. So do files without a head that are in the way: of no use before the log start offset; where no batch ever stood in them,
  /// their name will be needed. All others stay where they are, for whoever can read more from them.
  private mutating func removeHeadless() async throws(StorageError) {
    var changed = !superseded.isEmpty
    for file in superseded.reversed() {
      if file.size > SegmentHeader.size { try await setAside(file.path) } else { try await storage.unlink(file.path) }
    }
    superseded = []
    for file in headless.reversed() {
      if file.size <= SegmentHeader.size {
        try await storage.unlink(file.path)
      } else if file.end == file.base || file.end <= logStart {
        try await setAside(file.path)
      } else {
        continue
      }
      changed = true
    }
    if changed, configuration.syncPolicy != .never { try await storage.syncDirectory(directory) }
  }

  // MARK: Quarantine

  /// Where what is cut from `path` goes. The epoch rises with every writer that appends, so that what one recovery has
  /// set aside is never replaced by a later one.
  private func quarantine(of path: String) -> String { "\(path).damaged-\(epoch)" }

  private mutating func setAside(_ path: String) async throws(StorageError) {
    let target = quarantine(of: path)
    try await storage.rename(path, to: target)
    report.quarantined.append(target)
  }

  /// Copies a file of which something is about to be cut.
  private mutating func copyAside(_ path: String) async throws(StorageError) {
    let target = quarantine(of: path)
    let temporary = target + ".partial"
    let source = try await storage.open(path, [])
    do throws(StorageError) {
      let copy = try await storage.open(temporary, [.write, .create])
      do throws(StorageError) {
        try await copyAll(from: source, to: copy, temporary)
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
    try await storage.rename(temporary, to: target)
    try await storage.syncDirectory(directory)
    report.quarantined.append(target)
  }

  private func copyAll(from source: FileID, to copy: FileID, _ path: String) async throws(StorageError) {
    let size = try await storage.size(of: source)
    try await storage.truncate(copy, to: 0)
    let buffer = storage.makeBuffer(capacity: 256 << 10)
    var at: Int64 = 0
    while at < size {
      let wanted = Int(min(Int64(buffer.capacity), size - at))
      let got = try await storage.readRetrying(source, at: at, into: buffer, 0..<wanted)
      if got == 0 { break }
      let written = try await storage.writeRetrying(copy, at: at, from: buffer, 0..<got)
      if written == 0 { throw StorageError(errno: ENOSPC, .write, path, offset: at) }
      at += Int64(written)
    }
    try await storage.sync(copy, .all)
  }

  // MARK: Durability

  /// Cuts what follows the data of the last segment, and makes what will be served as durable as the policy says.
  ///
  /// Nothing is appended to a segment that was found: the next commit begins a new one. A write that the process before
  /// has left in flight, or that a fenced writer sends yet, may land behind the data here at any time; there it is
  /// harmless.
  mutating func settle() async throws(StorageError) {
    let policy = configuration.syncPolicy
    if policy != .never {
      // What an engine without syncs has left in the page cache.
      var names = false
      for entry in scanned where entry.segment.header.isNeverSynced || mayBeUnsynced(entry.segment) {
        if entry.segment.header.isNeverSynced { names = true }
        if entry.segment !== scanned.last?.segment { try await sync(entry.segment.path) }
      }
      if names { try await storage.syncDirectory(directory) }
    }
    guard let last = scanned.last else { return }
    let file = try await storage.open(last.segment.path, [.write])
    do throws(StorageError) {
      let isCut =
        parts.resuming.cutsTail && last.size != last.segment.dataEnd && !last.isUnreadable(from: last.segment.dataEnd)
      if isCut { try await storage.truncate(file, to: last.segment.dataEnd) }
      // Under `never` what an earlier policy has promised is kept too, and what was cut stays cut over a power loss.
      if policy != .never || !last.segment.header.isNeverSynced || isCut {
        do throws(StorageError) { try await storage.sync(file, .all) } catch {
          // The next sync of these pages may succeed without having written them: they go to others.
          try await rewrite(last.segment.path)
        }
      }
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }

  /// A sync of it may have failed, and its writer died before anybody could tell: what was acknowledged then stands in the
  /// page cache, and is served from now on.
  private func mayBeUnsynced(_ segment: Segment) -> Bool {
    if case .interval = configuration.syncPolicy { return segment.nextOffset > hints.cleanEnd ?? 0 }
    return false
  }

  /// Puts a synced copy in the place of a file that cannot be synced itself.
  private func rewrite(_ path: String) async throws(StorageError) {
    let temporary = path + ".rewritten"
    let source = try await storage.open(path, [])
    do throws(StorageError) {
      let copy = try await storage.open(temporary, [.write, .create])
      do throws(StorageError) { try await copyAll(from: source, to: copy, temporary) } catch {
        await storage.close(copy)
        throw error
      }
      await storage.close(copy)
      try await storage.rename(temporary, to: path)
      try await storage.syncDirectory(directory)
    } catch {
      await storage.close(source)
      throw error
    }
    await storage.close(source)
  }

  private func sync(_ path: String) async throws(StorageError) {
    let file = try await storage.open(path, [])
    do throws(StorageError) {
      try await storage.sync(file, .all)
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }
}
