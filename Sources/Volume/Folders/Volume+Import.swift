import CFuse
import Glibc

extension Volume {
  /// Takes over what a plain folder holds, as `export` writes it, into the volume's root, or another directory. All of
  /// it is recorded as
  /// operations of nobody's, so that a trace is complete from the first one on: a mark behind it says where a
  /// program's own begin.
  package func takeIn(_ folder: String, into directory: UInt64 = 1) throws(VolumeFolderError) {
    var taking = Import(volume: self, folder: folder)
    try taking.fill("", directory)
  }
}

private struct Import {
  let volume: Volume
  let folder: String
  /// Files with several names: device and inode, and what they became.
  private var taken: [[UInt64]: UInt64] = [:]

  init(volume: Volume, folder: String) {
    self.volume = volume
    self.folder = folder
  }

  private func check(_ call: String, _ path: String, _ error: Int32) throws(VolumeFolderError) {
    if error != 0 { throw VolumeFolderError(path, "taking in (\(call))", error) }
  }

  /// Names of a folder, sorted, so that the same folder gives the same trace.
  private func names(_ path: String) throws(VolumeFolderError) -> [[UInt8]] {
    guard let listing = opendir(path) else { throw VolumeFolderError(path, "opendir") }
    defer { closedir(listing) }
    var names: [[UInt8]] = []
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }

  mutating func fill(_ path: String, _ directory: UInt64) throws(VolumeFolderError) {
    for name in try names(folder + path) {
      let inner = path + "/" + String(decoding: name, as: UTF8.self)
      let source = folder + inner
      var status = stat()
      try folderCall("lstat", source, lstat(source, &status))
      let owner = VolumeCaller(thread: 0, user: status.st_uid, group: status.st_gid)
      let key = [UInt64(status.st_dev), UInt64(status.st_ino)]
      if let known = taken[key] {
        let linked = volume.link(known, to: name, in: directory, by: owner)
        try check("link", source, linked.error)
        volume.forget(known, 1)
        continue
      }
      let made = try make(name, in: directory, source, status, owner)
      guard let inode = made.inode else { throw VolumeFolderError(source, "taking in (create)", made.error) }
      if status.st_nlink > 1, !inode.isDirectory { taken[key] = inode.number }
      if inode.isDirectory { try fill(inner, inode.number) }
      if inode.content != nil { try copy(source, inode.number, owner) }
      try describe(inode, source, status, owner)
      volume.forget(inode.number, 1)
    }
  }

  private func make(
    _ name: [UInt8], in directory: UInt64, _ source: String, _ status: stat, _ owner: VolumeCaller
  ) throws(VolumeFolderError) -> Volume.Made {
    let mode = status.st_mode
    switch mode & S_IFMT {
    case S_IFREG: return volume.make(.create, mode, name, in: directory, by: owner)
    case S_IFDIR: return volume.make(.makeDirectory, mode, name, in: directory, by: owner)
    case S_IFLNK:
      var target = [UInt8](repeating: 0, count: 4096)
      let count = try folderCall(
        "readlink", source,
        target.withUnsafeMutableBytes { readlink(source, $0.baseAddress!.assumingMemoryBound(to: CChar.self), 4096) })
      return volume.make(
        .symlink, S_IFLNK | 0o777, target: Array(target.prefix(count)), name, in: directory, by: owner)
    default: return volume.make(.makeNode, mode, device: UInt64(status.st_rdev), name, in: directory, by: owner)
    }
  }

  private func copy(_ source: String, _ inode: UInt64, _ owner: VolumeCaller) throws(VolumeFolderError) {
    let file = try folderCall("open", source, open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))
    defer { close(file) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    // SEEK_DATA and SEEK_HOLE (`man 2 lseek`) are 3 and 4; ENXIO: no more content.
    var offset = lseek(file, 0, 3)
    while offset >= 0 {
      let end = lseek(file, offset, 4)
      while offset < end {
        let count = try folderCall(
          "pread", source, pread(file, buffer.baseAddress, min(buffer.count, end - offset), offset))
        if count == 0 { break }
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer).prefix(count))
        let call = WriteCall(inode: inode, bytes: bytes, offset: UInt64(offset), handle: 0, flags: [])
        let (error, written) = volume.write(call, by: owner)
        try check("write", source, error)
        offset += written
      }
      offset = lseek(file, offset, 3)
    }
    if errno != ENXIO { throw VolumeFolderError(source, "lseek") }
    var status = stat()
    try folderCall("fstat", source, fstat(file, &status))
    var size = AttributeChanges()
    size.size = UInt64(status.st_size)
    if (try? volume.inode(inode))?.size != size.size {
      try check("truncate", source, volume.change(inode, size, by: owner).error)
    }
  }

  private func describe(
    _ inode: Inode, _ source: String, _ status: stat, _ owner: VolumeCaller
  ) throws(VolumeFolderError) {
    var names = [UInt8](repeating: 0, count: 65_536)
    var value = [UInt8](repeating: 0, count: 65_536)
    let count = tl_attribute_names(source, &names, names.count)
    for name in names.prefix(max(0, Int(count))).split(separator: 0) {
      let size = (name + [0]).withUnsafeBytes {
        tl_attribute_get(source, $0.baseAddress!.assumingMemoryBound(to: CChar.self), &value, value.count)
      }
      // Access control lists and the like are not kept, as the mounted volume does not.
      guard size >= 0, !name.starts(with: "system.".utf8) else { continue }
      let error = volume.setAttribute(
        inode.number, Array(name), Array(value.prefix(Int(size))), flags: 0, by: owner)
      try check("setxattr", source, error)
    }
    var changes = AttributeChanges()
    if inode.type != S_IFLNK, inode.mode & 0o7777 != status.st_mode & 0o7777 { changes.mode = status.st_mode }
    changes.accessed = VolumeTime(status.st_atim)
    changes.modified = VolumeTime(status.st_mtim)
    try check("setattr", source, volume.change(inode.number, changes, by: owner).error)
  }
}
