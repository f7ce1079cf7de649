import LogModel
import Storage

/// How long the flushes of a disk take at least, and when it stalls.
public struct FlushTiming: Hashable, Sendable, Codable {
  /// A flush takes at least this long. Zero: as long as the disk below takes.
  public var atLeast: Duration
  /// Nil for a disk that never stalls.
  public var stall: Stall?

  /// No flush ends during the first `length` of each `period`, counted from zero of the loop's clock.
  public struct Stall: Hashable, Sendable, Codable {
    public var period: Duration
    public var length: Duration

    /// - Parameters: both greater than zero, and `length` shorter than `period`.
    public init(every period: Duration, for length: Duration) {
      precondition(length > .zero && length < period, "a stall is shorter than its period")
      (self.period, self.length) = (period, length)
    }
  }

  public init(atLeast: Duration = .zero, stall: Stall? = nil) {
    (self.atLeast, self.stall) = (atLeast, stall)
  }

  /// When a flush may end that began at `begin`.
  func end(of begin: Instant, now: Instant) -> Instant {
    let due = max(begin + atLeast, now)
    guard let stall else { return due }
    let (period, length) = (stall.period.nanoseconds, stall.length.nanoseconds)
    let within = due.nanoseconds % period
    return within < length ? Instant(nanoseconds: due.nanoseconds - within + length) : due
  }
}

/// A disk with slower flushes than the one below: syncs, syncs of directories and durable writes.
public final class SlowFlushes: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let timing: FlushTiming

  public init(_ base: any Storage, _ timing: FlushTiming) {
    self.timing = timing
    super.init(base)
  }

  public override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    guard Self.isFlush(call) else { return try await operation() }
    let begin = loop.now
    let value = try await operation()
    let end = timing.end(of: begin, now: loop.now)
    if end > loop.now { await loop.sleep(until: end) }
    return value
  }

  private static func isFlush(_ call: StorageCall) -> Bool {
    switch call.kind {
    case .sync, .syncDirectory: true
    case .write: call.flags == WriteDurability.durable.rawValue
    default: false
    }
  }
}
