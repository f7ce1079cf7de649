import GRDB
import Glibc
import LogModel
import Storage

/// Leases in an SQLite database, one row for each log that has writers. Any number of processes of one machine may have
/// it open (`sqlite.org/lockingv3.html`; not over NFS, whose locks cannot be relied on).
///
///     lease(resource TEXT PRIMARY KEY, epoch INTEGER, holder TEXT, expires INTEGER)
///
/// `expires` is in nanoseconds since 1970, on the clock of whoever wrote it; 0 once it was given back. An epoch is
/// given once: the row stays when the lease ends, and a transaction is on the medium before it counts (`PRAGMA
/// synchronous = EXTRA` syncs the directory after the journal has been removed, too).
///
/// Each call is one transaction on one row, made in place: the caller's thread stands still meanwhile, for a claim or a
/// renewal as long as the disk takes for two syncs.
public final class LeaseDatabase: Sendable {
  private let queue: DatabaseQueue
  /// Empty for one in memory.
  public let path: String
  /// Of the file that is open: somebody may put another one in its place.
  private let file: FileIdentity?

  struct Lease: Hashable {
    var epoch: Epoch
    var holder: String
    var expires: Instant
  }

  private struct FileIdentity: Hashable {
    var device: UInt
    var inode: UInt

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
    }
  }

  /// - Parameter path: of a file, made if there is none, in a directory that is there. Nil for a database in memory,
  ///   which the engines of one process may share.
  /// - Throws: `StorageError` where it cannot be opened, or is no database.
  public init(path: String?) throws(StorageError) {
    self.path = path ?? ""
    var configuration = Configuration()
    configuration.label = "leases"
    configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = EXTRA") }
    var attempts = 0
    while true {
      do throws(StorageError) {
        queue = try Self.open(path, configuration)
        break
      } catch {
        // Another process is at it.
        attempts += 1
        guard error.isErrno(EBUSY), attempts < 1000 else { throw error }
        usleep(1000)
      }
    }
    file = path.flatMap { FileIdentity($0) }
  }

  private static func open(_ path: String?, _ configuration: Configuration) throws(StorageError) -> DatabaseQueue {
    do {
      let queue =
        try path.map { try DatabaseQueue(path: $0, configuration: configuration) }
        ?? DatabaseQueue(configuration: configuration)
      try queue.write {
        try $0.execute(
          sql: """
            CREATE TABLE IF NOT EXISTS lease(
              resource TEXT PRIMARY KEY NOT NULL, epoch INTEGER NOT NULL, holder TEXT NOT NULL, expires INTEGER NOT NULL)
            """)
      }
      return queue
    } catch {
      throw storageError(error, path ?? "")
    }
  }

  /// Takes the lease over, if nobody has it at `now`.
  /// - Parameter floor: the epoch is above this one, and above every one that was given before.
  /// - Returns: the epoch; or whoever has it.
  func claim(
    _ resource: String, holder: String, above floor: Epoch, now: Instant, until expiry: Instant
  ) throws(StorageError) -> Claim {
    try assertInPlace()
    return try transaction { db in
      let lease = try Self.lease(resource, db)
      if let lease, lease.expires > now { return .held(lease) }
      let epoch = max(lease?.epoch ?? floor, floor).rawValue + 1
      guard let number = Int64(exactly: epoch) else { throw StorageError(errno: EOVERFLOW, .lock, self.path) }
      try db.execute(
        sql: """
          INSERT INTO lease(resource, epoch, holder, expires) VALUES (?, ?, ?, ?)
          ON CONFLICT(resource) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder, expires = excluded.expires
          """, arguments: [resource, number, holder, expiry.nanoseconds])
      return .granted(Epoch(epoch))
    }
  }

  enum Claim: Hashable {
    case granted(Epoch)
    case held(Lease)
  }

  /// Lets the lease of `epoch` run until `expiry`.
  /// - Returns: false where a later one has been given.
  func renew(_ resource: String, _ epoch: Epoch, until expiry: Instant) throws(StorageError) -> Bool {
    try assertInPlace()
    return try transaction { db in
      try db.execute(
        sql: "UPDATE lease SET expires = ? WHERE resource = ? AND epoch = ?",
        arguments: [expiry.nanoseconds, resource, Int64(bitPattern: epoch.rawValue)])
      return db.changesCount == 1
    }
  }

  /// The lease that was given last; nil for none.
  func lease(_ resource: String) throws(StorageError) -> Lease? {
    try assertInPlace()
    do { return try queue.read { try Self.lease(resource, $0) } } catch { throw Self.storageError(error, path) }
  }

  private static func lease(_ resource: String, _ db: Database) throws -> Lease? {
    try Row.fetchOne(
      db.cachedStatement(sql: "SELECT epoch, holder, expires FROM lease WHERE resource = ?"), arguments: [resource]
    ).map {
      Lease(
        epoch: Epoch(UInt64(bitPattern: $0[0] as Int64)), holder: $0[1], expires: Instant(nanoseconds: $0[2]))
    }
  }

  /// A file that has been removed, or replaced, stays open, and says nothing any more of who writes.
  private func assertInPlace() throws(StorageError) {
    guard !path.isEmpty, FileIdentity(path) != file else { return }
    throw StorageError(errno: ESTALE, .lock, path)
  }

  private func transaction<Value>(_ body: (Database) throws -> Value) throws(StorageError) -> Value {
    do { return try queue.write(body) } catch { throw Self.storageError(error, path) }
  }

  /// SQLite's result codes (`sqlite.org/rescode.html`) in the words of the kernel.
  private static func storageError(_ error: any Error, _ path: String) -> StorageError {
    if let error = error as? StorageError { return error }
    let number: Int32 =
      switch (error as? DatabaseError)?.resultCode {
      case .SQLITE_BUSY?, .SQLITE_LOCKED?: EBUSY
      case .SQLITE_FULL?: ENOSPC
      case .SQLITE_READONLY?: EROFS
      case .SQLITE_CANTOPEN?, .SQLITE_PERM?, .SQLITE_AUTH?: EACCES
      default: EIO
      }
    return StorageError(errno: number, .lock, path)
  }
}
