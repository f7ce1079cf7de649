import Glibc
import LogModel

/// The time of day, in nanoseconds since 1970. It may jump, and those of two machines differ: waits are never measured
/// with it.
public struct WallClock: Sendable {
  public var now: @Sendable () -> Instant

  public init(now: @escaping @Sendable () -> Instant) { self.now = now }

  /// Milliseconds since 1970, rounded down: what timestamps in records are.
  public var milliseconds: Int64 { now().nanoseconds / 1_000_000 }

  /// `man 2 clock_gettime`, CLOCK_REALTIME. A clock that shows a year before 1678 or after 2261 stands still at that
  /// end of what nanoseconds can say.
  public static let system = WallClock { Instant(of: CLOCK_REALTIME) }

  /// A clock that goes with `loop`'s, `skew` ahead of it: virtual in a simulation.
  public static func following(_ loop: EventLoop, ahead skew: Duration = .zero) -> WallClock {
    WallClock { loop.now + skew }
  }
}

extension Instant {
  /// What a clock of the machine shows. In nanoseconds it cannot show more than 292 years: beyond that it shows the
  /// last of them.
  init(of clock: clockid_t) {
    var time = timespec()
    clock_gettime(clock, &time)
    self.init(time)
  }

  init(_ time: timespec) {
    let (seconds, isTooMuch) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
    let (all, isOver) = seconds.addingReportingOverflow(Int64(time.tv_nsec))
    self.init(nanoseconds: isTooMuch || isOver ? (time.tv_sec < 0 ? .min : .max) : all)
  }
}

/// Whether the clocks of this machine show times that the program can count with.
public enum MachineClocks {
  /// From 1970 to the end of 2261, in seconds: what 64 bits of nanoseconds can say.
  static let countable = 0...9_214_646_399

  /// What is wrong with them, and what to do; nil where nothing is. The kernel's own monotonic clock begins at 0 when
  /// it boots (`man 2 clock_gettime`), and no time of day can be set that is not countable (`man 2 clock_settime`): it
  /// is a library that shows others.
  public static func complaint() -> String? {
    var (day, monotonic) = (timespec(), timespec())
    clock_gettime(CLOCK_REALTIME, &day)
    clock_gettime(CLOCK_MONOTONIC, &monotonic)
    return complaint(day: Int(day.tv_sec), monotonic: Int(monotonic.tv_sec))
  }

  static func complaint(day: Int, monotonic: Int) -> String? {
    let wrong = [("time of day", day), ("monotonic clock", monotonic)].filter { !countable.contains($0.1) }
    guard !wrong.isEmpty else { return nil }
    let shown = wrong.map { "the \($0.0) is \($0.1) s" }.joined(separator: ", ")
    return
      "\(shown), and must be a time from 1970 to 2261: set the clock, or run without the library that shows another "
      + "(LD_PRELOAD, libfaketime)"
  }
}
