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
    let isDurable = apply(decision, to: &record)
    var evicts = false
    if case .syncFails(_, let pages) = decision, pages != .kept, options.records {
      record.insert(.dropped)
      inode.dropped.append(inode.lastSync..<store.count)
      evicts = pages == .evicted
    }
    if record.has(.dropped) { rebuild(inode) }
    guard options.records else { return (record.error, false) }
    let sequence = add(record, [], [], decision == .proceed ? nil : decision)
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
    case .syncLies:
      record.insert(.lying)
      return false
    default: return true
    }
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

  /// The file's content as the disk has it after failed syncs that dropped pages: from the trace, without the writes
  /// that were dropped and not made durable by themselves. Sizes stay.
  private func rebuild(_ inode: Inode) {
    guard let old = inode.content else { return }
    let made = FileContent(pool)
    for sequence in 0..<store.count where store[sequence].inode == inode.number {
      let record = store[sequence]
      guard record.error == 0 || record.has(.decided) else { continue }
      switch VolumeOperationKind(rawValue: record.kind)! {
      case .write:
        if record.durable == 0, inode.dropped.contains(where: { $0.contains(sequence) }) {
          _ = made.truncate(to: max(made.size, record.offset + record.answered))
        } else {
          restore(record, sequence, in: made)
        }
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

  private func restore(_ record: TraceRecord, _ sequence: Int, in content: FileContent) {
    let decision = store.decision(at: sequence) ?? .proceed
    if case .fail = decision { return }
    guard let payload = record.payload else { return }
    let bytes = UnsafeRawBufferPointer(start: payload, count: Int(record.payloadCount))
    for piece in decision.pieces(of: bytes.count, at: record.offset) {
      _ = content.write(
        UnsafeRawBufferPointer(rebasing: bytes[piece.payload]), at: piece.offset, isShared: decision.storesWhole)
    }
    _ = content.truncate(to: max(content.size, record.offset + UInt64(bytes.count)))
  }
}
