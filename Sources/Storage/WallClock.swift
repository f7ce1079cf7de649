import Glibc
import LogModel

/// The time of day, in nanoseconds since 1970. It may jump, and those of two machines differ: waits are never measured
/// with it.
public struct WallClock: Sendable {
  public var now: @Sendable () -> Instant

  public init(now: @escaping @Sendable () -> Instant) { self.now = now }

  /// Milliseconds since 1970, rounded down: what timestamps in records are.
  public var milliseconds: Int64 { now().nanoseconds / 1_000_000 }

  /// `man 2 clock_gettime`, CLOCK_REALTIME.
  public static let system = WallClock {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// A clock that goes with `loop`'s, `skew` ahead of it: virtual in a simulation.
  public static func following(_ loop: EventLoop, ahead skew: Duration = .zero) -> WallClock {
    WallClock { loop.now + skew }
  }
}
