import Glibc
import LogModel
import Storage

/// Makes "what was not synced is gone" true on real files. Every operation passes at once; account is kept of how
/// to take it back; `cutPower` takes back what is not durable.
///
/// 1. Durable is: what stood there before the wrapper was made; a completed durable write, with the size that makes it
///    reachable; writes and truncations that had completed when a sync, by now completed, was submitted
///    (`man 2 fsync`).
/// 2. A creation, rename or removal is durable when a sync of its directory that was submitted later has completed. A
///    rename between directories is durable with the sync of either, as in a journaling file system.
/// 3. Before a volatile write covers bytes that a completed operation left, they are read back; appends are not.
///    Durable writes are read back only with `tearsDurableWrites`, for it costs a read each: without it, one that
///    is in flight at the cut is whole as far as it overwrites, and torn by sectors as far as it appends.
/// 4. A removed or replaced file is kept in `.tornlog-undo/`, which listings leave out, until its removal is durable.
/// 5. At the cut every later operation fails with `powerLost`, and so does each in flight, once the base has ended it.
///    Then content, sizes and entries are resolved by the profile and the seed; see `PersistenceProfile`.
/// 6. A directory cannot be removed through the storage interface: one that was never durable is moved to
///    `.tornlog-undo/`.
///
/// Not kept exactly: writes that overlap while both are in flight; a truncation in flight when a sync is submitted.
public final class PowerLossStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  public static let undoFolder = ".tornlog-undo"

  /// One file, under whatever name.
  final class Record {
    var path: String
    var log: UndoLog
    /// Writes and truncations in flight, in the order of submission.
    var inFlight: [(number: Int, entries: [UndoLog.Entry], range: Range<Int64>, isDurable: Bool)] = []
    var reader: FileID?

    init(path: String, size: Int64) {
      self.path = path
      log = UndoLog(size: size)
    }
  }

  var records: [Record] = []
  var byPath: [String: Record] = [:]
  var byHandle: [FileID: Record] = [:]
  var journal = NamespaceUndoLog()
  /// Numbers of journal lines that a directory sync in flight would cover.
  var directorySyncs: [Int: Set<Int>] = [:]
  private var nextNumber = 0
  private var inFlight = 0
  private var waiting: [UnsafeContinuation<Void, Never>] = []
  public private(set) var isCut = false
  private let boot: UInt32
  private let tearsDurableWrites: Bool

  /// - Parameter boot: how many power losses came before; each makes another boot ID.
  public init(_ base: any Storage, boot: UInt32 = 0, tearsDurableWrites: Bool = false) {
    self.boot = boot
    self.tearsDurableWrites = tearsDurableWrites
    super.init(base)
  }

  /// The machine after the restart, on the files as the cut has left them.
  public func restarted() -> PowerLossStorage {
    PowerLossStorage(base, boot: boot + 1, tearsDurableWrites: tearsDurableWrites)
  }

  public override var properties: StorageProperties {
    var properties = super.properties
    properties.bootID &+= boot
    return properties
  }

  /// From here on nothing passes. Synchronous, for the handler of a trigger; `cutPower` does the rest.
  public func freeze() { isCut = true }

  // MARK: The course of an operation

  func nextUnique() -> Int {
    nextNumber += 1
    return nextNumber
  }

  /// Runs an operation of the base unless power is cut, and lets nobody see its end if power is cut meanwhile.
  private func guarded<Value>(
    _ kind: OperationKind, _ path: String, offset: Int64? = nil, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if isCut { throw StorageError(.powerLost, kind, path, offset: offset) }
    inFlight += 1
    let result: Result<Value, StorageError>
    do throws(StorageError) { result = .success(try await operation()) } catch { result = .failure(error) }
    inFlight -= 1
    if isCut {
      if inFlight == 0 {
        for waiter in waiting { waiter.resume() }
        waiting.removeAll()
      }
      throw StorageError(.powerLost, kind, path, offset: offset)
    }
    return try result.get()
  }

  /// Suspends until the base has ended everything that was in flight.
  func drain() async {
    if inFlight > 0 { await withUnsafeContinuation { waiting.append($0) } }
  }

  public override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await guarded(call.kind, call.path, offset: call.kind == .read ? call.offset : nil, operation)
  }

  private func record(_ file: FileID, _ kind: OperationKind) throws(StorageError) -> Record {
    if let record = byHandle[file] { return record }
    throw StorageError(errno: EBADF, kind, paths[file])
  }

  // MARK: Files

  public override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await guarded(.open, path) { () async throws(StorageError) -> FileID in
      let (file, isNew) = try await openOrCreate(path, mode)
      if isNew {
        let record = Record(path: path, size: 0)
        records.append(record)
        byPath[path] = record
        journal.append(.created(path))
      } else if byPath[path] == nil {
        let record = Record(path: path, size: try await base.size(of: file))
        if byPath[path] == nil {
          records.append(record)
          byPath[path] = record
        }
      }
      byHandle[file] = byPath[path]
      return file
    }
    paths[file] = path
    return file
  }

  private func openOrCreate(
    _ path: String, _ mode: OpenMode
  ) async throws(StorageError) -> (file: FileID, isNew: Bool) {
    if mode.isSuperset(of: [.create, .exclusive]) { return (try await base.open(path, mode), true) }
    guard mode.contains(.create) else { return (try await base.open(path, mode), false) }
    while true {
      do throws(StorageError) { return (try await base.open(path, mode.subtracting(.create)), false) } catch {
        guard error.isNotFound else { throw error }
      }
      do throws(StorageError) { return (try await base.open(path, mode.union(.exclusive)), true) } catch {
        guard error.isErrno(EEXIST) else { throw error }
      }
    }
  }

  public override func close(_ file: FileID) async {
    byHandle[file] = nil
    await base.close(file)
  }

  public override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    try await guarded(.write, paths[file], offset: offset) { () async throws(StorageError) -> Int in
      let record = try record(file, .write)
      let target = offset..<offset + Int64(range.count)
      let isDurable = durability == .durable
      let entries = try await undo(target, in: record, readsBack: !isDurable || tearsDurableWrites)
      if isCut { throw StorageError(.powerLost, .write, record.path, offset: offset) }
      let number = nextUnique()
      record.inFlight.append((number, entries, target, isDurable))
      let result: Result<Int, StorageError>
      do throws(StorageError) {
        result = .success(try await base.write(file, at: offset, from: buffer, range, durability))
      } catch {
        result = .failure(error)
      }
      // At a cut it stays listed: it was in flight.
      if isCut { return try result.get() }
      record.inFlight.removeAll { $0.number == number }
      switch result {
      case .success(let taken) where isDurable:
        record.log.completeDurableWrite(offset..<offset + Int64(taken))
      case .success(let taken): record.log.completeWrite(entries, end: offset + Int64(taken))
      // Some of it may be there.
      case .failure: record.log.completeWrite(entries, end: 0)
      }
      return try result.get()
    }
  }

  /// How `target` is put back: the bytes that completed operations left there, and nothing beyond their end.
  private func undo(
    _ target: Range<Int64>, in record: Record, readsBack: Bool
  ) async throws(StorageError) -> [UndoLog.Entry] {
    guard !target.isEmpty else { return [] }
    let end = min(target.upperBound, max(record.log.size, target.lowerBound))
    var entries: [UndoLog.Entry] = []
    if readsBack, target.lowerBound < end { entries = try await readBack(target.lowerBound..<end, of: record) }
    if end < target.upperBound { entries.append(.init(range: end..<target.upperBound, old: nil)) }
    return entries
  }

  private func readBack(_ range: Range<Int64>, of record: Record) async throws(StorageError) -> [UndoLog.Entry] {
    if record.reader == nil { record.reader = try await base.open(record.path, []) }
    var entries: [UndoLog.Entry] = []
    let piece: Int64 = 1 << 20
    let buffer = IOBuffer(capacity: Int(min(piece, Int64(range.count))))
    var at = range.lowerBound
    while at < range.upperBound, let reader = record.reader {
      let n = Int(min(piece, range.upperBound - at))
      let got = try await base.read(reader, at: at, into: buffer, 0..<n)
      if got == 0 { break }
      let bytes = buffer[0..<got]
      let isZero = bytes.allSatisfyZero
      entries.append(.init(range: at..<at + Int64(got), old: isZero ? nil : Array(bytes)[...]))
      at += Int64(got)
    }
    if at < range.upperBound { entries.append(.init(range: at..<range.upperBound, old: nil)) }
    return entries
  }

  public override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    try await guarded(.sync, paths[file]) { () async throws(StorageError) in
      let record = try record(file, .sync)
      let number = record.log.submitSync()
      do throws(StorageError) { try await base.sync(file, scope) } catch {
        if !isCut { record.log.failSync(number) }
        throw error
      }
      if !isCut { record.log.completeSync(number) }
    }
  }

  public override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    try await guarded(.truncate, paths[file], offset: size) { () async throws(StorageError) in
      let record = try record(file, .truncate)
      let cut = min(size, record.log.size)..<record.log.size
      // Bytes beyond every size that is durable, or may become so, need not be kept.
      let known = record.log.pendingSyncs.reduce(record.log.durableSize) { max($0, $1.size) }
      let kept = cut.clamped(to: 0..<max(known, 0))
      var entries: [UndoLog.Entry] = []
      if !kept.isEmpty { entries = try await readBack(kept, of: record) }
      if isCut { throw StorageError(.powerLost, .truncate, record.path, offset: size) }
      let number = nextUnique()
      record.inFlight.append((number, entries, cut, false))
      let result: Result<Void, StorageError>
      do throws(StorageError) { result = .success(try await base.truncate(file, to: size)) } catch {
        result = .failure(error)
      }
      if isCut { return try result.get() }
      record.inFlight.removeAll { $0.number == number }
      if case .success = result { record.log.completeTruncate(entries, to: size) }
      try result.get()
    }
  }

  /// A file whose removal is not durable yet lies in the undo folder; for everybody else it is gone.
  public override func linkCount(of file: FileID) async throws(StorageError) -> Int {
    let count = try await super.linkCount(of: file)
    return byHandle[file].map { $0.path.hasPrefix(Self.undoFolder) } ?? false ? 0 : count
  }

  // MARK: Names

  public override func makeDirectory(_ path: String) async throws(StorageError) {
    try await guarded(.makeDirectory, path) { () async throws(StorageError) in try await makeDirectoryRecorded(path) }
  }

  public override func unlink(_ path: String) async throws(StorageError) {
    try await guarded(.unlink, path) { () async throws(StorageError) in try await unlinkRecorded(path) }
  }

  public override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await guarded(.rename, path) { () async throws(StorageError) in try await renameRecorded(path, to: newPath) }
  }

  public override func syncDirectory(_ path: String) async throws(StorageError) {
    try await guarded(.syncDirectory, path) { () async throws(StorageError) in try await syncDirectoryRecorded(path) }
  }

  public override func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    let names = try await super.list(path)
    return path.isEmpty ? names.filter { $0.name != Self.undoFolder } : names
  }
}

extension PowerLossStorage: WriteBackLoss {
  public func loseWriteBack(of file: FileID, in range: Range<Int64>) throws(StorageError) {
    try record(file, .sync).log.abandon(range)
  }

  public func loseEntries(of directory: String) throws(StorageError) -> [String] { journal.abandon(in: directory) }
}

extension UnsafeRawBufferPointer {
  var allSatisfyZero: Bool {
    guard let base = baseAddress, count > 0 else { return true }
    return self[0] == 0 && memcmp(base, base + 1, count - 1) == 0
  }
}
