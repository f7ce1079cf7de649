import Glibc
import LogModel
import Storage

/// Making durable what is about to be served.
extension LogRecovery {
  /// Cuts what follows the data of the last segment, and makes what will be served as durable as the policy says.
  ///
  /// Nothing is appended to a segment that was found: the next commit begins a new one. A write that the process before
  /// has left in flight, or that a fenced writer sends yet, may land behind the data here at any time; there it is
  /// harmless.
  mutating func settle() async throws(StorageError) {
    let policy = configuration.syncPolicy
    for entry in scanned.dropLast() where !entry.segment.header.isNeverSynced && mayBeUnsynced(entry.segment) {
      try await makeDurable(entry)
    }
    if policy == .never { try await cutLeftovers() } else { try await adoptNeverSynced() }
    guard let last = scanned.last else { return }
    let isCut =
      parts.resuming.cutsTail && last.size != last.segment.dataEnd && !last.isUnreadable(from: last.segment.dataEnd)
    if isCut { try await truncate(last.segment) }
    // Under `never` what an earlier policy has promised is kept too, and what was cut stays cut over a power loss.
    if policy != .never || !last.segment.header.isNeverSynced || isCut { try await makeDurable(last) }
  }

  /// Cuts the end of each segment whose offsets are the next one's. Under `never` a power loss may take the next
  /// segment: what it has replaced would then be served, though a consumer has seen that it was gone. A copy is kept;
  /// where there is no room for one, nothing is cut.
  private mutating func cutLeftovers() async throws(StorageError) {
    for index in scanned.indices.dropLast() where scanned[index].hasLeftover {
      let entry = scanned[index]
      guard parts.resuming.cutsTail, !entry.isUnreadable(from: entry.segment.dataEnd) else { continue }
      do throws(StorageError) { try await copyAside(entry.segment.path) } catch {
        guard error.isNoSpace else { throw error }
        continue
      }
      try await truncate(entry.segment)
      scanned[index].size = entry.segment.dataEnd
      try await makeDurable(scanned[index])
    }
  }

  /// Syncs a segment. Where that fails, or has failed in a recovery before this one, the next sync of its pages may
  /// succeed without having written them (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020): a
  /// copy takes its place. Where that fails too, a mark is left for the next recovery. The mark need not be durable: a
  /// boot after this one finds in the file what is on the medium.
  private func makeDurable(_ entry: Scanned) async throws(StorageError) {
    let segment = entry.segment
    let isSuspect = suspects.contains(segment.path)
    let canBeCopied = !entry.isUnreadable(from: 0)
    do throws(StorageError) {
      if isSuspect && canBeCopied {
        try await replace(segment)
      } else {
        do throws(StorageError) { try await sync(segment.path) } catch {
          guard canBeCopied else { throw error }
          try await replace(segment)
        }
      }
    } catch {
      if !isSuspect { await markSuspect(segment) }
      throw error
    }
    // What could not be copied stays marked: whoever can read it copies it.
    if canBeCopied { await unmark(segment) }
  }

  private func unmark(_ segment: Segment) async {
    guard suspects.contains(segment.path) else { return }
    // One that stays costs the next recovery a copy.
    do throws(StorageError) { try await storage.here().unlink(mark(of: segment)) } catch {}
  }

  private func mark(of segment: Segment) -> String { segment.path + Self.suspectSuffix }

  /// Where that fails as well, the opening fails with what led here, and nobody can say more.
  private func markSuspect(_ segment: Segment) async {
    do throws(StorageError) {
      await storage.close(try await storage.here().open(mark(of: segment), [.write, .create]))
    } catch {}
  }

  private func truncate(_ segment: Segment) async throws(StorageError) {
    let file = try await storage.here().open(segment.path, [.write])
    do throws(StorageError) {
      try await storage.here().truncate(file, to: segment.dataEnd)
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }

  /// A sync of it may have failed, and its writer died before anybody could tell: what was acknowledged then stands in
  /// the page cache, and is served from now on.
  private func mayBeUnsynced(_ segment: Segment) -> Bool {
    if suspects.contains(segment.path) { return true }
    let (writer, reader) = (segment.header.isSyncedLater, configuration.syncPolicy.syncsLater)
    guard parts.earlierPolicies.mayBeUnsynced(writer: writer, reader: reader) else { return false }
    return segment.nextOffset > hints.cleanEnd ?? 0
  }

  /// Makes durable what an engine without syncs has left in the page cache, names included.
  ///
  /// A sync of it may have failed in a recovery before this one, of which nobody knows, and then the next one may
  /// succeed without having written anything. So copies take the place of the files. Their heads say that they have
  /// been synced only once their names have been, too.
  private mutating func adoptNeverSynced() async throws(StorageError) {
    let indices = scanned.indices.filter { scanned[$0].segment.header.isNeverSynced }
    if indices.isEmpty { return }
    for index in indices { try await adopt(index) }
    try await storage.here().syncDirectory(directory)
    for index in indices {
      let segment = scanned[index].segment
      segment.header.isNeverSynced = false
      try await writeHead(of: segment)
    }
    hasAdoptedLast = indices.last == scanned.indices.last
  }

  /// Where there is no room for a copy, or a part cannot be read, the file is synced as it is.
  private mutating func adopt(_ index: Int) async throws(StorageError) {
    let segment = scanned[index].segment
    guard scanned[index].unreadable.isEmpty else { return try await makeDurable(scanned[index]) }
    do throws(StorageError) {
      try await rewrite(segment)
      scanned[index].size = segment.dataEnd
      await unmark(segment)
    } catch {
      guard error.isNoSpace else { throw error }
      do throws(StorageError) { try await storage.here().unlink(temporary(of: segment)) } catch {}  // nobody reads it
      try await makeDurable(scanned[index])
    }
  }

  /// Each of its two copies lies in a sector of its own: a crash leaves either as it was or as it will be.
  private func writeHead(of segment: Segment) async throws(StorageError) {
    let head = storage.makeBuffer(capacity: SegmentHeader.size)
    segment.header.write(into: head.mutableBytes(0..<SegmentHeader.size))
    let file = try await storage.here().open(segment.path, [.write])
    do throws(StorageError) {
      try await storage.here().writeWhole(file, segment.path, at: 0, from: head, 0..<SegmentHeader.size)
      try await storage.here().sync(file, .all)
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }

  private func temporary(of segment: Segment) -> String { segment.path + ".rewritten" }

  private func replace(_ segment: Segment) async throws(StorageError) {
    try await rewrite(segment)
    try await storage.here().syncDirectory(directory)
  }

  /// Puts a synced copy of the head and the batches in the place of a segment's file.
  private func rewrite(_ segment: Segment) async throws(StorageError) {
    let path = temporary(of: segment)
    let source = try await storage.here().open(segment.path, [])
    do throws(StorageError) {
      let copy = try await storage.here().open(path, [.write, .create])
      do throws(StorageError) {
        try await self.copy(source, to: copy, path, upTo: segment.dataEnd)
        try await storage.here().sync(copy, .all)
      } catch {
        await storage.close(copy)
        throw error
      }
      await storage.close(copy)
      try await storage.here().rename(path, to: segment.path)
    } catch {
      await storage.close(source)
      throw error
    }
    await storage.close(source)
  }

  private func sync(_ path: String) async throws(StorageError) {
    let file = try await storage.here().open(path, [])
    do throws(StorageError) {
      try await storage.here().sync(file, .all)
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }
}
