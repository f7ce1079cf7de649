import CFuse
import Glibc

extension Volume {
  /// - Parameter isOpening: by O_TRUNC.
  func truncate(
    _ inode: Inode, to size: UInt64, handle: UInt64, kills: Bool, isOpening: Bool = false, by caller: VolumeCaller
  ) -> Int32 {
    var record = TraceRecord(.truncate, by: caller, inode: inode.number)
    (record.length, record.handle) = (size, handle)
    if isOpening { record.insert(.opening) }
    return perform(record) { (_) throws(VolumeErrno) in
      guard let content = inode.content else { throw VolumeErrno(inode.isDirectory ? EISDIR : EINVAL) }
      if size > FileContent.largestSize { throw VolumeErrno(EFBIG) }
      try charging(content) { () throws(VolumeErrno) in
        if !content.truncate(to: size) { throw VolumeErrno(ENOSPC) }
      }
      if kills { inode.killPrivileges() }
      inode.modified = .now
      inode.changed = inode.modified
    }
  }

  /// `man 2 fallocate`: 0, FALLOC_FL_KEEP_SIZE (1), FALLOC_FL_PUNCH_HOLE (2, with 1), FALLOC_FL_ZERO_RANGE (16). The
  /// kernel refuses the others for FUSE before anybody is asked (`fuse_file_fallocate`).
  func allocate(
    _ number: UInt64, mode: Int32, from offset: UInt64, count: UInt64, handle: UInt64, by caller: VolumeCaller
  ) -> Int32 {
    let kind: VolumeOperationKind = mode & 2 != 0 ? .punchHole : mode & 16 != 0 ? .zeroRange : .allocate
    var record = TraceRecord(kind, by: caller, inode: number)
    (record.offset, record.length, record.handle) = (offset, count, handle)
    record.mode = UInt32(bitPattern: mode)
    return perform(record) { (_) throws(VolumeErrno) in
      let inode = try inode(number)
      guard let content = inode.content else { throw VolumeErrno(ENODEV) }
      if mode & ~0x13 != 0 { throw VolumeErrno(EOPNOTSUPP) }
      if offset + count > FileContent.largestSize { throw VolumeErrno(EFBIG) }
      if kind != .punchHole, let limit = storedLimit {
        let free = Int(limit.bytes / UInt64(PagePool.pageSize)) - usedPages
        if content.missingPages(from: offset, count: count) > free { throw VolumeErrno(limit.error) }
      }
      try charging(content) { () throws(VolumeErrno) in
        if kind == .allocate {
          content.reserve(from: offset, count: count, keepsSize: mode & 1 != 0)
        } else if !content.zero(
          from: offset, count: count, reserving: kind == .zeroRange, keepsSize: mode & 1 != 0)
        {
          throw VolumeErrno(ENOSPC)
        }
      }
      inode.killPrivileges()
      inode.modified = .now
      inode.changed = inode.modified
    }
  }

  /// `man 2 lseek`, SEEK_DATA and SEEK_HOLE; the kernel does the other kinds itself.
  func seek(
    _ number: UInt64, from offset: Int, whence: Int32, by caller: VolumeCaller
  ) -> (error: Int32, offset: Int) {
    var record = TraceRecord(.seek, by: caller, inode: number)
    (record.offset, record.mode) = (UInt64(max(0, offset)), UInt32(bitPattern: whence))
    var found = 0
    let error = perform(record) { (record) throws(VolumeErrno) in
      guard let content = try inode(number).content else { throw VolumeErrno(EINVAL) }
      guard offset >= 0, let place = content.seek(from: UInt64(offset), data: whence == 3) else {
        throw VolumeErrno(ENXIO)
      }
      record.answered = place
      found = Int(place)
    }
    return (error, found)
  }

  /// Bytes of a file, fewer where it ends or a decider has it so.
  func read(
    _ number: UInt64, into: UnsafeMutableRawBufferPointer, at offset: UInt64, handle: UInt64,
    flags: VolumeOperationFlags, by caller: VolumeCaller
  ) -> (error: Int32, count: Int) {
    lock.take()
    defer { lock.give() }
    var record = TraceRecord(.read, by: caller, inode: number)
    (record.offset, record.length, record.handle) = (offset, UInt64(into.count), handle)
    record.flags = flags.rawValue
    let decision = decider == nil ? .proceed : decide(record)
    guard let inode = try? inode(number), let content = inode.content else { return (EISDIR, 0) }
    var count = 0
    switch decision {
    case .fail(let code), .failAfter(let code): record.error = code
    case .short(let taken): count = content.read(.init(rebasing: into.prefix(max(0, taken))), at: offset)
    default: count = content.read(into, at: offset)
    }
    if case .flipped(let bits) = decision {
      for bit in bits where bit >= 0 && bit / 8 < count { into[bit / 8] ^= 1 << UInt8(bit & 7) }
    }
    // As with the mount option relatime (`man 8 mount`), without its 24 hours: reads from the cache are not seen
    // anyway.
    if record.error == 0, inode.accessed < inode.modified { inode.accessed = .now }
    record.answered = UInt64(count)
    if options.records, options.recordsReads { add(record, [], [], decision == .proceed ? nil : decision) }
    return (record.error, count)
  }

  /// copy_file_range(2): a read and a write, in steps of 1 MiB; recorded as writes.
  func copy(
    _ from: UInt64, at offset: UInt64, _ count: UInt64, into call: WriteCall, by caller: VolumeCaller
  ) -> (error: Int32, count: Int) {
    lock.take()
    defer { lock.give() }
    let step = 1 << 20
    guard let buffer = tl_session_scratch() else { return (ENOMEM, 0) }
    var done = 0
    // The kernel's answer has 32 bits for the count.
    let count = Int(min(count, 1 << 30))
    while done < count {
      let room = UnsafeMutableRawBufferPointer(start: buffer, count: min(step, count - done))
      let (error, got) = read(
        from, into: room, at: offset + UInt64(done), handle: 0, flags: .copied, by: caller)
      if error != 0 { return done > 0 ? (0, done) : (error, 0) }
      if got == 0 { break }
      var part = call
      part.bytes = UnsafeRawBufferPointer(start: buffer, count: got)
      part.offset = call.offset + UInt64(done)
      part.flags.insert(.copied)
      let (failure, written) = write(part, by: caller)
      if failure != 0 { return done > 0 ? (0, done) : (failure, 0) }
      done += written
      if written < got { break }
    }
    return (0, done)
  }
}
