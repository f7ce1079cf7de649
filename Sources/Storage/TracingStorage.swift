import LogModel

/// Writes one line of the persistence trace for every pass, and changes nothing.
public final class TracingStorage: Storage {
  public let base: any Storage
  public let trace: Trace
  private let paths: FilePaths

  public init(_ base: any Storage, trace: Trace) {
    self.base = base
    self.trace = trace
    paths = FilePaths()
  }

  public var loop: EventLoop { base.loop }
  public var properties: StorageProperties { base.properties }

  private func pass<Value>(
    _ kind: OperationKind, _ path: String, offset: Int64 = 0, length: Int = 0, flags: UInt8 = 0,
    destination: String? = nil, content: UnsafeRawBufferPointer? = nil, result: (Value) -> Int64,
    _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let traced = TracedOperation(
      kind: kind, path: path, offset: offset, length: length, flags: flags, destination: destination,
      contentHash: content.map(hash64) ?? 0, payload: trace.keepsPayloads ? content.map(Array.init) : nil)
    let number = UInt64(trace.entries.count)
    trace.append(.submitted(number, traced), at: loop.now)
    do {
      let value = try await operation()
      trace.append(.completed(number, result: result(value)), at: loop.now)
      return value
    } catch {
      let code: Int64 = if case .errno(let number) = error.code { -Int64(number) } else { Int64.min }
      trace.append(.completed(number, result: code), at: loop.now)
      throw error
    }
  }

  public func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await pass(.open, path, flags: mode.rawValue, result: { (f: FileID) in Int64(f.rawValue) }) {
      () async throws(StorageError) in try await base.open(path, mode)
    }
    paths[file] = path
    return file
  }

  public func close(_ file: FileID) async {
    let number = UInt64(trace.entries.count)
    trace.append(
      .submitted(
        number, TracedOperation(kind: .close, path: paths[file], offset: 0, length: 0, flags: 0, contentHash: 0)),
      at: loop.now)
    await base.close(file)
    trace.append(.completed(number, result: 0), at: loop.now)
  }

  public func size(of file: FileID) async throws(StorageError) -> Int64 {
    try await pass(.size, paths[file], result: { $0 }) { () async throws(StorageError) in try await base.size(of: file) }
  }

  public func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    try await pass(.read, paths[file], offset: offset, length: range.count, result: { Int64($0) }) {
      () async throws(StorageError) in try await base.read(file, at: offset, into: buffer, range)
    }
  }

  public func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    try await pass(
      .write, paths[file], offset: offset, length: range.count, flags: durability.rawValue, content: buffer[range],
      result: { Int64($0) }
    ) { () async throws(StorageError) in try await base.write(file, at: offset, from: buffer, range, durability) }
  }

  public func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    try await pass(.sync, paths[file], flags: scope.rawValue, result: { 0 }) {
      () async throws(StorageError) in try await base.sync(file, scope)
    }
  }

  public func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    try await pass(.truncate, paths[file], offset: size, result: { 0 }) {
      () async throws(StorageError) in try await base.truncate(file, to: size)
    }
  }

  public func makeDirectory(_ path: String) async throws(StorageError) {
    try await pass(.makeDirectory, path, result: { 0 }) {
      () async throws(StorageError) in try await base.makeDirectory(path)
    }
  }

  public func syncDirectory(_ path: String) async throws(StorageError) {
    try await pass(.syncDirectory, path, result: { 0 }) {
      () async throws(StorageError) in try await base.syncDirectory(path)
    }
  }

  public func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await pass(.rename, path, destination: newPath, result: { 0 }) {
      () async throws(StorageError) in try await base.rename(path, to: newPath)
    }
  }

  public func unlink(_ path: String) async throws(StorageError) {
    try await pass(.unlink, path, result: { 0 }) { () async throws(StorageError) in try await base.unlink(path) }
  }

  public func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    try await pass(.list, path, result: { Int64($0.count) }) {
      () async throws(StorageError) in try await base.list(path)
    }
  }

  public func makeBuffer(capacity: Int) -> IOBuffer { base.makeBuffer(capacity: capacity) }

  public func note(_ note: TraceNote) {
    trace.append(.note(note), at: loop.now)
    base.note(note)
  }
}

/// The path that each open handle was opened by, for messages and traces. Owned by the loop.
public final class FilePaths: @unchecked Sendable {
  private var paths: [FileID: String] = [:]
  public init() {}

  public subscript(file: FileID) -> String {
    get { paths[file] ?? "file #\(file.rawValue)" }
    set { paths[file] = newValue }
  }
}

/// FNV-1a over 8-byte words: one line of the trace tells two payloads apart without holding them.
func hash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  var h: UInt64 = 0xCBF2_9CE4_8422_2325
  var at = 0
  while at + 8 <= bytes.count {
    h = (h ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)) &* 0x100_0000_01B3
    at += 8
  }
  while at < bytes.count {
    h = (h ^ UInt64(bytes[at])) &* 0x100_0000_01B3
    at += 1
  }
  return h
}
