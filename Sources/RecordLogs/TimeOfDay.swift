import Glibc
import LogModel
import Storage

/// The time of day for timestamps in records and for retention, in milliseconds since 1970. It may jump, and waits are never
/// measured with it.
public struct TimeOfDay: Sendable {
  public var milliseconds: @Sendable () -> Int64

  public init(milliseconds: @escaping @Sendable () -> Int64) { self.milliseconds = milliseconds }

  /// `man 2 clock_gettime`, CLOCK_REALTIME.
  public static let system = TimeOfDay {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// A clock that goes with `loop`'s, from `start` on: virtual in a simulation.
  public static func following(_ loop: EventLoop, from start: Int64 = 1_700_000_000_000) -> TimeOfDay {
    TimeOfDay { start + loop.now.nanoseconds / 1_000_000 }
  }
}
