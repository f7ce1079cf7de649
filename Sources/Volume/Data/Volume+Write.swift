import CFuse
import Glibc

/// A write as the kernel asks for it.
struct WriteCall {
  var inode: UInt64
  var bytes: UnsafeRawBufferPointer
  var offset: UInt64
  var handle: UInt64
  var flags: VolumeOperationFlags
  var killsPrivileges = false
}

extension Volume {
  /// - Returns: the errno, or 0 and the bytes that the program is told were written.
  func write(_ call: WriteCall, by caller: VolumeCaller) -> (error: Int32, count: Int) {
    lock.take()
    if !channels.isEmpty, let descriptor = noteChannel(call, by: caller) {
      lock.give()
      return relay(call.bytes, to: descriptor)
    }
    defer { lock.give() }
    var record = TraceRecord(.write, by: caller, inode: call.inode)
    (record.offset, record.length, record.handle) = (call.offset, UInt64(call.bytes.count), call.handle)
    record.flags = call.flags.rawValue
    let decision = decider == nil ? .proceed : decide(record)
    // After the decision: it may have taken its time.
    guard let inode = try? inode(call.inode), let content = inode.content else { return (ESTALE, 0) }
    var count = call.bytes.count
    switch decision {
    case .fail(let code): record.error = code
    case .short(let taken): count = min(max(0, taken), count)
    default: break
    }
    if record.error == 0 { record.error = admit(content, call.offset, &count) }
    if record.error != 0 {
      if options.records { add(record, [], [], decision == .proceed ? nil : decision) }
      return (record.error, 0)
    }
    let bytes = payload(UnsafeRawBufferPointer(rebasing: call.bytes.prefix(count)), call.offset, decision, &record)
    record.answered = UInt64(count)
    store(bytes, in: content, &record, decision)
    inode.modified = .now
    inode.changed = inode.modified
    if call.killsPrivileges { inode.killPrivileges() }
    if options.records {
      let sequence = add(record, [], [], decision == .proceed ? nil : decision)
      if record.error == 0 { expectSync(of: sequence, record, in: inode) }
    }
    return (record.error, record.error == 0 ? Int(record.answered) : 0)
  }

  /// Whether there is room: cuts `count` to what there is, or answers an errno.
  private func admit(_ content: FileContent, _ offset: UInt64, _ count: inout Int) -> Int32 {
    if storedReadOnly { return EROFS }
    if offset >= FileContent.largestSize { return EFBIG }
    count = Int(min(UInt64(count), FileContent.largestSize - offset))
    guard let limit = storedLimit else { return 0 }
    let free = Int(limit.bytes / UInt64(PagePool.pageSize)) - usedPages
    if content.missingPages(from: offset, count: UInt64(count)) <= free { return 0 }
    // `man 2 write`: what has room is written and counted; the errno is for who has room for nothing.
    var taken = 0
    while taken < count {
      let page = UInt64(PagePool.pageSize)
      let next = min(count, Int((offset + UInt64(taken)) / page * page + page - offset))
      if content.missingPages(from: offset, count: UInt64(next)) > free { break }
      taken = next
    }
    count = taken
    return taken == 0 ? limit.error : 0
  }

  /// The bytes to store, kept in the trace where that is on; with the bits that are to turn over turned.
  private func payload(
    _ bytes: UnsafeRawBufferPointer, _ offset: UInt64, _ decision: VolumeDecision, _ record: inout TraceRecord
  ) -> UnsafeRawBufferPointer {
    if options.records, !options.isReused, !decision.flips, bytes.count >= 2 * PagePool.pageSize, offset & 7 == 0,
      let start = bytes.baseAddress, tl_session_keep(start, bytes.count) != 0
    {
      // They stay where the kernel has put them: nothing is copied.
      store.arena.count(bytes.count)
      record.payload = start
      record.payloadCount = UInt32(bytes.count)
      return bytes
    }
    guard options.records || decision.flips, let kept = store.arena.keep(bytes, phase: Int(offset & 7)) else {
      if options.records { lostRecords += 1 }
      return bytes
    }
    if case .flipped(let bits) = decision {
      for bit in bits where bit >= 0 && bit / 8 < bytes.count {
        let byte = kept + bit / 8
        byte.storeBytes(of: byte.load(as: UInt8.self) ^ 1 << UInt8(bit & 7), as: UInt8.self)
      }
    }
    record.payload = UnsafeRawPointer(kept)
    record.payloadCount = UInt32(bytes.count)
    return UnsafeRawBufferPointer(start: kept, count: bytes.count)
  }

  /// Stores what the decision lets through. The size grows as if all had been stored: it is metadata, which a lost,
  /// torn or misdirected write of data leaves alone.
  private func store(
    _ bytes: UnsafeRawBufferPointer, in content: FileContent, _ record: inout TraceRecord, _ decision: VolumeDecision
  ) {
    let before = content.pages
    defer { usedPages += content.pages - before }
    let isShared = record.payload != nil
    if decision.storesWhole {
      let stored = content.write(bytes, at: record.offset, isShared: isShared)
      if stored < bytes.count {
        record.answered = UInt64(stored)
        if stored == 0, !bytes.isEmpty { record.error = ENOSPC }
      }
      if case .failAfter(let code) = decision { record.error = code }
      return
    }
    for piece in decision.pieces(of: bytes.count, at: record.offset) {
      let part = UnsafeRawBufferPointer(rebasing: bytes[piece.payload])
      _ = content.write(part, at: piece.offset, isShared: false)
    }
    _ = content.truncate(to: max(content.size, record.offset + UInt64(bytes.count)))
    if case .torn(_, let code) = decision { record.error = code }
  }

  /// Remembers a write whose sync the kernel is about to send.
  private func expectSync(of sequence: Int, _ record: TraceRecord, in inode: Inode) {
    guard record.flags & (VolumeOperationFlags.dataSynchronous.rawValue) != 0, record.answered > 0,
      !record.has(.writeBack)
    else { return }
    let upper = record.offset + record.answered
    // Its end is a promise already; a sync that follows says when that was kept.
    if record.has(.direct), sequence >= 0 { store[sequence].durable = UInt64(sequence) + 1 }
    if let at = inode.unsynced.firstIndex(where: { $0.handle == record.handle && $0.thread == record.thread }) {
      inode.unsynced[at].lower = min(inode.unsynced[at].lower, record.offset)
      inode.unsynced[at].upper = max(inode.unsynced[at].upper, upper)
      inode.unsynced[at].records.append(sequence)
      inode.unsynced[at].isDirect = inode.unsynced[at].isDirect || record.has(.direct)
    } else {
      inode.unsynced.append(
        UnsyncedWrites(
          handle: record.handle, thread: record.thread, lower: record.offset, upper: upper, records: [sequence],
          isDirect: record.has(.direct)))
    }
  }
}

extension VolumeDecision {
  var flips: Bool { if case .flipped = self { true } else { false } }

  /// Whether a write under it is stored as it was asked for, or what is left of it.
  var storesWhole: Bool {
    switch self {
    case .lost, .misdirected, .torn: false
    default: true
    }
  }

  /// What of a write of `count` bytes reaches the storage; not of one that was refused.
  func pieces(of count: Int, at offset: UInt64) -> [StoredPiece] {
    switch self {
    case .lost: []
    case .misdirected(let to): to < FileContent.largestSize ? [StoredPiece(offset: to, payload: 0..<count)] : []
    case .torn(let kept, _):
      kept.map { $0.clamped(to: 0..<count) }.filter { !$0.isEmpty }
        .map { StoredPiece(offset: offset + UInt64($0.lowerBound), payload: $0) }
    default: [StoredPiece(offset: offset, payload: 0..<count)]
    }
  }
}
