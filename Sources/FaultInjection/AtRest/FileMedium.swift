import Glibc
import Storage

/// Files that no engine has open, as damage at rest gets at them. Paths are relative, as in `Storage`.
public protocol FileMedium {
  /// Paths of all files, sorted by their bytes.
  func files() throws(StorageError) -> [String]
  /// In bytes.
  func size(of path: String) throws(StorageError) -> Int64
  /// The bytes of `range` as far as the file goes.
  func read(_ path: String, _ range: Range<Int64>) throws(StorageError) -> [UInt8]
  /// Puts bytes into the file, which is made where there is none, and grows where they reach beyond its end.
  func write(_ path: String, _ bytes: [UInt8], at offset: Int64) throws(StorageError)
  func truncate(_ path: String, to size: Int64) throws(StorageError)
  func remove(_ path: String) throws(StorageError)
}

extension MemoryDisk: FileMedium {
  public func files() throws(StorageError) -> [String] { paths }

  public func size(of path: String) throws(StorageError) -> Int64 { Int64(try content(path, .size).count) }

  public func read(_ path: String, _ range: Range<Int64>) throws(StorageError) -> [UInt8] {
    let bytes = try content(path, .read)
    let inside = range.clamped(to: 0..<Int64(bytes.count))
    return Array(bytes[Int(inside.lowerBound)..<Int(inside.upperBound)])
  }

  public func write(_ path: String, _ bytes: [UInt8], at offset: Int64) throws(StorageError) {
    try putAtRest(path, bytes, at: offset)
  }

  public func truncate(_ path: String, to size: Int64) throws(StorageError) { try truncateAtRest(path, to: size) }

  public func remove(_ path: String) throws(StorageError) { try removeAtRest(path) }

  private func content(_ path: String, _ kind: OperationKind) throws(StorageError) -> [UInt8] {
    guard let bytes = read(path) else { throw StorageError(errno: ENOENT, kind, path) }
    return bytes
  }
}

/// Real files below a folder, by plain system calls (`man 2 pread`, `man 2 pwrite`). Symbolic links are not followed.
public struct AtRestFolder: FileMedium {
  /// Absolute, or relative to the process's directory.
  public var root: String

  public init(_ root: String) { self.root = root }

  private func absolute(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

  public func files() throws(StorageError) -> [String] {
    var found: [String] = []
    var open = [""]
    while let folder = open.popLast() {
      for name in try names(in: folder) {
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        var status = stat()
        guard lstat(absolute(path), &status) == 0 else { throw StorageError(errno: errno, .list, path) }
        if status.st_mode & S_IFMT == S_IFDIR { open.append(path) }
        if status.st_mode & S_IFMT == S_IFREG { found.append(path) }
      }
    }
    return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  private func names(in folder: String) throws(StorageError) -> [String] {
    guard let directory = opendir(absolute(folder)) else { throw StorageError(errno: errno, .list, folder) }
    defer { closedir(directory) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw StorageError(errno: errno, .list, folder) }
    return names
  }

  private func opened<Value>(
    _ path: String, _ flags: Int32, _ kind: OperationKind, _ body: (Int32) throws(StorageError) -> Value
  ) throws(StorageError) -> Value {
    let descriptor = Glibc.open(absolute(path), flags | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw StorageError(errno: errno, kind, path) }
    defer { _ = Glibc.close(descriptor) }
    return try body(descriptor)
  }

  public func size(of path: String) throws(StorageError) -> Int64 {
    try opened(path, O_RDONLY, .size) { (descriptor) throws(StorageError) -> Int64 in
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw StorageError(errno: errno, .size, path) }
      return Int64(status.st_size)
    }
  }

  public func read(_ path: String, _ range: Range<Int64>) throws(StorageError) -> [UInt8] {
    let inside = range.clamped(to: 0..<(try size(of: path)))
    return try opened(path, O_RDONLY, .read) { (descriptor) throws(StorageError) -> [UInt8] in
      var bytes = [UInt8](repeating: 0, count: inside.count)
      var at = 0
      while at < bytes.count {
        let offset = inside.lowerBound + Int64(at)
        let count = bytes.withUnsafeMutableBytes {
          pread(descriptor, $0.baseAddress! + at, $0.count - at, off_t(offset))
        }
        if count < 0 { throw StorageError(errno: errno, .read, path, offset: offset) }
        if count == 0 { return Array(bytes[..<at]) }
        at += count
      }
      return bytes
    }
  }

  public func write(_ path: String, _ bytes: [UInt8], at offset: Int64) throws(StorageError) {
    try opened(path, O_WRONLY | O_CREAT, .write) { (descriptor) throws(StorageError) in
      var at = 0
      while at < bytes.count {
        let place = offset + Int64(at)
        let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + at, $0.count - at, off_t(place)) }
        guard count > 0 else { throw StorageError(errno: count == 0 ? ENOSPC : errno, .write, path, offset: place) }
        at += count
      }
    }
  }

  public func truncate(_ path: String, to size: Int64) throws(StorageError) {
    try opened(path, O_WRONLY, .truncate) { (descriptor) throws(StorageError) in
      guard ftruncate(descriptor, off_t(size)) == 0 else {
        throw StorageError(errno: errno, .truncate, path, offset: size)
      }
    }
  }

  public func remove(_ path: String) throws(StorageError) {
    guard Glibc.unlink(absolute(path)) == 0 else { throw StorageError(errno: errno, .unlink, path) }
  }
}
