import CFuse
import Glibc

extension Volume {
  /// fsync(2) and fdatasync(2), and what the kernel sends after a write with O_SYNC or O_DSYNC.
  /// - Returns: the errno, and whether the kernel has to forget what it has cached of the file before the answer.
  func sync(_ number: UInt64, dataOnly: Bool, handle: UInt64, by caller: VolumeCaller) -> (error: Int32, evicts: Bool) {
    lock.take()
    defer { lock.give() }
    guard let inode = try? inode(number) else { return (ESTALE, false) }
    var record = TraceRecord(.sync, by: caller, inode: number)
    record.handle = handle
    if dataOnly { record.insert(.dataOnly) }
    let place = inode.unsynced.firstIndex { $0.handle == handle && $0.thread == caller.thread }
    var writes = place.map { inode.unsynced.remove(at: $0) }
    if let direct = writes, direct.isDirect, tl_thread_is_writing(caller.thread) == 0 { writes = nil }
    if let writes {
      record.kind = VolumeOperationKind.syncWritten.rawValue
      (record.offset, record.length) = (writes.lower, writes.upper - writes.lower)
      record.value = UInt64(max(0, writes.records[0]))
    }
    let decision = decider == nil ? .proceed : decide(record)
    let isDurable = tellLate(.sync, of: inode, &record) ? false : apply(decision, to: &record)
    var evicts = false
    if !record.has(.late), let pages = decision.failedPages, pages != .kept, options.records {
      record.insert(.dropped)
      let lower = writes == nil ? max(inode.lastSync, lastSyncAll) : Int(record.value)
      inode.dropped.append(min(lower, store.count)..<store.count)
      evicts = pages == .evicted
      if evicts { forgetDropped(inode) }
    }
    guard options.records else { return (record.error, false) }
    let sequence = add(record, [], [], decision == .proceed ? nil : decision)
    if case .syncFailsLate(let code, let report) = decision, !record.has(.late) {
      inode.late = Inode.LateError(error: code, report: report, sequence: sequence)
    }
    if let writes {
      let durable = isDurable && sequence >= 0 ? UInt64(sequence) + 1 : 0
      for write in writes.records where write >= 0 { store[write].durable = durable }
    } else if isDurable, sequence >= 0 {
      inode.lastSync = sequence + 1
    }
    return (record.error, evicts)
  }

  /// - Returns: whether what the sync covers is durable now.
  private func apply(_ decision: VolumeDecision, to record: inout TraceRecord) -> Bool {
    switch decision {
    case .fail(let code), .syncFails(let code, _):
      record.error = code
      return false
    case .failAfter(let code):
      record.error = code
      return true
    case .syncLies, .syncFailsLate:
      record.insert(.lying)
      return false
    default: return true
    }
  }

  /// Answers with what an earlier sync has kept to itself.
  func tellLate(_ report: LateReport, of inode: Inode, _ record: inout TraceRecord) -> Bool {
    guard let late = inode.late, late.report == report else { return false }
    inode.late = nil
    record.insert(.late)
    (record.error, record.otherValue) = (late.error, UInt64(max(0, late.sequence)))
    return true
  }

  func syncDirectory(_ number: UInt64, dataOnly: Bool, by caller: VolumeCaller) -> Int32 {
    var record = TraceRecord(.syncDirectory, by: caller, inode: number)
    if dataOnly { record.insert(.dataOnly) }
    lock.take()
    defer { lock.give() }
    let decision = decide(record)
    _ = apply(decision, to: &record)
    if options.records { add(record, [], [], decision == .proceed ? nil : decision) }
    return record.error
  }

  /// The cache forgets pages that failed syncs dropped: the file's content becomes that of the disk, from the trace.
  /// A write that was dropped is there where it was durable by itself, or where a later write to its page, which was
  /// not dropped, has made the page dirty once more. Sizes stay.
  func forgetDropped(_ inode: Inode) {
    guard !inode.dropped.isEmpty, let old = inode.content else { return }
    noteLostPages(inode)
    let made = FileContent(pool)
    for sequence in 0..<store.count where store[sequence].inode == inode.number {
      let record = store[sequence]
      guard record.error == 0 || record.has(.decided) else { continue }
      switch VolumeOperationKind(rawValue: record.kind)! {
      case .write: restore(record, sequence, in: made, without: inode.lost[sequence] ?? [])
      case .truncate where record.error == 0: _ = made.truncate(to: record.length)
      case .allocate where record.error == 0:
        made.reserve(from: record.offset, count: record.length, keepsSize: record.mode & 1 != 0)
      case .punchHole where record.error == 0, .zeroRange where record.error == 0:
        _ = made.zero(
          from: record.offset, count: record.length, reserving: record.kind == VolumeOperationKind.zeroRange.rawValue,
          keepsSize: record.mode & 1 != 0)
      default: break
      }
    }
    usedPages += made.pages - old.pages
    inode.content = made
  }

  /// Adds to `lost` what of dropped writes is not on the disk, from the last write to the first.
  private func noteLostPages(_ inode: Inode) {
    var takenUp: Set<Int> = []
    for sequence in (0..<store.count).reversed() where store[sequence].inode == inode.number {
      let record = store[sequence]
      guard record.kind == VolumeOperationKind.write.rawValue, record.answered > 0 else { continue }
      let isOfFailure = inode.dropped.contains { $0.contains(sequence) }
      let page = UInt64(PagePool.pageSize)
      let pages = Int(record.offset / page)...Int((record.offset + record.answered - 1) / page)
      for page in pages {
        if inode.lost[sequence]?.contains(page) ?? false { continue }
        if !isOfFailure {
          takenUp.insert(page)
        } else if record.durable == 0, !takenUp.contains(page) {
          inode.lost[sequence, default: []].insert(page)
        }
      }
    }
  }

  private func restore(
    _ record: TraceRecord, _ sequence: Int, in content: FileContent, without lost: Set<Int>
  ) {
    let decision = store.decision(at: sequence) ?? .proceed
    if case .fail = decision { return }
    guard let payload = record.payload else { return }
    let bytes = UnsafeRawBufferPointer(start: payload, count: Int(record.payloadCount))
    for piece in decision.pieces(of: bytes.count, at: record.offset) {
      guard !lost.isEmpty else {
        _ = content.write(
          UnsafeRawBufferPointer(rebasing: bytes[piece.payload]), at: piece.offset, isShared: decision.storesWhole)
        continue
      }
      var at = piece.payload.lowerBound
      while at < piece.payload.upperBound {
        let place = piece.offset + UInt64(at - piece.payload.lowerBound)
        let rest = PagePool.pageSize - Int(place % UInt64(PagePool.pageSize))
        let end = min(at + rest, piece.payload.upperBound)
        if !lost.contains(Int(place / UInt64(PagePool.pageSize))) {
          _ = content.write(UnsafeRawBufferPointer(rebasing: bytes[at..<end]), at: place, isShared: false)
        }
        at = end
      }
    }
    _ = content.truncate(to: max(content.size, record.offset + UInt64(bytes.count)))
  }
}

extension VolumeDecision {
  /// What becomes of the pages of a sync that fails, told or not; nil of others.
  var failedPages: FailedSyncPages? {
    switch self {
    case .syncFails(_, let pages): pages
    case .syncFailsLate: .dropped
    default: nil
    }
  }
}
