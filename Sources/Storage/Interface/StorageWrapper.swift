import LogModel

/// One pass of the storage interface, as a wrapper sees it before it hands it on.
public struct StorageCall {
  public var kind: OperationKind
  public var path: String
  /// The handle, for operations on an open file.
  public var file: FileID?
  /// Byte position of a read or write; the new size of a truncate; 0 elsewhere.
  public var offset: Int64
  /// Bytes of a read or write; 0 elsewhere.
  public var length: Int
  /// Open mode, durability or sync scope, as its raw value.
  public var flags: UInt8
  /// New path of a rename.
  public var destination: String?
  /// What a write writes; valid until the operation has completed.
  public var content: UnsafeRawBufferPointer?

  public init(
    _ kind: OperationKind, _ path: String, file: FileID? = nil, offset: Int64 = 0, length: Int = 0, flags: UInt8 = 0,
    destination: String? = nil, content: UnsafeRawBufferPointer? = nil
  ) {
    self.kind = kind
    self.path = path
    self.file = file
    self.offset = offset
    self.length = length
    self.flags = flags
    self.destination = destination
    self.content = content
  }
}

/// A storage around a storage that hands every operation on. What observes or refuses overrides `pass`, through
/// which every operation goes; what edits one kind of operation overrides that kind.
open class StorageWrapper: Storage, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  public let base: any Storage
  /// The path that each open handle was opened by.
  public let paths = FilePaths()

  public init(_ base: any Storage) {
    self.base = base
  }

  open var loop: EventLoop { base.loop }
  open var properties: StorageProperties { base.properties }

  /// Runs `operation`, which passes `call` to the base.
  /// - Parameter traced: the value as one number: bytes moved, size, handle, number of names; 0 for none.
  open func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await operation()
  }

  /// As `pass`, for the one operation that cannot fail.
  open func passClose(_ call: StorageCall, _ operation: () async -> Void) async {
    await operation()
  }

  open func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await pass(StorageCall(.open, path, flags: mode.rawValue), traced: { Int64($0.rawValue) }) {
      () async throws(StorageError) -> FileID in try await base.open(path, mode)
    }
    paths[file] = path
    return file
  }

  open func close(_ file: FileID) async {
    await passClose(StorageCall(.close, paths[file], file: file)) { await base.close(file) }
  }

  open func size(of file: FileID) async throws(StorageError) -> Int64 {
    try await pass(StorageCall(.size, paths[file], file: file), traced: { $0 }) {
      () async throws(StorageError) -> Int64 in try await base.size(of: file)
    }
  }

  open func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let call = StorageCall(.read, paths[file], file: file, offset: offset, length: range.count)
    return try await pass(call, traced: { Int64($0) }) {
      () async throws(StorageError) -> Int in try await base.read(file, at: offset, into: buffer, range)
    }
  }

  open func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let call = StorageCall(
      .write, paths[file], file: file, offset: offset, length: range.count, flags: durability.rawValue,
      content: buffer[range])
    return try await pass(call, traced: { Int64($0) }) {
      () async throws(StorageError) -> Int in try await base.write(file, at: offset, from: buffer, range, durability)
    }
  }

  open func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    try await pass(StorageCall(.sync, paths[file], file: file, flags: scope.rawValue), traced: { 0 }) {
      () async throws(StorageError) in try await base.sync(file, scope)
    }
  }

  open func lock(_ file: FileID) async throws(StorageError) {
    try await pass(StorageCall(.lock, paths[file], file: file), traced: { 0 }) {
      () async throws(StorageError) in try await base.lock(file)
    }
  }

  open func linkCount(of file: FileID) async throws(StorageError) -> Int {
    try await pass(StorageCall(.linkCount, paths[file], file: file), traced: { Int64($0) }) {
      () async throws(StorageError) -> Int in try await base.linkCount(of: file)
    }
  }

  open func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    try await pass(StorageCall(.truncate, paths[file], file: file, offset: size), traced: { 0 }) {
      () async throws(StorageError) in try await base.truncate(file, to: size)
    }
  }

  open func makeDirectory(_ path: String) async throws(StorageError) {
    try await pass(StorageCall(.makeDirectory, path), traced: { 0 }) {
      () async throws(StorageError) in try await base.makeDirectory(path)
    }
  }

  open func syncDirectory(_ path: String) async throws(StorageError) {
    try await pass(StorageCall(.syncDirectory, path), traced: { 0 }) {
      () async throws(StorageError) in try await base.syncDirectory(path)
    }
  }

  open func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await pass(StorageCall(.rename, path, destination: newPath), traced: { 0 }) {
      () async throws(StorageError) in try await base.rename(path, to: newPath)
    }
  }

  open func unlink(_ path: String) async throws(StorageError) {
    try await pass(StorageCall(.unlink, path), traced: { 0 }) {
      () async throws(StorageError) in try await base.unlink(path)
    }
  }

  open func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    try await pass(StorageCall(.list, path), traced: { Int64($0.count) }) {
      () async throws(StorageError) -> [DirectoryEntry] in try await base.list(path)
    }
  }

  open func makeBuffer(capacity: Int) -> IOBuffer { base.makeBuffer(capacity: capacity) }
  open func note(_ note: TraceNote) { base.note(note) }
}

/// The path that each open handle was opened by, for messages and traces.
public final class FilePaths: @unchecked Sendable {
  // Owned by the loop of the storage that it belongs to.

  private var paths: [FileID: String] = [:]
  public init() {}

  public subscript(file: FileID) -> String {
    get { paths[file] ?? "file #\(file.rawValue)" }
    set { paths[file] = newValue }
  }
}
