import Glibc

/// A file, directory or symbolic link that is put into a volume.
package struct VolumeNode {
  /// The place of its directory among the nodes; -1 is the root.
  package var parent: Int
  package var name: [UInt8]
  /// Type and permissions, as in `st_mode`.
  package var mode: UInt32
  package var user: UInt32 = 0
  package var group: UInt32 = 0
  /// Of a symbolic link.
  package var target: [UInt8] = []
  /// The place of the node whose file this is another name of.
  package var sameFile: Int?
  /// Bytes of a file.
  package var size: UInt64 = 0
  /// Puts bytes of the file from an offset on into a page that holds zeros, and says whether any differs from zero. A
  /// page has 4096 bytes, and begins at a multiple of that.
  package var fill: ((_ offset: UInt64, _ page: UnsafeMutableRawBufferPointer) -> Bool)?

  package init(parent: Int, name: [UInt8], mode: UInt32) {
    (self.parent, self.name, self.mode) = (parent, name, mode)
  }
}

extension Volume {
  /// Puts files into a volume. All of it is recorded as operations of nobody's.
  /// - Parameter nodes: directories before what is in them; a file before its other names.
  /// - Returns: the inode of each node.
  @discardableResult package func put(_ nodes: [VolumeNode]) throws(VolumeFolderError) -> [UInt64] {
    var made: [UInt64] = []
    made.reserveCapacity(nodes.count)
    for node in nodes {
      let directory = node.parent < 0 ? 1 : made[node.parent]
      let owner = VolumeCaller(thread: 0, user: node.user, group: node.group)
      let outcome =
        if let same = node.sameFile {
          link(made[same], to: node.name, in: directory, by: owner)
        } else {
          make(kind(of: node.mode), node.mode, target: node.target, node.name, in: directory, by: owner)
        }
      guard let inode = outcome.inode else {
        throw VolumeFolderError(String(decoding: node.name, as: UTF8.self), "putting into the volume", outcome.error)
      }
      made.append(inode.number)
      if node.sameFile == nil, inode.content != nil, node.size > 0 { try fill(inode, node, owner) }
      // The set-group-ID bit of a directory gives files another group than they had.
      inode.group = node.group
      forget(inode.number, 1)
    }
    return made
  }

  private func kind(of mode: UInt32) -> VolumeOperationKind {
    switch mode & S_IFMT {
    case S_IFREG: .create
    case S_IFDIR: .makeDirectory
    case S_IFLNK: .symlink
    default: .makeNode
    }
  }

  private func fill(_ inode: Inode, _ node: VolumeNode, _ owner: VolumeCaller) throws(VolumeFolderError) {
    let page = PagePool.pageSize
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * page, alignment: page)
    defer { buffer.deallocate() }
    var error: Int32 = 0
    /// Writes the pages of the buffer that hold something.
    func write(_ count: Int, at offset: UInt64) {
      guard count > 0, error == 0 else { return }
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[0..<min(count, Int(node.size - offset))])
      error =
        self.write(
          WriteCall(inode: inode.number, bytes: bytes, offset: offset, handle: 0, flags: []), by: owner
        ).error
    }
    var (offset, begin, used) = (UInt64(0), UInt64(0), 0)
    while offset < node.size {
      if used == 0 { begin = offset }
      let place = UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + page])
      memset(place.baseAddress!, 0, page)
      let holdsSomething = node.fill?(offset, place) ?? false
      if holdsSomething { used += page }
      if used == buffer.count || !holdsSomething {
        write(used, at: begin)
        used = 0
      }
      offset += UInt64(page)
    }
    write(used, at: begin)
    if error == 0, inode.size != node.size {
      var size = AttributeChanges()
      size.size = node.size
      error = change(inode.number, size, by: owner).error
    }
    if error != 0 {
      throw VolumeFolderError(String(decoding: node.name, as: UTF8.self), "putting into the volume", error)
    }
  }

  /// Empties a volume: its files, its trace, and what they took of the memory. Nobody may have anything open in it; who
  /// still knows a file of it is told ESTALE. Inode numbers go on. Channels stay.
  package func empty() {
    let (names, forget) = lock.holding { () -> ([[UInt8]], ((UInt64, [UInt8]) -> Void)?) in
      let root = inodes[1]!
      let names = root.directory!.slots.compactMap { $0 }.filter { channels[$0.inode] == nil }
      return (names.map(\.name), forgetName)
    }
    // The kernel lets go of all that is below these names, and of its pages.
    for name in names { forget?(1, name) }
    lock.holding {
      let root = inodes[1]!
      for name in names { root.directory!.remove(name, mayMove: root.handles == 0) }
      for number in firstLiving..<inodes.count where channels[UInt64(number)] == nil { inodes[number] = nil }
      firstLiving = inodes.count
      root.links = 2
      inodeCount = 1 + channels.count
      usedPages = 0
      store.clear()
      lastSyncAll = 0
      delays.end()
    }
  }
}
