import Glibc
import LogModel

/// One machine on a `MemoryDisk`, whose model it states: handles, latencies, and the errors of Linux.
///
/// In a simulation the loop's seed and the disk's seed together give one schedule, byte for byte. A crash of the disk
/// ends the machine; the machine after the restart is a new `MemoryStorage` on the same disk.
public final class MemoryStorage: Storage, @unchecked Sendable {
  // Owned by its loop.

  private struct Handle {
    var file: Int
    var mode: OpenMode
    var path: String
    /// For locks, which belong to the handle.
    var number: UInt64
  }

  public let disk: MemoryDisk
  public let loop: EventLoop
  public let properties: StorageProperties
  private let latency: MemoryLatency
  private let life: Int
  private var random: SeededGenerator
  /// By raw value; never used again, so that a stale handle is EBADF and nobody else's file.
  private var handles: [Handle?] = []

  public init(disk: MemoryDisk, loop: EventLoop, latency: MemoryLatency = .disk, directIO: Bool = true) {
    self.disk = disk
    self.loop = loop
    self.latency = latency
    life = disk.life
    disk.clock = loop
    random = SeededGenerator(seed: mix64(disk.seed &+ UInt64(disk.life)), stream: "latency")
    properties = StorageProperties(name: "memory", directIO: directIO, blockSize: 512, bootID: disk.bootID)
  }

  /// Whether the machine this storage belongs to has crashed.
  public var isDead: Bool { life != disk.life }

  // MARK: The course of an operation

  private func alive(_ kind: OperationKind, _ path: String) throws(StorageError) {
    if isDead { throw StorageError(.powerLost, kind, path) }
  }

  private func due(_ range: ClosedRange<Int64>) -> Instant? {
    guard range.upperBound > 0 else { return nil }
    return loop.now + .nanoseconds(Int64.random(in: range, using: &random))
  }

  /// Waits until `due` with `work` in flight; a crash meanwhile has resolved it.
  /// - Returns: the operation's number, by which later submissions are told from earlier ones.
  @discardableResult
  private func inFlight(
    until due: Instant, _ work: PendingOperation.Work, _ kind: OperationKind, _ path: String
  ) async throws(StorageError) -> UInt64 {
    let number = disk.nextOperation
    disk.nextOperation += 1
    disk.pending.append(PendingOperation(number: number, work: work))
    await loop.sleep(until: due)
    try alive(kind, path)
    if let at = disk.pending.firstIndex(where: { $0.number == number }) { disk.pending.remove(at: at) }
    return number
  }

  /// Waits for an operation that changes nothing.
  private func delay(
    _ range: ClosedRange<Int64>, _ kind: OperationKind, _ path: String
  ) async throws(StorageError) {
    try alive(kind, path)
    guard let due = due(range) else { return }
    await loop.sleep(until: due)
    try alive(kind, path)
  }

  private func change(_ change: NameChange) async throws(StorageError) {
    try alive(change.operation, change.path)
    if let due = due(latency.names) { try await inFlight(until: due, .names(change), change.operation, change.path) }
    try disk.apply(change)
  }

  private func handle(
    _ file: FileID, _ kind: OperationKind, at offset: Int64? = nil
  ) throws(StorageError) -> Handle {
    let i = Int(file.rawValue)
    guard handles.indices.contains(i), let handle = handles[i], disk.files[handle.file] != nil else {
      if isDead { throw StorageError(.powerLost, kind, "file #\(i)", offset: offset) }
      throw StorageError(errno: EBADF, kind, "file #\(i)", offset: offset)
    }
    if isDead { throw StorageError(.powerLost, kind, handle.path, offset: offset) }
    return handle
  }

  /// The disk's number of an open file.
  func fileIndex(of file: FileID, _ kind: OperationKind) throws(StorageError) -> Int { try handle(file, kind).file }

  // MARK: Files

  public func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    try alive(.open, path)
    let creates = try disk.file(at: path, mode) == nil
    if creates, let due = due(latency.names) {
      try await inFlight(until: due, .names(.create(path)), .open, path)
    } else {
      try await delay(latency.names, .open, path)
    }
    // Somebody else may have created or removed it meanwhile.
    let file: Int = if let found = try disk.file(at: path, mode) { found } else { try disk.create(path) }
    disk.ownedFile(file)?.openCount += 1
    handles.append(Handle(file: file, mode: mode, path: path, number: disk.nextHandle))
    disk.nextHandle += 1
    return FileID(Int32(handles.count - 1))
  }

  public func close(_ file: FileID) async {
    let i = Int(file.rawValue)
    guard !isDead, handles.indices.contains(i), let handle = handles[i] else { return }
    handles[i] = nil
    disk.ownedFile(handle.file)?.openCount -= 1
    if disk.locks[handle.file]?.handle == handle.number { disk.locks[handle.file] = nil }
    disk.collectGarbage()
  }

  public func size(of file: FileID) async throws(StorageError) -> Int64 {
    let handle = try handle(file, .size)
    try await delay(latency.names, .size, handle.path)
    return visibleSize(handle.file)
  }

  private func visibleSize(_ file: Int) -> Int64 {
    var size = disk.files[file]?.settledSize ?? 0
    for operation in disk.pending {
      guard case .write(let write) = operation.work, write.file == file, write.visibleFrom <= loop.now else { continue }
      size = max(size, write.end)
    }
    return size
  }

  public func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let handle = try handle(file, .read, at: offset)
    guard offset >= 0 else { throw StorageError(errno: EINVAL, .read, handle.path, offset: offset) }
    try await delay(latency.read, .read, handle.path)
    guard let content = disk.files[handle.file] else {
      throw StorageError(errno: EBADF, .read, handle.path, offset: offset)
    }
    let count = Int(max(0, min(Int64(range.count), visibleSize(handle.file) - offset)))
    guard count > 0 else { return 0 }
    let target = buffer.base + range.lowerBound
    content.read(target, count, at: offset)
    if !disk.pending.isEmpty { overlay(handle.file, target, count, at: offset) }
    return count
  }

  /// Lays visible writes in flight over settled bytes: the one that will settle last on top.
  private func overlay(_ file: Int, _ target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64) {
    var writes: [PendingWrite] = []
    for operation in disk.pending {
      guard case .write(let write) = operation.work, write.file == file, write.visibleFrom <= loop.now else { continue }
      writes.append(write)
    }
    for write in writes.sorted(by: { $0.due < $1.due }) {
      let from = max(offset, write.offset)
      let to = min(offset + Int64(count), write.end)
      if from < to { memcpy(target + Int(from - offset), write.bytes + Int(from - write.offset), Int(to - from)) }
    }
  }

  public func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let handle = try handle(file, .write, at: offset)
    guard handle.mode.contains(.write) else { throw StorageError(errno: EBADF, .write, handle.path, offset: offset) }
    let block = properties.blockSize
    let isDirect = properties.directIO && handle.mode.contains(.direct)
    if offset < 0 || isDirect && (Int(offset) % block | range.lowerBound % block | range.count % block) != 0 {
      throw StorageError(errno: EINVAL, .write, handle.path, offset: offset)
    }
    let durable = durability == .durable
    var (buffer, range) = (buffer, range)
    if let due = due(durable ? latency.durableWrite : latency.write) {
      let now = loop.now
      let visible = now + .nanoseconds(Int64.random(in: 0...max(0, (due - now).nanoseconds), using: &random))
      if disk.takesAtSubmission(disk.nextOperation) {
        let taken = IOBuffer(capacity: max(1, range.count))
        memcpy(taken.base, buffer.base + range.lowerBound, range.count)
        (buffer, range) = (taken, 0..<range.count)
      }
      let write = PendingWrite(
        file: handle.file, offset: offset, buffer: buffer, range: range, durable: durable, visibleFrom: visible,
        due: due)
      try await inFlight(until: due, .write(write), .write, handle.path)
    }
    let bytes = UnsafeRawPointer(buffer.base + range.lowerBound)
    guard let taken = disk.settleWrite(file: handle.file, bytes, range.count, at: offset, durable: durable) else {
      throw StorageError(errno: EBADF, .write, handle.path, offset: offset)
    }
    if taken == 0 && !range.isEmpty { throw StorageError(errno: ENOSPC, .write, handle.path, offset: offset) }
    return taken
  }

  public func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    let handle = try handle(file, .sync)
    // No reference to the file may be held here: it would be taken for a snapshot's.
    guard let capture = disk.files[handle.file]?.capture() else { return }
    var number = disk.nextOperation
    if let due = due(latency.sync) {
      number = try await inFlight(until: due, .sync(file: handle.file, capture), .sync, handle.path)
    }
    disk.settleSync(file: handle.file, capture, submittedAs: number)
  }

  public func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    let handle = try handle(file, .truncate, at: size)
    guard handle.mode.contains(.write), size >= 0 else {
      throw StorageError(errno: EINVAL, .truncate, handle.path, offset: size)
    }
    if let due = due(latency.names) {
      try await inFlight(until: due, .truncate(file: handle.file, size: size), .truncate, handle.path)
    }
    disk.ownedFile(handle.file)?.truncate(to: size)
  }

  public func lock(_ file: FileID) async throws(StorageError) {
    let handle = try handle(file, .lock)
    let own = MemoryDisk.Lock(life: life, handle: handle.number)
    if let holder = disk.locks[handle.file], holder.life == life, holder != own {
      throw StorageError(errno: EAGAIN, .lock, handle.path)
    }
    disk.locks[handle.file] = own
  }

  public func linkCount(of file: FileID) async throws(StorageError) -> Int {
    let handle = try handle(file, .linkCount)
    return disk.files[handle.file]?.isLinked ?? false ? 1 : 0
  }

  // MARK: Names

  public func makeDirectory(_ path: String) async throws(StorageError) { try await change(.makeDirectory(path)) }
  public func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await change(.rename(path, to: newPath))
  }
  public func unlink(_ path: String) async throws(StorageError) { try await change(.unlink(path)) }

  public func syncDirectory(_ path: String) async throws(StorageError) {
    try alive(.syncDirectory, path)
    let index = try disk.directory(at: path, .syncDirectory)
    let capture = disk.directories[index]?.capture() ?? MemoryDirectory.Capture([])
    var number = disk.nextOperation
    if let due = due(latency.sync) {
      number = try await inFlight(until: due, .syncDirectory(index, capture), .syncDirectory, path)
    }
    disk.settleDirectorySync(index, capture, submittedAs: number)
  }

  public func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    try await delay(latency.names, .list, path)
    let index = try disk.directory(at: path, .list)
    return (disk.directories[index]?.visible ?? [:]).sortedByName.map { name, node in
      DirectoryEntry(name: name, isDirectory: node.isDirectory)
    }
  }

  public func makeBuffer(capacity: Int) -> IOBuffer { IOBuffer(capacity: capacity) }
}
