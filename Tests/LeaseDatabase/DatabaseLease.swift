import Glibc
import LogModel
import Metrics
import PartitionEngine
import Storage
import WriteAheadLog

/// One writer at a time, by a lease in a database: for a log whose files several processes reach.
///
/// A lease by itself protects nothing: a holder that was paused, or whose clock is slow, writes on after its lease has
/// run out. What protects is the epoch. The taker has the next one on the medium before it reads anything; a holder
/// acknowledges a commit, and records anything, only if its own epoch is still the newest once that has been written.
/// Either it was written before the epoch was given, and the taker reads it; or nobody is told that it was.
public struct DatabaseLease: WriterExclusion {
  public let database: LeaseDatabase
  /// Which log; any text.
  public var resource: String
  /// Who, for messages to a person.
  public var holder: String
  public var duration: Duration
  public var clock: WallClock
  /// Where renewals are counted; nil for nowhere.
  public var metrics: LeaseMetrics?

  /// - Parameter duration: how long a claim stands without being renewed; renewed after a third of it.
  public init(
    _ database: LeaseDatabase, resource: String = "log", holder: String, duration: Duration = .seconds(10),
    clock: WallClock = .system, metrics: LeaseMetrics? = nil
  ) {
    self.database = database
    self.resource = resource
    self.holder = holder
    self.duration = duration
    self.clock = clock
    self.metrics = metrics
  }

  public func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim {
    let answer: LeaseDatabase.Claim
    do throws(StorageError) {
      answer = try await DatabaseClaim.patiently(storage.loop) { () throws(StorageError) in
        let now = clock.now()
        return try database.claim(resource, holder: holder, above: floor, now: now, until: now + duration)
      }
    } catch {
      throw .storage(error)
    }
    switch answer {
    case .held(let lease):
      let left = lease.expires - clock.now()
      throw .inUse(
        "the lease of \(lease.holder), epoch \(lease.epoch), runs for another \(max(0, left.nanoseconds / 1_000_000)) "
          + "ms"
      )
    case .granted(let epoch):
      let claim = DatabaseClaim(self, epoch: epoch, storage.loop)
      storage.loop.spawn { await claim.renew() }
      return claim
    }
  }
}

/// The claim of one epoch.
final class DatabaseClaim: WriterClaim, @unchecked Sendable {
  // Owned by `loop`.

  let epoch: Epoch
  private let lease: DatabaseLease
  private let loop: EventLoop
  private var isReleased = false
  /// A later epoch has been given: it never becomes the newest again.
  private var isReplaced = false

  init(_ lease: DatabaseLease, epoch: Epoch, _ loop: EventLoop) {
    (self.lease, self.epoch, self.loop) = (lease, epoch, loop)
  }

  /// A database that is locked by another process is asked again, for a second.
  static func patiently<Value>(
    _ loop: EventLoop, _ body: () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    for _ in 0..<1000 {
      do throws(StorageError) { return try body() } catch {
        guard error.isErrno(EBUSY) else { throw error }
      }
      await loop.sleep(until: loop.now + .milliseconds(1))
    }
    return try body()
  }

  func isCurrent() async throws(StorageError) -> Bool {
    if isReleased || isReplaced { return false }
    let newest = try await Self.patiently(loop) { () throws(StorageError) in try lease.database.lease(lease.resource) }
    // No row: somebody has emptied the table, and an epoch may be given twice.
    if newest?.epoch != epoch { isReplaced = true }
    return !isReplaced
  }

  /// Keeps the lease from running out, until the claim is released or lost.
  func renew() async {
    while !isReleased && !isReplaced {
      await loop.sleep(until: loop.now + lease.duration / 3)
      if isReleased || isReplaced { return }
      do throws(StorageError) {
        try await extend(until: lease.clock.now() + lease.duration)
        isReplaced ? lease.metrics?.lost.add() : lease.metrics?.renewed.add()
      } catch {
        // Tried again while the lease runs; commits meet the same database.
        lease.metrics?.renewalsFailed.add()
      }
    }
  }

  private func extend(until expiry: Instant) async throws(StorageError) {
    let isMine = try await Self.patiently(loop) { () throws(StorageError) in
      try lease.database.renew(lease.resource, epoch, until: expiry)
    }
    if !isMine { isReplaced = true }
  }

  func release() async {
    guard !isReleased else { return }
    isReleased = true
    // For the next one not to wait; where that fails, the lease runs out by itself.
    do throws(StorageError) { try await extend(until: Instant(nanoseconds: 0)) } catch {}
  }
}
