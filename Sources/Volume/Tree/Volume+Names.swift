import Glibc

/// What may be wrong with a name: only its length, `man 2 open`, ENAMETOOLONG. The kernel has looked at the rest.
private func check(_ name: [UInt8]) throws(VolumeErrno) {
  if name.count > 255 { throw VolumeErrno(ENAMETOOLONG) }
}

extension Volume {
  /// Links that a file may have, those of ext4 (`EXT4_LINK_MAX`).
  static let largestLinkCount: UInt32 = 65_000

  private func touch(_ directory: Inode) {
    directory.modified = .now
    directory.changed = directory.modified
  }

  /// Gives an inode a name that is free.
  private func name(_ inode: Inode, _ name: [UInt8], in folder: Inode) {
    folder.directory!.insert(name, inode.number)
    inode.names.append(Inode.Place(directory: folder.number, name: name))
    touch(folder)
  }

  private func unname(_ inode: Inode, _ name: [UInt8], in folder: Inode) {
    folder.directory!.remove(name, mayMove: folder.handles == 0)
    inode.names.removeAll { $0 == Inode.Place(directory: folder.number, name: name) }
    touch(folder)
  }

  /// What the caller may know of the outcome.
  struct Made {
    var error: Int32
    var inode: Inode?
    var handle: UInt64 = 0
  }

  /// What was made although the caller is told an error is not the caller's to give back.
  private func settle(_ made: Made, isOpen: Bool = false) -> Made {
    guard made.error != 0, let inode = made.inode else { return made }
    lock.holding {
      inode.lookups -= 1
      if isOpen { inode.handles -= 1 }
      reap(inode)
    }
    return Made(error: made.error, inode: nil)
  }

  func look(_ directory: UInt64, _ name: [UInt8], by caller: VolumeCaller) -> Made {
    var found: Inode?
    var record = TraceRecord(.lookup, by: caller)
    record.directory = directory
    let error = perform(record, name: name) { (record) throws(VolumeErrno) in
      try check(name)
      guard let number = try self.directory(directory).1[name] else { throw VolumeErrno(ENOENT) }
      found = try inode(number)
      found!.lookups += 1
      record.inode = number
    }
    return settle(Made(error: error, inode: found))
  }

  /// The kernel forgets that many lookups; no answer.
  func forget(_ number: UInt64, _ count: UInt64) {
    lock.holding {
      guard let inode = try? inode(number) else { return }
      inode.lookups -= min(count, inode.lookups)
      reap(inode)
    }
  }

  // MARK: Making

  /// A file, directory or node under a name, for which the kernel remembers a lookup.
  /// - Parameter opens: also opens it, with these flags of open(2).
  func make(
    _ kind: VolumeOperationKind, _ mode: UInt32, device: UInt64 = 0, target: [UInt8] = [], opens: Int32? = nil,
    _ name: [UInt8], in directory: UInt64, by caller: VolumeCaller
  ) -> Made {
    var made: Inode?
    var handle: UInt64 = 0
    var record = TraceRecord(kind, by: caller)
    (record.directory, record.mode, record.value) = (directory, mode, device)
    let error = perform(record, name: name) { (record) throws(VolumeErrno) in
      try check(name)
      let (folder, names) = try self.directory(directory)
      if names[name] != nil { throw VolumeErrno(EEXIST) }
      if folder.links == 0 { throw VolumeErrno(ENOENT) }
      let inode = make(mode, by: caller, in: folder)
      (inode.device, inode.target, inode.links, inode.lookups) = (device, target, 1, 1)
      if inode.isDirectory {
        if folder.links >= Self.largestLinkCount { throw VolumeErrno(EMLINK) }
        inode.links = 2
        folder.links += 1
      }
      self.name(inode, name, in: folder)
      if let opens {
        handle = newHandle(inode)
        record.handle = handle
        record.flags |= opens.volumeFlags.rawValue
      }
      (record.inode, record.mode, record.group) = (inode.number, inode.mode, inode.group)
      carry(target, in: &record)
      made = inode
    }
    return settle(Made(error: error, inode: made, handle: handle), isOpen: handle != 0)
  }

  /// O_TMPFILE (`man 2 open`).
  func makeUnnamed(_ mode: UInt32, flags: Int32, in directory: UInt64, by caller: VolumeCaller) -> Made {
    var made: Inode?
    var handle: UInt64 = 0
    var record = TraceRecord(.createUnnamed, by: caller)
    (record.directory, record.mode) = (directory, mode)
    record.flags = flags.volumeFlags.rawValue
    let error = perform(record, name: []) { (record) throws(VolumeErrno) in
      let inode = make(mode & ~S_IFMT | S_IFREG, by: caller, in: try self.directory(directory).0)
      inode.lookups = 1
      handle = newHandle(inode)
      (record.inode, record.mode, record.group, record.handle) = (inode.number, inode.mode, inode.group, handle)
      made = inode
    }
    return settle(Made(error: error, inode: made, handle: handle), isOpen: handle != 0)
  }

  func link(_ number: UInt64, to name: [UInt8], in directory: UInt64, by caller: VolumeCaller) -> Made {
    var linked: Inode?
    var record = TraceRecord(.link, by: caller, inode: number)
    record.newDirectory = directory
    let error = perform(record, newName: name) { (_) throws(VolumeErrno) in
      try check(name)
      let (folder, names) = try self.directory(directory)
      let inode = try inode(number)
      if names[name] != nil { throw VolumeErrno(EEXIST) }
      if inode.isDirectory { throw VolumeErrno(EPERM) }
      if inode.links >= Self.largestLinkCount { throw VolumeErrno(EMLINK) }
      inode.links += 1
      inode.lookups += 1
      inode.changed = .now
      self.name(inode, name, in: folder)
      linked = inode
    }
    return settle(Made(error: error, inode: linked))
  }

  // MARK: Removing

  func unlink(_ name: [UInt8], in directory: UInt64, by caller: VolumeCaller) -> Int32 {
    var record = TraceRecord(.unlink, by: caller)
    record.directory = directory
    return perform(record, name: name) { (record) throws(VolumeErrno) in
      let (folder, names) = try self.directory(directory)
      guard let number = names[name] else { throw VolumeErrno(ENOENT) }
      let inode = try inode(number)
      if inode.isDirectory { throw VolumeErrno(EISDIR) }
      record.inode = number
      unname(inode, name, in: folder)
      inode.links -= 1
      inode.changed = .now
      reap(inode)
    }
  }

  func removeDirectory(_ name: [UInt8], in directory: UInt64, by caller: VolumeCaller) -> Int32 {
    var record = TraceRecord(.removeDirectory, by: caller)
    record.directory = directory
    return perform(record, name: name) { (record) throws(VolumeErrno) in
      let (folder, names) = try self.directory(directory)
      guard let number = names[name] else { throw VolumeErrno(ENOENT) }
      let inode = try inode(number)
      guard let content = inode.directory else { throw VolumeErrno(ENOTDIR) }
      if !content.isEmpty { throw VolumeErrno(ENOTEMPTY) }
      record.inode = number
      unname(inode, name, in: folder)
      inode.links = 0
      folder.links -= 1
      inode.changed = .now
      reap(inode)
    }
  }

  // MARK: Renaming

  /// `man 2 rename`, with RENAME_NOREPLACE (1) and RENAME_EXCHANGE (2); RENAME_WHITEOUT (4) is refused.
  func rename(
    _ name: [UInt8], in directory: UInt64, to newName: [UInt8], in newDirectory: UInt64, flags: UInt32,
    by caller: VolumeCaller
  ) -> Int32 {
    var record = TraceRecord(flags & 2 != 0 ? .exchange : .rename, by: caller)
    (record.directory, record.newDirectory, record.mode) = (directory, newDirectory, flags)
    return perform(record, name: name, newName: newName) { (record) throws(VolumeErrno) in
      try check(newName)
      if flags & ~3 != 0 || flags == 3 { throw VolumeErrno(EINVAL) }
      let (from, names) = try self.directory(directory)
      let (to, newNames) = try self.directory(newDirectory)
      guard let number = names[name] else { throw VolumeErrno(ENOENT) }
      let moved = try inode(number)
      let other = try newNames[newName].map { number throws(VolumeErrno) in try inode(number) }
      (record.inode, record.otherInode) = (number, other?.number ?? 0)
      if flags & 1 != 0, other != nil { throw VolumeErrno(EEXIST) }
      if flags & 2 != 0 {
        guard let other else { throw VolumeErrno(ENOENT) }
        exchange((moved, name, from), (other, newName, to))
      } else if other !== moved {
        try replace((moved, name, from), (other, newName, to))
      }
    }
  }

  private typealias Named = (inode: Inode, name: [UInt8], folder: Inode)

  private func replace(
    _ moved: Named, _ new: (inode: Inode?, name: [UInt8], folder: Inode)
  ) throws(VolumeErrno) {
    if let other = new.inode {
      if let content = other.directory {
        if !moved.inode.isDirectory { throw VolumeErrno(EISDIR) }
        if !content.isEmpty { throw VolumeErrno(ENOTEMPTY) }
        other.links = 0
        new.folder.links -= 1
      } else {
        if moved.inode.isDirectory { throw VolumeErrno(ENOTDIR) }
        other.links -= 1
      }
      other.changed = .now
      unname(other, new.name, in: new.folder)
      reap(other)
    }
    unname(moved.inode, moved.name, in: moved.folder)
    name(moved.inode, new.name, in: new.folder)
    adopt(moved.inode, from: moved.folder, by: new.folder)
    moved.inode.changed = .now
  }

  private func exchange(_ one: Named, _ two: Named) {
    if one.inode === two.inode { return }
    one.folder.directory!.replace(one.name, with: two.inode.number)
    two.folder.directory!.replace(two.name, with: one.inode.number)
    let place = Inode.Place(directory: one.folder.number, name: one.name)
    let other = Inode.Place(directory: two.folder.number, name: two.name)
    one.inode.names = one.inode.names.map { $0 == place ? other : $0 }
    two.inode.names = two.inode.names.map { $0 == other ? place : $0 }
    adopt(one.inode, from: one.folder, by: two.folder)
    adopt(two.inode, from: two.folder, by: one.folder)
    touch(one.folder)
    touch(two.folder)
    (one.inode.changed, two.inode.changed) = (.now, .now)
  }

  /// A directory that moved has another "..".
  private func adopt(_ inode: Inode, from old: Inode, by new: Inode) {
    guard let directory = inode.directory, old !== new else { return }
    directory.parent = new.number
    old.links -= 1
    new.links += 1
  }
}
