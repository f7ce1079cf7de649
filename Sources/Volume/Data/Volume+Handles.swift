import Glibc

extension Int32 {
  /// What a trace keeps of the flags of open(2). O_SYNC contains O_DSYNC's bit (`man 2 open`).
  var volumeFlags: VolumeOperationFlags {
    var flags: VolumeOperationFlags = []
    if self & O_DSYNC != 0 { flags.insert(.dataSynchronous) }
    if self & O_SYNC == O_SYNC { flags.insert(.synchronous) }
    if self & 0o40000 != 0 { flags.insert(.direct) }
    return flags
  }
}

extension Volume {
  func newHandle(_ inode: Inode) -> UInt64 {
    inode.handles += 1
    defer { nextHandle += 1 }
    return nextHandle
  }

  /// - Parameter flags: of open(2); O_TRUNC cuts the file, as a record of its own after that of the open.
  func open(_ number: UInt64, flags: Int32, kills: Bool, by caller: VolumeCaller) -> (error: Int32, handle: UInt64) {
    lock.take()
    defer { lock.give() }
    var handle: UInt64 = 0
    var record = TraceRecord(.open, by: caller, inode: number)
    record.mode = UInt32(bitPattern: flags)
    record.flags = flags.volumeFlags.rawValue
    var error = perform(record) { (record) throws(VolumeErrno) in
      let inode = try inode(number)
      if storedReadOnly, flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0 { throw VolumeErrno(EROFS) }
      if inode.isDirectory { record.insert(.directory) }
      handle = newHandle(inode)
      record.handle = handle
    }
    if error == 0, flags & O_TRUNC != 0, let inode = try? inode(number), inode.content != nil {
      error = truncate(inode, to: 0, handle: handle, kills: kills, isOpening: true, by: caller)
    }
    // The caller is told an error, and will not close anything.
    if error != 0, handle != 0, let inode = try? inode(number) { inode.handles -= 1 }
    return (error, handle)
  }

  func flush(_ number: UInt64, handle: UInt64, by caller: VolumeCaller) -> Int32 {
    var record = TraceRecord(.flush, by: caller, inode: number)
    record.handle = handle
    return perform(record) { (record) throws(VolumeErrno) in
      if tellLate(.close, of: try inode(number), &record) { throw VolumeErrno(record.error) }
    }
  }

  func release(_ number: UInt64, handle: UInt64, by caller: VolumeCaller) {
    var record = TraceRecord(.release, by: caller, inode: number)
    record.handle = handle
    _ = perform(record) { (record) throws(VolumeErrno) in
      let inode = try inode(number)
      if inode.isDirectory { record.insert(.directory) }
      inode.handles -= 1
      inode.unsynced.removeAll { $0.handle == handle }
      reap(inode)
    }
  }

  /// Slots of a directory from `start` on, as `take` wants them; it says whether it has room for more.
  func list(
    _ number: UInt64, from start: Int, remembers: Bool, by caller: VolumeCaller,
    take: (_ name: [UInt8], _ inode: Inode, _ next: Int) -> Bool
  ) -> Int32 {
    perform(TraceRecord(.list, by: caller, inode: number)) { (record) throws(VolumeErrno) in
      let (inode, directory) = try self.directory(number)
      record.offset = UInt64(start)
      var slot = start
      // "." and ".." come first, as numbers 0 and 1.
      if slot == 0 {
        if !take([0x2E], inode, 1) { return }
        slot = 1
      }
      if slot == 1 {
        if !take([0x2E, 0x2E], try self.inode(directory.parent), 2) { return }
        slot = 2
      }
      while slot - 2 < directory.slots.count {
        if let entry = directory.slots[slot - 2] {
          let found = try self.inode(entry.inode)
          if !take(entry.name, found, slot + 1) { return }
          if remembers { found.lookups += 1 }
        }
        slot += 1
      }
    }
  }

  func target(_ number: UInt64, by caller: VolumeCaller) -> (error: Int32, [UInt8]) {
    var target: [UInt8] = []
    let error = perform(TraceRecord(.readLink, by: caller, inode: number)) { (_) throws(VolumeErrno) in
      target = try inode(number).target
    }
    return (error, target)
  }
}
