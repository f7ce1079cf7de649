import Glibc
import LogModel

/// Carries on after EINTR and EAGAIN, which say that nothing has happened, a bounded number of times (`man 7 signal`;
/// `man 2 fsync` and `man 2 open` name EINTR).
///
/// Reads and writes pass as they are: whoever makes them has to carry on after short ones too. So do locks, whose EAGAIN
/// means that somebody else holds them (`man 2 fcntl`).
public final class PatientStorage: Storage, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// Attempts before the error is believed.
  public static let attempts = 100
  private static let pause = Duration.microseconds(100)

  private let base: any Storage

  public init(_ base: any Storage) { self.base = base }

  public var loop: EventLoop { base.loop }
  public var properties: StorageProperties { base.properties }

  private func patiently<Value>(
    _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    for _ in 1..<Self.attempts {
      do throws(StorageError) { return try await operation() } catch {
        guard error.isErrno(EINTR) || error.isErrno(EAGAIN) else { throw error }
      }
      await loop.sleep(until: loop.now + Self.pause)
    }
    return try await operation()
  }

  public func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    try await patiently { () async throws(StorageError) in try await base.open(path, mode) }
  }

  public func size(of file: FileID) async throws(StorageError) -> Int64 {
    try await patiently { () async throws(StorageError) in try await base.size(of: file) }
  }

  public func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    try await patiently { () async throws(StorageError) in try await base.sync(file, scope) }
  }

  public func linkCount(of file: FileID) async throws(StorageError) -> Int {
    try await patiently { () async throws(StorageError) in try await base.linkCount(of: file) }
  }

  public func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    try await patiently { () async throws(StorageError) in try await base.truncate(file, to: size) }
  }

  public func makeDirectory(_ path: String) async throws(StorageError) {
    try await patiently { () async throws(StorageError) in try await base.makeDirectory(path) }
  }

  public func syncDirectory(_ path: String) async throws(StorageError) {
    try await patiently { () async throws(StorageError) in try await base.syncDirectory(path) }
  }

  public func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await patiently { () async throws(StorageError) in try await base.rename(path, to: newPath) }
  }

  public func unlink(_ path: String) async throws(StorageError) {
    try await patiently { () async throws(StorageError) in try await base.unlink(path) }
  }

  public func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    try await patiently { () async throws(StorageError) in try await base.list(path) }
  }

  // MARK: As they are

  public func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    try await base.read(file, at: offset, into: buffer, range)
  }

  public func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    try await base.write(file, at: offset, from: buffer, range, durability)
  }

  public func lock(_ file: FileID) async throws(StorageError) { try await base.lock(file) }
  public func close(_ file: FileID) async { await base.close(file) }
  public func makeBuffer(capacity: Int) -> IOBuffer { base.makeBuffer(capacity: capacity) }
  public func note(_ note: TraceNote) { base.note(note) }
}
