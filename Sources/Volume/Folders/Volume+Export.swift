import CFuse
import Glibc

extension Volume {
  /// Writes what the volume holds now to a plain folder: names, content with its holes, hard and symbolic links,
  /// fifos and sockets, modes, times, extended attributes; owners and device nodes as root. Every operation waits
  /// meanwhile.
  /// - Parameters:
  ///   - path: of the directory in the volume, from its root.
  ///   - folder: exists and is empty, or is made. Not in the mounted volume.
  /// - Returns: paths of what the folder's file system or the user's rights do not allow: attributes, owners, devices.
  @discardableResult package func export(_ path: String = "/", to folder: String) throws(VolumeFolderError) -> [String]
  {
    try lock.holding { () throws(VolumeFolderError) in
      guard let top = inode(at: path).flatMap({ inodes[Int($0)] }), top.directory != nil else {
        throw VolumeFolderError(path, "export", ENOTDIR)
      }
      var export = Export(volume: self, folder: folder)
      if mkdir(folder, 0o755) != 0, errno != EEXIST { throw VolumeFolderError(folder, "mkdir") }
      try export.fill("", top)
      return export.omitted
    }
  }
}

private struct Export {
  let volume: Volume
  let folder: String
  var omitted: [String] = []
  /// Where files with several names have been written.
  private var written: [UInt64: String] = [:]

  init(volume: Volume, folder: String) {
    self.volume = volume
    self.folder = folder
  }

  mutating func fill(_ path: String, _ inode: Inode) throws(VolumeFolderError) {
    for case let entry? in inode.directory!.slots {
      let inner = path + "/" + String(decoding: entry.name, as: UTF8.self)
      guard let child = volume.inodes[Int(entry.inode)] else { continue }
      let target = folder + inner
      if let first = written[child.number] {
        try folderCall("link", target, link(first, target))
        continue
      }
      if child.links > 1, !child.isDirectory { written[child.number] = target }
      if try make(child, target) { try describe(child, target) }
    }
    // After its names, which change its times.
    if !path.isEmpty { setTimes(inode, folder + path) }
  }

  /// - Returns: whether it is there.
  private mutating func make(_ inode: Inode, _ target: String) throws(VolumeFolderError) -> Bool {
    if inode.isDirectory {
      try folderCall("mkdir", target, mkdir(target, 0o700))
      try fill(String(target.dropFirst(folder.count)), inode)
    } else if let content = inode.content {
      let file = try folderCall(
        "open", target, open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600))
      defer { close(file) }
      try copy(content, to: file, target)
    } else if inode.type == S_IFLNK {
      try folderCall("symlink", target, symlink(String(decoding: inode.target, as: UTF8.self), target))
    } else if mknod(target, inode.mode, dev_t(inode.device)) != 0 {
      guard errno == EPERM else { throw VolumeFolderError(target, "mknod") }
      omitted.append(target)
      return false
    }
    return true
  }

  private func copy(_ content: FileContent, to file: Int32, _ target: String) throws(VolumeFolderError) {
    try folderCall("ftruncate", target, ftruncate(file, off_t(content.size)))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var at = content.seek(from: 0, data: true)
    while let start = at {
      var offset = start
      let end = content.seek(from: start, data: false) ?? content.size
      while offset < end {
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), end - offset))))
        let count = content.read(room, at: offset)
        let done = try folderCall("pwrite", target, pwrite(file, room.baseAddress, count, off_t(offset)))
        offset += UInt64(done)
      }
      at = content.seek(from: end, data: true)
    }
  }

  private mutating func describe(_ inode: Inode, _ target: String) throws(VolumeFolderError) {
    if lchown(target, inode.user, inode.group) != 0 { omitted.append(target) }
    if inode.type != S_IFLNK { try folderCall("chmod", target, chmod(target, inode.mode & 0o7777)) }
    for (name, value) in inode.attributes {
      let code = value.withUnsafeBytes { value in
        (name + [0]).withUnsafeBytes { name in
          tl_attribute_set(
            target, name.baseAddress!.assumingMemoryBound(to: CChar.self), value.baseAddress, value.count)
        }
      }
      if code != 0 { omitted.append(target) }
    }
    if !inode.isDirectory { setTimes(inode, target) }
  }

  private func setTimes(_ inode: Inode, _ target: String) {
    let times = [inode.accessed, inode.modified].map { timespec(tv_sec: $0.seconds, tv_nsec: $0.nanoseconds) }
    utimensat(AT_FDCWD, target, times, AT_SYMLINK_NOFOLLOW)
  }
}
