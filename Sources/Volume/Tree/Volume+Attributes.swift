import CFuse
import Glibc

/// What setattr is to change; nil is left as it is.
struct AttributeChanges {
  var mode: UInt32?
  var user: UInt32?
  var group: UInt32?
  var size: UInt64?
  var accessed: VolumeTime?
  var modified: VolumeTime?
  /// The set-user-ID and set-group-ID bits go with the change of size.
  var killsPrivileges = false
  var handle: UInt64 = 0
}

extension Inode {
  /// As after a write or a change of owner by somebody without CAP_FSETID (`man 2 chown`, `man 2 write`): set-user-ID
  /// goes, and set-group-ID where the group may execute.
  func killPrivileges() {
    if isDirectory { return }
    mode &= ~S_ISUID
    if mode & 0o010 != 0 { mode &= ~S_ISGID }
  }

  var status: tl_status {
    tl_status(
      inode: number, size: size, blocks: directory != nil ? 8 : UInt64(content?.pages ?? 0) * 8, device: device,
      mode: mode, links: links, user: user, group: group, accessed: Int64(accessed.seconds),
      modified: Int64(modified.seconds), changed: Int64(changed.seconds), accessed_ns: UInt32(accessed.nanoseconds),
      modified_ns: UInt32(modified.nanoseconds), changed_ns: UInt32(changed.nanoseconds))
  }
}

extension Volume {
  func status(of number: UInt64, by caller: VolumeCaller) -> (error: Int32, tl_status) {
    var status = tl_status()
    let error = perform(TraceRecord(.status, by: caller, inode: number)) { (_) throws(VolumeErrno) in
      status = try inode(number).status
    }
    return (error, status)
  }

  /// Carries out what one setattr asks for, as one record for each of mode, owner, size and times.
  func change(_ number: UInt64, _ changes: AttributeChanges, by caller: VolumeCaller) -> (error: Int32, tl_status) {
    lock.take()
    defer { lock.give() }
    guard let inode = try? inode(number) else { return (ESTALE, tl_status()) }
    var error: Int32 = 0
    if let mode = changes.mode {
      var record = TraceRecord(.setMode, by: caller, inode: number)
      record.mode = mode & 0o7777
      error = perform(record) { (_) throws(VolumeErrno) in
        inode.mode = inode.type | mode & 0o7777
        inode.changed = .now
      }
    }
    if error == 0, changes.user != nil || changes.group != nil {
      error = own(inode, user: changes.user, group: changes.group, by: caller)
    }
    if error == 0, let size = changes.size {
      error = truncate(inode, to: size, handle: changes.handle, kills: changes.killsPrivileges, by: caller)
    }
    if error == 0, changes.accessed != nil || changes.modified != nil {
      error = setTimes(inode, changes.accessed, changes.modified, by: caller)
    }
    return (error, inode.status)
  }

  private func own(_ inode: Inode, user: UInt32?, group: UInt32?, by caller: VolumeCaller) -> Int32 {
    var record = TraceRecord(.setOwner, by: caller, inode: inode.number)
    (record.user, record.group) = (user ?? inode.user, group ?? inode.group)
    return perform(record) { (record) throws(VolumeErrno) in
      (inode.user, inode.group) = (record.user, record.group)
      inode.killPrivileges()
      inode.changed = .now
      record.mode = inode.mode
    }
  }

  private func setTimes(
    _ inode: Inode, _ accessed: VolumeTime?, _ modified: VolumeTime?, by caller: VolumeCaller
  ) -> Int32 {
    var record = TraceRecord(.setTimes, by: caller, inode: inode.number)
    (record.value, record.otherValue) = ((accessed ?? inode.accessed).bits, (modified ?? inode.modified).bits)
    return perform(record) { (_) throws(VolumeErrno) in
      inode.accessed = accessed ?? inode.accessed
      inode.modified = modified ?? inode.modified
      inode.changed = .now
    }
  }

  // MARK: Extended attributes

  /// Bytes of a value (`man 7 xattr`, XATTR_SIZE_MAX).
  private static let largestAttribute = 65_536

  /// - Parameter flags: XATTR_CREATE (1), XATTR_REPLACE (2).
  func setAttribute(
    _ number: UInt64, _ name: [UInt8], _ value: [UInt8], flags: Int32, by caller: VolumeCaller
  ) -> Int32 {
    perform(TraceRecord(.setAttribute, by: caller, inode: number), name: name) { (record) throws(VolumeErrno) in
      let inode = try inode(number)
      // Access control lists live here and need their own checks: refused, as by a file system mounted with noacl.
      if name.starts(with: "system.".utf8) { throw VolumeErrno(EOPNOTSUPP) }
      if name.count > 255 { throw VolumeErrno(ERANGE) }
      if value.count > Self.largestAttribute { throw VolumeErrno(E2BIG) }
      if flags & 1 != 0, inode.attributes[name] != nil { throw VolumeErrno(EEXIST) }
      if flags & 2 != 0, inode.attributes[name] == nil { throw VolumeErrno(ENODATA) }
      inode.attributes[name] = value
      inode.changed = .now
      carry(value, in: &record)
    }
  }

  func removeAttribute(_ number: UInt64, _ name: [UInt8], by caller: VolumeCaller) -> Int32 {
    perform(TraceRecord(.removeAttribute, by: caller, inode: number), name: name) { (_) throws(VolumeErrno) in
      let inode = try inode(number)
      guard inode.attributes.removeValue(forKey: name) != nil else { throw VolumeErrno(ENODATA) }
      inode.changed = .now
    }
  }

  func attribute(_ number: UInt64, _ name: [UInt8], by caller: VolumeCaller) -> (error: Int32, [UInt8]) {
    var value: [UInt8] = []
    let error = perform(TraceRecord(.readAttribute, by: caller, inode: number), name: name) { (_) throws(VolumeErrno) in
      guard let found = try inode(number).attributes[name] else {
        throw VolumeErrno(name.starts(with: "system.".utf8) ? EOPNOTSUPP : ENODATA)
      }
      value = found
    }
    return (error, value)
  }

  /// Names, each followed by a zero (`man 2 listxattr`).
  func attributeNames(_ number: UInt64, by caller: VolumeCaller) -> (error: Int32, [UInt8]) {
    var names: [UInt8] = []
    let error = perform(TraceRecord(.readAttribute, by: caller, inode: number)) { (_) throws(VolumeErrno) in
      for name in try inode(number).attributes.keys { names += name + [0] }
    }
    return (error, names)
  }
}
