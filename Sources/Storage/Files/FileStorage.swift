import CURing
import Glibc
import LogModel

/// Real files below a root directory: the name-space operations by plain system calls, which every real storage
/// shares. Subclasses say how data moves.
///
/// Operations here complete in place: the loop waits for the kernel.
public class FileStorage: Storage, @unchecked Sendable {
  // Owned by `loop`.

  public let loop: EventLoop
  public private(set) var properties: StorageProperties
  /// Absolute, without a trailing slash.
  public let root: String

  struct OpenFile {
    var descriptor: Int32
    var path: String
    var direct: Bool
    var isLocked = false

    func close() {
      if isLocked { tl_unlock(descriptor) }
      Glibc.close(descriptor)
    }
  }

  /// By `FileID`, whose numbers are never used twice: a late operation on a closed file meets no other file.
  private var files: [Int32: OpenFile] = [:]
  private var opened: Int32 = 0

  /// - Throws: `StorageError` where `root` is not a directory that this user can write.
  init(root: String, loop: EventLoop, name: String, notices: [String]) throws(StorageError) {
    self.loop = loop
    self.root = root
    var status = stat()
    guard stat(root, &status) == 0 else { throw StorageError(errno: errno, .open, root) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw StorageError(errno: ENOTDIR, .open, root) }
    guard access(root, R_OK | W_OK | X_OK) == 0 else { throw StorageError(errno: errno, .open, root) }
    let direct = DirectIO.blockSize(inDirectory: root)
    var notices = notices
    if direct == nil { notices.append("O_DIRECT is refused in \(root): writes go through the page cache") }
    let bootID = Self.bootID()
    if bootID == 0 {
      notices.append(
        "\(Self.bootPath) cannot be read: damage among messages that were not yet synced, after a kill, counts as a "
          + "torn write; "
          + "mount /proc")
    }
    properties = StorageProperties(
      name: name, directIO: direct != nil, blockSize: direct ?? 512, bootID: bootID, notices: notices)
  }

  deinit {
    for file in files.values { file.close() }
  }

  /// What a file system says of the kind of an entry; stands here for one that says it otherwise.
  var kindOfEntry: (UInt8) -> UInt8 = { $0 }

  func addNotice(_ text: String) { properties.notices.append(text) }

  private static let bootPath = "/proc/sys/kernel/random/boot_id"

  /// 0 where there is no procfs.
  private static func bootID() -> UInt32 {
    let descriptor = Glibc.open(bootPath, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return 0 }
    defer { Glibc.close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 36)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    guard count == bytes.count else { return 0 }
    return UInt32(truncatingIfNeeded: stableHash(String(decoding: bytes, as: UTF8.self)))
  }

  final func absolute(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }

  final func file(_ id: FileID, _ kind: OperationKind) throws(StorageError) -> OpenFile {
    guard let file = files[id.rawValue] else {
      throw StorageError(errno: EBADF, kind, "file #\(id.rawValue)")
    }
    return file
  }

  /// The same for the hot path: no text is touched.
  final func descriptor(_ id: FileID, _ kind: OperationKind) throws(StorageError) -> Int32 {
    guard let descriptor = files[id.rawValue]?.descriptor else {
      throw StorageError(errno: EBADF, kind, "file #\(id.rawValue)")
    }
    return descriptor
  }

  final func isDirect(_ id: FileID) -> Bool { files[id.rawValue]?.direct ?? false }

  final func path(of id: FileID) -> String { files[id.rawValue]?.path ?? "file #\(id.rawValue)" }

  public func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    var flags = O_CLOEXEC | (mode.contains(.write) ? O_RDWR : O_RDONLY)
    if mode.contains(.create) { flags |= O_CREAT }
    if mode.contains(.exclusive) { flags |= O_EXCL }
    let direct = mode.contains(.direct) && properties.directIO
    if direct { flags |= tl_o_direct }
    let descriptor = Glibc.open(absolute(path), flags, 0o644)
    guard descriptor >= 0 else { throw StorageError(errno: errno, .open, path) }
    let id = FileID(opened)
    opened += 1
    files[id.rawValue] = OpenFile(descriptor: descriptor, path: path, direct: direct)
    return id
  }

  public func close(_ id: FileID) async {
    files.removeValue(forKey: id.rawValue)?.close()
  }

  public func size(of id: FileID) async throws(StorageError) -> Int64 {
    let file = try file(id, .size)
    var status = stat()
    guard fstat(file.descriptor, &status) == 0 else { throw StorageError(errno: errno, .size, file.path) }
    return Int64(status.st_size)
  }

  public func read(
    _ id: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let file = try file(id, .read)
    var got = 0
    // A short read need not be the end of the file (`man 2 read`). One past every page that ends off a sector is.
    repeat {
      let count = pread(
        file.descriptor, buffer.base + range.lowerBound + got, range.count - got, off_t(offset) + off_t(got))
      guard count >= 0 else { throw StorageError(errno: errno, .read, file.path, offset: offset + Int64(got)) }
      if count == 0 { break }
      got += count
    } while got < range.count && (got % 512 == 0 || !isDirect(id))
    return got
  }

  public func write(
    _ id: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let file = try file(id, .write)
    let count = tl_pwrite(
      file.descriptor, buffer.base + range.lowerBound, range.count, offset, durability == .durable ? 1 : 0)
    guard count >= 0 else { throw StorageError(errno: Int32(-count), .write, file.path, offset: offset) }
    return Int(count)
  }

  public func sync(_ id: FileID, _ scope: SyncScope) async throws(StorageError) {
    let file = try file(id, .sync)
    let result = scope == .data ? fdatasync(file.descriptor) : fsync(file.descriptor)
    guard result == 0 else { throw StorageError(errno: errno, .sync, file.path) }
  }

  public func writeThenSync(
    _ id: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ scope: SyncScope
  ) async throws(StorageError) -> Int {
    let taken = try await write(id, at: offset, from: buffer, range, .volatile)
    if taken == range.count { try await sync(id, scope) }
    return taken
  }

  public func truncate(_ id: FileID, to size: Int64) async throws(StorageError) {
    let file = try file(id, .truncate)
    guard ftruncate(file.descriptor, off_t(size)) == 0 else {
      throw StorageError(errno: errno, .truncate, file.path, offset: size)
    }
  }

  public func lock(_ id: FileID) async throws(StorageError) {
    let file = try file(id, .lock)
    let code = tl_lock(file.descriptor)
    guard code == 0 else { throw StorageError(errno: code, .lock, file.path) }
    files[id.rawValue]?.isLocked = true
  }

  public func linkCount(of id: FileID) async throws(StorageError) -> Int {
    let descriptor = try descriptor(id, .linkCount)
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw StorageError(errno: errno, .linkCount, path(of: id)) }
    return Int(status.st_nlink)
  }

  public func makeDirectory(_ path: String) async throws(StorageError) {
    var made = ""
    for part in path.split(separator: "/") {
      made += made.isEmpty ? String(part) : "/" + part
      guard mkdir(absolute(made), 0o755) == 0 || errno == EEXIST else {
        throw StorageError(errno: errno, .makeDirectory, made)
      }
    }
  }

  public func syncDirectory(_ path: String) async throws(StorageError) {
    let descriptor = Glibc.open(absolute(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StorageError(errno: errno, .syncDirectory, path) }
    defer { Glibc.close(descriptor) }
    guard fsync(descriptor) == 0 else { throw StorageError(errno: errno, .syncDirectory, path) }
  }

  public func rename(_ path: String, to newPath: String) async throws(StorageError) {
    guard Glibc.rename(absolute(path), absolute(newPath)) == 0 else {
      throw StorageError(errno: errno, .rename, path)
    }
  }

  public func unlink(_ path: String) async throws(StorageError) {
    guard Glibc.unlink(absolute(path)) == 0 else { throw StorageError(errno: errno, .unlink, path) }
  }

  public func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    guard let directory = opendir(absolute(path)) else { throw StorageError(errno: errno, .list, path) }
    defer { closedir(directory) }
    var entries: [DirectoryEntry] = []
    errno = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." {
        entries.append(
          DirectoryEntry(name: name, isDirectory: isDirectory(kindOfEntry(entry.pointee.d_type), name, in: directory)))
      }
      errno = 0
    }
    guard errno == 0 else { throw StorageError(errno: errno, .list, path) }
    return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// Of a link what it leads to counts; and a file system need not say of what kind an entry is (`man 3 readdir`: "all
  /// applications must properly handle a return of DT_UNKNOWN").
  private func isDirectory(_ kind: UInt8, _ name: String, in directory: OpaquePointer) -> Bool {
    guard kind == UInt8(DT_UNKNOWN) || kind == UInt8(DT_LNK) else { return kind == UInt8(DT_DIR) }
    var status = stat()
    return fstatat(dirfd(directory), name, &status, 0) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  public func makeBuffer(capacity: Int) -> IOBuffer { IOBuffer(capacity: capacity) }

  public func note(_ note: TraceNote) {}
}

/// Whether and with what unit a directory's file system honours `O_DIRECT`: found out by doing it on an unnamed
/// file (`O_TMPFILE`), which leaves nothing behind.
public enum DirectIO {
  /// 512 or 4096; nil where direct I/O is refused (some tmpfs and overlay file systems).
  public static func blockSize(inDirectory directory: String) -> Int? {
    let descriptor = Glibc.open(directory, __O_TMPFILE | O_DIRECTORY | O_RDWR | tl_o_direct | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    defer { Glibc.close(descriptor) }
    let buffer = IOBuffer(capacity: IOBuffer.alignment)
    return [512, 4096].first { pwrite(descriptor, buffer.base, $0, 0) == $0 }
  }
}

/// Real files by `pwrite`, `pread` and `fdatasync`, one at a time: the fallback where io_uring is refused. Everybody
/// else gets a turn before each operation.
public final class PosixStorage: FileStorage, @unchecked Sendable {
  // Owned by `loop`.

  public init(root: String, loop: EventLoop, notices: [String] = []) throws(StorageError) {
    try super.init(root: root, loop: loop, name: "posix", notices: notices)
  }

  public override func read(
    _ id: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    await loop.nextTurn()
    return try await super.read(id, at: offset, into: buffer, range)
  }

  public override func write(
    _ id: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    await loop.nextTurn()
    return try await super.write(id, at: offset, from: buffer, range, durability)
  }

  public override func sync(_ id: FileID, _ scope: SyncScope) async throws(StorageError) {
    await loop.nextTurn()
    try await super.sync(id, scope)
  }
}
