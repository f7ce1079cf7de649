import Glibc
import LogModel

/// The files of a disk as they are found on a mounted file system, by their paths below the storage's root.
package struct MountedImage: Hashable, Sendable {
  package var directories: Set<String> = []
  package var files: [String: [UInt8]] = [:]
  /// Targets of symbolic links.
  package var links: [String: String] = [:]

  package var paths: Set<String> { directories.union(files.keys).union(links.keys) }

  /// Whether the directory that `path` is in is there.
  func hasDirectory(of path: String) -> Bool {
    guard let cut = path.lastIndex(of: "/") else { return true }
    return directories.contains(String(path[..<cut]))
  }

  /// Equal numbers, equal disks.
  package var contentHash: UInt64 {
    var hash: UInt64 = 0
    for path in directories { hash &+= DiskHash.directory(stableHash(path)) }
    for (path, target) in links { hash &+= DiskHash.link(stableHash(path), target) }
    for (path, bytes) in files {
      var sum: UInt64 = 0
      for start in stride(from: 0, to: bytes.count, by: SectorStore.size) {
        var sector = Array(bytes[start..<min(bytes.count, start + SectorStore.size)])
        sector += [UInt8](repeating: 0, count: SectorStore.size - sector.count)
        sum &+= sector.withUnsafeBytes {
          DiskHash.sector(SectorStore.hash($0.baseAddress!), at: start / SectorStore.size)
        }
      }
      hash &+= DiskHash.file(stableHash(path), size: bytes.count, sectors: sum)
    }
    return hash
  }

  package init() {}

  /// The files of a state of a recorded disk.
  package init(_ image: DiskImage, of recording: Recording) {
    for (path, node) in image.names {
      let name = recording.table.paths[Int(path)]
      guard case .file(let file) = node else {
        directories.insert(name)
        continue
      }
      if case .symbolicLink(let target) = recording.inodes.kinds[Int(file)] {
        links[name] = target
        continue
      }
      let content = image.files[Int(file)]
      var bytes: [UInt8] = []
      bytes.reserveCapacity(content.sectors.count * SectorStore.size)
      for sector in content.sectors {
        bytes += UnsafeRawBufferPointer(start: recording.store.bytes(sector), count: SectorStore.size)
      }
      bytes.removeLast(bytes.count - content.size)
      files[name] = bytes
    }
  }

  /// Why it could not be read to the end: a state that no profile knows.
  package struct Unreadable: Error, CustomStringConvertible {
    var path: String
    package var errno: Int32
    package var description: String { "\(path) cannot be read: \(String(cString: strerror(errno)))" }
  }

  /// Reads everything below `root`.
  package init(reading root: String) throws(Unreadable) { try add("", of: root) }

  private mutating func add(_ path: String, of root: String) throws(Unreadable) {
    let place = path.isEmpty ? root : "\(root)/\(path)"
    guard let directory = opendir(place) else { throw Unreadable(path: place, errno: errno) }
    defer { closedir(directory) }
    while true {
      errno = 0
      guard let entry = readdir(directory) else { break }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      let inner = path.isEmpty ? name : "\(path)/\(name)"
      if entry.pointee.d_type == UInt8(DT_DIR) {
        directories.insert(inner)
        try add(inner, of: root)
      } else if entry.pointee.d_type == UInt8(DT_LNK) {
        links[inner] = try Self.target(of: "\(root)/\(inner)")
      } else if entry.pointee.d_type == UInt8(DT_REG) {
        files[inner] = try Self.bytes(of: "\(root)/\(inner)")
      } else {
        // A pipe, a socket or a device has no content, and to open it would wait, or fail.
        files[inner] = []
      }
    }
    guard errno == 0 else { throw Unreadable(path: place, errno: errno) }
  }

  private static func target(of path: String) throws(Unreadable) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count - 1)
    guard count >= 0 else { throw Unreadable(path: path, errno: errno) }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func bytes(of path: String) throws(Unreadable) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw Unreadable(path: path, errno: errno) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw Unreadable(path: path, errno: errno) }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var at = 0
    while at < bytes.count {
      let count = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress! + at, $0.count - at, off_t(at)) }
      guard count > 0 else { throw Unreadable(path: path, errno: count < 0 ? errno : EIO) }
      at += count
    }
    return bytes
  }
}
