import Glibc
import LogModel
import Metrics
import Storage
import WriteAheadLog

/// How an engine makes sure that it is the only one that writes.
public protocol WriterExclusion: Sendable {
  /// Called before anything is read: what a writer before this one acknowledges later, this one would not find.
  /// - Parameter floor: the claim's epoch is above this one.
  /// - Throws: `EngineError.inUse` where another engine may write.
  func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim
}

/// The right to write, from opening to closing.
public protocol WriterClaim: WriterFence {
  /// Gives the right back.
  func release() async
}

/// One writer a directory: an advisory lock, and below it an epoch that fences.
///
///     lock             locked while an engine has the directory open
///     writers/EPOCH    the claim of the newest writer
///
/// 1. The lock keeps a second engine out, in this process or another (`man 2 fcntl`, open-file-description locks). It
///    can be got round: somebody removes the file, or mounts the disk on another machine.
/// 2. So each writer claims the next epoch: it creates `writers/EPOCH`, which only one can do (`O_EXCL`), removes all
///    older claims, and reads the logs only then. A writer acknowledges a commit only if, once that has been written,
///    its own claim still has a name. Either the commit was written before the claim went, and the next writer finds
///    it; or it is not acknowledged.
public struct DirectoryExclusion: WriterExclusion {
  static let lockPath = "lock"
  static let claims = "writers"

  public init() {}

  public func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim {
    do throws(StorageError) {
      let lock = try await storage.here().open(Self.lockPath, [.write, .create])
      do throws(StorageError) {
        try await storage.here().lock(lock)
        return try await Self.claimEpoch(storage, above: floor, lock: lock, lease: nil)
      } catch {
        await storage.close(lock)
        throw error
      }
    } catch {
      if error.operation == .lock, error.isErrno(EAGAIN) || error.isErrno(EACCES) { throw .inUse("its lock is held") }
      throw .storage(error)
    }
  }

  /// Claims the next epoch and fences all writers before.
  static func claimEpoch(
    _ storage: any Storage, above floor: Epoch, lock: FileID?, lease: LeaseTerm?
  ) async throws(StorageError) -> EpochClaim {
    try await storage.here().makeDirectory(claims)
    while true {
      let older = try await storage.here().list(claims).compactMap { UInt64($0.name) }.sorted()
      let newest = max(older.last ?? 0, floor.rawValue)
      guard newest < Epoch.largest.rawValue else {
        // Nobody has claimed so much: a file with such a name was put there.
        throw StorageError(errno: EOVERFLOW, .open, "\(claims)/\(newest)")
      }
      let epoch = Epoch(newest + 1)
      let path = "\(claims)/\(epoch)"
      let file: FileID
      do throws(StorageError) {
        file = try await storage.here().open(path, [.write, .create, .exclusive])
      } catch {
        if error.isErrno(EEXIST) { continue }  // somebody else has just claimed it: the next one
        throw error
      }
      let claim = EpochClaim(storage, epoch: epoch, file: file, lock: lock, lease: lease)
      do throws(StorageError) {
        try await claim.writeTerm()
        // An epoch must not be given twice, over a power loss either.
        try await storage.here().syncDirectory("")
        try await storage.here().syncDirectory(claims)
        for name in older {
          do throws(StorageError) { try await storage.here().unlink("\(claims)/\(name)") } catch {
            if !error.isNotFound { throw error }
          }
        }
        if try await claim.isCurrent() { return claim }
      } catch {
        await storage.close(file)
        throw error
      }
      await storage.close(file)  // fenced already, by one that came later
    }
  }
}

/// The claim of one epoch, and the lock or the lease that came with it.
final class EpochClaim: WriterClaim, @unchecked Sendable {
  // Owned by the storage's loop.

  let epoch: Epoch
  private let storage: any Storage
  private let file: FileID
  private let lock: FileID?
  private let lease: LeaseTerm?
  private var isReleased = false
  /// Shut while the term is being written.
  private let renewal = AsyncEvent(isOpen: true)

  init(_ storage: any Storage, epoch: Epoch, file: FileID, lock: FileID?, lease: LeaseTerm?) {
    self.storage = storage
    self.epoch = epoch
    self.file = file
    self.lock = lock
    self.lease = lease
  }

  func isCurrent() async throws(StorageError) -> Bool {
    if isReleased { return false }
    return try await storage.here().linkCount(of: file) > 0
  }

  /// Writes until when the lease runs, if there is one.
  func writeTerm() async throws(StorageError) {
    guard let lease else { return }
    try await write(LeaseClaim(end: lease.clock.now() + lease.duration, duration: lease.duration))
  }

  private func write(_ claim: LeaseClaim) async throws(StorageError) {
    let text = Array(claim.text.utf8)
    let block = storage.makeBuffer(capacity: LeaseTerm.size)
    let bytes = block.mutableBytes(0..<LeaseTerm.size)
    bytes.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: " "))
    bytes.copyBytes(from: text)
    try await storage.here().writeWhole(file, DirectoryExclusion.claims, at: 0, from: block, 0..<LeaseTerm.size)
  }

  /// Keeps the lease from running out, until the claim is released or lost.
  func renew() async {
    guard let lease else { return }
    let loop = storage.loop
    while !isReleased {
      await loop.sleep(until: loop.now + lease.duration / 3)
      if isReleased { return }
      renewal.shut()
      defer { renewal.open() }
      do throws(StorageError) {
        guard try await isCurrent() else {
          lease.metrics?.lost.add()
          return
        }
        try await writeTerm()
        lease.metrics?.renewed.add()
      } catch {
        // Tried again while the term lasts, and commits meet the same device.
        lease.metrics?.renewalsFailed.add()
      }
    }
  }

  /// The claim's file stays: it says which epochs have been given.
  func release() async {
    guard !isReleased else { return }
    isReleased = true
    await renewal.wait()
    if let lease {
      // For the next one not to wait; where that fails, the lease runs out by itself.
      let over = LeaseClaim(end: Instant(nanoseconds: 0), duration: lease.duration)
      do throws(StorageError) { try await write(over) } catch {}
    }
    await storage.close(file)
    if let lock { await storage.close(lock) }
  }
}
