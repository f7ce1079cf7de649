import CFuse
import Glibc

/// The volume that libfuse's callbacks were registered with.
private func volume(_ pointer: UnsafeMutableRawPointer?) -> Volume {
  Unmanaged<Volume>.fromOpaque(pointer!).takeUnretainedValue()
}

extension VolumeCaller {
  init(_ caller: tl_caller) { self.init(thread: caller.thread, user: caller.user, group: caller.group) }
}

/// The bytes of a C string, without its end.
private func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
  guard let text else { return [] }
  return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}

extension Volume.Made {
  /// Fills in what the kernel is told.
  func tell(_ status: UnsafeMutablePointer<tl_status>?) -> Int32 {
    if let inode { status?.pointee = inode.status }
    return error
  }
}

extension tl_handle {
  /// What a trace keeps of it.
  var volumeFlags: VolumeOperationFlags {
    var kept = flags.volumeFlags
    if is_writeback != 0 { kept = .writeBack }
    return kept
  }
}

extension tl_operations {
  /// The callbacks, each of which calls what `Volume` has of that name.
  static func all() -> tl_operations {
    var all = tl_operations()
    all.addNames()
    all.addMaking()
    all.addAttributes()
    all.addFiles()
    all.addRanges()
    return all
  }

  private mutating func addNames() {
    lookup = { pointer, caller, directory, name, found in
      volume(pointer).look(directory, bytes(name), by: VolumeCaller(caller)).tell(found)
    }
    forget = { pointer, inode, count in volume(pointer).forget(inode, count) }
    unlink = { pointer, caller, directory, name in
      volume(pointer).unlink(bytes(name), in: directory, by: VolumeCaller(caller))
    }
    remove_directory = { pointer, caller, directory, name in
      volume(pointer).removeDirectory(bytes(name), in: directory, by: VolumeCaller(caller))
    }
    rename = { pointer, caller, directory, name, newDirectory, newName, flags in
      volume(pointer).rename(
        bytes(name), in: directory, to: bytes(newName), in: newDirectory, flags: flags, by: VolumeCaller(caller))
    }
    link = { pointer, caller, inode, directory, name, linked in
      volume(pointer).link(inode, to: bytes(name), in: directory, by: VolumeCaller(caller)).tell(linked)
    }
    list = { pointer, caller, inode, from, remembers, listing, take in
      volume(pointer).list(inode, from: Int(from), remembers: remembers != 0, by: VolumeCaller(caller)) {
        name, found, next in
        var status = found.status
        return (name + [0]).withUnsafeBytes { name in
          take!(listing, name.baseAddress!.assumingMemoryBound(to: CChar.self), &status, UInt64(next)) != 0
        }
      }
    }
  }

  private mutating func addMaking() {
    make_node = { pointer, caller, directory, name, mode, device, made in
      volume(pointer).make(.makeNode, mode, device: device, bytes(name), in: directory, by: VolumeCaller(caller))
        .tell(made)
    }
    make_directory = { pointer, caller, directory, name, mode, made in
      volume(pointer).make(
        .makeDirectory, mode & ~S_IFMT | S_IFDIR, bytes(name), in: directory, by: VolumeCaller(caller)
      ).tell(made)
    }
    make_link = { pointer, caller, directory, name, target, made in
      volume(pointer).make(
        .symlink, S_IFLNK | 0o777, target: bytes(target), bytes(name), in: directory, by: VolumeCaller(caller)
      ).tell(made)
    }
    create = { pointer, caller, directory, name, mode, handle, made in
      let flags = handle!.pointee.flags
      let mode = mode & ~S_IFMT | S_IFREG
      let outcome =
        if let name {
          volume(pointer).make(
            .create, mode, opens: flags, bytes(name), in: directory, by: VolumeCaller(caller))
        } else {
          volume(pointer).makeUnnamed(mode, flags: flags, in: directory, by: VolumeCaller(caller))
        }
      handle!.pointee.handle = outcome.handle
      return outcome.tell(made)
    }
  }

  private mutating func addAttributes() {
    status = { pointer, caller, inode, status in
      let (error, found) = volume(pointer).status(of: inode, by: VolumeCaller(caller))
      status!.pointee = found
      return error
    }
    change = { pointer, caller, inode, changes, status in
      let (error, after) = volume(pointer).change(inode, AttributeChanges(changes!.pointee), by: VolumeCaller(caller))
      status!.pointee = after
      return error
    }
    target = { pointer, caller, inode, into, count in
      let (error, target) = volume(pointer).target(inode, by: VolumeCaller(caller))
      return error != 0 ? error : give(target, into, count)
    }
    set_attribute = { pointer, caller, inode, name, value, count, flags in
      let value = Array(UnsafeRawBufferPointer(start: value, count: Int(count)))
      return volume(pointer).setAttribute(inode, bytes(name), value, flags: flags, by: VolumeCaller(caller))
    }
    attribute = { pointer, caller, inode, name, into, count in
      let (error, value) =
        name == nil
        ? volume(pointer).attributeNames(inode, by: VolumeCaller(caller))
        : volume(pointer).attribute(inode, bytes(name), by: VolumeCaller(caller))
      return error != 0 ? error : give(value, into, count)
    }
    remove_attribute = { pointer, caller, inode, name in
      volume(pointer).removeAttribute(inode, bytes(name), by: VolumeCaller(caller))
    }
  }

  private mutating func addFiles() {
    open = { pointer, caller, inode, handle in
      let (error, number) = volume(pointer).open(
        inode, flags: handle!.pointee.flags, kills: handle!.pointee.kills_privileges != 0, by: VolumeCaller(caller))
      handle!.pointee.handle = number
      return error
    }
    read = { pointer, caller, inode, handle, into, count, offset in
      let room = UnsafeMutableRawBufferPointer(start: into, count: Int(count!.pointee))
      let (error, got) = volume(pointer).read(
        inode, into: room, at: offset, handle: handle.handle, flags: handle.volumeFlags, by: VolumeCaller(caller))
      count!.pointee = UInt64(got)
      return error
    }
    write = { pointer, caller, inode, handle, bytes, count, offset in
      let call = WriteCall(
        inode: inode, bytes: UnsafeRawBufferPointer(start: bytes, count: Int(count!.pointee)), offset: offset,
        handle: handle.handle, flags: handle.volumeFlags, killsPrivileges: handle.kills_privileges != 0)
      let (error, written) = volume(pointer).write(call, by: VolumeCaller(caller))
      count!.pointee = UInt64(written)
      return error
    }
    flush = { pointer, caller, inode, handle in
      volume(pointer).flush(inode, handle: handle, by: VolumeCaller(caller))
    }
    release = { pointer, caller, inode, handle in
      volume(pointer).release(inode, handle: handle, by: VolumeCaller(caller))
    }
    sync = { pointer, caller, inode, handle, dataOnly, evicts in
      let (error, forgets) = volume(pointer).sync(
        inode, dataOnly: dataOnly != 0, handle: handle, by: VolumeCaller(caller))
      evicts!.pointee = forgets ? 1 : 0
      return error
    }
    sync_directory = { pointer, caller, inode, dataOnly in
      volume(pointer).syncDirectory(inode, dataOnly: dataOnly != 0, by: VolumeCaller(caller))
    }
  }

  private mutating func addRanges() {
    room = { pointer, caller, room in volume(pointer).room(room!, by: VolumeCaller(caller)) }
    allocate = { pointer, caller, inode, handle, mode, offset, count in
      volume(pointer).allocate(
        inode, mode: mode, from: offset, count: count, handle: handle, by: VolumeCaller(caller))
    }
    copy = { pointer, caller, from, fromOffset, into, handle, offset, count in
      let call = WriteCall(
        inode: into, bytes: UnsafeRawBufferPointer(start: nil, count: 0), offset: offset, handle: handle.handle,
        flags: handle.volumeFlags)
      let (error, done) = volume(pointer).copy(
        from, at: fromOffset, count!.pointee, into: call, by: VolumeCaller(caller))
      count!.pointee = UInt64(done)
      return error
    }
    seek = { pointer, caller, inode, offset, whence in
      let (error, found) = volume(pointer).seek(
        inode, from: Int(offset!.pointee), whence: whence, by: VolumeCaller(caller))
      offset!.pointee = Int64(found)
      return error
    }
    landing = { pointer, room in
      let volume = volume(pointer)
      guard let landing = volume.lock.holding({ volume.takeLanding() }) else { return nil }
      room!.pointee = UInt64(landing.count)
      return landing.baseAddress
    }
    landing_back = { pointer, memory, room in
      let volume = volume(pointer)
      volume.lock.holding { volume.giveLanding(UnsafeMutableRawBufferPointer(start: memory, count: Int(room))) }
    }
  }
}

extension AttributeChanges {
  init(_ changes: tl_changes) {
    func has(_ bit: Int) -> Bool { changes.changes & UInt32(bit) != 0 }
    self.init(
      mode: has(TL_SET_MODE) ? changes.mode : nil, user: has(TL_SET_USER) ? changes.user : nil,
      group: has(TL_SET_GROUP) ? changes.group : nil, size: has(TL_SET_SIZE) ? changes.size : nil,
      accessed: has(TL_SET_ACCESSED)
        ? VolumeTime(seconds: Int(changes.accessed), nanoseconds: Int(changes.accessed_ns)) : nil,
      modified: has(TL_SET_MODIFIED)
        ? VolumeTime(seconds: Int(changes.modified), nanoseconds: Int(changes.modified_ns)) : nil,
      killsPrivileges: changes.kills_privileges != 0, handle: changes.handle)
  }
}

/// Gives bytes to who has room for them; to who has none, their count (`man 2 getxattr`).
private func give(
  _ value: [UInt8], _ into: UnsafeMutablePointer<UInt8>?, _ count: UnsafeMutablePointer<UInt64>?
) -> Int32 {
  let capacity = count!.pointee
  count!.pointee = UInt64(value.count)
  if capacity == 0 { return 0 }
  if value.count > capacity { return ERANGE }
  into!.update(from: value, count: value.count)
  return 0
}

extension Volume {
  /// Memory for requests. The kernel writes there; what carries much stays where it is, as the trace's.
  func takeLanding() -> UnsafeMutableRawBufferPointer? {
    if let left = landings.popLast() { return left }
    guard let segment = memory.segment() else { return nil }
    return UnsafeMutableRawBufferPointer(start: segment, count: VolumeMemory.segmentSize)
  }

  /// Keeps what is left for another thread; what is too little is lost.
  func giveLanding(_ left: UnsafeMutableRawBufferPointer) {
    if left.count >= Int(TL_REQUEST_SIZE) { landings.append(left) }
  }

  /// What statfs(2) says, in pages.
  func room(_ told: UnsafeMutablePointer<tl_room>, by caller: VolumeCaller) -> Int32 {
    perform(TraceRecord(.room, by: caller, inode: 1)) { (_) throws(VolumeErrno) in
      // Without a limit: 1 TiB.
      let all = storedLimit.map { $0.bytes / UInt64(PagePool.pageSize) } ?? 1 << 28
      let used = min(UInt64(usedPages), all)
      told.pointee = tl_room(blocks: all, free: all - used, inodes: UInt64(inodeCount))
    }
  }
}
