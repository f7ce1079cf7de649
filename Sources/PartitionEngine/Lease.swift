import Glibc
import LogModel
import Storage
import WriteAheadLog

struct LeaseTerm: Sendable {
  /// Bytes of a claim: decimal digits, the instant at which it runs out, then spaces.
  static let size = 512

  var duration: Duration
  var clock: WallClock
  var metrics: LeaseMetrics?
}

/// One writer at a time without a lock, for storage that several machines reach: the claim runs out unless its holder
/// renews it, and another engine may take over then.
///
/// A lease by itself protects nothing: a holder that was paused, or whose clock is slow, writes on after its lease has
/// run out. What protects is the epoch (see `DirectoryExclusion`): the taker fences the holder before it reads.
public struct LeaseExclusion: WriterExclusion {
  public var duration: Duration
  public var clock: WallClock
  /// Where renewals are counted; nil for nowhere.
  public var metrics: LeaseMetrics?

  /// - Parameter duration: how long a claim stands without being renewed; renewed after a third of it.
  public init(duration: Duration = .seconds(10), clock: WallClock = .system, metrics: LeaseMetrics? = nil) {
    self.duration = duration
    self.clock = clock
    self.metrics = metrics
  }

  public func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim {
    do throws(StorageError) {
      try await storage.makeDirectory(DirectoryExclusion.claims)
      if let end = try await runningUntil(storage), end > clock.now() {
        let left = end - clock.now()
        throw StorageError(errno: EAGAIN, .lock, "its lease runs for another \(left.nanoseconds / 1_000_000) ms")
      }
      let claim = try await DirectoryExclusion.claimEpoch(
        storage, above: floor, lock: nil, lease: LeaseTerm(duration: duration, clock: clock, metrics: metrics))
      storage.loop.spawn { await claim.renew() }
      return claim
    } catch {
      if error.operation == .lock, error.isErrno(EAGAIN) { throw .inUse(error.path) }
      throw .storage(error)
    }
  }

  /// When the newest claim runs out; nil where there is none, or where it says nothing, or cannot be read, not the second time
  /// either: a sector that a power cut has left unreadable must not keep everybody out for ever, and a holder that is at work after
  /// all is fenced.
  private func runningUntil(_ storage: any Storage) async throws(StorageError) -> Instant? {
    guard let newest = try await storage.list(DirectoryExclusion.claims).compactMap({ UInt64($0.name) }).max() else {
      return nil
    }
    for _ in 0..<2 {
      do throws(StorageError) { return try await term(of: "\(DirectoryExclusion.claims)/\(newest)", storage) } catch {
        guard error.isErrno(EIO) else { throw error }
      }
    }
    return nil
  }

  private func term(of path: String, _ storage: any Storage) async throws(StorageError) -> Instant? {
    let file: FileID
    do throws(StorageError) { file = try await storage.open(path, []) } catch {
      if error.isNotFound { return nil }
      throw error
    }
    let block = storage.makeBuffer(capacity: LeaseTerm.size)
    let got: Int
    do throws(StorageError) { got = try await storage.read(file, at: 0, into: block, 0..<LeaseTerm.size) } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
    let digits = block[0..<got].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return Int64(String(decoding: digits, as: UTF8.self)).map { Instant(nanoseconds: $0) }
  }
}

/// No protection at all: for a directory that nothing else can reach, and for showing what happens where something can.
public struct NoExclusion: WriterExclusion {
  public init() {}
  public func claim(_ storage: any Storage, above floor: Epoch) async throws(EngineError) -> any WriterClaim { UnguardedClaim() }
}

private struct UnguardedClaim: WriterClaim {
  var epoch: Epoch { Epoch(0) }
  func isCurrent() async throws(StorageError) -> Bool { true }
  func release() async {}
}
