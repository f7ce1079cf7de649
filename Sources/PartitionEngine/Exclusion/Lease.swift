import Glibc
import LogModel
import Storage
import WriteAheadLog

struct LeaseTerm: Sendable {
  /// Bytes of a claim: its text, then spaces.
  static let size = 512

  var duration: Duration
  var clock: WallClock
  var metrics: LeaseMetrics?
}

/// What a claim says of its lease: `END DURATION CHECKSUM`, in decimal digits.
struct LeaseClaim: Hashable {
  /// When it runs out, by its holder's clock. The instant 0: its holder has given it back.
  var end: Instant
  /// How long it stands without being renewed.
  var duration: Duration

  private var numbers: String { "\(end.nanoseconds) \(duration.nanoseconds)" }

  /// The checksum is the 64-bit FNV-1a of what stands before it: one digit that is read wrong must not keep everybody
  /// out for years.
  var text: String { "\(numbers) \(stableHash(numbers))" }

  init(end: Instant, duration: Duration) { (self.end, self.duration) = (end, duration) }

  /// Nil for bytes that no engine has written.
  init?(_ bytes: UnsafeRawBufferPointer) {
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    guard fields.count == 3, let end = Int64(fields[0]), let duration = Int64(fields[1]),
      let checksum = UInt64(fields[2]),
      end >= 0, 1...LeaseExclusion.longest.nanoseconds ~= duration
    else { return nil }
    self.init(end: Instant(nanoseconds: end), duration: .nanoseconds(duration))
    if stableHash(numbers) != checksum { return nil }
  }

  /// Whether its holder's clock must be ahead of this one by more than the lease takes: then `end` says little.
  func isFarAhead(of now: Instant) -> Bool { end - now > duration * 2 }
}

/// One writer at a time without a lock, for storage that several machines reach: the claim runs out unless its holder
/// renews it, and another engine may take over then.
///
/// A lease by itself protects nothing: a holder that was paused, or whose clock is slow, writes on after its lease has
/// run out. What protects is the epoch (see `DirectoryExclusion`): the taker fences the holder before it reads.
///
/// A holder whose clock is far ahead writes terms that nobody else lives to see the end of. Such a claim is watched for
/// as long as its lease takes: its holder is alive if it is renewed meanwhile, and dead otherwise.
public struct LeaseExclusion: WriterExclusion {
  public var duration: Duration
  public var clock: WallClock
  /// Where renewals are counted; nil for nowhere.
  public var metrics: LeaseMetrics?

  /// No lease is longer.
  public static let longest = Duration.seconds(3600)

  /// - Parameter duration: how long a claim stands without being renewed, up to `longest`; renewed after a third of it.
  public init(duration: Duration = .seconds(10), clock: WallClock = .system, metrics: LeaseMetrics? = nil) {
    self.duration = min(duration, Self.longest)
    self.clock = clock
    self.metrics = metrics
  }

  public func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim {
    do throws(StorageError) {
      try await storage.here().makeDirectory(DirectoryExclusion.claims)
      if let found = try await newestClaim(storage), found.end > clock.now() { try await yield(to: found, storage) }
      let claim = try await DirectoryExclusion.claimEpoch(
        storage, above: floor, lock: nil, lease: LeaseTerm(duration: duration, clock: clock, metrics: metrics))
      storage.loop.spawn { await claim.renew() }
      return claim
    } catch {
      if error.operation == .lock, error.isErrno(EAGAIN) { throw .inUse(error.path) }
      throw .storage(error)
    }
  }

  /// - Throws: EAGAIN where the holder of a claim that has not run out may be alive.
  private func yield(to found: LeaseClaim, _ storage: any Storage) async throws(StorageError) {
    let left = found.end - clock.now()
    guard found.isFarAhead(of: clock.now()) else {
      throw StorageError(errno: EAGAIN, .lock, "its lease runs for another \(left.nanoseconds / 1_000_000) ms")
    }
    await storage.loop.sleep(until: storage.loop.now + found.duration)
    if try await newestClaim(storage) == found { return }
    throw StorageError(
      errno: EAGAIN, .lock, "it renews its lease, by a clock that is far ahead of this one; set the clocks right")
  }

  /// What the newest claim says; nil where there is none, or where it says nothing, or cannot be read, not the second
  /// time either: a sector that a power cut has left unreadable must not keep everybody out for ever, and a holder that
  /// is at work after all is fenced.
  private func newestClaim(_ storage: any Storage) async throws(StorageError) -> LeaseClaim? {
    let claims = try await storage.here().list(DirectoryExclusion.claims)
    guard let newest = claims.compactMap({ UInt64($0.name) }).max() else {
      return nil
    }
    for _ in 0..<2 {
      do throws(StorageError) { return try await term(of: "\(DirectoryExclusion.claims)/\(newest)", storage) } catch {
        guard error.isErrno(EIO) else { throw error }
      }
    }
    return nil
  }

  private func term(of path: String, _ storage: any Storage) async throws(StorageError) -> LeaseClaim? {
    let file: FileID
    do throws(StorageError) { file = try await storage.here().open(path, []) } catch {
      if error.isNotFound { return nil }
      throw error
    }
    let block = storage.makeBuffer(capacity: LeaseTerm.size)
    let got: Int
    do throws(StorageError) {
      got = try await storage.here().readWhole(file, at: 0, into: block, 0..<LeaseTerm.size)
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
    return LeaseClaim(block[0..<got])
  }
}

/// No protection at all: for a directory that nothing else can reach, and for showing what happens where something can.
public struct NoExclusion: WriterExclusion {
  public init() {}
  public func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim {
    UnguardedClaim()
  }
}

private struct UnguardedClaim: WriterClaim {
  var epoch: Epoch { Epoch(0) }
  func isCurrent() async throws(StorageError) -> Bool { true }
  func release() async {}
}
