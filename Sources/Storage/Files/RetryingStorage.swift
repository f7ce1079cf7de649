import Glibc
import LogModel

/// Carries on after EINTR and EAGAIN, which say that nothing has happened, a bounded number of times (`man 7 signal`;
/// `man 2 fsync` and `man 2 open` name EINTR).
///
/// Reads and writes pass as they are: whoever makes them has to carry on after errors that say where. So do locks,
/// whose EAGAIN means that somebody else holds them (`man 2 fcntl`).
public final class RetryingStorage: Storage, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// Attempts before the error is believed.
  public static let attempts = 100
  private static let pause = Duration.microseconds(100)

  private let base: any Storage

  public init(_ base: any Storage) { self.base = base }

  public var loop: EventLoop { base.loop }
  public var properties: StorageProperties { base.properties }

  /// Waits before the next attempt.
  /// - Throws: `error`, where there is none.
  private func pause(after error: StorageError, _ attempts: inout Int) async throws(StorageError) {
    attempts += 1
    guard error.saysNothingHappened, attempts < Self.attempts else { throw error }
    let site = loop.callSite
    await loop.sleep(until: loop.now + Self.pause)
    loop.callSite = site
  }

  // Each is written out, and becomes its own witness: where an operation completes in place, a call in between costs as
  // much as the operation.

  @inline(__always)
  public func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.open(path, mode) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func size(of file: FileID) async throws(StorageError) -> Int64 {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.size(of: file) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.sync(file, scope) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func linkCount(of file: FileID) async throws(StorageError) -> Int {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.linkCount(of: file) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.truncate(file, to: size) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func makeDirectory(_ path: String) async throws(StorageError) {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.makeDirectory(path) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func syncDirectory(_ path: String) async throws(StorageError) {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.syncDirectory(path) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func rename(_ path: String, to newPath: String) async throws(StorageError) {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.rename(path, to: newPath) } catch {
        try await pause(after: error, &attempts)
      }
    }
  }

  @inline(__always)
  public func unlink(_ path: String) async throws(StorageError) {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.unlink(path) } catch { try await pause(after: error, &attempts) }
    }
  }

  @inline(__always)
  public func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    var attempts = 0
    while true {
      do throws(StorageError) { return try await base.list(path) } catch { try await pause(after: error, &attempts) }
    }
  }

  // MARK: As they are

  @inline(__always)
  public func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    try await base.read(file, at: offset, into: buffer, range)
  }

  @inline(__always)
  public func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    try await base.write(file, at: offset, from: buffer, range, durability)
  }

  @inline(__always)
  public func lock(_ file: FileID) async throws(StorageError) { try await base.lock(file) }
  @inline(__always)
  public func close(_ file: FileID) async { await base.close(file) }
  public func makeBuffer(capacity: Int) -> IOBuffer { base.makeBuffer(capacity: capacity) }
  public func note(_ note: TraceNote) { base.note(note) }
}
